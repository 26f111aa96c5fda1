"""Commands on Notion. Each is imported when it is called."""

from importlib import import_module

import click

COMMANDS = {
    "setup": ("higherself.cli.notion_setup", "Make the databases in Notion, or extend them."),
    "sync": ("higherself.cli.notion_sync", "Bring what has changed in Notion here, once."),
    "watch": ("higherself.cli.notion_sync", "Stay in step with Notion until Ctrl-C."),
    "status": ("higherself.cli.notion_status", "Show how far Notion is read, and what is wrong."),
    "resume": ("higherself.cli.notion_status", "Go on with what was paused."),
    "decisions": ("higherself.cli.notion_setup", "List fields of rows changed on both sides."),
    "decide": ("higherself.cli.notion_setup", "Decide about such a field."),
    "release": ("higherself.cli.notion_setup", "Let pages go whose rows were deleted."),
    "conflicts": ("higherself.cli.notion_status", "List what was changed on both sides at once."),
    "resolve": ("higherself.cli.notion_status", "Decide a conflict."),
}
"""Name -> (module that has a command of this name, one line of help)."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, not to list its name."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names, in the order a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import and return the command called ``name``."""
        if name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[name][0]), name)
        assert isinstance(command, click.Command)  # noqa: S101  the table above says so
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, epilog="Example: higherself notion sync --dry-run")
def notion() -> None:
    """Keep Notion and the server in step."""
