import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from higherself.db import notifications
from higherself.db.inspection import inspect
from higherself.db.notifications import Notifications, Subscription
from higherself.kernel import telemetry
from higherself.kernel.clock import SYSTEM_CLOCK

Pooler = Callable[[str, str], str]

pytestmark = pytest.mark.postgres


@pytest.fixture
async def hub(worker_database: str) -> AsyncIterator[Notifications]:
    async with running(worker_database) as hub:
        yield hub


@pytest.fixture
async def sender(worker_database: str) -> AsyncIterator[psycopg.AsyncConnection]:
    connection = await psycopg.AsyncConnection.connect(worker_database, autocommit=True)
    async with connection:
        yield connection


@asynccontextmanager
async def running(url: str) -> AsyncIterator[Notifications]:
    """A hub whose `run` runs; it ends at once when it is cancelled."""
    hub = Notifications(url, await inspect(url), SYSTEM_CLOCK)
    task = asyncio.create_task(hub.run())
    try:
        yield hub
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 2)


async def heard(subscription: Subscription) -> bool:
    """Whether a hint arrives, long before anybody would look anyway."""
    try:
        return await asyncio.wait_for(subscription.wait(), 0.3)
    except TimeoutError:
        return False


async def listened(subscription: Subscription) -> None:
    """Wait until LISTEN has taken effect, of which the subscriber is told."""
    assert await asyncio.wait_for(subscription.wait(), 5)


async def test_a_hint_arrives_within_milliseconds(
    hub: Notifications, sender: psycopg.AsyncConnection
) -> None:
    with hub.subscribe("news") as subscription:
        await listened(subscription)
        waits = []
        for _ in range(20):
            waiting = asyncio.create_task(subscription.wait())
            await asyncio.sleep(0)
            started = time.perf_counter()
            await sender.execute("NOTIFY news")
            assert await waiting
            waits.append(time.perf_counter() - started)
    assert min(waits) < 0.005
    assert sorted(waits)[10] < 0.05


async def test_a_hint_that_comes_while_nobody_waits_is_kept(
    hub: Notifications, sender: psycopg.AsyncConnection
) -> None:
    with hub.subscribe("news") as subscription:
        await listened(subscription)
        await sender.execute("NOTIFY news")
        await asyncio.sleep(0.05)
        assert await heard(subscription)
        assert not await heard(subscription), "it counts once"


async def test_subscribers_share_one_connection_and_hear_their_own_channel(
    hub: Notifications, sender: psycopg.AsyncConnection, worker_database: str
) -> None:
    with (
        hub.subscribe("news") as one,
        hub.subscribe("news") as another,
        hub.subscribe("weather") as third,
    ):
        for subscription in (one, another, third):
            await listened(subscription)
        assert len(await listeners(sender)) == 1
        await sender.execute("NOTIFY news")
        assert [await heard(each) for each in (one, another)] == [True, True]
        await sender.execute("NOTIFY weather")
        assert await heard(third)
        assert not await heard(one)


async def test_who_comes_later_looks_once_and_hears_from_then_on(
    hub: Notifications, sender: psycopg.AsyncConnection
) -> None:
    with hub.subscribe("news") as early:
        await listened(early)
        with hub.subscribe("weather") as late:
            await listened(late)
            await sender.execute("NOTIFY weather")
            assert await heard(late)
            assert not await heard(early)
        await sender.execute("NOTIFY news")
        assert await heard(early), "that another has left changes nothing"


async def test_the_last_to_leave_a_channel_ends_the_listening(
    hub: Notifications, sender: psycopg.AsyncConnection
) -> None:
    with hub.subscribe("news") as stays:
        with hub.subscribe("weather") as one, hub.subscribe("weather") as another:
            for subscription in (stays, one, another):
                await listened(subscription)
        until = time.monotonic() + 5
        while await last_statements(sender) != ['UNLISTEN "weather"']:
            assert time.monotonic() < until, "it still listens"
            await asyncio.sleep(0.01)
        await sender.execute("NOTIFY news")
        assert await heard(stays)


async def test_nothing_is_lost_while_others_come_and_go(
    hub: Notifications, sender: psycopg.AsyncConnection
) -> None:
    """Subscribing interrupts the receiving; what arrives then must not be dropped."""
    done = asyncio.Event()

    async def come_and_go() -> None:
        while not done.is_set():
            with hub.subscribe("passers_by"):
                await asyncio.sleep(0.0005)
            await asyncio.sleep(0)

    with hub.subscribe("news") as subscription:
        await listened(subscription)
        passing = asyncio.create_task(come_and_go())
        for number in range(200):
            await sender.execute("NOTIFY news")
            assert await asyncio.wait_for(subscription.wait(), 2), f"hint {number} was lost"
        done.set()
        await passing


