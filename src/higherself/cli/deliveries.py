"""Commands for what goes out: see it, release what is held, send again what did not arrive."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from higherself.cli.output import as_json, asynchronous, facts, plain, print_json, table, words
from higherself.cli.workflow_sources import opened
from higherself.outbound.model import CHANNELS, STATUSES

if TYPE_CHECKING:
    from higherself.outbound.model import Delivery, Parcel


@click.group(epilog="Example: higherself deliveries list --status held")
def deliveries() -> None:
    """See what went out to people and systems, and decide about what did not."""


@deliveries.command("list", epilog="Example: higherself deliveries list --status held")
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option("--channel", type=click.Choice(CHANNELS), help="Only these.")
@click.option("--entity", type=words, help="Only those of a business.")
@click.option("--correlation", type=words, help="Only those that one conversation led to.")
@click.option("--before", type=click.UUID, help="Go on after this delivery, backwards in time.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@as_json
@asynchronous
async def list_(
    *,
    status: str | None,
    channel: str | None,
    entity: str | None,
    correlation: str | None,
    before: UUID | None,
    limit: int,
    as_json: bool,
) -> None:
    """List deliveries, the newest first."""
    async with opened() as hs:
        found = await hs.outbound.ledger.list(
            status=status,
            channel=channel,
            entity=entity,
            correlation=correlation,
            before=before,
            limit=limit,
        )
    if as_json:
        next_ = str(found[-1].id) if len(found) == limit else None
        print_json({"deliveries": [each.to_json() for each in found], "next": next_})
        return
    rows = [
        (
            f"{each.created_at:%Y-%m-%d %H:%M}",
            each.parcel.channel,
            each.status,
            plain(", ".join(each.parcel.to)),
            plain(each.parcel.about),
            str(each.id),
        )
        for each in found
    ]
    table(("When (UTC)", "Channel", "Status", "To", "About", "Delivery"), rows)


@deliveries.command(epilog="Example: higherself deliveries show 0197c3a0-...")
@click.argument("delivery", type=click.UUID)
@click.option("--content", is_flag=True, help="Also what goes over the wire.")
@as_json
@asynchronous
async def show(*, delivery: UUID, content: bool, as_json: bool) -> None:
    """Show one delivery: who gets it, what became of it, what led to it."""
    async with opened() as hs:
        found = await hs.outbound.ledger.show(delivery)
    wire = found.parcel.content.decode("utf-8", "replace")
    text = readable(found.parcel)
    if as_json:
        more = {"content": wire} if content else {}
        print_json({**found.to_json(), "text": text, **more})
        return
    _tell(found)
    click.echo(plain(wire if content else text))


@deliveries.command(epilog="Example: higherself deliveries release 0197c3a0-...")
@click.argument("delivery", type=click.UUID)
@as_json
@asynchronous
async def release(*, delivery: UUID, as_json: bool) -> None:
    """Send now what is held or waits, or again what failed or may not have arrived."""
    async with opened() as hs:
        done = await hs.outbound.postman.release(delivery)
    if as_json:
        print_json(done.to_json())
        return
    _tell(done)


@deliveries.command(epilog="Example: higherself deliveries retry 0197c3a0-...")
@click.argument("delivery", type=click.UUID)
@as_json
@asynchronous
async def retry(*, delivery: UUID, as_json: bool) -> None:
    """Send again what failed, or may not have arrived: look first, since it may be there twice then."""
    async with opened() as hs:
        done = await hs.outbound.postman.release(delivery, of=("queued", "failed", "uncertain"))
    if as_json:
        print_json(done.to_json())
        return
    _tell(done)


def readable(parcel: "Parcel") -> str:
    """Return what a parcel says, for people: the plain text of a letter, the rest as it is."""
    if parcel.channel == "email":
        from email import message_from_bytes
        from email.policy import default

        part = message_from_bytes(parcel.content, policy=default).get_body(("plain",))
        return "" if part is None else str(part.get_content()).replace("\r\n", "\n")
    return parcel.content.decode("utf-8", "replace")


def _tell(found: "Delivery") -> None:
    shown: dict[str, Any] = {
        name.replace("_", " "): plain(", ".join(value) if isinstance(value, list) else str(value))
        for name, value in found.to_json().items()
        if value not in (None, "", [])
    }
    facts(shown)
