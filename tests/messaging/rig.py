"""What the conformance suite needs of a channel, and the PostgreSQL channel dressed like that."""

import asyncio
import atexit
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, Protocol

import psycopg
import pytest

from higherself.db.pool import Database, Transaction
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.ids import new_id
from higherself.kernel.tasks import in_background
from higherself.messaging.care import PostgresMessageCare
from higherself.messaging.consumer import Consumer
from higherself.messaging.envelope import MessageId
from higherself.messaging.errors import TopicFull
from higherself.messaging.model import (
    Claimed,
    Message,
    Prepared,
    Published,
    RetryPolicy,
    identifier_of_key,
)
from higherself.messaging.nats import open_nats
from higherself.messaging.nats.durable import NatsRoad
from higherself.messaging.ports import (
    Delivery,
    Ended,
    Handler,
    MessageStore,
    Settled,
    Subscription,
)
from higherself.messaging.postgres import open_channel
from higherself.messaging.settlement import End
from higherself.messaging.upkeep import MessageUpkeep
from higherself.testing.nats import NatsServer, nats_server

TOPIC = "work"
LEASE = timedelta(milliseconds=600)
QUICK = RetryPolicy(
    max_attempts=3, base=timedelta(milliseconds=20), ceiling=timedelta(milliseconds=100)
)
PATIENCE = 20.0


class Outbox(Protocol):
    """How messages get onto a channel."""

    async def publish(self, tx: Transaction, *messages: Message) -> list[Published]: ...
    async def send(self, *messages: Message) -> list[Published]: ...
    async def prepared(self, *messages: Message) -> Prepared: ...
    async def cancel(
        self, tx: Transaction, *messages: MessageId, reason: str
    ) -> list[MessageId]: ...
    async def wake(self, topics: set[str]) -> None: ...


@dataclass(frozen=True)
class Stored:
    """What is known of a message that was sent."""

    status: str
    reason: str | None
    attempt: int
    errors: list[str]
    data: str


@dataclass
class Rig:
    """A channel under test. Effects go to the table `effect`, which forgets nothing."""

    url: str
    database: Database
    store: MessageStore
    outbox: Outbox
    handled: list[Any] = field(default_factory=list)

    async def send(self, data: Any = None, **more: Any) -> MessageId:
        (published,) = await self.outbox.send(message(data, **more))
        return published.id

    async def show(self, identifier: MessageId) -> Stored:
        (row,) = await self.sql(
            "SELECT status, reason, attempt, errors, data::text FROM message WHERE message_id = %s",
            identifier,
        )
        return Stored(*row)

    async def ended(self, *identifiers: MessageId) -> list[Stored]:
        """Wait until these have ended, and return them."""

        async def all_ended() -> bool:
            found = [await self.show(each) for each in identifiers]
            return not {each.status for each in found} & {"ready", "waiting", "leased"}

        await until(all_ended)
        return [await self.show(each) for each in identifiers]

    async def effects(self) -> list[str]:
        return [
            value for (value,) in await self.sql("SELECT value FROM test.effect ORDER BY number")
        ]

    async def pass_time(self, time: timedelta) -> None:
        """Let the store believe that so much time has passed."""
        await self.sql(
            "UPDATE message SET due_at = due_at - %(t)s, time = time - %(t)s,"
            " leased_until = leased_until - %(t)s, expires_at = expires_at - %(t)s,"
            " finished_at = finished_at - %(t)s",
            t=time,
        )
        await self.sql("UPDATE message_inbox SET handled_at = handled_at - %(t)s", t=time)

    async def deliver_again(self, identifier: MessageId) -> None:
        """Let a message come once more, as from another road."""
        await self.sql(
            "UPDATE message SET status = 'ready', finished_at = NULL WHERE message_id = %s",
            identifier,
        )

    async def tidy(self) -> None:
        """Do what goes on beside the consumers."""
        await MessageUpkeep(PostgresMessageCare(self.database), SYSTEM_CLOCK).once()

    async def requeue(self, identifier: MessageId) -> None:
        await PostgresMessageCare(self.database).requeue(identifier)

    async def discard(self, identifier: MessageId) -> None:
        await PostgresMessageCare(self.database).discard(identifier)

    async def claims_and_freezes(self) -> Claimed:
        """Claim a message as a process does that is not heard of any more."""
        claim = await self.store.claim({TOPIC: 1}, consumer="frozen", lease=LEASE)
        (claimed,) = claim.messages
        return claimed

    async def settles(self, claimed: Claimed) -> bool:
        """Settle as done, and return whether that counted."""
        settled = Settled(claimed, End(status="delivered"))
        return claimed.id in await self.store.settle([settled])

    def takes(self, message: Message) -> Callable[[], Awaitable[bool]]:
        """Return what tries to send, and tells whether that was possible."""

        async def takes() -> bool:
            try:
                await self.outbox.send(message)
            except TopicFull:
                return False
            return True

        return takes

    @asynccontextmanager
    async def narrow(
        self, *, most_due: int = 1000, clock: Clock = SYSTEM_CLOCK
    ) -> AsyncIterator["Rig"]:
        """Open the same channel again, with other settings."""
        async with open_channel(self.url, self.database, clock=clock, most_due=most_due) as channel:
            yield Rig(self.url, self.database, channel.store, channel.outbox)

    async def sql(self, statement: str, *values: Any, **named: Any) -> list[Any]:
        async with self.database.transaction() as tx:
            cursor = await tx.connection.execute(statement.encode(), named or values)
            return await cursor.fetchall() if cursor.description else []

    @asynccontextmanager
    async def consuming(
        self,
        handler: Handler | None = None,
        *,
        topic: str = TOPIC,
        concurrency: int = 8,
        policy: RetryPolicy = QUICK,
        ended: Ended | None = None,
        lease: timedelta = LEASE,
        grace: timedelta = timedelta(seconds=5),
        clock: Clock = SYSTEM_CLOCK,
        draw: Callable[[], float] = lambda: 0.0,
    ) -> AsyncIterator[Consumer]:
        """Handle messages while the block runs; by default, note their data in `handled`."""
        subscription = Subscription(
            topic=topic,
            handler=handler or self.note,
            concurrency=concurrency,
            policy=policy,
            ended=ended,
        )
        consumer = Consumer(
            self.store, subscription, clock=clock, draw=draw, lease=lease, grace=grace
        )
        task = asyncio.create_task(consumer.run())
        try:
            yield consumer
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, PATIENCE)

    async def note(self, delivery: Delivery) -> None:
        self.handled.append(delivery.data)

    async def effect(self, delivery: Delivery) -> None:
        """Handle a message by an effect that counts once."""
        async with delivery.once() as tx:
            await take_effect(tx, delivery.data)