@pytest.mark.parametrize("times", [1, 3])
async def test_a_lost_connection_is_made_again_and_everybody_is_woken(
    hub: Notifications,
    sender: psycopg.AsyncConnection,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
) -> None:
    monkeypatch.setattr(notifications, "RECONNECT_BASE", timedelta(milliseconds=20))
    lost = Lost()
    monkeypatch.setattr(telemetry, "_sink", lost)
    with hub.subscribe("news") as one, hub.subscribe("weather") as another:
        await listened(one)
        await listened(another)
        for _ in range(times):
            (pid,) = await listeners(sender)
            await sender.execute("SELECT pg_terminate_backend(%s)", [pid])
            await listened(one)
            await listened(another)
        await sender.execute("NOTIFY news")
        assert await heard(one)
        await sender.execute("NOTIFY weather")
        assert await heard(another)
    assert len(lost.reasons) == times
    assert all("closed the connection" in reason for reason in lost.reasons)


async def test_the_wait_before_the_next_try_grows_only_while_it_fails(
    worker_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that worked for a week and breaks is made again at once."""
    clock = ImpatientClock(breaks_after=4)
    hub = Notifications(worker_database, await inspect(worker_database), clock)
    outcomes = iter(["refused", "refused", "worked", "refused", "stop"])

    async def listen() -> None:
        outcome = next(outcomes)
        hub._connected = outcome == "worked"
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr(hub, "_listen", listen)
    with pytest.raises(Enough):
        await hub.run()
    base = notifications.RECONNECT_BASE
    assert clock.waits == [base, 2 * base, base, 2 * base]


async def test_where_listen_does_not_work_everybody_polls(
    worker_database: str, pooler: Pooler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "POLL", timedelta(milliseconds=50))
    async with running(pooler(worker_database, "transaction")) as hub:
        with hub.subscribe("news") as subscription:
            started = time.perf_counter()
            looks = [await subscription.wait() for _ in range(3)]
    assert looks == [False] * 3
    assert 0.14 < time.perf_counter() - started < 2


async def test_behind_a_session_pooler_it_listens(
    worker_database: str, pooler: Pooler, sender: psycopg.AsyncConnection
) -> None:
    async with running(pooler(worker_database, "session")) as hub:
        with hub.subscribe("news") as subscription:
            await listened(subscription)
            await sender.execute("NOTIFY news")
            assert await heard(subscription)


async def test_without_a_connection_everybody_polls_until_there_is_one(
    worker_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "POLL", timedelta(milliseconds=20))
    monkeypatch.setattr(notifications, "RECONNECT_BASE", timedelta(milliseconds=20))
    found = await inspect(worker_database)
    hub = Notifications("postgresql://me:k@127.0.0.1:1/nowhere", found, SYSTEM_CLOCK)
    task = asyncio.create_task(hub.run())
    with hub.subscribe("news") as subscription:
        assert await subscription.wait() is False
        hub._url = worker_database
        while not await subscription.wait():
            pass
        assert hub.patience == notifications.RELAXED_POLL
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_before_it_runs_a_subscriber_polls(worker_database: str) -> None:
    hub = Notifications(worker_database, await inspect(worker_database), SYSTEM_CLOCK)
    assert hub.patience == notifications.POLL


async def test_cancelling_leaves_no_connection_behind(
    worker_database: str, sender: psycopg.AsyncConnection
) -> None:
    async with running(worker_database) as hub:
        with hub.subscribe("news") as subscription:
            await listened(subscription)
            assert len(await listeners(sender)) == 1
    until = time.monotonic() + 5
    while await listeners(sender):
        assert time.monotonic() < until, "the connection is still there"
        await asyncio.sleep(0.01)


async def listeners(sender: psycopg.AsyncConnection) -> list[int]:
    """The server processes of connections whose last statement was LISTEN or UNLISTEN."""
    return [pid for pid, _ in await _listeners(sender)]


async def last_statements(sender: psycopg.AsyncConnection) -> list[str]:
    return [statement for _, statement in await _listeners(sender)]


async def _listeners(sender: psycopg.AsyncConnection) -> list[tuple[int, str]]:
    cursor = await sender.execute(
        "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() "
        "AND query ~ '^(UN)?LISTEN'"
    )
    return await cursor.fetchall()


class Enough(Exception):
    pass


class ImpatientClock:
    """Notes how long somebody wanted to sleep, and ends it all after some times."""

    def __init__(self, breaks_after: int) -> None:
        self.waits: list[timedelta] = []
        self._breaks_after = breaks_after
        self.now, self.monotonic = SYSTEM_CLOCK.now, SYSTEM_CLOCK.monotonic

    async def sleep(self, wait: timedelta) -> None:
        self.waits.append(wait)
        if len(self.waits) == self._breaks_after:
            raise Enough


class Lost:
    """Collects the reasons for which a connection was lost."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def event(self, level: str, name: str, facts: dict[str, Any]) -> None:
        if name == "db.notifications.lost":
            self.reasons.append(facts["reason"])

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None: ...
    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None: ...
    def duration(self, name: str, seconds: float, labels: dict[str, str]) -> None: ...
