"""What one more lapse would end is handled alone: what only stood beside a killer is not taken for one."""

import asyncio
from datetime import timedelta

import pytest
from tests.messaging.rig import TOPIC, Rig, until

from higherself.messaging.ports import Delivery

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


async def lapsed(rig: Rig, *numbers: int, times: int = 2) -> None:
    """Have messages lapse so often, as if the processes that had them had died."""
    await rig.sql(
        "UPDATE message SET lapses = %s, attempt = %s WHERE (data::text)::int = ANY(%s)",
        times, times, list(numbers),
    )  # fmt: skip


async def test_a_suspect_has_nothing_beside_it(rig: Rig) -> None:
    sent = [await rig.send(n) for n in range(8)]
    await lapsed(rig, 2, 3)
    await lapsed(rig, 5, times=1)
    in_hand: set[int] = set()
    beside: dict[int, set[int]] = {}

    async def handle(delivery: Delivery) -> None:
        number = int(str(delivery.data))
        in_hand.add(number)
        for each in in_hand:
            beside[each] = beside.get(each, set()) | in_hand
        await asyncio.sleep(0.05)
        in_hand.remove(number)

    async with rig.consuming(handle):
        ended = await rig.ended(*sent)
    assert [each.status for each in ended] == ["delivered"] * 8
    assert [beside[number] for number in (2, 3)] == [{2}, {3}]
    assert len(beside[5]) > 1, "once is nobody's fault"
    assert [each.attempt for each in ended][2:4] == [3, 3], "to wait for its turn is no attempt"


async def test_a_suspect_that_waits_for_its_turn_is_given_back_when_the_consumer_stops(
    rig: Rig,
) -> None:
    slow, suspect = await rig.send(0), await rig.send(1)
    await lapsed(rig, 1)
    begun: list[object] = []

    async def handle(delivery: Delivery) -> None:
        begun.append(delivery.data)
        await asyncio.Event().wait()

    async def leased() -> bool:
        return bool(await rig.sql(f"SELECT count(*) FROM message WHERE topic = '{TOPIC}' AND status = 'leased'") == [(2,)])  # fmt: skip

    async with rig.consuming(handle, grace=timedelta(0)):
        await until(leased)
        await until(lambda: begun == [0])
    found = [await rig.show(each) for each in (slow, suspect)]
    assert [(each.status, each.attempt) for each in found] == [("ready", 0), ("ready", 2)]
    assert begun == [0]
