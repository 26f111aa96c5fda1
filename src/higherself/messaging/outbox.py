"""Publishing: messages are rows of the sender's own transaction, so they vanish or stay with it."""

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from higherself.db.notifications import RELAXED_POLL
from higherself.db.pool import Database, Parameters, Transaction
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.ids import new_id
from higherself.kernel.jsonvalue import JsonValue, check_json
from higherself.messaging.envelope import MessageId
from higherself.messaging.errors import (
    GroupFull,
    MessageMalformed,
    MessageTooLarge,
    TopicFull,
)
from higherself.messaging.model import Message, Prepared, Published, When, identifier_of_key
from higherself.messaging.patterns import EVENTS, GROUPS, group_topic
from higherself.messaging.statements import PARTS, QUERIES, alone, encoded
from higherself.messaging.subscribing import Subscriptions
from higherself.messaging.together import Rows, Together, batches, which_are_new

LARGEST = 1_000_000
"""Bytes of JSON that the data of a message may be."""

MOST_DUE = 100_000
"""Messages of a topic (and business) that may be due and not handled before no more are taken."""

COUNTED_FOR = 1.0
"""Seconds for which a count of them is good enough; so many more may be taken meanwhile."""


_Queue = tuple[str, str | None]
"""A topic and a business."""


class PostgresOutbox:
    """Stores messages.

    ``database`` is where its own transactions run, ``aside`` a small pool of its own for what is
    no part of a transaction. `run` has to run beside, for `send`.
    """

    def __init__(
        self, database: Database, aside: Database, clock: Clock, *, most_due: int = MOST_DUE
    ) -> None:
        self._database, self._aside, self._clock = database, aside, clock
        self._most_due = most_due
        self._room: dict[_Queue, tuple[int, float]] = {}
        self._groups = Subscriptions(aside, clock)
        self._counting = asyncio.Lock()
        self._together = Together(self._stored_alone, clock)
        self._to_wake: set[str] = set()
        self._waking = False

    async def publish(
        self, tx: Transaction, *messages: Message, wake: bool = True
    ) -> list[Published]:
        """Store messages in the caller's transaction; return them in the order given.

        They are there once it commits, and only then. Their consumers are woken by the commit,
        which then waits for every other commit that wakes somebody: who commits often says
        ``wake=False``, and calls `wake` afterwards.

        Raises
            MessageMalformed, MessageTooLarge, NotJson, TooManyHops: nothing was stored.
            TopicFull, GroupFull: nothing was stored; the transaction may go on without it, or begin again later.
        """
        prepared = await self.prepared(*messages)
        new: set[MessageId] = set()
        for batch in batches(prepared.rows):
            new |= await _stored(tx, batch, wake=wake)
        return which_are_new(prepared.ids, new)

    async def send(self, *messages: Message) -> list[Published]:
        """Store messages in a transaction of their own; when this returns, they survive.

        All of them or none. Calls that come together share one commit.

        Raises
            DatabaseUnavailable: it is not known whether they are stored. Send them again, with the
                same idempotency key or ``id``, to be sure that they are, once.
            MessageMalformed, TopicFull, ...: see `publish`.
        """
        prepared = await self.prepared(*messages)
        if len(messages) == 1 or len(list(batches(prepared.rows))) == 1:
            return await self._together.send(prepared)
        new: set[MessageId] = set()
        async with self._database.transaction() as tx:
            for batch in batches(prepared.rows):
                new |= await _stored(tx, batch, wake=True)
        return which_are_new(prepared.ids, new)

    async def prepared(self, *messages: Message) -> Prepared:
        """Return messages as they are stored, for a handler to end with: ``Done(sends=...)``.

        They go out with the note that its message is delivered, and in the same commit.

        Raises
            MessageMalformed, TopicFull, ...: see `publish`.
        """
        await self._require_room(messages)
        ids = tuple(map(self._identifier, messages))
        return Prepared(ids, tuple(map(_row, ids, messages)))

    async def run(self) -> None:
        """Store what is sent, until cancelled."""
        await self._together.run()

    async def cancel(self, tx: Transaction, *messages: MessageId, reason: str) -> list[MessageId]:
        """End messages, and return those that had not ended before.

        A handler that works on one is stopped soon, and nothing that it does in `Delivery.once`
        is stored.
        """
        cancelled = []
        for message in messages:
            named = {"message_id": message, "reason": reason}
            row = await tx.maybe(QUERIES["cancel_message"], named)
            if row is not None:
                cancelled.append(message)
                if row["lane"] is not None:
                    lane = {"topic": row["topic"], "lane": row["lane"]}
                    await tx.maybe(QUERIES["advance_lane"], lane)
                    await tx.many(QUERIES["wake_consumers"], {"topics": [row["topic"]]})
        return cancelled

    async def wake(self, topics: set[str]) -> None:
        """Tell the consumers of ``topics`` to look. Calls that come together send one notification.

        If it cannot be sent, they look by themselves before long.
        """
        self._to_wake |= topics
        if self._waking:
            return
        self._waking = True
        try:
            while self._to_wake:
                told, self._to_wake = self._to_wake, set()
                async with alone(self._aside) as tx:
                    await tx.many(QUERIES["wake_consumers"], {"topics": sorted(told)})
        except HigherSelfError as error:
            telemetry.warning("messaging.consumers.not_woken", reason=str(error))
        finally:
            self._waking = False

    async def _stored_alone(self, rows: Rows) -> set[MessageId]:
        async with alone(self._database) as tx:
            parameters = _published(rows, wake=True, unless_busy=True)
            stored = await tx.tuples(QUERIES["publish_messages"], parameters, PARTS)
        telemetry.count("messaging.message.published", len(stored))
        if stored and not stored[0][2]:
            await self.wake({topic for _, topic, _ in stored})
        return {identifier for identifier, _, _ in stored}

    def _identifier(self, message: Message) -> MessageId:
        message.check()
        if message.id is not None:
            return message.id
        if message.idempotency_key is not None:
            return identifier_of_key(message.entity, message.topic, message.idempotency_key)
        return MessageId(new_id(self._clock.now()))

    async def _require_room(self, messages: Sequence[Message]) -> None:
        if len(messages) == 1 and messages[0].topic != EVENTS:
            await self._require_room_in((messages[0].topic, messages[0].entity), 1)
            return
        wanted: Counter[_Queue] = Counter()
        for each in messages:
            if each.topic != EVENTS:
                wanted[each.topic, each.entity] += 1
                continue
            # An event is stored as a copy for each group. If one of them is full, the event has to
            # wait: to leave that group out would be a loss, and nobody would hear of it.
            for group in await self._groups.groups_for(each.type, each.entity):
                wanted[group_topic(group), each.entity] += 1
        for queue, count in wanted.items():
            await self._require_room_in(queue, count)

    async def _require_room_in(self, queue: _Queue, wanted: int) -> None:
        if self._take_room(queue, wanted):
            return
        async with self._counting:
            if not self._take_room(queue, wanted):
                room = await self._count_room(queue)
                self._room[queue] = room - wanted, self._clock.monotonic()

    def _take_room(self, queue: _Queue, wanted: int) -> bool:
        room, counted_at = self._room.get(queue, (0, -math.inf))
        if room < wanted or self._clock.monotonic() - counted_at > COUNTED_FOR:
            return False
        self._room[queue] = room - wanted, counted_at
        return True

    async def _count_room(self, queue: _Queue) -> int:
        topic, entity = queue
        named = {"topic": topic, "entity": entity, "limit": self._most_due}
        async with alone(self._aside) as tx:
            row = await tx.one(QUERIES["count_backlog"], named)
        room: int = self._most_due - row["backlog"]
        if room <= 0:
            telemetry.count("messaging.topic.refused", topic=topic)
            if topic.startswith(GROUPS):
                raise GroupFull(topic.removeprefix(GROUPS), entity, self._most_due)
            raise TopicFull(topic, entity, self._most_due)
        return room


