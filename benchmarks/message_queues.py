"""One message queue at one piece of work: ``python message_queues.py NAME URL WORK COUNT``.

WORK is install, publish, deliver, latency or idle; what it took comes out as JSON. The handler does
nothing; so many connections and handlers at a time has each of them.
"""

import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from pgqueuer_peer import PgQueuerPeer

CONNECTIONS, SENDERS, HANDLERS = 8, 16, 32
PAUSE = 0.02
"""Seconds between two messages on an idle system."""

Received = Callable[[int], None]


class HigherSelfQueue:
    """Ours."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def install(self) -> None:
        """Make the tables."""
        from higherself.db.migrate import migrate
        from higherself.kernel.clock import SYSTEM_CLOCK

        await migrate(self.url, clock=SYSTEM_CLOCK)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect."""
        from higherself.db.pool import open_database
        from higherself.messaging.model import Message
        from higherself.messaging.postgres import open_channel

        async with (
            open_database(self.url, connections=CONNECTIONS) as database,
            open_channel(self.url, database) as self.channel,
        ):
            self.message = lambda number: Message(
                topic="work", type="bench", source="urn:bench", data=number
            )
            yield

    async def send(self, number: int) -> None:
        """Store one message."""
        await self.channel.outbox.send(self.message(number))

    async def consume(self, received: Received) -> None:
        """Handle messages until cancelled."""
        from higherself.messaging.consumer import Consumer
        from higherself.messaging.ports import Delivery, Subscription

        async def handle(delivery: Delivery) -> None:
            received(int(delivery.data))  # type: ignore[call-overload]

        work = Subscription(topic="work", handler=handle, concurrency=HANDLERS)
        await Consumer(self.channel.store, work).run()


class PgQueuerQueue(PgQueuerPeer):
    """PgQueuer with numbers as messages."""

    def __init__(self, url: str) -> None:
        super().__init__(url, connections=CONNECTIONS)

    async def send(self, number: int) -> None:
        """Store one message."""
        await self.enqueue(str(number).encode())

    async def consume(self, received: Received) -> None:
        """Handle messages until cancelled."""
        await self.handle(lambda payload: received(int(payload)), at_once=HANDLERS)


class ProcrastinateQueue:
    """Procrastinate, with psycopg."""

    def __init__(self, url: str) -> None:
        from procrastinate import App, PsycopgConnector

        self.app = App(connector=PsycopgConnector(conninfo=url, max_size=CONNECTIONS))
        self.received: Received = lambda number: None

        @self.app.task(name="work")
        async def work(number: int) -> None:
            self.received(number)

        self.task = work

    async def install(self) -> None:
        """Make the tables."""
        async with self.app.open_async():
            await self.app.schema_manager.apply_schema_async()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect."""
        async with self.app.open_async():
            yield

    async def send(self, number: int) -> None:
        """Store one message."""
        await self.task.defer_async(number=number)

    async def consume(self, received: Received) -> None:
        """Handle messages until cancelled."""
        self.received = received
        await self.app.run_worker_async(concurrency=HANDLERS, install_signal_handlers=False)


QUEUES: dict[str, Callable[[str], Any]] = {
    "higherself": HigherSelfQueue,
    "pgqueuer": PgQueuerQueue,
    "procrastinate": ProcrastinateQueue,
}


async def publish(queue: Any, count: int) -> dict[str, Any]:
    """Send one by one, from several tasks."""
    numbers = iter(range(count))

    async def sender() -> None:
        for number in numbers:
            await queue.send(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(SENDERS):
            group.create_task(sender())
    return {}


async def deliver(queue: Any, count: int) -> dict[str, Any]:
    """Handle what is there."""
    seen: list[int] = []
    done = asyncio.Event()

    def received(number: int) -> None:
        seen.append(number)
        if len(seen) == count:
            done.set()

    async with consuming(queue, received):
        await done.wait()
    return {"seen": len(set(seen))}


async def latency(queue: Any, count: int) -> dict[str, Any]:
    """Send on an idle system, and tell how long each takes to its handler."""
    sent: dict[int, float] = {}
    lags: list[float] = []
    here = asyncio.Event()

    def received(number: int) -> None:
        lags.append(time.perf_counter() - sent[number])
        here.set()

    async with consuming(queue, received):
        await asyncio.sleep(1)
        for number in range(count):
            here.clear()
            sent[number] = time.perf_counter()
            await queue.send(number)
            await here.wait()
            await asyncio.sleep(PAUSE)
    return {"lags": lags}


async def idle(queue: Any, seconds: int) -> dict[str, Any]:
    """Wait for what does not come."""
    async with consuming(queue, lambda number: None):
        await asyncio.sleep(seconds)
    return {}


@asynccontextmanager
async def consuming(queue: Any, received: Received) -> AsyncIterator[None]:
    """Handle messages while the block runs."""
    task = asyncio.get_running_loop().create_task(queue.consume(received))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


WORKS: dict[str, Callable[[Any, int], Awaitable[dict[str, Any]]]] = {
    "publish": publish,
    "deliver": deliver,
    "latency": latency,
    "idle": idle,
}


async def main(name: str, url: str, work: str, count: int) -> dict[str, Any]:
    """Return the figures."""
    queue = QUEUES[name](url)
    if work == "install":
        await queue.install()
        return {}
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(queue.open())
        began, spent = time.perf_counter(), time.process_time()
        found = await WORKS[work](queue, count)
        wall, cpu = time.perf_counter() - began, time.process_time() - spent
    return {**found, "wall": wall, "cpu": cpu}


if __name__ == "__main__":
    logging.disable()
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))))
