"""What every durable channel promises (G1 to G9), each promise as a check of a rig.

The promises are those of `docs/decisions/0012-one-table-for-later.md`. A check fails by an
`AssertionError`; `test_conformance` runs them on every channel, `test_mutants` on channels that are
broken on purpose.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.messaging.rig import LEASE, QUICK, TOPIC, Rig, message, take_effect, until

from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Rejected, Unavailable
from higherself.messaging.errors import LeaseLost, TooManyHops, TopicFull
from higherself.messaging.model import Cancelled, Claimed, Done, Outcome, Published, Snoozed
from higherself.messaging.ports import Delivery, HandledBefore, Settled
from higherself.messaging.settlement import End

Check = Callable[[Rig], Awaitable[None]]
PROMISES: dict[str, Check] = {}

MILLISECOND = timedelta(milliseconds=1)
DAY = timedelta(days=1)


def promise(check: Check) -> Check:
    """Add a check to the suite."""
    PROMISES[check.__name__] = check
    return check


class Broken(Exception):
    """What a handler of these checks fails with."""


class Busy(Unavailable):
    """A failure that says when to come back."""

    retry_after = 300 * MILLISECOND


# G1: what is published survives, with its transaction, once.


@promise
async def g1_a_message_lives_and_dies_with_its_transaction(rig: Rig) -> None:
    with suppress(Broken):
        async with rig.database.transaction() as tx:
            await rig.outbox.publish(tx, message("never"))
            raise Broken
    async with rig.database.transaction() as tx:
        (kept,) = await rig.outbox.publish(tx, message("kept"))
        await take_effect(tx, "beside")
    async with rig.consuming():
        await rig.ended(kept.id)
    assert rig.handled == ["kept"]
    assert await rig.effects() == ["beside"]


@promise
async def g1_the_same_key_is_one_message(rig: Rig) -> None:
    keyed = message("invoice", idempotency_key="invoice 7")
    first, second = await rig.outbox.send(keyed, keyed)
    assert (first.is_new, second.is_new, first.id) == (True, False, second.id)
    assert await rig.outbox.send(keyed) == [Published(first.id, is_new=False)]
    (other,) = await rig.outbox.send(replace(keyed, topic="other"))
    assert other.is_new
    async with rig.consuming():
        await rig.ended(first.id)
        assert await rig.outbox.send(keyed) == [Published(first.id, is_new=False)], "after it ended"
    assert rig.handled == ["invoice"]


@promise
async def g1_the_same_key_from_many_at_once_is_one_message(rig: Rig) -> None:
    keyed = message("invoice", idempotency_key="invoice 7")
    sent = await asyncio.gather(*(rig.outbox.send(keyed) for _ in range(8)))
    assert len({published.id for (published,) in sent}) == 1
    assert sum(published.is_new for (published,) in sent) == 1


# G2: delivered at least once, effects once.


@promise
async def g2_nothing_is_lost_that_commits_late(rig: Rig) -> None:
    """A transaction that began first may commit last: its messages come nevertheless."""
    began, may_commit = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with rig.database.transaction() as tx:
            await rig.outbox.publish(tx, message("early number, late commit"))
            began.set()
            await may_commit.wait()

    async with rig.consuming():
        sending = asyncio.create_task(slow())
        await began.wait()
        await rig.ended(await rig.send("late number, early commit"))
        may_commit.set()
        await sending
        await until(lambda: len(rig.handled) == 2)


@promise
async def g2_a_handler_that_is_killed_gets_its_message_again(rig: Rig) -> None:
    identifier = await rig.send("work")
    begun = asyncio.Event()

    async def dies(delivery: Delivery) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with rig.consuming(dies, lease=LEASE, grace=timedelta(0)):
        await begun.wait()
        assert (await rig.show(identifier)).status == "leased", "it is not done before it is done"
    async with rig.consuming():
        await rig.ended(identifier)
    assert rig.handled == ["work"]


@promise
async def g2_effects_of_an_attempt_that_fails_are_not_there(rig: Rig) -> None:
    async def fails_at_first(delivery: Delivery) -> None:
        async with delivery.once() as tx:
            await take_effect(tx, delivery.data)
            if delivery.attempt == 1:
                raise Broken

    identifier = await rig.send("paid")
    async with rig.consuming(fails_at_first):
        (ended,) = await rig.ended(identifier)
    assert (ended.status, ended.attempt) == ("delivered", 2)
    assert await rig.effects() == ["paid"]


@promise
async def g2_a_message_that_comes_twice_has_its_effect_once(rig: Rig) -> None:
    identifier = await rig.send("paid")
    async with rig.consuming(rig.effect):
        await rig.ended(identifier)
        for age in (timedelta(0), timedelta(minutes=10), 5 * DAY):
            await rig.pass_time(age)
            await rig.deliver_again(identifier)
            await rig.outbox.wake({TOPIC})
            await rig.ended(identifier)
    assert await rig.effects() == ["paid"]


@promise
async def g2_a_key_counts_once_for_days(rig: Rig) -> None:
    keyed = message("paid", idempotency_key="invoice 7")
    async with rig.consuming(rig.effect):
        for age in (timedelta(0), timedelta(minutes=10), 5 * DAY):
            await rig.pass_time(age)
            await rig.tidy()
            (published,) = await rig.outbox.send(keyed)
            await rig.ended(published.id)
    assert await rig.effects() == ["paid"]


@promise
async def g2_what_a_handler_publishes_goes_out_with_its_effects(rig: Rig) -> None:
    async def passes_on(delivery: Delivery) -> None:
        async with delivery.once() as tx:
            next_one = message(delivery.data, topic="next").caused_by(delivery.envelope)
            await rig.outbox.publish(tx, next_one)
            if delivery.attempt == 1:
                raise Broken

    async with rig.consuming(passes_on), rig.consuming(topic="next"):
        await rig.ended(await rig.send("once"))
        await until(lambda: bool(rig.handled))
    assert rig.handled == ["once"]


@promise
async def g2_an_answer_goes_out_with_the_end_of_its_message_or_not_at_all(rig: Rig) -> None:
    async def answers(delivery: Delivery) -> Outcome:
        answer = message(delivery.data, topic="next").caused_by(delivery.envelope)
        return Done(await rig.outbox.prepared(answer))

    await rig.send("answered")
    zombie = await rig.claims_and_freezes()
    late = await rig.outbox.prepared(message("of a zombie", topic="next"))
    await rig.pass_time(timedelta(minutes=1))
    async with rig.consuming(answers), rig.consuming(topic="next"):
        await rig.ended(zombie.id)
        settled = Settled(zombie, End(status="delivered", sends=late))
        assert await rig.store.settle([settled]) == set()
        await until(lambda: bool(rig.handled))
        await rig.ended(await rig.send("last"))
        await until(lambda: len(rig.handled) == 2)
    assert rig.handled == ["answered", "last"]


@promise
async def g2_an_answer_that_cannot_be_stored_harms_no_other(rig: Rig) -> None:
    async def answers(delivery: Delivery) -> Outcome:
        gathered.append(delivery)
        await until(lambda: len(gathered) >= 4)  # so that they end together
        entity = "nobody" if delivery.data == "wrong" else None
        return Done(await rig.outbox.prepared(message(delivery.data, topic="next", entity=entity)))

    gathered: list[Delivery] = []
    sent = {each: await rig.send(each) for each in ("one", "wrong", "two", "three")}
    async with rig.consuming(answers), rig.consuming(topic="next"):
        ended = dict(zip(sent, await rig.ended(*sent.values()), strict=True))
        await until(lambda: len(rig.handled) == 3)
    assert {name for name, each in ended.items() if each.status == "dead"} == {"wrong"}
    assert "cannot be stored" in (ended["wrong"].reason or "")
    assert sorted(rig.handled) == ["one", "three", "two"]


# G3: order for a key, none across.


@promise
async def g3_messages_of_a_key_are_handled_in_order_one_at_a_time(rig: Rig) -> None:
    running: set[str] = set()

    async def handle(delivery: Delivery) -> None:
        key, number = str(delivery.data[0]), delivery.data[1]  # type: ignore[index]
        assert key not in running
        running.add(key)
        await asyncio.sleep(0)
        running.discard(key)
        rig.handled.append((key, number))

    sent = await rig.outbox.send(
        *(message([key, number], partition_key=key) for number in range(15) for key in "abc")
    )
    async with rig.consuming(handle), rig.consuming(handle):
        ended = await rig.ended(*(each.id for each in sent))
    assert {each.status for each in ended} == {"delivered"}
    for key in "abc":
        assert [number for of, number in rig.handled if of == key] == list(range(15))


@promise
async def g3_a_retry_holds_up_its_own_key_alone(rig: Rig) -> None:
    async def handle(delivery: Delivery) -> Outcome | None:
        if delivery.data == "a1" and delivery.attempt == 1:
            raise Broken
        if delivery.data == "a2" and "a2 snoozed" not in rig.handled:
            rig.handled.append("a2 snoozed")
            return Snoozed(100 * MILLISECOND)
        rig.handled.append(delivery.data)
        return None

    policy = replace(QUICK, base=300 * MILLISECOND, ceiling=DAY)
    sent = await rig.outbox.send(
        *(message(f"{key}{number}", partition_key=key) for number in (1, 2, 3) for key in "ab")
    )
    async with rig.consuming(handle, policy=policy):
        await rig.ended(*(each.id for each in sent))
    assert rig.handled[:3] == ["b1", "b2", "b3"], "the other key went on"
    assert rig.handled[3:] == ["a1", "a2 snoozed", "a2", "a3"]


@promise
async def g3_what_is_to_come_holds_nothing_up_before_it_is_due(rig: Rig) -> None:
    """A reminder for tomorrow is no reason to leave today's work."""
    later = await rig.send("tomorrow", partition_key="a", not_before=DAY)
    now = await rig.send("today", partition_key="a")
    async with rig.consuming():
        await rig.ended(now)
        assert (await rig.show(later)).status == "ready"
    await rig.pass_time(DAY)
    async with rig.consuming():
        await rig.ended(later)
    assert rig.handled == ["today", "tomorrow"]


