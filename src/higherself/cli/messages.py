"""Commands on messages: what is on its way, what has ended and how, and what is to become of the dead."""

from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from higherself.cli.output import as_json, asynchronous, plain, print_json, say, table, words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from higherself.messaging.care import (
        Glance,
        PostgresMessageCare,
        Status,
        StoredMessage,
        TopicCount,
    )
    from higherself.messaging.subscribing import Subscriptions

STATUSES = click.Choice(["ready", "waiting", "leased", "delivered", "dead", "expired", "cancelled"])

of_topic = click.option("--topic", type=words, help="Only this topic. Default: all.")
of_business = click.option("--entity", type=words, help="Only this business. Default: all.")
at_most = click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=50,
    show_default=True,
    help="At most so many.",
)
dead_ones = click.argument("identifiers", nargs=-1, type=click.UUID, metavar="ID...")
every_one = click.option("--all", "all_of_them", is_flag=True, help="All dead letters instead.")


@click.group()
def messages() -> None:
    """Look at messages, decide about dead letters.

    Everything that happens later is a message: it is handled, tried again, and if that is of no
    use, set aside as a dead letter until somebody puts it back or discards it.
    """


@messages.command("list", epilog="Example: higherself messages list --topic workflow.activity")
@of_topic
@of_business
@click.option("--status", type=STATUSES, help="Only those that are so.")
@at_most
@as_json
@asynchronous
async def list_(
    *, topic: str | None, entity: str | None, status: "Status | None", limit: int, as_json: bool
) -> None:
    """Show the latest messages, newest first.

    They are kept for seven days after their end; dead letters until somebody decides.
    """
    await _list(topic, entity, status, limit, as_json=as_json)


@messages.command(epilog="Example: higherself messages dead --topic mail.send --json")
@of_topic
@of_business
@at_most
@as_json
@asynchronous
async def dead(*, topic: str | None, entity: str | None, limit: int, as_json: bool) -> None:
    """Show the dead letters, and why they are dead."""
    await _list(topic, entity, "dead", limit, as_json=as_json)


@messages.command(epilog="Example: higherself messages topics --json")
@as_json
@asynchronous
async def topics(*, as_json: bool) -> None:
    """Show what is on its way on each topic, and since when the first of it is due."""
    async with _care() as care:
        counts = await care.topics()
    if as_json:
        print_json({"topics": [_counted(each) for each in counts]})
        return
    table(
        ["topic", "ready", "scheduled", "waiting", "in flight", "dead", "oldest"],
        [
            (c.topic, c.ready, c.scheduled, c.waiting, c.in_flight, c.dead, _age(c.oldest))
            for c in counts
        ],
    )


@messages.command(epilog="Example: higherself messages show 0198c0de-0000-7000-8000-000000000000")
@click.argument("identifier", type=click.UUID, metavar="ID")
@as_json
@asynchronous
async def show(*, identifier: UUID, as_json: bool) -> None:
    """Show everything that is known of a message: what it says, and what became of it."""
    async with _care() as care:
        found = await care.show(identifier)
    described = _described(found)
    if as_json:
        print_json(described)
        return
    from higherself.kernel.jsonvalue import shown

    for name, value in described.items():
        if value is not None and value != []:
            click.echo(
                f"{name + ':':<17} {plain(value if isinstance(value, str) else shown(value))}"
            )


@messages.command(epilog="Example: higherself messages requeue --all --topic mail.send")
@dead_ones
@every_one
@of_topic
@of_business
@as_json
@asynchronous
async def requeue(
    *,
    identifiers: tuple[UUID, ...],
    all_of_them: bool,
    topic: str | None,
    entity: str | None,
    as_json: bool,
) -> None:
    """Put dead letters (ID...) back into their topics, with all their attempts before them."""
    async with _care() as care:
        chosen = await _chosen(care, identifiers, topic, entity, all_of_them=all_of_them)
        for identifier in chosen:
            await care.requeue(identifier)
    _told("requeued", chosen, as_json=as_json)


@messages.command(epilog="Example: higherself messages discard --all --topic newsletter.send")
@dead_ones
@every_one
@of_topic
@of_business
@as_json
@asynchronous
async def discard(
    *,
    identifiers: tuple[UUID, ...],
    all_of_them: bool,
    topic: str | None,
    entity: str | None,
    as_json: bool,
) -> None:
    """Give dead letters (ID...) up. They are kept for a while as cancelled, with their errors."""
    async with _care() as care:
        chosen = await _chosen(care, identifiers, topic, entity, all_of_them=all_of_them)
        for identifier in chosen:
            await care.discard(identifier)
    _told("discarded", chosen, as_json=as_json)


@messages.command(
    epilog="Example: higherself messages explain 0198c0de-0000-7000-8000-000000000000"
)
@click.argument("identifier", type=click.UUID, metavar="ID")
@as_json
@asynchronous
async def explain(*, identifier: UUID, as_json: bool) -> None:
    """Show what came of what: the whole conversation that a message is in, as a tree.

    With who sent it and to whom, when, by which road, in how many attempts, what became of it, and
    what handling it cost as far as its handler has said.
    """
    from higherself.app.messaging import explained
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        found = await explained(hs, identifier)
    from higherself.cli.message_trees import as_object, show_tree

    if as_json:
        print_json(as_object(found))
    else:
        show_tree(found)


