"""Commands for what happens to a business: tell of it, and see what followed."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from higherself.cli.output import as_json, asynchronous, facts, plain, print_json, table, words
from higherself.cli.workflow_instances import json_object
from higherself.cli.workflow_sources import opened

if TYPE_CHECKING:
    from higherself.services.outcomes import Outcome

SHOWN = ("entity", "id", "type", "source", "correlation_id", "status", "duplicate_of")


@click.group(epilog="Example: higherself happenings list --entity the_7_space --type new_lead")
def happenings() -> None:
    """Tell of leads, orders and requests for help, and see what followed from them."""


entity = click.option("--entity", type=words, required=True, help="The business, by its slug.")


@happenings.command("list", epilog="Example: higherself happenings list --type new_lead")
@click.option("--entity", type=words, help="Only those of a business.")
@click.option("--type", "type_", type=words, help="Only these, such as new_lead.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@as_json
@asynchronous
async def list_(*, entity: str | None, type_: str | None, limit: int, as_json: bool) -> None:
    """List what happened, the latest first."""
    async with opened() as hs:
        found = await hs.happenings.latest(entity=entity, type=type_, limit=limit)
    if as_json:
        print_json({"happenings": [_told(row) for row in found]})
        return
    rows = [
        (
            f"{row['received_at']:%Y-%m-%d %H:%M}",
            row["entity"],
            row["type"],
            plain(row["source"]),
            row["status"],
            _followed(row["outcome"]),
            plain(row["id"]),
        )
        for row in found
    ]
    table(("When", "Business", "What", "From", "Status", "Started and told", "Id"), rows)


@happenings.command(epilog="Example: higherself happenings show typeform/1 --entity the_7_space")
@click.argument("id_", metavar="ID", type=words)
@entity
@as_json
@asynchronous
async def show(*, id_: str, entity: str, as_json: bool) -> None:
    """Show what followed from something, and what did not, with the reason."""
    async with opened() as hs:
        outcome = await hs.happenings.get(entity, id_)
    _show(outcome, as_json=as_json)


@happenings.command(
    epilog="Example: higherself happenings tell new_lead --entity the_7_space "
    """--data '{"contact": {"email": "ana@example.org"}}'"""
)
@click.argument("type_", metavar="TYPE", type=words)
@entity
@click.option("--data", type=words, help="JSON object, or @FILE: contact, order, request, ...")
@click.option(
    "--id", "id_", type=words, help="What names it once and for all; told again, it counts once."
)
@click.option("--correlation", type=words, help="The conversation that it belongs to.")
@click.option(
    "--source", type=words, default="manual", show_default=True, help="Where it comes from."
)
@as_json
@asynchronous
async def tell(
    *,
    type_: str,
    entity: str,
    data: str | None,
    id_: str | None,
    correlation: str | None,
    source: str,
    as_json: bool,
) -> None:
    """Tell of something that happened: the contact is kept, workflows start or are told."""
    from higherself.kernel.clock import SYSTEM_CLOCK
    from higherself.kernel.ids import new_id
    from higherself.services.triggers import Happening

    given = json_object("--data", data)
    now = SYSTEM_CLOCK.now()
    fresh = str(new_id(now))
    async with opened() as hs:
        outcome = await hs.happenings.happened(
            Happening(
                type=type_,
                entity=entity,
                data=given,
                id=id_ or fresh,
                at=now,
                source=source,
                correlation=correlation or fresh,
            )
        )
    _show(outcome, as_json=as_json)


def _told(row: Any) -> dict[str, Any]:
    times = {
        name: None if row[name] is None else row[name].isoformat()
        for name in ("happened_at", "received_at", "finished_at")
        if row[name] is None or isinstance(row[name], datetime)
    }
    return {**{name: row[name] for name in SHOWN}, "outcome": row["outcome"], **times}


def _followed(outcome: Any) -> str:
    if not outcome:
        return ""
    started = [each["workflow"] for each in outcome["started"]]
    told = [f"{each['workflow']} ({each['event']})" for each in outcome["sent"]]
    failed = [f"{each['workflow']} failed" for each in outcome["left"] if each["failed"]]
    return ", ".join([*started, *told, *failed])


def _show(outcome: "Outcome", *, as_json: bool) -> None:
    if as_json:
        print_json(outcome.to_json())
        return
    said: dict[str, Any] = {
        "happening": f"{plain(outcome.happening)} of {outcome.entity}: {outcome.status}"
    }
    if outcome.duplicate_of:
        said["told before by"] = plain(outcome.duplicate_of)
    if outcome.contact:
        said["contact"] = outcome.contact
    facts(said)
    rows = [
        *((each.workflow, "started", str(each.instance)) for each in outcome.started),
        *((each.workflow, f"told {each.event}", str(each.instance)) for each in outcome.sent),
        *(
            (each.workflow, "failed" if each.failed else "left", plain(each.reason))
            for each in outcome.left
        ),
    ]
    table(("Workflow", "What", "Instance, or why not"), rows)
