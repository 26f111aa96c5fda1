"""How every command talks: data on standard output, everything else on standard error."""

import asyncio
import functools
import json
import re
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import shown

if TYPE_CHECKING:
    from higherself.kernel.check import Check
    from higherself.knowledge.model import IngestReport

_OBEYED = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed, and those that turn the direction of writing."""

NARROW = 80
"""Characters of JSON that are shown in one line."""

P = ParamSpec("P")
T = TypeVar("T")

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def print_json(value: Any) -> None:
    """Print ``value`` as the one JSON document of this command."""
    click.echo(shown(value))


def say(line: str) -> None:
    """Tell a person something that is no data."""
    click.echo(click.style(line, dim=True), err=True)


def words(value: str) -> str:
    """Return an argument of the command line, unless it holds bytes that are no text.

    Raises
        BadParameter: it does; only the name of a file may.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not UTF-8") from None
    return value


def plain(text: str) -> str:
    r"""Return ``text`` without what a terminal would obey instead of showing.

    >>> plain("red \x1b[31m and\ttab")
    'red \ufffd[31m and\ttab'
    """
    return _OBEYED.sub("\ufffd", text)


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under headers: aligned on a terminal, tab-separated into a pipe."""
    cells = [[_cell(value) for value in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(headers), *cells]:
            click.echo("\t".join(row))
        return
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    for index, row in enumerate([list(headers), *cells]):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(click.style(line.rstrip(), bold=index == 0))


def facts(named: Mapping[str, object]) -> None:
    """Print what is known of one thing, a line or more for each name; what is empty is left out."""
    width = max(map(len, named), default=0) + 2
    for name, value in named.items():
        if value not in (None, "", [], {}, ()):
            said = plain(_told(value)).replace("\n", "\n" + " " * width)
            click.echo(f"{name + ':':<{width}}{said}")


def _told(value: object) -> str:
    match value:
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S %Z}".rstrip()
        case Mapping() | list() | tuple():
            flat = shown(value, indent=None)
            return flat if len(flat) <= NARROW else shown(value)
        case _ if is_dataclass(value):
            return _told(json.loads(shown(value, indent=None)))
        case _:
            return str(value)


def show_checks(checks: "Sequence[Check]", *, as_json: bool) -> bool:
    """Print what was checked, each with its fix, and return whether all is well."""
    ok = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": ok, "checks": checks})
        return ok
    for check in checks:
        mark = click.style("ok ", fg="green") if check.ok else click.style("NO ", fg="red")
        click.echo(f"{mark} {check.name:<28} {check.detail}")
        if check.fix:
            click.echo(f"{'':32} fix: " + check.fix.replace("\n", f"\n{'':32} "))
    return ok


def show_report(report: "IngestReport", *, as_json: bool) -> None:
    """Print what became of documents; if none could be taken in, end as for rejected input."""
    if as_json:
        print_json(report)
    else:
        click.echo(
            f"{report.documents} documents: {report.created} created, {report.updated} updated, "
            f"{report.unchanged} unchanged, {report.deleted} deleted, {len(report.failed)} failed; "
            f"{report.chunks} chunks, {report.embedded} embedded, {report.reused} reused; "
            f"{report.seconds:.1f} s"
        )
        for space, texts in report.waiting.items():
            waits = "text waits" if texts == 1 else "texts wait"
            click.echo(plain(f"{texts} {waits} for {space}: {report.reasons.get(space, '')}"))
        for failure in report.failed:
            click.echo(plain(f"failed: {failure.path}: {failure.reason}"), err=True)
    if report.failed and len(report.failed) == report.documents:
        raise click.exceptions.Exit(Rejected.exit_code)


def asynchronous(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make a command of a coroutine; SIGTERM and Ctrl-C cancel it, so that it cleans up."""

    @functools.wraps(function)
    def command(*arguments: P.args, **options: P.kwargs) -> T:
        return asyncio.run(_cancelled_by_sigterm(function(*arguments, **options)))

    return command


async def _cancelled_by_sigterm(coroutine: Coroutine[Any, Any, T]) -> T:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  asyncio.run made one
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await coroutine
    except asyncio.CancelledError:
        if terminated:
            raise click.Abort from None
        raise


def _cell(value: object) -> str:
    return "" if value is None else plain(str(value))
