"""Looking at messages, deciding about dead letters, and tidying up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from higherself.db.pool import Database, Row, Transaction
from higherself.db.queryfile import Slots, read_queries
from higherself.messaging.envelope import Envelope, MessageId
from higherself.messaging.errors import MessageNotFound, NotADeadLetter
from higherself.messaging.statements import QUERIES as STATEMENTS
from higherself.messaging.statements import envelope_of

QUERIES = read_queries("higherself.messaging", "care.sql")
OF_THE_BUS = read_queries("higherself.messaging", "bus.sql")

Status = Literal["ready", "waiting", "leased", "delivered", "dead", "expired", "cancelled"]
STATUSES: tuple[Status, ...] = get_args(Status)

AT_ONCE = 1000
"""Rows that one statement deletes, so that none of them takes long."""


@dataclass(frozen=True, slots=True)
class Glance:
    """A message in a list."""

    id: MessageId
    topic: str
    type: str
    source: str
    subject: str | None
    entity: str | None
    partition_key: str | None
    status: Status
    attempt: int
    time: datetime
    due_at: datetime
    finished_at: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """Everything that is known of a message. ``errors`` has a line for each attempt that failed."""

    envelope: Envelope
    topic: str
    status: Status
    attempt: int
    lapses: int
    priority: int
    idempotency_key: str | None
    due_at: datetime
    leased_until: datetime | None
    leased_by: str | None
    finished_at: datetime | None
    reason: str | None
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TopicCount:
    """How many messages of a topic are due, to come, behind others, being handled, and dead.

    ``oldest``: for how long the first of those that nobody handles has been due.
    """

    topic: str
    ready: int
    scheduled: int
    waiting: int
    in_flight: int
    dead: int
    oldest: timedelta | None


@dataclass(frozen=True, slots=True)
class Pruned:
    """How much was deleted."""

    messages: int
    inbox: int


class PostgresMessageCare:
    """Sees the messages that ``database`` lets it see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(
        self,
        *,
        status: Status | None = None,
        topic: str | None = None,
        entity: str | None = None,
        limit: int = 50,
    ) -> list[Glance]:
        """Return the latest messages, newest first."""
        wanted = {"status": status, "topic": topic, "entity": entity, "limit": limit}
        slots: Slots = {"conditions": QUERIES["conditions"]}
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["list_messages"], wanted, slots)
        return [Glance(id=row.pop("message_id"), **row) for row in rows]

    async def show(self, message: UUID) -> StoredMessage:
        """Return one message.

        Raises
            MessageNotFound: there is none, or not for us.
        """
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["show_message"], {"message_id": message})
        if row is None:
            raise MessageNotFound(str(message))
        return _stored(row)

    async def dead(self, *, topic: str | None = None, entity: str | None = None) -> Sequence[UUID]:
        """Return the identifiers of all dead letters, the oldest first."""
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["list_dead"], {"topic": topic, "entity": entity})
        return [row["message_id"] for row in rows]

    async def requeue(self, message: UUID) -> None:
        """Put a dead letter back into its topic, as if it had never been tried.

        Raises
            MessageNotFound, NotADeadLetter: nothing was changed.
        """
        async with self._database.transaction() as tx:
            row = await self._decided(tx, "requeue_message", message)
            await tx.many(STATEMENTS["wake_consumers"], {"topics": [row["topic"]]})

    async def discard(self, message: UUID) -> None:
        """Give a dead letter up. If its lane was waiting for it, the next one goes on.

        Raises
            MessageNotFound, NotADeadLetter: nothing was changed.
        """
        async with self._database.transaction() as tx:
            row = await self._decided(tx, "discard_message", message)
            if row["lane"] is not None:
                await tx.maybe(STATEMENTS["advance_lane"], row)
            await tx.many(STATEMENTS["wake_consumers"], {"topics": [row["topic"]]})

    async def topics(self) -> list[TopicCount]:
        """Return what there is on each topic that has something unfinished."""
        async with self._database.reading() as tx:
            return [TopicCount(**row) for row in await tx.many(QUERIES["count_topics"])]

    async def prune(self, age: timedelta) -> Pruned:
        """Delete what has ended longer ago than ``age``, in small portions; dead letters stay.

        Whatever is published or delivered again after that, with the same key, counts as new.
        """
        return Pruned(
            await self._prune("prune_messages", age), await self._prune("prune_inbox", age)
        )

    async def expire_answers(self) -> int:
        """End answers that nobody takes any more, because who asked is gone; return how many."""
        async with self._database.transaction() as tx:
            return await tx.run(OF_THE_BUS["expire_answers"], {"limit": AT_ONCE})

    async def free_waiting(self) -> list[str]:
        """Put back what waits for nothing, and return the topics; there should be none."""
        async with self._database.transaction() as tx:
            rows = await tx.many(QUERIES["free_waiting"], {"limit": AT_ONCE})
            topics = sorted({row["topic"] for row in rows})
            await tx.many(STATEMENTS["wake_consumers"], {"topics": topics})
        return topics

    async def _prune(self, query: str, age: timedelta) -> int:
        pruned = 0
        while True:
            async with self._database.transaction() as tx:
                found = await tx.run(QUERIES[query], {"age": age, "limit": AT_ONCE})
            pruned += found
            if found < AT_ONCE:
                return pruned

    async def _decided(self, tx: Transaction, query: str, message: UUID) -> Row:
        row = await tx.maybe(QUERIES[query], {"message_id": message})
        if row is None:
            stored = await tx.maybe(QUERIES["show_message"], {"message_id": message})
            if stored is None:
                raise MessageNotFound(str(message))
            raise NotADeadLetter(message, stored["status"])
        return row


def _stored(row: Row) -> StoredMessage:
    return StoredMessage(
        envelope=envelope_of(row),
        topic=row["topic"],
        status=row["status"],
        attempt=row["attempt"],
        lapses=row["lapses"],
        priority=row["priority"],
        idempotency_key=row["idempotency_key"],
        due_at=row["due_at"],
        leased_until=row["leased_until"],
        leased_by=row["leased_by"],
        finished_at=row["finished_at"],
        reason=row["reason"],
        errors=tuple(row["errors"]),
    )
