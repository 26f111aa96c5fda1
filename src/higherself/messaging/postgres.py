"""The PostgreSQL channel: messages are rows, leases are columns, and everything is one transaction."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from psycopg.errors import UniqueViolation

from higherself.db.notifications import RELAXED_POLL, Notifications
from higherself.db.pool import BRIEF, Database, Transaction, open_database
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.tasks import in_background
from higherself.messaging.envelope import MessageId
from higherself.messaging.errors import LeaseLost
from higherself.messaging.model import Ahead, Claim, Claimed, Prepared
from higherself.messaging.outbox import MOST_DUE, PostgresOutbox
from higherself.messaging.ports import Ended, HandledBefore, LeaseKeeper, Listener, Settled
from higherself.messaging.settlement import DELIVERED, Again, End
from higherself.messaging.statements import (
    PARTS,
    QUERIES,
    alone,
    claimed_of,
    encoded,
    said_at_once,
)
from higherself.messaging.together import AT_ONCE, CHARACTERS_AT_ONCE

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

CONNECTIONS_ASIDE = 2
"""A claim and a settlement at the same time, whatever the handlers do with theirs."""


class PostgresMessages:
    """Claims messages and settles them."""

    def __init__(self, url: str, database: Database, aside: Database, clock: Clock) -> None:
        self._url, self._database, self._aside, self._clock = url, database, aside, clock
        self._in_lanes: set[str] = set()  # the topics that have met some

    async def claim(
        self, free: Mapping[str, int], *, consumer: str, lease: timedelta, window: int = 0
    ) -> Claim:
        """Lease messages that are due, at most so many of each topic as are ``free``."""
        wanted = {
            "topics": list(free),
            "free": list(free.values()),
            "consumer": consumer,
            "lease": lease,
        }
        asked = self._clock.monotonic()
        if any(topic in self._in_lanes for topic in free):
            return await self._claim_in_lanes({**wanted, "window": window}, free, asked)
        async with alone(self._aside) as tx:
            rows = await tx.tuples(QUERIES["claim_messages"], wanted)
        now, in_lanes, first, *_ = rows[0]
        if in_lanes:
            self._in_lanes.update(free)
            if first is None:
                return await self._claim_in_lanes({**wanted, "window": window}, free, asked)
        messages = _in_order(rows, 2) if first is not None else ()
        return Claim(messages=messages, now=now, asked=asked, unfinished=in_lanes > 0)

    async def _claim_in_lanes(
        self, wanted: Mapping[str, Any], free: Mapping[str, int], asked: float
    ) -> Claim:
        try:
            async with alone(self._aside) as tx:
                rows = await tx.tuples(QUERIES["claim_in_lanes"], wanted)
        except UniqueViolation:  # another consumer was quicker in a lane that we saw differently
            return Claim(messages=(), now=await self._now(), asked=asked, unfinished=True)
        now, met, parked, first, *_ = rows[0]
        messages = _in_order(rows, 3) if first is not None else ()
        stuck = met > len(messages) + parked and len(messages) < sum(free.values())
        return Claim(messages=messages, now=now, asked=asked, unfinished=parked > 0, stuck=stuck)

    async def look_ahead(
        self, topics: Sequence[str], *, since: datetime, consumer: str, lease: timedelta
    ) -> Ahead:
        """Return what is to come that was not due at ``since``."""
        asked = {"topics": list(topics), "since": since, "consumer": consumer, "lease": lease}
        async with alone(self._aside) as tx:
            return Ahead(**await tx.one(QUERIES["look_ahead"], asked))

    async def claim_lapsed(
        self, topics: Sequence[str], *, consumer: str, lease: timedelta, limit: int
    ) -> Claim:
        """Lease messages whose lease ran out."""
        wanted = {"topics": list(topics), "consumer": consumer, "lease": lease, "limit": limit}
        asked = self._clock.monotonic()
        async with alone(self._aside) as tx:
            rows = await tx.tuples(QUERIES["claim_lapsed"], wanted)
        now = rows[0][0] if rows else await self._now()
        return Claim(messages=_in_order(rows, 1), now=now, asked=asked)

    async def answers(self, topic: str, known: Sequence[MessageId], limit: int) -> list[Claimed]:
        """Return messages of ``topic`` that have not ended, under no lease."""
        asked = {"topic": topic, "known": list(known), "limit": limit}
        async with alone(self._aside) as tx:
            return list(map(claimed_of, await tx.tuples(QUERIES["read_answers"], asked)))

    async def settle(
        self, settled: Sequence[Settled], *, wake: Sequence[str] = ()
    ) -> set[MessageId]:
        """Store settlements, and return the messages whose lease was still held."""
        accepted: set[MessageId] = set()
        together = [each for each in settled if each.ended is None]
        lanes = _lanes(together)
        if lanes["lanes"] or wake:
            async with self._aside.transaction(settings=BRIEF) as tx:
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
        async with self._database.lending(entity=entity, settings=BRIEF) as tx:
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
        self,
        topics: Sequence[str],
        wake: Callable[[str], None],
        told: Callable[[Claimed], None] | None = None,
    ) -> AsyncIterator[Listener]:
        """Call ``wake`` with each of ``topics`` that is notified, while the block runs.

        Or ``told``, if the notification says what has come.
        """

        def call(topic: str, said: str) -> None:
            if said and told is not None:
                told(said_at_once(said))
            else:
                wake(topic)

        hub = Notifications(self._url, self._aside.inspection, self._clock)
        with ExitStack() as stack:
            for topic in topics:
                stack.enter_context(hub.calling(f"message.{topic}", partial(call, topic)))
            async with in_background(hub.run()):
                yield hub

    async def _now(self) -> datetime:
        async with alone(self._aside) as tx:
            now: datetime = (await tx.one(QUERIES["read_clock"]))["now"]
            return now

    async def _settle_and_tell(self, settled: Settled, ended: Ended) -> set[MessageId]:
        message, settlement = settled.message, settled.settlement
        entity = message.envelope.entity
        async with self._database.transaction(entity=entity, settings=BRIEF) as tx:
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
        outbox = PostgresOutbox(database, aside, clock, most_due=most_due)
        async with in_background(outbox.run()):
            yield PostgresChannel(outbox, PostgresMessages(url, database, aside, clock))


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


async def _stored(tx: Transaction, settled: Sequence[Settled]) -> set[MessageId]:
    """Store settlements, with a statement for each kind of them that there is."""
    accepted: set[MessageId] = set()
    delivered: list[Claimed] = []
    answered: list[tuple[Claimed, Prepared]] = []
    others: list[Settled] = []
    for each in settled:
        if each.settlement is DELIVERED:
            delivered.append(each.message)
        elif isinstance(each.settlement, End) and each.settlement.sends is not None:
            answered.append((each.message, each.settlement.sends))
        else:
            others.append(each)
    if delivered:
        stored = await tx.tuples(QUERIES["deliver_messages"], _held(delivered))
        accepted.update(row[0] for row in stored)
    for some in _not_too_many(answered):
        given: dict[str, Any] = _held([message for message, _ in some])
        rows = ",".join(_after(message, row) for message, sent in some for row in sent.rows)
        given |= {"messages": f"[{rows}]", "soon": RELAXED_POLL}
        stored = await tx.tuples(QUERIES["deliver_and_publish"], given, PARTS)
        accepted.update(row[0] for row in stored)
        if stored and (asleep := stored[0][1]):
            await tx.many(QUERIES["wake_consumers"], {"topics": asleep})
    if others:
        rows = encoded([_row(each) for each in others])
        stored = await tx.tuples(QUERIES["settle_messages"], {"settled": rows})
        accepted.update(row[0] for row in stored)
    return accepted


def _held(messages: Sequence[Claimed]) -> dict[str, str]:
    """Return their identifiers and leases as arrays; as texts, because those are made at once."""
    return {
        "message_ids": f"{{{','.join([message.id.hex for message in messages])}}}",
        "leases": f"{{{','.join([str(message.lease) for message in messages])}}}",
    }


def _after(message: Claimed, row: str) -> str:
    return f'{row[:-1]},"after":"{message.id}"}}'


def _not_too_many(
    answered: Sequence[tuple[Claimed, Prepared]],
) -> Iterator[Sequence[tuple[Claimed, Prepared]]]:
    """Yield what goes into one statement each: the answers of a message stay together."""
    begin = rows = size = 0
    for at, (_, sent) in enumerate(answered):
        rows, size = rows + len(sent.rows), size + sum(map(len, sent.rows))
        if at > begin and (rows > AT_ONCE or size > CHARACTERS_AT_ONCE):
            yield answered[begin:at]
            begin, rows, size = at, len(sent.rows), sum(map(len, sent.rows))
    if answered:
        yield answered[begin:]


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


def _in_order(rows: Sequence[tuple[Any, ...]], begin: int) -> tuple[Claimed, ...]:
    """Return the messages whose columns ``begin`` there in ``rows``."""
    messages = [claimed_of(row[begin:]) for row in rows]
    messages.sort(key=lambda message: message.sequence)
    return tuple(messages)
