"""The road within a process: handlers that hang, stop, fall behind."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.messaging.rig import until
from tests.messaging.test_protocol import an_envelope

from higherself.messaging import memory
from higherself.messaging.envelope import Envelope
from higherself.messaging.memory import HearerStopped, MemoryRoad, Overloaded
from higherself.messaging.roads import NobodyHears, RequestTimedOut

SOON, MINUTE = timedelta(seconds=5), timedelta(minutes=1)
ASKED = an_envelope()


async def echo(envelope: Envelope) -> Envelope:
    return replace(envelope, type="answer")


async def test_a_request_is_answered_while_somebody_hears() -> None:
    road = MemoryRoad()
    async with road.hear("a", echo, group="a", patience=MINUTE):
        assert road.hears("a")
        assert (await road.request("a", ASKED, timeout=SOON)).type == "answer"
    assert not road.hears("a")
    for attempt in (road.request("a", ASKED, timeout=SOON), road.tell("a", ASKED)):
        with pytest.raises(NobodyHears, match="higherself worker"):
            await attempt


async def test_several_hearers_take_turns() -> None:
    road = MemoryRoad()
    heard: list[int] = []

    def hearer(number: int) -> Any:
        async def hear(envelope: Envelope) -> Envelope:
            heard.append(number)
            return envelope

        return hear

    async with AsyncExitStack() as stack:
        for number in range(3):
            hearing = road.hear("a", hearer(number), group="a", patience=MINUTE)
            await stack.enter_async_context(hearing)
        for _ in range(6):
            await road.request("a", ASKED, timeout=SOON)
    assert sorted(heard) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("awaited", "patience"), [(0.05, 60), (60, 0.05)])
async def test_a_handler_that_hangs_is_stopped(awaited: float, patience: float) -> None:
    stopped = asyncio.Event()

    async def hang(envelope: Envelope) -> Envelope:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return envelope

    road = MemoryRoad()
    async with road.hear("a", hang, group="a", patience=timedelta(seconds=patience)):
        with pytest.raises(RequestTimedOut):
            await road.request("a", ASKED, timeout=timedelta(seconds=awaited))
        assert stopped.is_set()


async def test_a_timeout_of_the_handlers_own_is_no_timeout_of_the_request() -> None:
    async def fail(envelope: Envelope) -> Envelope:
        raise TimeoutError("elsewhere")

    road = MemoryRoad()
    async with road.hear("a", fail, group="a", patience=MINUTE):
        with pytest.raises(TimeoutError, match="elsewhere"):
            await road.request("a", ASKED, timeout=SOON)


async def test_no_answer_is_told_as_such() -> None:
    async def silent(envelope: Envelope) -> None:
        return None

    road = MemoryRoad()
    async with road.hear("a", silent, group="a", patience=MINUTE):
        with pytest.raises(RequestTimedOut):
            await road.request("a", ASKED, timeout=SOON)


async def test_a_hearer_that_stops_finishes_or_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "PATIENCE", timedelta(milliseconds=50))
    begun = asyncio.Event()

    async def slow(envelope: Envelope) -> Envelope:
        begun.set()
        await asyncio.sleep(0.01 if envelope.subject == "quick" else 60)
        return envelope

    road = MemoryRoad()
    async with asyncio.TaskGroup() as group, road.hear("a", slow, group="a", patience=MINUTE):
        quick = group.create_task(
            road.request("a", replace(ASKED, subject="quick"), timeout=MINUTE)
        )
        hangs = group.create_task(stopped(road))
        await begun.wait()
        await asyncio.sleep(0)
    assert quick.result().subject == "quick"
    assert hangs.result()


async def stopped(road: MemoryRoad) -> bool:
    with pytest.raises(HearerStopped, match="ask again"):
        await road.request("a", ASKED, timeout=MINUTE)
    return True


async def test_what_is_told_goes_to_one_of_each_group() -> None:
    road = MemoryRoad()
    heard: list[str] = []

    def hearer(name: str) -> Any:
        async def hear(envelope: Envelope) -> None:
            heard.append(name)

        return hear

    async with AsyncExitStack() as stack:
        for name, group in (("a1", "a"), ("a2", "a"), ("b", "b")):
            hearing = road.hear("t", hearer(name), group=group, patience=MINUTE)
            await stack.enter_async_context(hearing)
        await road.tell("t", ASKED)
        await until(lambda: len(heard) == 2)
    assert {name[0] for name in heard} == {"a", "b"}


async def test_a_full_queue_pushes_back_and_nothing_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "PATIENCE", timedelta(milliseconds=50))
    go, heard = asyncio.Event(), 0

    async def slow(envelope: Envelope) -> None:
        nonlocal heard
        await go.wait()
        heard += 1

    road = MemoryRoad(most_waiting=5)
    async with road.hear("t", slow, group="t", patience=MINUTE):
        told = 0

        async def tell_and_tell() -> None:
            nonlocal told
            while True:
                await road.tell("t", ASKED)
                told += 1

        with pytest.raises(Overloaded, match="send less"):
            await tell_and_tell()
        assert told <= memory.AT_ONCE + 6
        go.set()
        await until(lambda: heard == told)


async def test_one_that_fails_does_not_stop_the_others() -> None:
    heard: list[str | None] = []

    async def picky(envelope: Envelope) -> None:
        if envelope.subject == "bad":
            raise ValueError("no")
        heard.append(envelope.subject)

    road = MemoryRoad()
    async with road.hear("t", picky, group="t", patience=MINUTE):
        for subject in ("bad", "good"):
            await road.tell("t", replace(ASKED, subject=subject))
        await until(lambda: heard == ["good"])


async def test_others_get_their_turn_while_one_asks_and_asks() -> None:
    road = MemoryRoad()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with road.hear("a", echo, group="a", patience=MINUTE):
        task = asyncio.ensure_future(other())
        loop = asyncio.get_running_loop()
        until_ = loop.time() + 0.05
        while loop.time() < until_:
            await road.request("a", ASKED, timeout=SOON)
        task.cancel()
    assert turns >= 10