@promise
async def g3_a_dead_message_lets_its_key_pass_or_holds_it_as_agreed(rig: Rig) -> None:
    async def handle(delivery: Delivery) -> None:
        if delivery.data in ("skip1", "pause1"):
            raise Rejected("of no use")
        rig.handled.append(delivery.data)

    for when_dead in ("skip", "pause"):
        first = await rig.send(f"{when_dead}1", partition_key=when_dead)
        second = await rig.send(f"{when_dead}2", partition_key=when_dead)
        other = await rig.send("other", partition_key="b")
        policy = replace(QUICK, when_dead=when_dead)
        async with rig.consuming(handle, policy=policy):
            await rig.ended(first, other)
            if when_dead == "skip":
                await rig.ended(second)
            else:
                assert (await rig.show(second)).status in ("ready", "waiting")
                await rig.discard(first)
                await rig.ended(second)
    assert sorted(rig.handled) == ["other", "other", "pause2", "skip2"]


# G4: every message ends in one way, with the reason.


@promise
async def g4_every_message_ends_in_one_way_with_its_reason(rig: Rig) -> None:
    async def handle(delivery: Delivery) -> Outcome | None:
        match delivery.data:
            case "fails":
                raise Broken("it does not work")
            case "is refused":
                raise Rejected("never")
            case "gives up":
                return Cancelled("nobody wants it")
            case "returns nonsense":
                return 7  # type: ignore[return-value]
            case _:
                return None

    wishes = [
        "works",
        "fails",
        "is refused",
        "gives up",
        "returns nonsense",
        "is late",
        "is stopped",
    ]
    sent = {each: await rig.send(each) for each in wishes[:5]}
    sent["is late"] = await rig.send("is late", expires=timedelta(0))
    sent["is stopped"] = await rig.send("is stopped", not_before=DAY)
    async with rig.database.transaction() as tx:
        stopped = await rig.outbox.cancel(tx, sent["is stopped"], reason="not needed any more")
        assert stopped == [sent["is stopped"]]
        assert await rig.outbox.cancel(tx, sent["is stopped"], reason="again") == []
    async with rig.consuming(handle):
        ended = dict(zip(sent, await rig.ended(*sent.values()), strict=True))
    assert {each: stored.status for each, stored in ended.items()} == {
        "works": "delivered",
        "fails": "dead",
        "is refused": "dead",
        "gives up": "cancelled",
        "returns nonsense": "dead",
        "is late": "expired",
        "is stopped": "cancelled",
    }
    assert ended["fails"].reason == "Broken: it does not work"
    assert ended["is refused"].reason == "Rejected: never"
    assert ended["gives up"].reason == "nobody wants it"
    assert "returned 7" in (ended["returns nonsense"].reason or "")
    assert ended["is late"].reason == "it was not handled in time"
    assert ended["is stopped"].reason == "not needed any more"
    assert [each.split("Z ")[1] for each in ended["fails"].errors] == [
        f"attempt {attempt}: Broken: it does not work" for attempt in (1, 2, 3)
    ]


