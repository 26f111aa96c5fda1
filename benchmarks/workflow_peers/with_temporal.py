"""Temporal: the dev server (in memory, so without a disk) and a workflow of five activities."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

from common import STATES, main
from temporalio import activity, workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

QUEUE, AT_A_TIME = "bench", 64
Answers = AsyncGenerator[dict[str, Any] | None, None]


@activity.defn
async def step(n: int) -> int:
    return n + 1


@workflow.defn
class Five:
    @workflow.run
    async def run(self) -> int:
        n = 0
        for _ in range(5):
            if n >= 0:
                n = await workflow.execute_activity(
                    step, n, start_to_close_timeout=timedelta(seconds=30)
                )
        return n


async def throughput(url: str, number: int) -> Answers:
    server = str(Path(sys.executable).with_name("temporal"))
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=server
    ) as environment:
        handles = [
            await environment.client.start_workflow(Five.run, id=f"five-{n}", task_queue=QUEUE)
            for n in range(number)
        ]
        worker = Worker(
            environment.client,
            task_queue=QUEUE,
            workflows=[Five],
            activities=[step],
            max_concurrent_activities=AT_A_TIME,
            max_concurrent_workflow_tasks=AT_A_TIME,
        )
        yield None
        async with worker:
            results = await asyncio.gather(*(handle.result() for handle in handles))
            assert set(results) == {STATES}
            yield {"steps": number * STATES}


if __name__ == "__main__":
    main(throughput=throughput)
