"""Commands for the review queue: texts that agents made and people let go, change or stop."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from higherself.cli.output import as_json, asynchronous, facts, plain, print_json, say, table, words
from higherself.cli.workflow_sources import opened, read_file

if TYPE_CHECKING:
    from higherself.services.human_task import HumanTask


@click.group(epilog="Example: higherself reviews list")
def reviews() -> None:
    """See texts that wait for a person before they go out, and decide."""


@reviews.command("list", epilog="Example: higherself reviews list --all")
@click.option("--entity", type=words, help="Only those of a business.")
@click.option("--all", "every", is_flag=True, help="Also those that are decided.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@as_json
@asynchronous
async def list_(*, entity: str | None, every: bool, limit: int, as_json: bool) -> None:
    """List reviews: those that wait first, by when they are due."""
    async with opened() as hs:
        found = await hs.human_tasks.list(
            "review",
            statuses=None if every else ("open", "in_progress"),
            entity=entity,
            limit=limit,
        )
    if as_json:
        print_json({"reviews": [each.to_json(whole=False) for each in found]})
        return
    rows = [
        (
            each.ticket,
            each.decision or each.status,
            plain(each.asked.title),
            each.asked.source,
            each.asked.entity,
            "" if each.asked.due_at is None else f"{each.asked.due_at:%Y-%m-%d %H:%M}",
        )
        for each in found
    ]
    table(("Review", "Status", "Title", "By", "Business", "Due (UTC)"), rows)


@reviews.command(epilog="Example: higherself reviews show REV-ABCD2345")
@click.argument("review", type=words)
@as_json
@asynchronous
async def show(*, review: str, as_json: bool) -> None:
    """Show a review with its text, and what was decided."""
    async with opened() as hs:
        found = await hs.human_tasks.show(review)
    _show(found, as_json=as_json)


@reviews.command(
    epilog="Example: higherself reviews decide REV-ABCD2345 approved --as ana --role marketing"
)
@click.argument("review", type=words)
@click.argument("decision", type=click.Choice(["approved", "changes_requested", "rejected"]))
@click.option("--as", "by", type=words, required=True, help="Who decides.")
@click.option("--role", "roles", type=words, multiple=True, help="A role that they have.")
@click.option("--notes", type=words, default="", help="Why, or what should change.")
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The text as it may go out, if they changed it; or - for the standard input.",
)
@as_json
@asynchronous
async def decide(
    *,
    review: str,
    decision: str,
    by: str,
    roles: tuple[str, ...],
    notes: str,
    path: Path | None,
    as_json: bool,
) -> None:
    """Decide a review; who waits for it goes on."""
    import sys

    from higherself.services.human_task import Deciding

    text = None
    if path is not None:
        text = sys.stdin.read() if str(path) == "-" else read_file(path)
    said = Deciding(decision=decision, by=by, roles=roles, answer=text, notes=notes)
    async with opened() as hs:
        found = await hs.human_tasks.decide(review, said)
    _show(found, as_json=as_json)


def _show(found: "HumanTask", *, as_json: bool) -> None:
    if as_json:
        print_json(found.to_json())
        return
    shown: dict[str, Any] = {
        name.replace("_", " "): plain(
            ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        )
        for name, value in found.to_json(whole=False).items()
        if value not in (None, "", [])
    }
    facts(shown)
    say("")
    click.echo(plain(found.asked.text if found.answer is None else found.answer))