@promise
async def g4_a_dead_letter_is_what_was_sent_and_can_be_put_back(rig: Rig) -> None:
    data = {"b": 1.50, "a": ["é", None, {"x": 1e100}], "n": 2**70}
    works = False

    async def handle(delivery: Delivery) -> None:
        if not works:
            raise Rejected("not yet")
        rig.handled.append(delivery.data)

    identifier = await rig.send(data)
    async with rig.consuming(handle):
        (ended,) = await rig.ended(identifier)
        assert ended.data == '{"b":1.5,"a":["é",null,{"x":1e+100}],"n":1180591620717411303424}'
        works = True
        await rig.requeue(identifier)
        (ended,) = await rig.ended(identifier)
    assert (ended.status, ended.attempt, len(ended.errors)) == ("delivered", 1, 1)
    assert rig.handled == [data]


@promise
async def g4_somebody_is_told_of_an_end_in_its_transaction(rig: Rig) -> None:
    told = 0

    async def tell(tx: Any, claimed: Claimed, end: End) -> None:
        nonlocal told
        await take_effect(tx, f"{claimed.envelope.data} {end.status}")
        told += 1
        if told == 1:
            raise Broken("whoever was to be told fails at first")

    async def handle(delivery: Delivery) -> None:
        if delivery.data != "works":
            raise Broken

    sent = [await rig.send(each) for each in ("works", "fails")]
    late = await rig.send("is late", expires=timedelta(0))
    async with rig.consuming(handle, ended=tell, policy=replace(QUICK, ceiling=20 * MILLISECOND)):
        await rig.ended(*sent, late)
    assert sorted(await rig.effects()) == ["fails dead", "is late expired"]


