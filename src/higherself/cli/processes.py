"""Worker processes beside the server: kept running, and stopped with it."""

import asyncio
import os
import sys
from contextlib import suppress
from datetime import timedelta

from higherself.kernel import telemetry
from higherself.kernel.backoff import exponential
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.tasks import side_by_side

COMMAND = (sys.executable, "-c", "from higherself.cli.main import main; main()", "worker")

SECONDS_TO_STOP = 30
"""How long a worker may take to stop: its activities have 20 seconds to finish."""

SOON, LATER = timedelta(seconds=1), timedelta(minutes=1)
LONG_ENOUGH = timedelta(minutes=1)
"""How long a worker has to have run for its end to be taken for the first one."""


async def keep_workers(count: int, *, clock: Clock = SYSTEM_CLOCK) -> None:
    """Run ``count`` worker processes until cancelled; one that ends is started again."""
    await side_by_side(*(_keep(clock) for _ in range(count)))


async def _keep(clock: Clock) -> None:
    failures = 0
    while True:
        began = clock.monotonic()
        code = await _run()
        if clock.monotonic() - began > LONG_ENOUGH.total_seconds():
            failures = 0
        failures += 1
        telemetry.warning("workflow.worker.ended", code=code)
        await clock.sleep(exponential(failures, base=SOON, ceiling=LATER))


async def _run() -> int:
    """Run one worker and return its exit code; when cancelled, have it finish first."""
    process = await asyncio.create_subprocess_exec(*COMMAND, "--child-of", str(os.getpid()))
    try:
        return await process.wait()
    except asyncio.CancelledError:
        await _stop(process)
        raise


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(SECONDS_TO_STOP):
            await process.wait()
    except (TimeoutError, asyncio.CancelledError):
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
