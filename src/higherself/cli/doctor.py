"""The command that checks everything."""

import click

from higherself.cli.output import as_json, asynchronous, say, show_checks


@click.command(epilog="Example: higherself doctor --json")
@as_json
@asynchronous
async def doctor(*, as_json: bool) -> None:
    """Check everything the server depends on, and say how to fix what is wrong."""
    from higherself.app.health import examine

    checks = await examine(report=say)
    if not show_checks(checks, as_json=as_json):
        raise click.exceptions.Exit(2)