def _published(rows: Rows, *, wake: bool, unless_busy: bool) -> Parameters:
    return {
        "messages": f"[{','.join(rows)}]",
        "soon": RELAXED_POLL,
        "wake": wake,
        "unless_busy": unless_busy,
    }


async def _stored(tx: Transaction, rows: Rows, *, wake: bool) -> set[MessageId]:
    parameters = _published(rows, wake=wake, unless_busy=False)
    stored = await tx.tuples(QUERIES["publish_messages"], parameters, PARTS)
    telemetry.count("messaging.message.published", len(stored))
    return {row[0] for row in stored}


def _row(identifier: MessageId, message: Message) -> str:
    row: dict[str, JsonValue] = {
        "message_id": str(identifier),
        "topic": message.topic,
        "source": message.source,
        "type": message.type,
        "correlation_id": message.correlation_id or str(identifier),
        "hop_count": message.hop_count,
        "priority": int(message.priority),
    }
    for name in _OPTIONAL:
        if (value := getattr(message, name)) is not None:
            row[name] = value
    for when, instant, wait in _WHEN:
        given: When | None = getattr(message, when)
        if isinstance(given, datetime):
            row[instant] = given.isoformat()
        elif given is not None:
            row[wait] = f"PT{given.total_seconds():f}S"
    if message.extensions:
        row["extensions"] = dict(message.extensions)
    row["data"] = message.data
    return _encoded(row, message)


_OPTIONAL = ("entity", "subject", "partition_key", "causation_id", "idempotency_key")
_WHEN = (
    ("time", "time", ""),
    ("expires", "expires_at", "lifetime"),
    ("not_before", "not_before", "delay"),
)
"""A field of a message, and the names of what is stored if it is an instant, or a time from now."""


def _encoded(row: dict[str, JsonValue], message: Message) -> str:
    """Return ``row`` as JSON. All of it is known to be in order but the data of ``message``."""
    try:
        text = encoded(row)
        size = len(text.encode())
    except RecursionError:
        raise MessageMalformed("data", "they are nested too deeply") from None
    except (TypeError, ValueError):
        check_json(message.data, "data")  # says what is wrong, and where
        raise
    if size > LARGEST:
        _require_small(message)
    if "\\u0000" in text:
        check_json(message.data, "data")
    return text


def _require_small(message: Message) -> None:
    size = len(encoded(message.data).encode())
    if size > LARGEST:
        raise MessageTooLarge(message.type, size, LARGEST)