# G5: retries.


@promise
async def g5_a_failure_waits_longer_each_time(rig: Rig) -> None:
    tried: list[float] = []

    async def handle(delivery: Delivery) -> None:
        tried.append(time.monotonic())
        raise Broken

    base = timedelta(milliseconds=150)
    identifier = await rig.send()
    async with rig.consuming(handle, policy=replace(QUICK, base=base, ceiling=DAY)):
        (ended,) = await rig.ended(identifier)
    assert (ended.status, ended.attempt, len(tried)) == ("dead", 3, 3)
    first, second = tried[1] - tried[0], tried[2] - tried[1]
    assert first >= base.total_seconds()
    assert second >= 2 * base.total_seconds()


@promise
async def g5_waits_are_drawn_so_that_not_all_come_back_together(rig: Rig) -> None:
    draws = iter([0.9, 0.0, 0.5, 0.0, 0.0, 0.0])
    tried: list[Any] = []

    async def handle(delivery: Delivery) -> None:
        if delivery.attempt == 1:
            raise Broken
        tried.append(delivery.data)

    base = timedelta(milliseconds=500)
    sent = [await rig.send(each) for each in ("soon", "late", "between")]
    async with rig.consuming(
        handle,
        policy=replace(QUICK, base=base, ceiling=DAY),
        draw=lambda: next(draws),
        concurrency=1,
    ):
        await rig.ended(*sent)
    assert tried == ["soon", "between", "late"]


@promise
async def g5_whoever_refuses_is_left_alone_as_long_as_he_asks(rig: Rig) -> None:
    tried: list[float] = []

    async def handle(delivery: Delivery) -> None:
        tried.append(time.monotonic())
        if delivery.attempt == 1:
            raise Busy("too many requests")

    async with rig.consuming(handle):
        await rig.ended(await rig.send())
    assert tried[1] - tried[0] >= Busy.retry_after.total_seconds()