async def take_effect(tx: Transaction, value: Any) -> None:
    await tx.connection.execute("INSERT INTO test.effect (value) VALUES (%s)", [str(value)])


def message(data: Any = None, **more: Any) -> Message:
    return Message(
        **{"topic": TOPIC, "type": "com.test.v1", "source": "urn:test", "data": data} | more
    )


async def until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    """Wait until something holds."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = condition()
                if found if isinstance(found, bool) else await found:
                    return
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError("it never came to that") from None


@asynccontextmanager
async def postgres_rig(url: str, database: Database) -> AsyncIterator[Rig]:
    async with open_channel(url, database) as channel:
        yield Rig(url, database, channel.store, channel.outbox)


class ThroughNats:
    """Sends by way of JetStream, and returns when the drain has brought it to the table."""

    def __init__(self, road: NatsRoad, outbox: Outbox, database: Database) -> None:
        self.road, self.outbox, self.database = road, outbox, database
        self.publish, self.cancel, self.wake = outbox.publish, outbox.cancel, outbox.wake
        self.prepared = outbox.prepared

    async def send(self, *messages: Message) -> list[Published]:
        published = await self.road.send(*map(identified, messages))
        there = "SELECT count(*) FROM message WHERE message_id = ANY(%s)"
        ids = {each.id for each in published}

        async def stored() -> bool:
            async with self.database.transaction() as tx:
                cursor = await tx.connection.execute(there, [list(ids)])
                return await cursor.fetchone() == (len(ids),)

        await until(stored)
        return published


def identified(given: Message) -> Message:
    """Return a message as the bus hands it to a road."""
    now = SYSTEM_CLOCK.now()
    identifier = given.id or MessageId(new_id(now))
    if given.idempotency_key is not None:
        identifier = identifier_of_key(given.entity, given.topic, given.idempotency_key)
    return replace(given, id=identifier, time=given.time or now)


@lru_cache
def nats_for_tests() -> NatsServer:
    """Return the NATS server of this test process. It ends with it."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(nats_server())


@asynccontextmanager
async def nats_rig(url: str, database: Database) -> AsyncIterator[Rig]:
    key = secrets.token_bytes(32)
    async with (
        open_channel(url, database) as channel,
        open_nats(nats_for_tests().settings(), key) as nats,
        in_background(nats.drain(channel.outbox, database).run()),
    ):
        outbox = ThroughNats(nats.durable, channel.outbox, database)
        yield Rig(url, database, channel.store, outbox)
        await nats.link.api(f"STREAM.DELETE.{nats.link.stream}")


RigFactory = Callable[[str, Database], Any]
CHANNELS: dict[str, RigFactory] = {"nats": nats_rig, "postgres": postgres_rig}
"""Every durable channel there is; the next one is added here."""


def make_effects(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS test")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS test.effect"
            " (number bigint GENERATED ALWAYS AS IDENTITY, value text)"
        )


def drop_effects(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS test CASCADE")
