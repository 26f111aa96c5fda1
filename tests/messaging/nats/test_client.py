"""The connection to NATS: whatever breaks it says so in one way."""

import asyncio
from typing import Any

import pytest

from higherself.messaging.nats.client import CutOff, Wire
from higherself.testing.nats import NatsServer


async def test_a_pipe_that_broke_before_it_was_noticed(steady: NatsServer) -> None:
    wire = Wire()
    await wire.open([steady.url], None)
    try:
        inside: Any = wire
        inside._flusher_task.cancel()  # as when it met the broken pipe, and ended
        await asyncio.wait([inside._flusher_task])
        inside._transport._io_reader.set_exception(BrokenPipeError(32, "Broken pipe"))
        with pytest.raises(CutOff, match="Broken pipe"):
            await wire.take("test.broken", lambda *heard: None)
        assert wire.lost.is_set()
        await wire.leave(1)
    finally:
        await wire.shut()
