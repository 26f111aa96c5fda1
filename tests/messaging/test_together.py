"""Sends that come at the same time share a statement, and nothing else."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.messaging.rig import Rig, message, until

from higherself.db.errors import WriteCollided
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Unavailable
from higherself.kernel.ids import new_id
from higherself.kernel.tasks import in_background
from higherself.messaging.envelope import MessageId
from higherself.messaging.errors import ChannelClosed
from higherself.messaging.model import Done, Prepared
from higherself.messaging.ports import Delivery
from higherself.messaging.postgres import open_channel
from higherself.messaging.together import (
    AT_ONCE,
    CHARACTERS_AT_ONCE,
    Rows,
    Together,
    batches,
    which_are_new,
)

SLOW = timedelta(minutes=1)
"""With such a lease, nobody looks by himself as long as a test takes."""


def parcel(*rows: str) -> Prepared:
    return Prepared(tuple(MessageId(new_id(SYSTEM_CLOCK.now())) for _ in rows), rows)


class Stored:
    """Takes rows, and keeps them by statement. What is in ``refused`` cannot be stored."""

    def __init__(self) -> None:
        self.statements: list[list[str]] = []
        self.goes_on = asyncio.Event()
        self.refused: dict[str, Exception] = {}
        self.goes_on.set()

    async def __call__(self, rows: Rows) -> set[MessageId]:
        self.statements.append(list(rows))
        await self.goes_on.wait()
        for row in rows:
            if row in self.refused:
                raise self.refused[row]
        return set()


async def test_what_comes_while_one_is_stored_goes_together() -> None:
    stored = Stored()
    stored.goes_on.clear()
    together = Together(stored, SYSTEM_CLOCK)
    async with in_background(together.run()), asyncio.TaskGroup() as group:
        group.create_task(together.send(parcel("first")))
        await until(lambda: bool(stored.statements))
        for number in range(9):
            group.create_task(together.send(parcel(f"{number}a", f"{number}b")))
        await asyncio.sleep(0.01)
        stored.goes_on.set()
    later = [f"{number}{half}" for number in range(9) for half in "ab"]
    assert stored.statements == [["first"], later]


async def test_what_cannot_be_stored_harms_no_other() -> None:
    stored = Stored()
    stored.refused["wrong"] = WriteCollided("of no business")
    together = Together(stored, SYSTEM_CLOCK)
    async with in_background(together.run()):
        found = await asyncio.gather(
            *(together.send(parcel(each)) for each in ("a", "wrong", "b")), return_exceptions=True
        )
    assert isinstance(found[1], WriteCollided)
    assert not any(isinstance(each, Exception) for each in (found[0], found[2]))
    assert stored.statements == [["a", "wrong", "b"], ["a"], ["wrong"], ["b"]]


async def test_where_nothing_answers_everybody_hears_so() -> None:
    """Nobody knows what is stored, and nothing is sent a second time by us."""
    stored = Stored()
    stored.refused["b"] = Unavailable("gone")
    together = Together(stored, SYSTEM_CLOCK)
    async with in_background(together.run()):
        found = await asyncio.gather(
            *(together.send(parcel(each)) for each in "abc"), return_exceptions=True
        )
        assert [type(each) for each in found] == [Unavailable] * 3
        assert stored.statements == [["a", "b", "c"]]
        assert len(await together.send(parcel("d"))) == 1


async def test_whoever_gives_up_before_it_is_stored_sends_nothing() -> None:
    stored = Stored()
    stored.goes_on.clear()
    together = Together(stored, SYSTEM_CLOCK)
    async with in_background(together.run()), asyncio.TaskGroup() as group:
        group.create_task(together.send(parcel("first")))
        await until(lambda: bool(stored.statements))
        gives_up = group.create_task(together.send(parcel("given up")))
        group.create_task(together.send(parcel("kept")))
        await asyncio.sleep(0.01)
        gives_up.cancel()
        await asyncio.sleep(0)
        stored.goes_on.set()
    assert stored.statements == [["first"], ["kept"]]


async def test_a_channel_that_closes_tells_who_waits() -> None:
    stored = Stored()
    stored.goes_on.clear()
    together = Together(stored, SYSTEM_CLOCK)
    async with in_background(together.run()):
        sending = asyncio.gather(
            *(together.send(parcel(each)) for each in "ab"), return_exceptions=True
        )
        await until(lambda: bool(stored.statements))
    assert [type(each) for each in await sending] == [ChannelClosed] * 2
    with pytest.raises(ChannelClosed):
        await together.send(parcel("too late"))


@given(st.lists(st.integers(1, 3 * CHARACTERS_AT_ONCE // 2), max_size=20), st.integers(1, 700))
def test_batches_keep_all_and_the_order(sizes: list[int], small: int) -> None:
    class Row(str):
        __slots__ = ("size",)

        def __len__(self) -> int:
            return getattr(self, "size", 1)

    rows: list[Any] = [Row(number) for number in range(len(sizes) + small)]
    for row, size in zip(rows, sizes, strict=False):
        row.size = size
    found = list(batches(rows))
    assert [row for batch in found for row in batch] == rows
    for batch in found:
        assert len(batch) <= AT_ONCE
        assert len(batch) == 1 or sum(map(len, batch)) <= CHARACTERS_AT_ONCE


def test_the_second_of_two_with_one_key_is_not_new() -> None:
    (one, other) = parcel("one", "other").ids
    found = which_are_new([one, one, other], {one})
    assert [each.is_new for each in found] == [True, False, False]


@pytest.mark.postgres
async def test_many_senders_need_few_commits(rig: Rig) -> None:
    """And each hears of its own message only."""
    count = "SELECT count(DISTINCT xmin::text) FROM message"
    async with open_channel(rig.url, rig.database) as channel:
        sent = await asyncio.gather(*(channel.outbox.send(message(n)) for n in range(200)))
        ids = [published.id for (published,) in sent]
        assert all(published.is_new for (published,) in sent)
        ((commits,),) = await rig.sql(count)
        stored = await rig.sql("SELECT message_id, data::text FROM message ORDER BY sequence")
    assert commits <= 20
    assert stored == [(identifier, str(n)) for n, identifier in enumerate(ids)]


@pytest.mark.postgres
async def test_a_business_that_is_unknown_stops_only_its_own_message(rig: Rig) -> None:
    found = await asyncio.gather(
        rig.outbox.send(message("a")),
        rig.outbox.send(message("b", entity="nobody")),
        rig.outbox.send(message("c")),
        return_exceptions=True,
    )
    assert isinstance(found[1], WriteCollided)
    assert await rig.sql("SELECT data::text FROM message ORDER BY sequence") == [('"a"',), ('"c"',)]


@pytest.mark.postgres
async def test_a_send_waits_for_no_other_commit_that_wakes_somebody(rig: Rig) -> None:
    """And its consumers are woken nevertheless."""
    async with rig.consuming(lease=SLOW), rig.database.transaction() as tx:
        await rig.ended(await rig.send("before, so that it listens"))
        await tx.connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('higherself.message.wake', 0))"
        )
        async with asyncio.timeout(5):
            await rig.send("while another wakes")
            await until(lambda: len(rig.handled) == 2)


@pytest.mark.postgres
async def test_an_answer_waits_for_no_other_either(rig: Rig) -> None:
    async def answers(delivery: Delivery) -> Done:
        return Done(await rig.outbox.prepared(message(delivery.data, topic="next")))

    async with (
        rig.consuming(answers, lease=SLOW),
        rig.consuming(topic="next", lease=SLOW),
        rig.database.transaction() as tx,
    ):
        await rig.ended(await rig.send("before, so that it listens"))
        await tx.connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('higherself.message.wake', 0))"
        )
        async with asyncio.timeout(5):
            await rig.send("while another wakes")
            await until(lambda: len(rig.handled) == 2)
