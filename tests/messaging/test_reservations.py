"""Messages that a statement of somebody else's leases for a consumer, without a claim."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from tests.messaging.rig import LEASE, TOPIC, Rig, until

from higherself.db.queryfile import Query
from higherself.kernel import telemetry
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.messaging.consumer import Consumer, Reservation
from higherself.messaging.envelope import MessageId
from higherself.messaging.model import Claimed
from higherself.messaging.ports import Delivery
from higherself.messaging.statements import alone, claimed_of

pytestmark = pytest.mark.postgres

END_AND_LEASE = Query(
    "end_and_lease",
    "many",
    """
    WITH ended AS (
        DELETE FROM message WHERE message_id = %(message)s AND lease = %(lease)s RETURNING 1
    )
    INSERT INTO message (
        message_id, topic, source, type, time, correlation_id, hop_count, data, priority, status,
        due_at, holds, attempt, lease, leased_until, leased_by
    )
    SELECT
        gen_random_uuid(), %(topic)s, 'urn:test', 'com.test.v1', statement_timestamp(), 'c', 0,
        to_json(%(data)s::int), 1, 'leased', statement_timestamp(), true, 1, 1,
        statement_timestamp() + %(length)s::interval, %(consumer)s
    FROM ended
    RETURNING
        message_id, topic, entity, source, type, subject, time, partition_key, correlation_id,
        causation_id, expires_at, hop_count, extensions, data, sequence, lane, attempt, lapses, lease
    """,
)


class Warnings:
    """A sink that keeps what a person should know."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def event(self, level: str, name: str, facts: dict[str, Any]) -> None:
        if level != "info":
            self.seen.append(name)

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None: ...
    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None: ...
    def duration(self, name: str, seconds: float, labels: dict[str, str]) -> None: ...


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    sink = Warnings()
    monkeypatch.setattr(telemetry, "_sink", sink)
    return sink.seen


async def followed(rig: Rig, consumer: Consumer, delivery: Delivery, data: int) -> Claimed:
    """End a message, and lease the one that follows it for ``consumer``."""
    async with alone(rig.database) as tx:
        (row,) = await tx.tuples(
            END_AND_LEASE,
            {
                "message": delivery.message.id,
                "lease": delivery.message.lease,
                "topic": delivery.message.topic,
                "data": data,
                "consumer": consumer.name,
                "length": consumer.lease,
            },
        )
    delivery.settled = True
    return claimed_of(row)


async def delete(rig: Rig, identifier: MessageId) -> None:
    await rig.sql("DELETE FROM message WHERE message_id = %s", identifier)


def reserved(consumer: Consumer, *, after: Delivery | None = None) -> Reservation:
    reservation = consumer.reserve(TOPIC, after=after)
    assert reservation is not None
    return reservation