@messages.command(epilog="Example: higherself messages roads --json")
@as_json
@asynchronous
async def roads(*, as_json: bool) -> None:
    """Show the ways that messages can take, the preferred ones first, and whether they answer.

    Durable ones keep a message until it is handled; direct ones reach who hears at this moment.
    """
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say) as hs:
        found = await hs.bus.health()
    if as_json:
        print_json({"roads": found})
        return
    table(
        ["road", "kind", "answers", "what it says"],
        [(each.road, each.kind, "yes" if each.answers else "NO", each.checked) for each in found],
    )


@messages.command(epilog="Example: higherself messages schema > envelope.schema.json")
def schema() -> None:
    """Print the JSON Schema of a message's envelope, a CloudEvents event in structured mode."""
    from higherself.messaging.description import envelope_schema

    print_json(envelope_schema())


@messages.command(epilog="Example: higherself messages asyncapi > asyncapi.json")
@asynchronous
async def asyncapi() -> None:
    """Print an AsyncAPI 3 document of the bus: topics, groups and what they are told of."""
    from higherself.app.messaging import described_bus
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        print_json(await described_bus(hs))


@messages.command(epilog="Example: higherself messages groups --json")
@as_json
@asynchronous
async def groups(*, as_json: bool) -> None:
    """Show the groups that are told of events, and which events those are."""
    async with _subscriptions() as subscriptions:
        found = await subscriptions.all()
    if as_json:
        print_json({"groups": found})
        return
    table(
        ["group", "pattern", "entity", "since"],
        [(each.group, each.pattern, each.entity, _written(each.since)) for each in found],
    )


@messages.command(epilog="Example: higherself messages unsubscribe audit --pattern 'lead.*'")
@click.argument("group", type=words)
@click.option("--pattern", type=words, help="Only this pattern. Default: all of the group.")
@as_json
@asynchronous
async def unsubscribe(*, group: str, pattern: str | None, as_json: bool) -> None:
    """Tell GROUP of no more events; what it has been told stays on its topic.

    A worker that still handles them subscribes the group again when it starts.
    """
    async with _subscriptions() as subscriptions:
        dropped = await subscriptions.drop(group, pattern)
    if as_json:
        print_json({"dropped": dropped})
    else:
        click.echo(f"{dropped} dropped")


async def _list(
    topic: str | None, entity: str | None, status: "Status | None", limit: int, *, as_json: bool
) -> None:
    async with _care() as care:
        found = await care.latest(status=status, topic=topic, entity=entity, limit=limit)
    if as_json:
        print_json({"messages": found})
        return
    table(
        ["id", "topic", "type", "entity", "status", "attempt", "published", "due", "reason"],
        [_row(each) for each in found],
    )


async def _chosen(
    care: "PostgresMessageCare",
    identifiers: Sequence[UUID],
    topic: str | None,
    entity: str | None,
    *,
    all_of_them: bool,
) -> Sequence[UUID]:
    if all_of_them == bool(identifiers):
        raise click.UsageError("name dead letters by their identifiers, or say --all")
    return await care.dead(topic=topic, entity=entity) if all_of_them else identifiers


@asynccontextmanager
async def _care() -> "AsyncIterator[PostgresMessageCare]":
    from higherself.app.messaging import message_care
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        yield message_care(hs)


@asynccontextmanager
async def _subscriptions() -> "AsyncIterator[Subscriptions]":
    from higherself.app.wiring import HigherSelf
    from higherself.kernel.clock import SYSTEM_CLOCK
    from higherself.messaging.subscribing import Subscriptions

    async with HigherSelf.open(report=say, workflows=False) as hs:
        yield Subscriptions(hs.database, SYSTEM_CLOCK)


def _told(verb: str, identifiers: Sequence[UUID], *, as_json: bool) -> None:
    if as_json:
        print_json({verb: identifiers})
    else:
        click.echo(f"{len(identifiers)} {verb}")


def _row(message: "Glance") -> tuple[object, ...]:
    return (
        *(message.id, message.topic, message.type, message.entity, message.status),
        *(message.attempt, _written(message.time), _written(message.due_at), message.reason),
    )


def _described(message: "StoredMessage") -> dict[str, Any]:
    """Return a message as one object, the envelope as CloudEvents has it."""
    rest = {each.name: getattr(message, each.name) for each in fields(message)}
    return {"id": rest["envelope"].id, **rest, "envelope": rest["envelope"].cloudevent()}


def _counted(count: "TopicCount") -> dict[str, Any]:
    told = {each.name: getattr(count, each.name) for each in fields(count)}
    oldest = told.pop("oldest")
    return {**told, "oldest_seconds": oldest.total_seconds() if oldest else None}


def _written(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}"


def _age(age: timedelta | None) -> str | None:
    return None if age is None else str(timedelta(seconds=int(age.total_seconds())))
