"""The PostgreSQL channel: messages are rows, leases are columns, and everything is one transaction."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.errors import UniqueViolation

from higherself.db.notifications import Notifications
from higherself.db.pool import Database, Row, Transaction, open_database
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.tasks import in_background, task_group
from higherself.messaging.envelope import MessageId
from higherself.messaging.errors import LeaseLost
from higherself.messaging.model import Claim, Claimed
from higherself.messaging.outbox import MOST_DUE, PostgresOutbox
from higherself.messaging.ports import Ended, HandledBefore, LeaseKeeper, Listener, Settled
from higherself.messaging.settlement import Again, End
from higherself.messaging.statements import QUERIES, alone, claimed_of, encoded

SESSION_SETTINGS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""Every statement on the queue goes by its index, whatever was known of the table when it was planned.

A queue that was empty a minute ago looks as if reading it all were cheapest; and to plan a claim
anew takes ten times as long as to run it.
"""

SOON = timedelta(milliseconds=50)
"""When to look again at messages that are behind one whose row is locked just now."""

CONNECTIONS_ASIDE = 2
"""A claim and a settlement at the same time, whatever the handlers do with theirs."""


class PostgresMessages:
    """Claims messages and settles them."""

    def __init__(self, url: str, database: Database, aside: Database, clock: Clock) -> None:
        self._url, self._database, self._aside, self._clock = url, database, aside, clock

    async def claim(
        self, free: Mapping[str, int], *, consumer: str, lease: timedelta, window: int = 0
    ) -> Claim:
        """Lease messages that are due, at most so many of each topic as are ``free``."""
        wanted = {
            "topics": list(free),
            "free": list(free.values()),
            "window": window,
            "consumer": consumer,
            "lease": lease,
        }
        asked = self._clock.monotonic()
        try:
            async with alone(self._aside) as tx:
                rows = await tx.many(QUERIES["claim_messages"], wanted)
        except UniqueViolation:  # another consumer was quicker in a lane that we saw differently
            return Claim(messages=(), now=await self._now(), asked=asked, unfinished=True)
        seen = rows[0]
        messages = _in_order(rows) if seen["message_id"] is not None else ()
        stuck = seen["met"] > len(messages) + seen["parked"] and len(messages) < sum(free.values())
        next_at = seen["now"] + SOON if stuck else seen["next_at"]
        return Claim(
            messages=messages,
            now=seen["now"],
            asked=asked,
            next_at=next_at,
            unfinished=seen["parked"] > 0,
        )

    async def claim_lapsed(
        self, topics: Sequence[str], *, consumer: str, lease: timedelta, limit: int
    ) -> Claim:
        """Lease messages whose lease ran out."""
        wanted = {"topics": list(topics), "consumer": consumer, "lease": lease, "limit": limit}
        asked = self._clock.monotonic()
        async with alone(self._aside) as tx:
            rows = await tx.many(QUERIES["claim_lapsed"], wanted)
        now = rows[0]["now"] if rows else await self._now()
        return Claim(messages=_in_order(rows), now=now, asked=asked)

    async def settle(
        self, settled: Sequence[Settled], *, wake: Sequence[str] = ()
    ) -> set[MessageId]:
        """Store settlements, and return the messages whose lease was still held."""
        accepted: set[MessageId] = set()
        together = [each for each in settled if each.ended is None]
        lanes = _lanes(together)
        if lanes["lanes"] or wake:
            async with self._aside.transaction() as tx:
                accepted |= await _stored(tx, together)
                await tx.many(QUERIES["advance_lanes"], lanes)
                await tx.many(QUERIES["wake_consumers"], {"topics": list(wake)})
        elif together:
            async with alone(self._aside) as tx:
                accepted |= await _stored(tx, together)
        for each in settled:
            if each.ended is not None:
                accepted |= await self._settle_and_tell(each, each.ended)
        return accepted

    @asynccontextmanager
    async def once(self, message: Claimed) -> AsyncIterator[Transaction]:
        """Open a transaction for the effects of handling ``message``, which it delivers with them."""
        entity = message.envelope.entity
        async with self._database.transaction(entity=entity) as tx:
            noted = {"message_id": message.id, "consumer": message.topic, "entity": entity}
            if await tx.maybe(QUERIES["note_handled"], noted) is None:
                raise HandledBefore
            yield tx
            held = {"message_id": message.id, "lease": message.lease}
            if await tx.maybe(QUERIES["deliver_message"], held) is None:
                raise LeaseLost(message.id)
            if message.lane is not None:
                lane = {"topic": message.topic, "lane": message.lane}
                await tx.maybe(QUERIES["advance_lane"], lane)

    @asynccontextmanager
    async def keeper(self) -> AsyncIterator[LeaseKeeper]:
        """Open what renews leases, for the event loop that calls it."""
        async with open_database(self._url, connections=1, settings=SESSION_SETTINGS) as database:
            yield _Keeper(database)

    @asynccontextmanager
    async def listen(
        self, topics: Sequence[str], wake: Callable[[], None]
    ) -> AsyncIterator[Listener]:
        """Call ``wake``, while the block runs, whenever one of ``topics`` was notified."""
        hub = Notifications(self._url, self._aside.inspection, self._clock)
        async with in_background(_tell(hub, topics, wake)):
            yield hub

    async def _now(self) -> datetime:
        async with alone(self._aside) as tx:
            now: datetime = (await tx.one(QUERIES["read_clock"]))["now"]
            return now

    async def _settle_and_tell(self, settled: Settled, ended: Ended) -> set[MessageId]:
        message, settlement = settled.message, settled.settlement
        async with self._database.transaction(entity=message.envelope.entity) as tx:
            accepted = await _stored(tx, [settled])
            if accepted and isinstance(settlement, End):
                await tx.many(QUERIES["advance_lanes"], _lanes([settled]))
                await ended(tx, message, settlement)
        return accepted