@promise
async def g5_a_snooze_costs_no_attempt(rig: Rig) -> None:
    attempts: list[int] = []

    async def handle(delivery: Delivery) -> Outcome | None:
        attempts.append(delivery.attempt)
        return Snoozed(MILLISECOND) if len(attempts) <= 5 else None

    async with rig.consuming(handle):
        (ended,) = await rig.ended(await rig.send())
    assert attempts == [1] * 6
    assert (ended.status, ended.errors) == ("delivered", [])


@promise
async def g5_a_handler_that_hangs_has_failed(rig: Rig) -> None:
    async def handle(delivery: Delivery) -> None:
        await asyncio.Event().wait()

    policy = replace(QUICK, max_attempts=2, timeout=30 * MILLISECOND)
    async with rig.consuming(handle, policy=policy):
        (ended,) = await rig.ended(await rig.send())
    assert (ended.status, ended.attempt) == ("dead", 2)
    assert "longer than" in (ended.reason or "")


@promise
async def g5_every_handler_has_its_own_time(rig: Rig) -> None:
    """Whoever begins while another hangs is stopped when his time is over, and no sooner."""
    ran: dict[Any, float] = {}

    async def handle(delivery: Delivery) -> None:
        began = time.monotonic()
        try:
            await asyncio.sleep(0.3 if delivery.data == "works" else 60)
        finally:
            ran[delivery.data] = time.monotonic() - began

    policy = replace(QUICK, max_attempts=1, timeout=400 * MILLISECOND)
    async with rig.consuming(handle, policy=policy):
        first = await rig.send("first")
        await asyncio.sleep(0.25)
        works, last = await rig.send("works"), await rig.send("last")
        ended = await rig.ended(first, works, last)
    assert [each.status for each in ended] == ["dead", "delivered", "dead"]
    assert (
        min(ran["first"], ran["last"]) >= 0.3
    )  # not much less than it may: it counts from the claim


# G6: leases and their fence.


@promise
async def g6_whoever_lost_the_lease_settles_nothing(rig: Rig) -> None:
    identifier = await rig.send("work")
    zombie = await rig.claims_and_freezes()
    await rig.pass_time(timedelta(minutes=1))
    async with rig.consuming(rig.effect):
        await rig.ended(identifier)
    assert await rig.settles(zombie) is False
    with pytest.raises((LeaseLost, HandledBefore)):
        async with rig.store.once(zombie) as tx:
            await take_effect(tx, "of a zombie")
    assert await rig.effects() == ["work"]


@promise
async def g6_a_zombie_cannot_settle_while_another_works(rig: Rig) -> None:
    await rig.send("work")
    zombie = await rig.claims_and_freezes()
    begun, finish = asyncio.Event(), asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        begun.set()
        await finish.wait()
        async with delivery.once() as tx:
            await take_effect(tx, "of the new one")

    await rig.pass_time(timedelta(minutes=1))
    async with rig.consuming(handle):
        await begun.wait()
        assert await rig.settles(zombie) is False
        with pytest.raises(LeaseLost):
            async with rig.store.once(zombie) as tx:
                await take_effect(tx, "of a zombie")
        assert (await rig.show(zombie.id)).status == "leased"
        finish.set()
        await rig.ended(zombie.id)
    assert await rig.effects() == ["of the new one"]


@promise
async def g6_a_lease_lasts_as_long_as_the_handler(rig: Rig) -> None:
    """Also while it computes without ever waiting, when nothing else runs in its event loop."""
    begun = []

    async def handle(delivery: Delivery) -> None:
        begun.append(delivery.attempt)
        until = time.monotonic() + 3 * LEASE.total_seconds()
        while time.monotonic() < until:
            sum(range(1000))
        async with delivery.once() as tx:
            await take_effect(tx, "slowly")

    identifier = await rig.send()
    async with rig.consuming(handle):
        (ended,) = await rig.ended(identifier)
    assert (ended.status, ended.attempt, begun) == ("delivered", 1, [1])
    assert await rig.effects() == ["slowly"]


