"""DBOS: a workflow of five steps in its own journal, dequeued by one executor (research: sync, K=64)."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from typing import Any

from common import EVENTS_DROPPED, PAUSE, STATES, main
from dbos import DBOS, DBOSClient

QUEUE, AT_A_TIME, POLL = "bench", 64, 0.1

Answers = AsyncGenerator[dict[str, Any] | None, None]


class Done:
    """Counts workflows that have returned, and when steps began and ended."""

    lock = threading.Lock()
    began = 0.0
    steps = 0


@DBOS.step()
def step(n: int) -> int:
    with Done.lock:
        Done.began = Done.began or time.perf_counter()
        Done.steps += 1
    return n + 1


@DBOS.workflow()
def five() -> int:
    n = 0
    for _ in range(STATES):
        if n >= 0:
            n = step(n)
    return n


committed: list[float] = []


@DBOS.workflow()
def waits(events: int) -> None:
    n = 0
    for _ in range(events):
        DBOS.recv("event", timeout_seconds=60)
        n = step(n)
        committed.append(time.perf_counter())


def launch(url: str) -> None:
    plain = url.replace("postgresql://", "postgresql+psycopg://", 1)
    DBOS(
        config={
            "name": "bench",
            "system_database_url": plain,
            "executor_id": "one",
            "application_version": "1",
            "log_level": "ERROR",
        }
    )
    DBOS.launch()


async def throughput(url: str, number: int) -> Answers:
    await asyncio.to_thread(launch, url)
    client = DBOSClient(
        system_database_url=url.replace("postgresql://", "postgresql+psycopg://", 1)
    )

    def enqueue() -> None:
        for _ in range(number):
            client.enqueue(
                {"queue_name": QUEUE, "workflow_name": five.__qualname__, "app_version": "1"}
            )

    await asyncio.to_thread(enqueue)
    yield None
    await asyncio.to_thread(
        lambda: DBOS.register_queue(QUEUE, worker_concurrency=AT_A_TIME, polling_interval_sec=POLL)
    )
    while Done.steps < number * STATES:  # noqa: ASYNC110  its threads have no event of ours
        await asyncio.sleep(0.005)
    while await asyncio.to_thread(unfinished, client):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    yield {"steps": number * STATES, "wall": time.perf_counter() - Done.began}
    client.destroy()
    DBOS.destroy()


def unfinished(client: DBOSClient) -> int:
    return len(client.list_workflows(status=["PENDING", "ENQUEUED"], limit=1))


async def latency(url: str, number: int) -> Answers:
    await asyncio.to_thread(launch, url)
    handle = await asyncio.to_thread(lambda: DBOS.start_workflow(waits, number))
    await asyncio.sleep(1)
    yield None

    def send() -> list[float]:
        took = []
        for count in range(1, number + 1):
            began = time.perf_counter()
            DBOS.send(handle.workflow_id, count, "event")
            while len(committed) < count:
                time.sleep(0.0002)
            took.append((committed[count - 1] - began) * 1000)
            time.sleep(PAUSE)
        return took

    took = await asyncio.to_thread(send)
    yield {"worked": took[EVENTS_DROPPED:]}
    DBOS.destroy()


if __name__ == "__main__":
    main(throughput=throughput, latency=latency)
