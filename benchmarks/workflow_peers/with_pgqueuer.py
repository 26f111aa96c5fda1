"""PgQueuer: a job for each transition, its own tables beside it, batches of 20.

Each transition is one transaction: the instance, the history and the next job. ``tuned`` leaves out
asyncpg's reset of a connection that goes back to its pool: five statements in one for a transition.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import asyncpg
from common import EVENTS_DROPPED, PAUSE, STATES, TABLES, main
from pgqueuer import AsyncpgDriver, Job, Queries, QueueManager

BATCH, CONNECTIONS = 20, 10
Answers = AsyncGenerator[dict[str, Any] | None, None]


class Bare(asyncpg.Connection):
    def get_reset_query(self) -> str:
        return ""


async def prepared(url: str, number: int) -> None:
    connection = await asyncpg.connect(url)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.execute(TABLES)
    await connection.execute(
        """INSERT INTO instance SELECT n, 0, 0, '{"n": 0}' FROM generate_series(1, $1) AS n""",
        number,
    )
    await connection.close()


class Worker:
    def __init__(self, *, follow: bool, tuned: bool = False) -> None:
        self.follow, self.tuned = follow, tuned
        self.moved = 0
        self.seen = asyncio.Event()
        self.at = 0.0

    async def handle(self, job: Job) -> None:
        number = int(job.payload or b"")
        async with self.pool.acquire() as connection, connection.transaction():
            state, version, text = await connection.fetchrow(
                "SELECT state, version, context FROM instance WHERE instance_id = $1 FOR UPDATE",
                number,
            )
            context = json.loads(text)
            if context["n"] < 0:
                return
            context["n"] += 1
            new = json.dumps(context)
            await connection.execute(
                "UPDATE instance SET state = $2, version = version + 1, context = $3"
                " WHERE instance_id = $1",
                number, state + 1, new,
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO history (instance_id, seq, source, target, context)"
                " VALUES ($1, $2, $3, $4, $5)",
                number, version + 1, state, state + 1, new,
            )  # fmt: skip
            if self.follow and state + 1 < STATES:
                await Queries(AsyncpgDriver(connection)).enqueue("step", job.payload)
        self.at = time.perf_counter()
        self.moved += 1
        self.seen.set()

    async def open(self, url: str) -> None:
        self.pool = await asyncpg.create_pool(
            url,
            min_size=CONNECTIONS,
            max_size=CONNECTIONS,
            connection_class=Bare if self.tuned else asyncpg.Connection,
        )
        self.connection = await asyncpg.connect(url)
        self.manager = QueueManager(Queries(AsyncpgDriver(self.connection)))
        self.manager.entrypoint("step")(self.handle)

    async def run(self) -> None:
        await self.manager.run(dequeue_timeout=timedelta(seconds=5), batch_size=BATCH)

    async def close(self, task: "asyncio.Task[None]") -> None:
        self.manager.shutdown.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(task, 20)
        await self.pool.close()
        await self.connection.close()


async def throughput(url: str, number: int) -> Answers:
    async for each in _to_completion(url, number, tuned=False):
        yield each


async def tuned(url: str, number: int) -> Answers:
    async for each in _to_completion(url, number, tuned=True):
        yield each


async def _to_completion(url: str, number: int, *, tuned: bool) -> Answers:
    await prepared(url, number)
    connection = await asyncpg.connect(url)
    payloads: list[bytes | None] = [str(n).encode() for n in range(1, number + 1)]
    await Queries(AsyncpgDriver(connection)).enqueue(["step"] * number, payloads, [0] * number)
    await connection.close()
    worker = Worker(follow=True, tuned=tuned)
    await worker.open(url)
    yield None
    task = asyncio.create_task(worker.run())
    while worker.moved < number * STATES:
        await asyncio.sleep(0.002)
        if task.done():
            task.result()
    yield {"steps": number * STATES}
    count = await worker.pool.fetchval("SELECT count(*) FROM history")
    assert count == number * STATES, count
    await worker.close(task)


async def latency(url: str, number: int) -> Answers:
    await prepared(url, 1)
    worker = Worker(follow=False)
    await worker.open(url)
    task = asyncio.create_task(worker.run())
    sender = await asyncpg.connect(url)
    queries = Queries(AsyncpgDriver(sender))
    await asyncio.sleep(1)
    yield None
    took = []
    for _ in range(number):
        worker.seen.clear()
        began = time.perf_counter()
        await queries.enqueue("step", b"1")
        await asyncio.wait_for(worker.seen.wait(), 30)
        took.append((worker.at - began) * 1000)
        await asyncio.sleep(PAUSE)
    yield {"worked": took[EVENTS_DROPPED:]}
    await sender.close()
    await worker.close(task)


if __name__ == "__main__":
    main(throughput=throughput, tuned=tuned, latency=latency)