@promise
async def g6_what_kills_its_process_again_and_again_is_set_aside(rig: Rig) -> None:
    poison = await rig.send("poison", partition_key="a")
    behind = await rig.send("behind", partition_key="a")

    async def noticed() -> bool:
        return (await rig.show(poison)).status != "leased"

    slow = replace(QUICK, base=DAY, ceiling=DAY, max_attempts=9, max_lapses=3)
    deaths = 0
    while (await rig.show(poison)).status == "ready":
        assert (await rig.claims_and_freezes()).id == poison
        deaths += 1
        await rig.pass_time(timedelta(minutes=1))
        async with rig.consuming(policy=slow):
            await until(noticed)
            assert deaths == 3 or rig.handled == []
        await rig.pass_time(2 * DAY)
    async with rig.consuming():
        await rig.ended(behind)
    (stored,) = await rig.ended(poison)
    assert (stored.status, deaths) == ("dead", 3)
    assert "died" in (stored.reason or "")
    assert rig.handled == ["behind"]


@promise
async def g6_a_consumer_that_is_never_idle_takes_over_as_well(rig: Rig) -> None:
    """Whoever always has something to claim looks for what a dead process has left, too."""
    await rig.send("left")
    left = await rig.claims_and_freezes()
    await rig.pass_time(timedelta(minutes=1))

    async def never_ends(delivery: Delivery) -> None:
        await rig.send("more")

    async with rig.consuming(never_ends, concurrency=2):
        await rig.outbox.send(*(message("more") for _ in range(20)))
        await rig.ended(left.id)


@promise
async def g6_a_cancelled_message_is_taken_from_its_handler(rig: Rig) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    identifier = await rig.send()
    async with rig.consuming(handle):
        await begun.wait()
        async with rig.database.transaction() as tx:
            assert await rig.outbox.cancel(tx, identifier, reason="too slow") == [identifier]
        await asyncio.wait_for(stopped.wait(), 5)
    assert (await rig.show(identifier)).status == "cancelled"


# G7: bounded everywhere.


@promise
async def g7_no_more_is_claimed_than_may_be_handled_at_once(rig: Rig) -> None:
    most, running, leased = 0, 0, 0

    async def handle(delivery: Delivery) -> None:
        nonlocal most, running, leased
        running += 1
        most = max(most, running)
        ((count,),) = await rig.sql("SELECT count(*) FROM message WHERE status = 'leased'")
        leased = max(leased, count)
        running -= 1

    sent = await rig.outbox.send(*(message() for _ in range(40)))
    async with rig.consuming(handle, concurrency=3):
        await rig.ended(*(each.id for each in sent))
    assert (most, leased) == (3, 3)


@promise
async def g7_a_topic_that_is_full_refuses_and_takes_again(rig: Rig) -> None:
    async with rig.narrow(most_due=10) as small:
        await small.outbox.send(*(message(number) for number in range(10)))
        with pytest.raises(TopicFull, match="10 messages are due on the topic 'work'"):
            await small.outbox.send(message("too much"))
        await small.outbox.send(message(topic="other"))
        async with small.consuming():
            await until(lambda: len(small.handled) == 10)
            await until(small.takes(message("again")))
            await until(lambda: len(small.handled) == 11)
    assert small.handled[-1] == "again"


# G8: expiry by the store's clock.


class Skewed:
    """A clock that is wrong."""

    def __init__(self, by: timedelta) -> None:
        self._by = by
        self.monotonic, self.sleep = SYSTEM_CLOCK.monotonic, SYSTEM_CLOCK.sleep

    def now(self) -> datetime:
        return SYSTEM_CLOCK.now() + self._by


@promise
async def g8_what_has_expired_is_never_handled(rig: Rig) -> None:
    late = await rig.send("late", expires=50 * MILLISECOND)
    absolute = await rig.send("absolute", expires=datetime(2020, 1, 1, tzinfo=UTC))
    fresh = await rig.send("fresh", expires=DAY)
    await rig.pass_time(timedelta(seconds=1))
    async with rig.consuming():
        ended = await rig.ended(late, absolute, fresh)
    assert [each.status for each in ended] == ["expired", "expired", "delivered"]
    assert rig.handled == ["fresh"]


