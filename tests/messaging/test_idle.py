"""A consumer with nothing to do leaves the server alone, and is there at once when there is."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.messaging.rig import Rig, message, until

from higherself.messaging.consumer import LEASE
from higherself.messaging.ports import Delivery

pytestmark = pytest.mark.postgres


def counted(store: Any, name: str, calls: Counter[str]) -> None:
    """Count how often the consumer calls a method of its store: each call is one commit."""
    method: Callable[..., Awaitable[Any]] = getattr(store, name)

    async def called(*arguments: Any, **options: Any) -> Any:
        calls[name] += 1
        return await method(*arguments, **options)

    setattr(store, name, called)


async def test_an_idle_consumer_commits_at_most_twice_a_second(rig: Rig) -> None:
    calls: Counter[str] = Counter()
    for name in ("claim", "claim_lapsed", "settle"):
        counted(rig.store, name, calls)
    await rig.send("not yet", not_before=timedelta(hours=1))
    async with rig.consuming(lease=LEASE):
        await until(lambda: calls["claim"] > 0)
        await asyncio.sleep(0.2)  # it looks once more when it hears that it listens
        calls.clear()
        await asyncio.sleep(2)
    assert calls.total() <= 4


async def test_what_is_due_comes_at_once(rig: Rig) -> None:
    """And what comes later, when it is due, also if that was not announced."""
    lags: list[float] = []
    due: dict[Any, float] = {}

    async def note(delivery: Delivery) -> None:
        lags.append(time.monotonic() - due[delivery.data])

    async with rig.consuming(note, lease=LEASE):
        await asyncio.sleep(0.3)
        for number in range(10):
            due[number] = time.monotonic()
            await rig.send(number)
            await until(lambda: len(lags) == number + 1)  # noqa: B023  it is awaited here
        assert sorted(lags)[5] < 0.1
        lags.clear()
        due["later"] = time.monotonic() + 0.5
        await rig.send("later", not_before=timedelta(seconds=0.5))
        await until(lambda: len(lags) == 1)
    assert 0 <= lags[0] < 1


async def test_what_nobody_announced_is_found_by_looking(rig: Rig) -> None:
    async with rig.consuming(lease=timedelta(seconds=1)):
        await asyncio.sleep(0.3)
        async with rig.database.transaction() as tx:
            await rig.outbox.publish(tx, message("unannounced"), wake=False)  # type: ignore[call-arg]
        await until(lambda: rig.handled == ["unannounced"])
