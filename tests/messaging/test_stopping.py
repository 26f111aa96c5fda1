"""A consumer stops when it is told to, also if the driver forgets that it was told."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from tests.messaging.rig import Rig

pytestmark = pytest.mark.postgres


async def test_a_cancellation_that_comes_with_an_answer_is_heeded(rig: Rig) -> None:
    """As `asyncio.wait_for` of Python 3.11 has it, which the driver waits with."""
    claim, asked = rig.store.claim, asyncio.Event()

    async def forgets(*arguments: Any, **options: Any) -> Any:
        found = await claim(*arguments, **options)
        asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return found

    rig.store.claim = forgets  # type: ignore[method-assign]
    await rig.send("claimed before it was to stop")
    async with rig.consuming():
        await asked.wait()
    assert rig.handled == ["claimed before it was to stop"]