class Chain:
    """A handler whose every message is followed by the next, down to zero."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.consumer: Consumer | None = None
        self.handled: list[Any] = []
        self.pause = timedelta(0)

    async def __call__(self, delivery: Delivery) -> None:
        assert self.consumer is not None
        await asyncio.sleep(self.pause.total_seconds())
        self.handled.append(delivery.data)
        if not isinstance(delivery.data, int) or not delivery.data:
            return
        asked = SYSTEM_CLOCK.monotonic()
        reservation = reserved(self.consumer, after=delivery)
        following = await followed(self.rig, self.consumer, delivery, delivery.data - 1)
        reservation.begin(following, asked=asked)


async def test_a_chain_is_claimed_once(rig: Rig) -> None:
    """Even where a consumer handles one at a time: whoever ends leaves his room to what follows."""
    chain, claims = Chain(rig), 0
    claim = rig.store.claim

    async def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal claims
        found = await claim(*arguments, **options)
        claims += len(found.messages)
        return found

    rig.store.claim = counted  # type: ignore[method-assign]
    async with rig.consuming(chain, concurrency=1) as chain.consumer:
        await rig.send(10)
        await until(lambda: len(chain.handled) == 11)
        await until(lambda: all_delivered(rig))
    assert chain.handled == list(range(10, -1, -1))
    assert claims == 1
    assert await rig.sql("SELECT data::text, attempt, lease FROM message") == [("0", 1, 2)]


async def all_delivered(rig: Rig) -> bool:
    return await rig.sql("SELECT count(*) FROM message WHERE status <> 'delivered'") == [(0,)]


async def test_what_follows_keeps_its_lease(rig: Rig) -> None:
    chain = Chain(rig)
    chain.pause = 2 * LEASE
    async with rig.consuming(chain) as chain.consumer:
        await rig.send(1)
        await until(lambda: all_handled(rig, chain))
    assert chain.handled == [1, 0]


async def all_handled(rig: Rig, chain: Chain) -> bool:
    return len(chain.handled) == 2 and await all_delivered(rig)


async def test_what_follows_is_tried_again_when_it_fails(rig: Rig) -> None:
    attempts: list[tuple[Any, int]] = []
    chain = Chain(rig)

    async def fails_once(delivery: Delivery) -> None:
        attempts.append((delivery.data, delivery.attempt))
        if (delivery.data, delivery.attempt) == (0, 1):
            raise ValueError
        await chain(delivery)

    async with rig.consuming(fails_once) as chain.consumer:
        await rig.send(1)
        await until(lambda: len(chain.handled) == 2)
        await until(lambda: all_delivered(rig))
    assert attempts == [(1, 1), (0, 1), (0, 2)]


async def test_there_is_as_much_room_as_may_be_handled_at_once(rig: Rig) -> None:
    async with rig.consuming(concurrency=2) as consumer:
        await until(lambda: has_room(consumer))
        first, second = reserved(consumer), reserved(consumer)
        assert consumer.reserve(TOPIC) is None
        assert consumer.reserve("unheard-of") is None
        await rig.send("claimed when there is room")
        await asyncio.sleep(0.05)
        assert rig.handled == []
        first.release()
        first.release()
        await until(lambda: len(rig.handled) == 1)
        second.release()


def has_room(consumer: Consumer) -> bool:
    reservation = consumer.reserve(TOPIC)
    if reservation is not None:
        reservation.release()
    return reservation is not None


async def test_room_is_used_once_and_for_its_topic(rig: Rig) -> None:
    claimed: list[Claimed] = []

    async def note(delivery: Delivery) -> None:
        claimed.append(delivery.message)

    async with rig.consuming(note) as consumer:
        await rig.send()
        await until(lambda: len(claimed) == 1)
        released = reserved(consumer)
        released.release()
        with pytest.raises(AssertionError, match="not kept"):
            released.begin(claimed[0], asked=0)


async def test_there_is_no_room_in_a_consumer_that_does_not_run(rig: Rig) -> None:
    async with rig.consuming() as consumer:
        await until(lambda: has_room(consumer))
    assert consumer.reserve(TOPIC) is None


async def test_a_consumer_that_stops_waits_for_what_it_keeps_room_for(rig: Rig) -> None:
    chain, may_go_on = Chain(rig), asyncio.Event()

    async def ends_late(delivery: Delivery) -> None:
        assert chain.consumer is not None
        if delivery.data == 0:
            await chain(delivery)
            return
        reservation = reserved(chain.consumer)
        following = await followed(rig, chain.consumer, delivery, 0)
        beginning.append(asyncio.create_task(begin(reservation, following)))

    async def begin(reservation: Reservation, following: Claimed) -> None:
        asked = SYSTEM_CLOCK.monotonic()
        await may_go_on.wait()
        assert chain.consumer is not None
        assert chain.consumer.reserve(TOPIC) is None, "it stops"
        reservation.begin(following, asked=asked)

    beginning: list[asyncio.Task[None]] = []
    async with rig.consuming(ends_late) as chain.consumer:
        await rig.send(1)
        await until(lambda: bool(beginning))
        asyncio.get_running_loop().call_later(0.1, may_go_on.set)
    assert chain.handled == [0]
    assert await all_delivered(rig)


async def test_a_consumer_that_may_not_wait_gives_back_what_is_begun_too_late(rig: Rig) -> None:
    chain = Chain(rig)
    kept: list[tuple[Reservation, Claimed]] = []

    async def keeps(delivery: Delivery) -> None:
        assert chain.consumer is not None
        reservation = reserved(chain.consumer)
        kept.append((reservation, await followed(rig, chain.consumer, delivery, 0)))

    async with rig.consuming(keeps, grace=timedelta(0)) as chain.consumer:
        await rig.send(1)
        await until(lambda: bool(kept))
        ((reservation, following),) = kept
        asyncio.get_running_loop().call_later(
            0.1, lambda: reservation.begin(following, asked=SYSTEM_CLOCK.monotonic())
        )
    assert await rig.sql("SELECT status, attempt FROM message") == [("ready", 0)]


async def test_a_handler_that_deleted_its_message_is_left_alone(
    rig: Rig, warnings: list[str]
) -> None:
    finished: list[bool] = []

    async def deletes(delivery: Delivery) -> None:
        await delete(rig, delivery.message.id)
        await asyncio.sleep(0.15)  # the answer takes a while
        delivery.settled = True
        await asyncio.sleep(2 * LEASE.total_seconds())
        finished.append(True)

    async with rig.consuming(deletes):
        await rig.send()
        await until(lambda: bool(finished))
    assert warnings == []


async def test_a_handler_whose_message_others_delete_is_stopped(
    rig: Rig, warnings: list[str]
) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def works(delivery: Delivery) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with rig.consuming(works) as consumer:
        identifier = await rig.send()
        await begun.wait()
        await delete(rig, identifier)
        await asyncio.wait_for(cancelled.wait(), 5)
        await until(lambda: has_room(consumer))
    assert warnings == []


async def test_what_a_consumer_takes_over_from_itself_leaves_its_room(rig: Rig) -> None:
    """It may have been frozen, or cut off, and then find its own message before it knows."""
    begun: list[tuple[Any, int]] = []

    async def hangs_once(delivery: Delivery) -> None:
        begun.append((delivery.data, delivery.attempt))
        if begun == [("hangs", 1)]:
            await rig.pass_time(timedelta(minutes=1))
            await rig.send("makes it look")
            await asyncio.Event().wait()

    async with rig.consuming(hangs_once, concurrency=2, lease=timedelta(seconds=5)) as consumer:
        (ended,) = await rig.ended(await rig.send("hangs"))
        assert (ended.status, ended.attempt) == ("delivered", 2)
        await until(lambda: all_delivered(rig))
        rooms = [reserved(consumer), reserved(consumer)]
        assert consumer.reserve(TOPIC) is None
        for each in rooms:
            each.release()


async def test_what_was_leased_and_never_begun_is_found(rig: Rig) -> None:
    """Whoever stored it did not hear that it is stored, or died, and nobody else is there."""
    chain = Chain(rig)

    async def hears_nothing(delivery: Delivery) -> None:
        assert chain.consumer is not None
        if delivery.data == 1:
            reservation = reserved(chain.consumer)
            await followed(rig, chain.consumer, delivery, 0)
            reservation.release()
        else:
            await chain(delivery)

    async with rig.consuming(hears_nothing) as chain.consumer:
        await rig.send(1)
        await until(lambda: chain.handled == [0])
    assert await rig.sql("SELECT status, attempt, lapses FROM message") == [("delivered", 2, 1)]


async def test_a_message_costs_little_of_our_own_time(rig: Rig) -> None:
    """Without the database, that is; the goal is 60 us, and a busy machine gets three times that."""
    handled, total = 0, 3000
    done = asyncio.Event()

    async def quick(delivery: Delivery) -> None:
        nonlocal handled
        handled += 1
        delivery.settled = True
        if handled == total:
            done.set()
        elif handled < total:
            reservation = reserved(consumer, after=delivery)
            reservation.begin(delivery.message, asked=SYSTEM_CLOCK.monotonic())

    async with rig.consuming(quick, concurrency=1) as consumer:
        await rig.send()
        began = time.process_time()
        await done.wait()
        spent = time.process_time() - began
    assert spent / total < 180e-6