@promise
async def g8_a_wrong_clock_on_one_machine_changes_nothing(rig: Rig) -> None:
    for hours in (-1, 1):
        clock = Skewed(timedelta(hours=hours))
        async with rig.narrow(clock=clock) as skewed:
            kept = await skewed.send("kept", expires=timedelta(minutes=5))
            soon = await skewed.send("soon", not_before=50 * MILLISECOND)
            later = await skewed.send("later", not_before=timedelta(minutes=5))

            async def fails_once(delivery: Delivery) -> None:
                if delivery.data == "soon" and delivery.attempt == 1:
                    raise Broken

            async with skewed.consuming(fails_once, clock=clock):
                ended = await skewed.ended(kept, soon)
            assert [each.status for each in ended] == ["delivered", "delivered"]
            assert (await skewed.show(later)).status == "ready"


@promise
async def g8_a_message_comes_when_it_is_due(rig: Rig) -> None:
    came: dict[Any, float] = {}

    async def handle(delivery: Delivery) -> None:
        came[delivery.data] = time.monotonic()

    async with rig.consuming(handle):
        await rig.ended(await rig.send("before, so that it listens"))
        sent = time.monotonic()
        await rig.ended(await rig.send("due", not_before=400 * MILLISECOND))
    assert 0.4 <= came["due"] - sent < 1.0


# G9: causes.


@promise
async def g9_every_message_says_what_caused_it(rig: Rig) -> None:
    seen: list[Delivery] = []

    async def ping(delivery: Delivery) -> None:
        seen.append(delivery)
        answer = message().caused_by(delivery.envelope)
        async with delivery.once() as tx:
            await rig.outbox.publish(tx, answer)

    async with rig.consuming(ping):
        first = await rig.send()
        await until(lambda: len(seen) == 17)

        async def refused() -> bool:
            return bool(await rig.sql("SELECT 1 FROM message WHERE status = 'dead'"))

        await until(refused)
    envelopes = [delivery.envelope for delivery in seen]
    assert {each.correlation_id for each in envelopes} == {str(first)}
    assert [each.causation_id for each in envelopes[1:]] == [str(e.id) for e in envelopes[:-1]]
    assert [each.hop_count for each in envelopes] == list(range(17))
    ((reason,),) = await rig.sql("SELECT reason FROM message WHERE status = 'dead'")
    assert reason.startswith(TooManyHops.__name__)


# Going away.


@promise
async def a_consumer_that_stops_finishes_what_it_has_begun(rig: Rig) -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        begun.set()
        await finish.wait()
        rig.handled.append(delivery.data)

    sent = await rig.outbox.send(*(message(number) for number in range(3)))
    async with rig.consuming(handle, concurrency=1):
        await begun.wait()
        asyncio.get_running_loop().call_later(0.1, finish.set)
    stored = [await rig.show(each.id) for each in sent]
    assert rig.handled == [0]
    assert [each.status for each in stored] == ["delivered", "ready", "ready"]


@promise
async def a_consumer_that_may_wait_no_longer_gives_back_what_it_has(rig: Rig) -> None:
    begun = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        begun.set()
        await asyncio.Event().wait()

    identifier = await rig.send("work")
    async with rig.consuming(handle, grace=50 * MILLISECOND):
        await begun.wait()
    stored = await rig.show(identifier)
    assert (stored.status, stored.attempt, stored.errors) == ("ready", 0, [])
    async with rig.consuming():
        await rig.ended(identifier)
    assert rig.handled == ["work"]


@promise
async def two_consumers_share_the_work(rig: Rig) -> None:
    by: dict[str, int] = {"one": 0, "other": 0}

    def counting(name: str) -> Callable[[Delivery], Awaitable[None]]:
        async def handle(delivery: Delivery) -> None:
            by[name] += 1
            await asyncio.sleep(0.005)

        return handle

    sent = await rig.outbox.send(*(message() for _ in range(60)))
    async with (
        rig.consuming(counting("one"), concurrency=2),
        rig.consuming(counting("other"), concurrency=2),
    ):
        await rig.ended(*(each.id for each in sent))
    assert sum(by.values()) == 60
    assert min(by.values()) >= 10
