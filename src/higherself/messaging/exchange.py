"""Behind every view of the bus: the roads, the answers that are awaited, the groups that there are."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from higherself.db.entities import Entities
from higherself.db.errors import WriteCollided
from higherself.db.pool import BRIEF, Database, Transaction
from higherself.db.queryfile import read_queries
from higherself.kernel.breaker import BreakerPolicy
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.ids import new_id
from higherself.kernel.tasks import task_group
from higherself.messaging.answers import Answers
from higherself.messaging.envelope import Envelope, MessageId
from higherself.messaging.memory import MemoryRoad
from higherself.messaging.model import (
    Claimed,
    Message,
    Prepared,
    Published,
    identifier_of_key,
)
from higherself.messaging.ports import HandledBefore, MessageStore
from higherself.messaging.protocol import (
    AddressBook,
    NoAddressBook,
    Purse,
    budget_of,
)
from higherself.messaging.roads import Detour, DirectRoad, RequestTimedOut, Road
from higherself.messaging.spool import SpoolRoad
from higherself.messaging.statements import alone
from higherself.messaging.subscribing import Subscriptions
from higherself.messaging.walking import POLICY, Health, R, Roads

QUERIES = read_queries("higherself.messaging", "bus.sql")

Lane = tuple[str | None, str, str]
"""A business, a topic and a partition key: what has an order."""


class Outbox(Protocol):
    """What stores messages in PostgreSQL."""

    async def publish(
        self, tx: Transaction, *messages: Message, wake: bool = True
    ) -> list[Published]:
        """Store messages in the caller's transaction."""
        ...

    async def send(self, *messages: Message) -> list[Published]:
        """Store messages, durably when this returns."""
        ...

    async def prepared(self, *messages: Message) -> Prepared:
        """Return messages as they are stored, for a handler to end with."""
        ...

    async def cancel(self, tx: Transaction, *messages: MessageId, reason: str) -> list[MessageId]:
        """End messages that have not ended."""
        ...


class PostgresRoad:
    """The way straight into the table."""

    name = "postgres"

    def __init__(self, outbox: Outbox, database: Database, entities: Entities) -> None:
        self._outbox, self._database, self._entities = outbox, database, entities

    async def send(self, *messages: Message) -> list[Published]:
        """Store messages; a business that has nothing of its own yet begins with them."""
        try:
            return await self._outbox.send(*messages)
        except WriteCollided:
            for entity in {each.entity for each in messages} - {None}:
                await self._entities.remember(str(entity), again=True)
            return await self._outbox.send(*messages)

    async def check(self) -> str:
        """Return which server answers."""
        async with alone(self._database) as tx:
            rows = await tx.many(QUERIES["list_subscriptions"])
        server = self._database.inspection.server_version // 10000
        return f"PostgreSQL {server}, {len({row['group_name'] for row in rows})} groups subscribed"


