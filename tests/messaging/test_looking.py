"""Where a consumer of many topics looks, how much it takes on, and what it takes over at once."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from tests.messaging.rig import QUICK, Rig, until

from higherself.kernel.tasks import in_background
from higherself.messaging.consumer import Consumer
from higherself.messaging.ports import Delivery, Subscription

pytestmark = pytest.mark.postgres


def topics(count: int, handler: Any, concurrency: int = 2) -> list[Subscription]:
    return [
        Subscription(topic=f"t{number}", handler=handler, concurrency=concurrency, policy=QUICK)
        for number in range(count)
    ]


async def test_it_looks_only_where_something_was_announced(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[set[str]] = []
    claim = rig.store.claim

    async def noted(free: Any, **more: Any) -> Any:
        looked.append(set(free))
        return await claim(free, **more)

    monkeypatch.setattr(rig.store, "claim", noted)
    consumer = Consumer(rig.store, *topics(50, rig.note))
    async with in_background(consumer.run()):
        await until(lambda: bool(looked))
        await asyncio.sleep(0.3)  # it listens, which opens every topic once
        looked.clear()
        await rig.send("x", topic="t7")
        await until(lambda: bool(rig.handled))
    assert rig.handled == ["x"]
    assert set().union(*looked) == {"t7"}


async def test_it_takes_on_no_more_than_it_is_to_work_on(rig: Rig) -> None:
    """Of all topics together; and every topic gets its turn."""
    most, running, done = 0, Counter[str](), []

    async def slow(delivery: Delivery) -> None:
        nonlocal most
        running[delivery.message.topic] += 1
        (held,) = await rig.sql("SELECT count(*) FROM message WHERE status = 'leased'")
        most = max(most, held[0], running.total())
        await asyncio.sleep(0.01)
        running[delivery.message.topic] -= 1
        done.append(delivery.message.topic)

    for number in range(30):
        await rig.send(number, topic=f"t{number % 6}")
    async with in_background(Consumer(rig.store, *topics(6, slow), at_once=3).run()):
        await until(lambda: len(done) == 30)
    assert most == 3
    assert set(done[:18]) == {f"t{number}" for number in range(6)}
