"""Workers that are killed anywhere: every collaboration ends, and every agent has acted once."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.services.collaborating_worker import NAMES
from tests.services.network import network_on, until

from higherself.db.pool import Database

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

INSTANCES, KILLS = 12, 4
WORKER = Path(__file__).with_name("collaborating_worker.py")
STATES = """
  team:
    collaborate:
      pattern: chain
      steps: [{name: ana, task: t1}, {name: bo, task: t2}, {name: cy, task: t3}]
      save: got
      timeout: 60s
      retry: {attempts: 1}
    transitions: {to: done}
  done: {final: true}
"""


@asynccontextmanager
async def worker(url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(WORKER), url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_nothing_is_lost_or_done_twice_however_often_workers_are_killed(
    database_url: str, database: Database
) -> None:
    draw = random.Random(4)
    async with network_on(database_url, database) as network:
        bench = network.bench
        await bench.asked("CREATE SCHEMA test")
        try:
            await bench.asked("CREATE TABLE test.done (collaboration uuid, agent text)")
            await bench.define(STATES)
            started = [await bench.start() for _ in range(INSTANCES)]

            async def all_done() -> bool:
                rows = await bench.asked(
                    "SELECT count(*) FROM higherself.workflow_instance WHERE status = 'completed'"
                )
                return bool(rows == [(INSTANCES,)])

            for _ in range(KILLS):
                async with worker(database_url) as process:
                    await asyncio.sleep(draw.uniform(0.02, 0.4))
                    process.kill()
            async with worker(database_url):
                try:
                    await until(all_done, patience=40)
                except TimeoutError:
                    left = await bench.asked(
                        "SELECT topic, type, status, attempt, lapses, reason, errors, data"
                        " FROM higherself.message WHERE status <> 'delivered' AND topic <> 'event'"
                    )
                    states = [(await bench.engine.get(each)).instance for each in started]
                    raise AssertionError(
                        (left, [e for e in states if e.status != "completed"])
                    ) from None
            for instance in started:
                context = (await bench.engine.get(instance)).snapshot.context
                got = context["got"]
                assert isinstance(got, dict)
                assert got["steps"] == {"t1": "ana", "t2": "bo", "t3": "cy"}
            done = await bench.asked("SELECT collaboration, agent FROM test.done")
            assert len(done) == len(set(done)) == INSTANCES * len(NAMES)
            found = await network.collaborations.latest(limit=100)
            assert [each.status for each in found] == ["completed"] * INSTANCES
        finally:
            await bench.asked("DROP SCHEMA test CASCADE")
