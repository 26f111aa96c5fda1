"""procrastinate: a job for each transition, its own tables beside it, 16 at a time."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

import psycopg
import psycopg_pool
from common import EVENTS_DROPPED, PAUSE, STATES, TABLES, main
from procrastinate import App, PsycopgConnector

AT_A_TIME = 16
Answers = AsyncGenerator[dict[str, Any] | None, None]


class Worker:
    def __init__(self, url: str, *, follow: bool) -> None:
        self.url, self.follow = url, follow
        self.moved, self.at, self.seen = 0, 0.0, asyncio.Event()
        self.app = App(connector=PsycopgConnector(conninfo=url))
        self.task = self.app.task(name="step")(self.step)
        self.pool = psycopg_pool.AsyncConnectionPool(
            url, min_size=AT_A_TIME, max_size=AT_A_TIME, open=False
        )

    async def step(self, number: int) -> None:
        async with self.pool.connection() as connection:
            found = await connection.execute(
                "SELECT state, version, context FROM instance WHERE instance_id = %s FOR UPDATE",
                [number],
            )
            state, version, context = await found.fetchone()  # type: ignore[misc]
            if context["n"] < 0:
                return
            context["n"] += 1
            new = json.dumps(context)
            await connection.execute(
                "UPDATE instance SET state = %s, version = version + 1, context = %s"
                " WHERE instance_id = %s",
                [state + 1, new, number],
            )
            await connection.execute(
                "INSERT INTO history (instance_id, seq, source, target, context)"
                " VALUES (%s, %s, %s, %s, %s)",
                [number, version + 1, state, state + 1, new],
            )
            if self.follow and state + 1 < STATES:
                await self.task.configure(connection=connection).defer_async(number=number)
        self.at = time.perf_counter()
        self.moved += 1
        self.seen.set()

    async def open(self, number: int) -> None:
        await self.app.open_async()
        await self.app.schema_manager.apply_schema_async()
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            await connection.execute(TABLES)
            await connection.execute(
                "INSERT INTO instance SELECT n, 0, 0, '{\"n\": 0}' FROM generate_series(1, %s) AS n",
                [number],
            )
        await self.pool.open(wait=True)

    async def run(self) -> None:
        await self.app.run_worker_async(concurrency=AT_A_TIME, install_signal_handlers=False)

    async def close(self, task: "asyncio.Task[None]") -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await self.pool.close()
        await self.app.close_async()


async def throughput(url: str, number: int) -> Answers:
    worker = Worker(url, follow=True)
    await worker.open(number)
    await worker.task.batch_defer_async(*({"number": n} for n in range(1, number + 1)))
    yield None
    task = asyncio.create_task(worker.run())
    while worker.moved < number * STATES:
        await asyncio.sleep(0.002)
        if task.done():
            task.result()
    yield {"steps": number * STATES}
    async with worker.pool.connection() as connection:
        found = await connection.execute("SELECT count(*) FROM history")
        assert (await found.fetchone()) == (number * STATES,)
    await worker.close(task)


async def latency(url: str, number: int) -> Answers:
    worker = Worker(url, follow=False)
    await worker.open(1)
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(1)
    yield None
    took = []
    for _ in range(number):
        worker.seen.clear()
        began = time.perf_counter()
        await worker.task.defer_async(number=1)
        await asyncio.wait_for(worker.seen.wait(), 30)
        took.append((worker.at - began) * 1000)
        await asyncio.sleep(PAUSE)
    yield {"worked": took[EVENTS_DROPPED:]}
    await worker.close(task)


if __name__ == "__main__":
    main(throughput=throughput, latency=latency)
