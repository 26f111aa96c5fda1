"""Shell completion."""

import click
from click.shell_completion import get_completion_class


@click.command(epilog='Example: eval "$(higherself completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL; put it where the shell reads it at start."""
    from higherself.cli.main import higherself

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101  the choice above lists what click has
    click.echo(found(higherself, {}, "higherself", "_HIGHERSELF_COMPLETE").source())