class Heard:
    """Gives the handlers of what came directly their transaction whose effects count once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def once(self, message: Claimed) -> AsyncIterator[Transaction]:
        """Open a transaction for the effects of handling ``message``; see `MessageStore.once`."""
        entity = message.envelope.entity
        async with self._database.lending(entity=entity, settings=BRIEF) as tx:
            noted = {"message_id": message.id, "consumer": message.topic, "entity": entity}
            if await tx.maybe(QUERIES["note_heard"], noted) is None:
                raise HandledBefore
            yield tx


class Exchange:
    """What all views of a bus share. Made by `open_exchange`."""

    def __init__(
        self,
        outbox: Outbox,
        store: MessageStore,
        database: Database,
        group: asyncio.TaskGroup,
        *,
        durable: Sequence[Road],
        direct: Sequence[DirectRoad],
        memory: MemoryRoad,
        book: AddressBook,
        entities: Entities,
        clock: Clock,
        draw: Callable[[], float],
        policy: BreakerPolicy,
    ) -> None:
        self.outbox, self.store, self.database, self.clock = outbox, store, database, clock
        self.book, self.memory = book, memory
        self.heard = Heard(database)
        self.entities = entities
        self.subscriptions = Subscriptions(database, clock)
        self.durable: Roads[Road] = Roads(durable, clock, draw, policy)
        self.direct: Roads[DirectRoad] = Roads(direct, clock, draw, policy)
        self._memory_first = self.direct.roads[:1] == [memory]
        self._group = group
        self._answers = Answers(store, clock, draw)
        self._answering: asyncio.Task[None] | None = None
        self._detours: dict[Lane, str] = {}
        self._purses: WeakValueDictionary[MessageId, Purse] = WeakValueDictionary()

    def identifier(self, entity: str | None, topic: str, key: str | None) -> MessageId:
        """Return an identifier: a new one, or that of an idempotency key."""
        if key is not None:
            return identifier_of_key(entity, topic, key)
        return MessageId(new_id(self.clock.now()))

    def purse_of(self, cause: Envelope) -> Purse:
        """Return what is left for what ``cause`` brings about, the same to all who ask meanwhile."""
        purse = self._purses.get(cause.id)
        if purse is None:
            purse = self._purses[cause.id] = Purse(budget_of(cause))
        return purse

    async def send(self, *messages: Message) -> tuple[list[Published], str]:
        """Have messages kept by the first road that does; return that road's name.

        Raises
            NoRoad, Unavailable: it is not known whether they are kept. They may be sent again with
                the same identifiers.
        """
        first = await self._detour(messages)
        published, road = await self.durable.walk(
            _what(messages), lambda road: road.send(*messages), first=first
        )
        if road != self.durable.roads[0].name:
            self._detours |= dict.fromkeys(_lanes(messages), road)
        return published, road

    async def request(
        self,
        topic: str,
        envelope: Envelope,
        timeout: timedelta,  # noqa: ASYNC109  as in the port
    ) -> tuple[Envelope, str]:
        """Return the answer of who hears ``topic`` now, and the road it came by.

        Raises
            NobodyHears, NoRoad: no direct road leads there; nothing was handled.
            RequestTimedOut, ...: see `DirectRoad.request`.
        """
        if self._memory_first and self.memory.hears(topic):
            return await self.memory.request(topic, envelope, timeout=timeout), self.memory.name
        return await self.direct.walk(
            f"a request {envelope.type!r}",
            lambda road: road.request(topic, envelope, timeout=timeout),
            deadline=None,
        )

    async def request_durably(
        self,
        message: Message,
        to: str,
        timeout: timedelta,  # noqa: ASYNC109  as in the port
    ) -> tuple[Envelope, str]:
        """Send a request as a message, and return the answer, which comes as one.

        Raises
            RequestTimedOut: there is none; the request is withdrawn if nobody has it yet.
        """
        if message.id is None:
            raise AssertionError("a request needs its identifier")
        self._listen_for_answers()
        until = self.clock.monotonic() + timeout.total_seconds()
        async with self._answers.awaited(message.id) as answer:
            try:
                _, road = await self.send(message)
                left = max(0.0, until - self.clock.monotonic())
                async with asyncio.timeout(left):
                    return await answer, road
            except TimeoutError:
                self._group.create_task(self._withdraw(message.id))
                raise RequestTimedOut(message.type, to, timeout) from None

    @property
    def answers_topic(self) -> str:
        """Where this process waits for answers."""
        return self._answers.topic

    async def health(self) -> list[Health]:
        """Ask every road how it is."""
        return [*await self.durable.health("durable"), *await self.direct.health("direct")]

    def _listen_for_answers(self) -> None:
        if self._answering is None or self._answering.done():
            self._answering = self._group.create_task(self._answers.run())

    async def _withdraw(self, request: MessageId) -> None:
        """Cancel a request that nobody waits for. If that fails, it expires by itself."""
        with suppress(HigherSelfError):
            async with self.database.transaction() as tx:
                await self.outbox.cancel(
                    tx, request, reason="the answer was not awaited any longer"
                )

    async def _detour(self, messages: Sequence[Message]) -> str | None:
        """Return the road that earlier messages of the same order took, while it still has some.

        What overtook them would be handled before them.
        """
        if not self._detours:
            return None
        for lane in _lanes(messages):
            name = self._detours.get(lane)
            if name is None:
                continue
            if await self._has_some(name):
                return name
            self._detours = {key: road for key, road in self._detours.items() if road != name}
        return None

    async def _has_some(self, name: str) -> bool:
        road = self.durable.named(name)
        if not isinstance(road, Detour):
            return False
        try:
            async with asyncio.timeout(1):
                return await road.pending() > 0
        except (HigherSelfError, TimeoutError):
            return True


@asynccontextmanager
async def open_exchange(
    outbox: Outbox,
    store: MessageStore,
    database: Database,
    *,
    durable: Sequence[Road] = (),
    direct: Sequence[DirectRoad] = (),
    durable_order: Sequence[str] | None = None,
    direct_order: Sequence[str] | None = None,
    spool: Path | None = None,
    book: AddressBook | None = None,
    clock: Clock = SYSTEM_CLOCK,
    draw: Callable[[], float] = random.random,
    policy: BreakerPolicy = POLICY,
) -> AsyncIterator[Exchange]:
    """Yield an exchange over PostgreSQL and memory, and further roads.

    The order is: PostgreSQL, ``durable``, the ``spool`` (a folder) last; memory, ``direct``. Or it is
    that of ``durable_order`` and ``direct_order``, which name roads; those that they leave out are
    not used, and the spool is always the last.
    """
    entities = Entities(database, clock)
    postgres = PostgresRoad(outbox, database, entities)
    memory = MemoryRoad(clock)
    spooled = [] if spool is None else [SpoolRoad(spool, clock)]
    async with task_group() as group:
        exchange = Exchange(
            outbox,
            store,
            database,
            group,
            durable=[*_in_order([postgres, *durable], durable_order), *spooled],
            direct=_in_order([memory, *direct], direct_order),
            memory=memory,
            book=book or NoAddressBook(),
            entities=entities,
            clock=clock,
            draw=draw,
            policy=policy,
        )
        beside = [
            group.create_task(each.run(lambda messages: postgres.send(*messages)))
            for each in spooled
        ]
        try:
            yield exchange
        finally:
            for task in beside:
                task.cancel()
            if exchange._answering is not None:
                exchange._answering.cancel()


def _in_order(roads: Sequence[R], names: Sequence[str] | None) -> list[R]:
    if names is None:
        return list(roads)
    known = {each.name: each for each in roads}
    return [known[name] for name in names if name in known]


def _what(messages: Sequence[Message]) -> str:
    if len(messages) == 1:
        return f"a message {messages[0].type!r} for the topic {messages[0].topic!r}"
    return f"a parcel of {len(messages)} messages"


def _lanes(messages: Sequence[Message]) -> list[Lane]:
    return [
        (each.entity, each.topic, each.partition_key)
        for each in messages
        if each.partition_key is not None
    ]
