"""Commands for what only a person can answer, whoever asks: agents or workflows."""

from typing import Any

import click

from higherself.cli.output import as_json, asynchronous, facts, plain, print_json, say, table, words
from higherself.cli.workflow_sources import opened


@click.group(epilog="Example: higherself escalations list")
def escalations() -> None:
    """See what agents and workflows ask of people, with all that led to it, and answer."""


@escalations.command("list", epilog="Example: higherself escalations list --all")
@click.option("--entity", type=words, help="Only those of a business.")
@click.option("--all", "every", is_flag=True, help="Also those that are answered.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@as_json
@asynchronous
async def list_(*, entity: str | None, every: bool, limit: int, as_json: bool) -> None:
    """List what waits for an answer, by when it is due."""
    async with opened() as hs:
        found = await hs.escalations.list(every=every, entity=entity, limit=limit)
    if as_json:
        print_json({"escalations": found})
        return
    rows = [
        (
            each["ticket"],
            str(each["severity"]),
            each["decision"] or each["status"],
            plain(each["title"]),
            each["source"],
            each["entity"] or "",
            (each["due_at"] or "")[:16].replace("T", " "),
        )
        for each in found
    ]
    table(("Ticket", "Severity", "Status", "About", "By", "Business", "Due (UTC)"), rows)


@escalations.command(epilog="Example: higherself escalations show ESC-ABCD2345")
@click.argument("ticket", type=words)
@as_json
@asynchronous
async def show(*, ticket: str, as_json: bool) -> None:
    """Show one with everything that led to it."""
    async with opened() as hs:
        found = await hs.escalations.show(ticket)
    if as_json:
        print_json(found)
        return
    _tell(found)
    for each in found["history"]:
        say(plain(f"{each['at'][:19]}  {each['who']}: {each['what']}"))


@escalations.command(
    epilog="Example: higherself escalations answer ESC-ABCD2345 'Your place is kept.' --as ana"
)
@click.argument("ticket", type=words)
@click.argument("answer", type=words, required=False)
@click.option("--as", "by", type=words, required=True, help="Who answers.")
@click.option("--role", "roles", type=words, multiple=True, help="A role that they have.")
@click.option("--refund", type=click.FloatRange(min=0, min_open=True), help="Pay so much back.")
@click.option("--close", is_flag=True, help="End it without an answer.")
@click.option("--notes", type=words, default="", help="Why.")
@as_json
@asynchronous
async def answer(
    *,
    ticket: str,
    answer: str | None,
    by: str,
    roles: tuple[str, ...],
    refund: float | None,
    close: bool,
    notes: str,
    as_json: bool,
) -> None:
    """Answer one; who waits for it goes on."""
    from higherself.services.human_task import Deciding

    if close and refund is not None:
        raise click.UsageError("give either --close or --refund")
    decision = "closed" if close else "answered" if refund is None else "refund"
    said = Deciding(
        decision=decision, by=by, roles=roles, answer=answer, notes=notes,
        more=None if refund is None else {"amount": refund},
    )  # fmt: skip
    async with opened() as hs:
        found = await hs.escalations.answer(ticket, said)
    if as_json:
        print_json(found)
        return
    _tell(found)


def _tell(found: dict[str, Any]) -> None:
    left = ("details", "text", "history", "heard", "heard_at", "kind")
    shown = {
        name.replace("_", " "): plain(", ".join(value) if isinstance(value, list) else str(value))
        for name, value in found.items()
        if name not in left and value not in (None, "", [])
    }
    facts(shown)
    if found.get("text"):
        click.echo(plain(str(found["text"])))
