"""Answers that come as messages: handed over at once, noted together, each once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.messaging.bus_rig import SOON, bus_on
from tests.messaging.rig import Rig, until

from higherself.db.pool import Database
from higherself.messaging.bus import Bus
from higherself.messaging.ports import Delivery
from higherself.messaging.postgres import PostgresMessages

pytestmark = pytest.mark.postgres

LARGE = "x" * 9000
"""More than a notification may hold."""

ENDS = "SELECT status, reason FROM message WHERE topic LIKE 'reply.%%' ORDER BY sequence"


async def echo(delivery: Delivery) -> Any:
    return delivery.data


@asynccontextmanager
async def asking(url: str, database: Database, answer: Any = echo) -> AsyncIterator[Bus]:
    async with (
        bus_on(url, database) as bus,
        bus_on(url, database) as other,
        other.consuming(other.serving("topic:echo", answer, concurrency=64), direct=False),
    ):
        yield bus


async def ask(bus: Bus, data: Any) -> Any:
    return (await bus.request("topic:echo", "ask", data, timeout=SOON, durable=True)).data


async def test_an_answer_comes_with_the_notification(
    messages_url: str, database: Database, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what was there before anybody listened, and what is too large, is read."""
    read: list[int] = []
    answers = PostgresMessages.answers

    async def counted(self: PostgresMessages, *arguments: Any) -> Any:
        found = await answers(self, *arguments)
        read.append(len(found))
        return found

    monkeypatch.setattr(PostgresMessages, "answers", counted)
    async with asking(messages_url, database) as bus:
        await ask(bus, 0)
        for number in range(10):
            assert await ask(bus, {"number": number, "text": "né"}) == {
                "number": number,
                "text": "né",
            }
        begun = len(read)
        assert begun <= 2  # at the start, and once more when it is being listened
        assert await ask(bus, LARGE) == LARGE
        assert sum(read[begun:]) == 1

        async def noted() -> bool:
            return all(status == "delivered" for status, _ in await rig.sql(ENDS))

        await until(noted)
    assert len(await rig.sql(ENDS)) == 12


async def test_many_answers_are_noted_together(
    messages_url: str, database: Database, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[int] = []
    settle = PostgresMessages.settle

    async def counted(self: PostgresMessages, given: Any, **more: Any) -> Any:
        replies = [each for each in given if each.message.topic.startswith("reply.")]
        settled.extend([len(replies)] if replies else [])
        return await settle(self, given, **more)

    monkeypatch.setattr(PostgresMessages, "settle", counted)
    async with asking(messages_url, database) as bus:
        assert await asyncio.gather(*(ask(bus, each) for each in range(50))) == list(range(50))

        async def noted() -> bool:
            return {status for status, _ in await rig.sql(ENDS)} == {"delivered"}

        await until(noted)
    assert sum(settled) == 50
    assert len(settled) < 25
    assert {status for status, _ in await rig.sql(ENDS)} == {"delivered"}


async def test_an_answer_that_nobody_waits_for_ends_and_says_so(
    messages_url: str, database: Database, rig: Rig
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(delivery: Delivery) -> Any:
        begun.set()
        await go_on.wait()
        return "late"

    async with asking(messages_url, database, slow) as bus:
        task = asyncio.create_task(ask(bus, 1))
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        go_on.set()

        async def ended() -> bool:
            found = await rig.sql(ENDS)
            return bool(found) and found[0][0] != "ready"

        await until(ended)
    assert await rig.sql(ENDS) == [("cancelled", "nobody waited for this answer any more")]


async def test_answers_come_though_listening_was_cut(
    messages_url: str, database: Database, rig: Rig
) -> None:
    """What was told while nobody listened is read when the connection is there again."""
    go_on = asyncio.Event()

    async def slow(delivery: Delivery) -> Any:
        await go_on.wait()
        return delivery.data

    async with asking(messages_url, database, slow) as bus:
        task = asyncio.create_task(ask(bus, 7))

        async def is_asked() -> bool:
            return bool(await rig.sql("SELECT 1 FROM message WHERE topic = 'echo'"))

        await until(is_asked)
        await rig.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN %%reply.%%'"
        )
        go_on.set()
        assert await task == 7


async def test_answers_to_several_processes_wake_all_of_them(
    messages_url: str, database: Database
) -> None:
    """Though they are stored, and told of, in one commit."""
    all_asked, asked = asyncio.Event(), []

    async def together(delivery: Delivery) -> Any:
        asked.append(delivery.data)
        if len(asked) == 9:
            all_asked.set()
        await all_asked.wait()
        return delivery.data

    async with (
        asking(messages_url, database, together) as bus,
        bus_on(messages_url, database) as second,
        bus_on(messages_url, database) as third,
    ):
        numbers = range(9)
        works = [ask((bus, second, third)[number % 3], number) for number in numbers]
        async with asyncio.timeout(8):  # half the time after which everybody looks anyway
            assert await asyncio.gather(*works) == list(numbers)
