"""The command ``higherself``. Loads a group of commands only when one of them is called."""

import errno
import os
import sys
from importlib import import_module

import click

from higherself import __version__
from higherself.kernel.errors import HigherSelfError, Unavailable

COMMANDS = {
    "demo": ("higherself.cli.demo", "Walk through everything on sample data, offline."),
    "serve": ("higherself.cli.serve", "Run the API, the dashboard and a worker."),
    "mcp": ("higherself.cli.mcp", "Serve assistants on standard input and output."),
    "worker": ("higherself.cli.worker", "Run one more worker, on this or another machine."),
    "workflow": ("higherself.cli.workflow", "Start workflows, see where they are, steer them."),
    "templates": ("higherself.cli.setups", "Set workflows up for a business, with its settings."),
    "happenings": ("higherself.cli.happenings", "Tell of leads and orders, see what followed."),
    "webhooks": ("higherself.cli.webhooks", "See what other systems announced, replay it."),
    "reviews": ("higherself.cli.reviews", "See texts that wait for a person, and decide."),
    "escalations": ("higherself.cli.escalations", "See what needs a person, and answer."),
    "deliveries": ("higherself.cli.deliveries", "See what went out, release what is held."),
    "flows": ("higherself.cli.flows", "Play what a business does, end to end."),
    "knowledge": ("higherself.cli.knowledge", "Add documents, search them, care for them."),
    "notion": ("higherself.cli.notion", "Keep Notion and the server in step."),
    "messages": ("higherself.cli.messages", "Look at messages, decide about dead letters."),
    "models": ("higherself.cli.models", "Show the language model, and what it costs."),
    "agents": ("higherself.cli.agents", "See agents, give them work, answer what they ask."),
    "skills": ("higherself.cli.skills", "See skills, run one, hand them to others."),
    "patterns": ("higherself.cli.patterns", "See how agents collaborate, and make it better."),
    "db": ("higherself.cli.db", "Migrate the database, look at it, roll it back."),
    "doctor": ("higherself.cli.doctor", "Check everything the server depends on."),
    "completion": ("higherself.cli.completion", "Print the completion script for a shell."),
}
"""Name -> (module that has a command of this name, one line of help)."""

INTERRUPTED = 130
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class ReaderLeft(Exception):
    """Nobody reads our standard output any more, as after ``| head``."""


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

    def invoke(self, context: click.Context) -> object:
        """Run the command; click would exit with 1 if the reader of our output has left."""
        try:
            return super().invoke(context)
        except BrokenPipeError as error:
            raise ReaderLeft from error

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: higherself knowledge search 'when do deposits become due' --limit 3",
)
@click.version_option(__version__, "--version", prog_name="higherself")
def higherself() -> None:
    """HigherSelf Network Server: the automation behind a business that runs on Notion."""


def main() -> None:
    """Run the command line and exit with the code its error family has."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; a known error is told in a line, not a traceback."""
    try:
        code = higherself.main(arguments, prog_name="higherself", standalone_mode=False)
        return code if isinstance(code, int) else 0  # of click.exceptions.Exit, which it catches
    except click.ClickException as wrong:
        wrong.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; what was reported as done is stored", err=True)
        return INTERRUPTED
    except HigherSelfError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except ReaderLeft:
        _forget_output()
        return 0
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _forget_output()
        click.echo(f"error: {error.strerror}; free some space and run the command again", err=True)
        return Unavailable.exit_code


def _forget_output() -> None:
    """Let what could not be written vanish: Python tries again while exiting, and would fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
