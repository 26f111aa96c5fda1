"""Publishing: messages are rows of the sender's own transaction, so they vanish or stay with it."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from higherself.db.notifications import RELAXED_POLL
from higherself.db.pool import Database, Transaction
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.ids import new_id
from higherself.kernel.jsonvalue import check_json
from higherself.messaging.envelope import MessageId
from higherself.messaging.errors import MessageMalformed, MessageTooLarge, TopicFull
from higherself.messaging.model import Message, Published, When, identifier_of_key
from higherself.messaging.statements import QUERIES, alone, encoded

LARGEST = 1_000_000
"""Bytes of JSON that the data of a message may be."""

MOST_DUE = 100_000
"""Messages of a topic (and business) that may be due and not handled before no more are taken."""

COUNTED_FOR = 1.0
"""Seconds for which a count of them is good enough; so many more may be taken meanwhile."""

AT_ONCE, BYTES_AT_ONCE = 500, 4_000_000
"""What one statement stores at most."""


class PostgresOutbox:
    """Stores messages.

    ``database`` is where its own transactions run, ``aside`` a small pool of its own for what is
    no part of a transaction.
    """

    def __init__(
        self, database: Database, aside: Database, clock: Clock, *, most_due: int = MOST_DUE
    ) -> None:
        self._database, self._aside, self._clock = database, aside, clock
        self._most_due = most_due
        self._room: dict[tuple[str, str | None], tuple[int, float]] = {}
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
            TopicFull: nothing was stored; the transaction may go on without it, or begin again later.
        """
        identified = await self._accepted(messages)
        return await self._stored(tx, identified, list(_batches(identified)), wake=wake)

    async def send(self, *messages: Message) -> list[Published]:
        """Store messages in a transaction of their own; when this returns, they survive.

        Raises
            DatabaseUnavailable: it is not known whether they are stored. Send them again, with the
                same idempotency key or ``id``, to be sure that they are, once.
            MessageMalformed, TopicFull, ...: see `publish`.
        """
        identified = await self._accepted(messages)
        batches = list(_batches(identified))
        once = alone(self._database) if len(batches) == 1 else self._database.transaction()
        async with once as tx:
            published = await self._stored(tx, identified, batches, wake=False)
        await self.wake({message.topic for message in messages})
        return published

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

    async def _accepted(self, messages: Sequence[Message]) -> list[tuple[MessageId, Message]]:
        await self._require_room(messages)
        return [(self._identifier(message), message) for message in messages]

    async def _stored(
        self,
        tx: Transaction,
        identified: Sequence[tuple[MessageId, Message]],
        batches: Sequence[str],
        *,
        wake: bool,
    ) -> list[Published]:
        new: set[MessageId] = set()
        for batch in batches:
            parameters = {"messages": batch, "soon": RELAXED_POLL, "wake": wake}
            rows = await tx.many(QUERIES["publish_messages"], parameters)
            new.update(row["message_id"] for row in rows)
        telemetry.count("messaging.message.published", len(new))
        published = []
        for identifier, _ in identified:
            published.append(Published(identifier, identifier in new))
            new.discard(identifier)  # the second of two with one key is not new
        return published

    def _identifier(self, message: Message) -> MessageId:
        message.check()
        if message.id is not None:
            return message.id
        if message.idempotency_key is not None:
            return identifier_of_key(message.entity, message.topic, message.idempotency_key)
        return MessageId(new_id(self._clock.now()))

    async def _require_room(self, messages: Sequence[Message]) -> None:
        for key, wanted in Counter((each.topic, each.entity) for each in messages).items():
            now = self._clock.monotonic()
            room, counted_at = self._room.get(key, (0, -math.inf))
            if room < wanted or now - counted_at > COUNTED_FOR:
                topic, entity = key
                named = {"topic": topic, "entity": entity, "limit": self._most_due}
                async with alone(self._aside) as tx:
                    row = await tx.one(QUERIES["count_backlog"], named)
                room, counted_at = self._most_due - row["backlog"], now
                if room <= 0:
                    telemetry.count("messaging.topic.refused", topic=topic)
                    raise TopicFull(topic, entity, self._most_due)
            self._room[key] = room - wanted, counted_at


def _batches(messages: Sequence[tuple[MessageId, Message]]) -> Iterator[str]:
    """Yield JSON lists of rows, none of them too long."""
    rows: list[str] = []
    size = 0
    for identifier, message in messages:
        row = _row(identifier, message)
        if rows and (len(rows) >= AT_ONCE or size + len(row) > BYTES_AT_ONCE):
            yield f"[{','.join(rows)}]"
            rows, size = [], 0
        rows.append(row)
        size += len(row)
    if rows:
        yield f"[{','.join(rows)}]"


def _row(identifier: MessageId, message: Message) -> str:
    row = {
        "message_id": str(identifier),
        "entity": message.entity,
        "topic": message.topic,
        "source": message.source,
        "type": message.type,
        "subject": message.subject,
        "time": _instant(message.time),
        "partition_key": message.partition_key,
        "correlation_id": message.correlation_id or str(identifier),
        "causation_id": message.causation_id,
        "expires_at": _instant(message.expires),
        "lifetime": _wait(message.expires),
        "hop_count": message.hop_count,
        "extensions": dict(message.extensions) or None,
        "idempotency_key": message.idempotency_key,
        "priority": int(message.priority),
        "not_before": _instant(message.not_before),
        "delay": _wait(message.not_before),
    }
    return f'{encoded(row)[:-1]},"data":{_data(message)}}}'


def _data(message: Message) -> str:
    try:
        text = encoded(message.data)
        size = len(text.encode())
    except RecursionError:
        raise MessageMalformed("data", "they are nested too deeply") from None
    except (TypeError, ValueError):
        check_json(message.data, "data")  # says what is wrong, and where
        raise
    if size > LARGEST:
        raise MessageTooLarge(message.type, size, LARGEST)
    if "\\u0000" in text:
        check_json(message.data, "data")
    return text


def _instant(when: When | None) -> str | None:
    return when.isoformat() if isinstance(when, datetime) else None


def _wait(when: When | None) -> str | None:
    return f"PT{when.total_seconds():f}S" if isinstance(when, timedelta) else None
