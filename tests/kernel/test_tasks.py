import asyncio
from contextlib import suppress

import pytest

from higherself.kernel.tasks import raise_if_cancelled


async def test_a_cancellation_that_was_swallowed_is_raised_on_demand() -> None:
    async def swallows() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        raise_if_cancelled()

    raise_if_cancelled()
    task = asyncio.create_task(swallows())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
