"""What only a fault brings about, brought about by hand: each was found by a scenario or by reading."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from tests.workflow.engine.bench import Bench, opened

from higherself.db.errors import DatabaseUnavailable
from higherself.db.pool import Database, Transaction
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.workflow.engine.activities import ActivityCall
from higherself.workflow.engine.model import Write
from higherself.workflow.engine.servertime import ServerTime
from higherself.workflow.engine.writing import Writer

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

TWO = """
  first: {activity: {skill: slow}, transitions: {to: second}}
  second: {activity: {skill: slow}, transitions: {to: done}}
  done: {final: true}
"""
UNCLAIM = """
UPDATE higherself.message SET status = 'ready', lease = lease - 1, attempt = attempt - 1,
    holds = false, leased_by = NULL, leased_until = NULL
WHERE status = 'leased' RETURNING message_id
"""


async def test_a_claim_that_the_server_forgot_leaves_no_instance_without_a_message(
    bench: Bench,
) -> None:
    """Nobody waits for the commit of a claim. If a crash loses it, the next has the same number.

    Then two workers hold one lease. The one that comes second must not end the message, which by
    then may be that of the other's next activity.
    """
    seconds = {"first": [0.3, 0.6], "second": [1.0, 0.01]}
    begun = asyncio.Event()

    async def slow(call: ActivityCall) -> None:
        begun.set()
        waits = seconds["first" if "/first/" in call.key else "second"]
        await asyncio.sleep(waits.pop(0) if waits else 0.01)

    bench.skills.functions["slow"] = slow
    await bench.define(TWO)
    instance = await bench.start()
    async with bench.working(workers=2, concurrency=1):
        await begun.wait()
        assert len(await bench.asked(UNCLAIM)) == 1
        await bench.until(instance, status="completed")
    assert len(await bench.history(instance)) == 3
    keys = [call.key for call in bench.skills.calls]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 2


class Failing(Writer):
    """Finds a step that cannot be stored with others, and loses the connection on the way."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.errors: list[psycopg.Error] = [
            psycopg.errors.DeadlockDetected("deadlock"),
            psycopg.OperationalError("gone"),
        ]

    async def _written(self, tx: Transaction, writes: Sequence[Write]) -> set[int]:
        raise self.errors.pop(0)


async def test_whoever_waits_for_a_step_hears_that_the_connection_is_lost(bench: Bench) -> None:
    await bench.define("  a: {on: {go: {to: done}}}\n  done: {final: true}\n")
    writes: list[Write] = []
    taken = Writer.store

    async def note(self: Writer, write: Write) -> bool:
        writes.append(write)
        return await taken(self, write)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "store", note)
        for _ in range(3):
            await bench.start()
    writer = Failing(bench.database)
    stores = [asyncio.create_task(writer.store(write)) for write in writes]
    running = asyncio.create_task(writer.run())
    async with asyncio.timeout(5):
        results = await asyncio.gather(*stores, return_exceptions=True)
    running.cancel()
    assert [type(each) for each in results] == [DatabaseUnavailable] * 3


class WrongClock:
    """A clock that was set wrongly."""

    def __init__(self, wrong: timedelta) -> None:
        self.wrong = wrong

    def now(self) -> datetime:
        return SYSTEM_CLOCK.now() + self.wrong

    def monotonic(self) -> float:
        return SYSTEM_CLOCK.monotonic()

    async def sleep(self, wait: timedelta) -> None:
        await SYSTEM_CLOCK.sleep(wait)


async def test_the_time_is_that_of_the_server_however_often_our_clock_jumps(
    database: Database,
) -> None:
    clock = WrongClock(timedelta(0))
    time = ServerTime(database, clock)
    for hours in (0, 3, -30, 0):
        clock.wrong = timedelta(hours=hours)
        assert abs(await time.now() - datetime.now(UTC)) < timedelta(seconds=0.5)


@pytest.mark.parametrize("hours", [-5, 5])
async def test_timers_and_retries_come_in_time_by_a_clock_that_is_wrong(
    database_url: str, database: Database, hours: int
) -> None:
    async with opened(database_url, database, clock=WrongClock(timedelta(hours=hours))) as bench:
        bench.skills.functions["flaky"] = _fails_once
        await bench.define("""
  waiting: {after: {300ms: {to: trying}}}
  trying: {activity: {skill: flaky, retry: {backoff: 300ms}}, transitions: {to: done}}
  done: {final: true}
""")
        instance = await bench.start()
        async with bench.working():
            done = await bench.until(instance, status="completed", patience=5)
        started, late, *_ = await bench.history(instance)
    assert late.at - started.at >= timedelta(milliseconds=300)
    assert abs(done.updated_at - datetime.now(UTC)) < timedelta(seconds=10)


def _fails_once(call: ActivityCall) -> None:
    if call.attempt == 1:
        raise RuntimeError("not yet")
