"""Where commands on workflows find them: on the server, and in files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from higherself.cli.output import plain, say
from higherself.kernel.errors import NotFound, Rejected

if TYPE_CHECKING:
    from higherself.app.wiring import HigherSelf
    from higherself.workflow.definition import LoadedDefinition

A_NUMBER = click.IntRange(1, 2**31 - 1)
"""Of a version, or of an entry of a history."""


@asynccontextmanager
async def opened() -> "AsyncIterator[HigherSelf]":
    """Yield the server, with the definitions that are installed here made known."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say) as hs:
        installed = await hs.hosted.install()
        for problem in installed.problems.values():
            say(plain(problem))
        yield hs


def read_file(path: Path) -> str:
    """Return the text of a file.

    Raises
        NotFound, Rejected: there is none, or it is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(f"{path} cannot be read: {error}") from error


def load_file(path: Path) -> "LoadedDefinition":
    """Return the definition that a file holds.

    Raises
        InvalidDefinition: with every problem, and its line and column.
        NotFound, Rejected: there is no such file, or it is no text.
    """
    from higherself.workflow.definition import load_text

    return load_text(read_file(path), file=str(path))