@dataclass(frozen=True)
class PostgresChannel:
    """Both ends of the road."""

    outbox: PostgresOutbox
    store: PostgresMessages


@asynccontextmanager
async def open_channel(
    url: str, database: Database, *, clock: Clock = SYSTEM_CLOCK, most_due: int = MOST_DUE
) -> AsyncIterator[PostgresChannel]:
    """Yield the channel of the database at ``url``; ``database`` is where effects are stored."""
    async with open_database(
        url, connections=CONNECTIONS_ASIDE, settings=SESSION_SETTINGS
    ) as aside:
        yield PostgresChannel(
            PostgresOutbox(database, aside, clock, most_due=most_due),
            PostgresMessages(url, database, aside, clock),
        )


class _Keeper:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def renew(self, leases: Mapping[MessageId, int], lease: timedelta) -> set[MessageId]:
        held = {
            "message_ids": list(leases),
            "leases": list(leases.values()),
            "lease": lease,
        }
        async with alone(self._database) as tx:
            rows = await tx.many(QUERIES["renew_leases"], held)
        return {row["message_id"] for row in rows}


async def _tell(hub: Notifications, topics: Sequence[str], wake: Callable[[], None]) -> None:
    async with task_group() as group:
        group.create_task(hub.run())
        for topic in topics:
            group.create_task(_watch(hub, f"message.{topic}", wake))


async def _watch(hub: Notifications, channel: str, wake: Callable[[], None]) -> None:
    with hub.subscribe(channel) as subscription:
        while True:
            if await subscription.wait():
                wake()


async def _stored(tx: Transaction, settled: Sequence[Settled]) -> set[MessageId]:
    rows = encoded([_row(each) for each in settled])
    stored = await tx.many(QUERIES["settle_messages"], {"settled": rows})
    return {row["message_id"] for row in stored}


def _row(settled: Settled) -> dict[str, Any]:
    message, settlement = settled.message, settled.settlement
    held = {"message_id": str(message.id), "lease": message.lease, "error": settlement.error}
    if isinstance(settlement, Again):
        due_at = settlement.at.isoformat()
        return {
            **held,
            "status": "ready",
            "due_at": due_at,
            "attempt": settlement.attempt,
            "holds": True,
        }
    return {
        **held,
        "status": settlement.status,
        "attempt": message.attempt,
        "holds": settlement.pauses,
        "reason": settlement.reason,
    }


def _lanes(settled: Sequence[Settled]) -> dict[str, list[str]]:
    """Return the lanes in which the next may take its turn."""
    ended = [
        (each.message.topic, each.message.lane)
        for each in settled
        if isinstance(each.settlement, End) and not each.settlement.pauses
    ]
    lanes = [(topic, lane) for topic, lane in ended if lane is not None]
    return {"topics": [topic for topic, _ in lanes], "lanes": [lane for _, lane in lanes]}


def _in_order(rows: Sequence[Row]) -> tuple[Claimed, ...]:
    return tuple(sorted(map(claimed_of, rows), key=lambda message: message.sequence))
