"""The commands that make the databases in Notion, and that carry their rows over."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from higherself.cli.output import as_json, asynchronous, plain, print_json, say, table

if TYPE_CHECKING:
    from higherself.notion.databases.setup import DatabaseReport, SetupReport, SetupStep

INCOMPLETE = 1
"""What --check ends with if something lacks or differs."""


@click.command(epilog="Example: higherself notion setup --parent https://app.notion.com/p/HigherSelf-0123456789abcdef0123456789abcdef")  # fmt: skip
@click.option("--parent", help="The page under which databases are made.  [default: NOTION_PARENT_PAGE]")  # fmt: skip
@click.option("--check", is_flag=True, help="Compare only: nothing is written.")
@click.option("--anew", multiple=True, metavar="DATABASE", help="Leave the database that is in use, and adopt or make another (several times).")  # fmt: skip
@as_json
@asynchronous
async def setup(*, parent: str | None, check: bool, anew: tuple[str, ...], as_json: bool) -> None:
    """Make the databases in Notion, with their properties, relations, formulas and views; or extend them.

    Running it again changes nothing that is in order. Nothing is removed or renamed: what people
    made different is told. A database that is there already is adopted, if it has the title and is
    under the page, or if its variable (NOTION_TASKS_DB, say) names it. With --check the exit code is
    1 if something lacks or differs.
    """
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        if check:
            _, report = await hs.notion.check(parent)
        else:
            with _progress() as progress:
                report = await hs.notion.setup(parent, anew=anew, progress=progress)
    if as_json:
        print_json({"complete": report.complete, "databases": report.databases})
    else:
        _show(report)
    if check and not report.complete:
        raise click.exceptions.Exit(INCOMPLETE)


@click.command(epilog="Example: higherself notion release tasks")
@click.argument("database")
@as_json
@asynchronous
async def release(*, database: str, as_json: bool) -> None:
    """Move the pages of DATABASE whose rows were deleted to Notion's trash, however many they are."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        pushed = await hs.notion.release(database)
    if as_json:
        print_json(pushed)
    else:
        click.echo(f"{pushed.trashed} pages are in the trash")


def _show(report: "SetupReport") -> None:
    rows = [(d.title, d.action, _added(d), d.database_id or "") for d in report.databases]
    table(["database", "would be" if report.checked_only else "is", "added", "id"], rows)
    for drift in report.drift:
        where = f"{drift.database}.{drift.property}" if drift.property else drift.database
        say(plain(f"{where} ({drift.kind}): {drift.detail}"))
    if report.complete:
        say("everything is as declared")


def _added(database: "DatabaseReport") -> str:
    parts = []
    for number, one, many in (
        (len(database.properties), "property", "properties"),
        (sum(map(len, database.options.values())), "option", "options"),
        (len(database.views), "view", "views"),
    ):
        if number:
            parts.append(f"{number} {one if number == 1 else many}")
    return ", ".join(parts)


@contextmanager
def _progress() -> "Iterator[Callable[[SetupStep], None]]":
    """Yield what shows how far it is: a bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield _lines
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns: tuple[Any, ...] = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")

        def update(step: "SetupStep") -> None:
            bar.update(task, completed=step.done, total=step.total, description=plain(step.what))

        yield update


def _lines(step: "SetupStep") -> None:
    if step.done % 16 == 0 or step.done == step.total:
        say(plain(f"{step.done} of {step.total}: {step.what}"))


@click.command(epilog="Example: higherself notion decisions --database contacts_profiles")
@click.option("--database", help="Only of this one.")
@click.option("--all", "everything", is_flag=True, help="Also values that lost by the policy.")
@as_json
@asynchronous
async def decisions(*, database: str | None, everything: bool, as_json: bool) -> None:
    """List fields of rows that were changed here and in Notion at once, with both values."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        found = await hs.notion.rows.conflicts(database, limit=1_000)
    shown = [each for each in found if everything or each["open"]]
    if as_json:
        print_json({"decisions": shown})
        return
    headers = ("database", "row", "field", "here", "in Notion", "kept")
    table(headers, [(e["database"], e["record_id"], e["column"], e["here"], e["there"], e["winner"] or "asks you") for e in shown])  # fmt: skip


@click.command(epilog="Example: higherself notion decide tasks 0198c0de-0000-7000-8000-000000000000 due_date --take notion")  # fmt: skip
@click.argument("database")
@click.argument("row", type=click.UUID)
@click.argument("field")
@click.option("--take", type=click.Choice(["notion", "server"]), required=True, help="Whose value it is.")  # fmt: skip
@as_json
@asynchronous
async def decide(*, database: str, row: UUID, field: str, take: str, as_json: bool) -> None:
    """Decide about one FIELD of a ROW; the other side gets it too."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        await hs.notion.rows.resolve(database, row, field, take=take)
        await hs.notion.push()
    if as_json:
        print_json({"database": database, "row": row, "field": field, "take": take})
    else:
        click.echo(f"{field}: the value of {take}")
