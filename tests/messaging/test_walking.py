"""Which road a message takes: scripted roads, a clock that stands still."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from higherself.db.errors import DatabaseReadOnly, DatabaseUnavailable
from higherself.kernel.errors import Unavailable
from higherself.messaging.errors import MessageMalformed, TopicFull
from higherself.messaging.roads import NobodyHears, RequestTimedOut
from higherself.messaging.walking import POLICY, NoRoad, Roads
from higherself.testing.clock import ManualClock

DOWN = DatabaseUnavailable("the database does not answer")
QUICK = timedelta(milliseconds=20)


class Scripted:
    """A road that does as it is told, and counts how often it is asked."""

    def __init__(self, name: str, error: Exception | None = None) -> None:
        self.name, self.error, self.hangs, self.asked = name, error, False, 0

    async def go(self) -> str:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return self.name

    async def check(self) -> str:
        return await self.go()


def roads(clock: ManualClock, *given: Scripted) -> Roads[Scripted]:
    return Roads(given, clock, lambda: 0.0, POLICY)


def walking(walked: Roads[Scripted], **more: str) -> Callable[[], Awaitable[tuple[str, str]]]:
    return lambda: walked.walk("a message", lambda road: road.go(), deadline=QUICK, **more)


async def test_the_preferred_road_is_taken_while_it_is_well() -> None:
    first, second = Scripted("first"), Scripted("second")
    walk = walking(roads(ManualClock(), first, second))
    assert await walk() == ("first", "first")
    assert second.asked == 0


@pytest.mark.parametrize("error", [DOWN, DatabaseReadOnly("it takes no writes")])
async def test_a_road_that_fails_is_left_alone_for_a_while_and_then_used_again(
    error: Exception,
) -> None:
    clock, first, second = ManualClock(), Scripted("first", error), Scripted("second")
    walk = walking(roads(clock, first, second))
    assert [await walk() for _ in range(5)] == [("second", "second")] * 5
    assert first.asked == 2, "then its circuit is open"
    clock.move(POLICY.pause)
    assert await walk() == ("second", "second")
    assert first.asked == 3, "one probe, which failed"
    assert await walk() == ("second", "second")
    assert first.asked == 3
    first.error = None
    clock.move(2 * POLICY.pause)
    assert await walk() == ("first", "first"), "the next probe finds it well"
    assert await walk() == ("first", "first")


async def test_a_road_that_hangs_is_left_after_its_deadline_and_not_waited_for_again() -> None:
    first, second = Scripted("first"), Scripted("second")
    first.hangs = True
    walk = walking(roads(ManualClock(), first, second))
    async with asyncio.timeout(5):
        assert [await walk() for _ in range(3)] == [("second", "second")] * 3
    assert first.asked == 1


async def test_no_more_than_one_message_is_the_probe() -> None:
    clock, first, second = ManualClock(), Scripted("first", DOWN), Scripted("second")
    walk = walking(roads(clock, first, second))
    await walk()
    await walk()
    clock.move(POLICY.pause)
    first.hangs, asked = True, first.asked
    await asyncio.gather(*(walk() for _ in range(10)))
    assert first.asked == asked + 1


@pytest.mark.parametrize(
    "error",
    [
        MessageMalformed("type", "it is empty"),
        TopicFull("work", None, 10),
        RequestTimedOut("ask", "agent:nyra", QUICK),
        ZeroDivisionError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_would_be_the_same_everywhere_is_no_reason_for_another_road(
    error: Exception,
) -> None:
    first, second = Scripted("first", error), Scripted("second")
    walked = roads(ManualClock(), first, second)
    for _ in range(5):
        with pytest.raises(type(error)):
            await walking(walked)()
    assert (first.asked, second.asked) == (5, 0), "and the road is well"


async def test_nobody_hearing_on_one_road_leads_to_the_next() -> None:
    first, second = Scripted("first", NobodyHears("a", "first")), Scripted("second")
    walked = roads(ManualClock(), first, second)
    assert [await walking(walked)() for _ in range(5)] == [("second", "second")] * 5
    assert first.asked == 5, "it is well"
    second.error = DOWN
    with pytest.raises(NobodyHears):
        await walking(walked)()


async def test_if_no_road_is_left_the_error_says_why_and_what_to_do() -> None:
    walked = roads(ManualClock(), Scripted("first", DOWN), Scripted("second", DOWN))
    with pytest.raises(
        NoRoad, match=r"first: the database does not answer; second.*HIGHERSELF_SPOOL=on"
    ):
        await walking(walked)()


async def test_the_only_road_there_is_is_asked_always() -> None:
    only = Scripted("only", DOWN)
    walk = walking(roads(ManualClock(), only))
    for _ in range(5):
        with pytest.raises(DatabaseUnavailable):
            await walk()
    only.error = None
    assert await walk() == ("only", "only")


async def test_one_road_may_come_before_the_preferred_one() -> None:
    walked = roads(ManualClock(), Scripted("first"), Scripted("second"))
    assert await walking(walked, first="second")() == ("second", "second")


async def test_health_says_what_went_wrong_and_when() -> None:
    clock, first, second = ManualClock(), Scripted("first", DOWN), Scripted("second")
    walked = roads(clock, first, second)
    for _ in range(2):
        await walking(walked)()
    bad, good = await walked.health("durable")
    assert (bad.state, bad.answers, bad.last_error, bad.failed_at) == (
        "open",
        False,
        str(DOWN),
        clock.now(),
    )
    assert (good.state, good.answers, good.checked) == ("closed", True, "second")


async def test_a_walk_that_is_cancelled_says_nothing_about_the_road() -> None:
    first = Scripted("first")
    first.hangs = True
    walked = roads(ManualClock(), first, Scripted("second"))
    task = asyncio.ensure_future(walked.walk("a message", lambda road: road.go(), deadline=None))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    first.hangs = False
    assert await walking(walked)() == ("first", "first")


def test_no_road_is_worth_trying_again() -> None:
    assert issubclass(NoRoad, Unavailable)
