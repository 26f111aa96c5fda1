"""Commands for what other systems have announced: see it, and have it handled again."""

import json
from typing import Any
from uuid import UUID

import click

from higherself.cli.output import as_json, asynchronous, facts, plain, print_json, say, table, words
from higherself.cli.workflow_sources import opened
from higherself.inbound.store import STATUSES


@click.group(epilog="Example: higherself webhooks list --status failed")
def webhooks() -> None:
    """See what other systems have announced, and have what failed handled again."""


@webhooks.command("list", epilog="Example: higherself webhooks list --source typeform")
@click.option("--source", type=words, help="Only those of a system: typeform, stripe, ...")
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option("--entity", type=words, help="Only those of a business.")
@click.option("--event", type=words, help="Only those that say this happened.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@as_json
@asynchronous
async def list_(
    *,
    source: str | None,
    status: Any,
    entity: str | None,
    event: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List deliveries, the newest first."""
    async with opened() as hs:
        found = await hs.webhooks.deliveries.latest(
            source=source, status=status, entity=entity, event=event, limit=limit
        )
    if as_json:
        print_json({"deliveries": [_brief(each) for each in found]})
        return
    rows = [
        (
            f"{each['received_at']:%Y-%m-%d %H:%M:%S}",
            each["source"],
            plain(each["event"]),
            each["status"],
            each["entity"] or "",
            plain(each["error"] or ""),
            str(each["delivery_id"]),
        )
        for each in found
    ]
    table(("When (UTC)", "Source", "Event", "Status", "Business", "Why", "Delivery"), rows)


@webhooks.command(epilog="Example: higherself webhooks show 0197c3a0-...")
@click.argument("delivery", type=click.UUID)
@as_json
@asynchronous
async def show(*, delivery: UUID, as_json: bool) -> None:
    """Show one delivery: what came, and what became of it."""
    async with opened() as hs:
        found = await hs.webhooks.deliveries.show(delivery)
    if as_json:
        print_json(_whole(found))
        return
    told = {name: value for name, value in _whole(found).items() if name not in ("body", "headers")}
    facts(
        {
            name.replace("_", " "): plain(
                json.dumps(value) if isinstance(value, dict | list) else str(value)
            )
            for name, value in told.items()
            if value not in (None, "")
        }
    )
    click.echo(plain(_body(found)))


@webhooks.command(epilog="Example: higherself webhooks replay 0197c3a0-...")
@click.argument("delivery", type=click.UUID, required=False)
@click.option("--failed", is_flag=True, help="All that failed, the oldest first, in place of one.")
@click.option("--source", type=words, help="Of --failed, only those of a system.")
@as_json
@asynchronous
async def replay(*, delivery: UUID | None, failed: bool, source: str | None, as_json: bool) -> None:
    """Have a delivery handled again by a worker, by the transformations as they are now."""
    if (delivery is None) != failed:
        raise click.UsageError("give either a DELIVERY or --failed")
    async with opened() as hs:
        deliveries = hs.webhooks.deliveries
        if delivery is not None:
            chosen = [delivery]
        else:
            rows = await deliveries.latest(source=source, status="failed", limit=1000)
            chosen = [row["delivery_id"] for row in reversed(rows)]
        for each in chosen:
            await deliveries.replay(each)
    if as_json:
        print_json({"replayed": [str(each) for each in chosen]})
        return
    say(f"{len(chosen)} handed to the workers; `higherself webhooks list` shows what becomes of it")


def _brief(row: dict[str, Any]) -> dict[str, Any]:
    finished = row.get("finished_at")
    return {
        "delivery": str(row["delivery_id"]),
        "source": row["source"],
        "event": row["event"],
        "entity": row["entity"],
        "status": row["status"],
        "attempts": row["attempts"],
        "error": row["error"],
        "received_at": row["received_at"].isoformat(),
        "finished_at": None if finished is None else finished.isoformat(),
    }


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **_brief(row),
        "subject": row["subject"],
        "headers": row["headers"],
        "body": _body(row),
        "announced": row["decided"],
        "outcome": row["outcome"],
    }


def _body(row: dict[str, Any]) -> str:
    return "" if row["body"] is None else bytes(row["body"]).decode("utf-8", "replace")
