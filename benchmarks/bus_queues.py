"""One end of a durable queue, as a process: ``python bus_queues.py NAME URL ROLE COUNT [SLOT]``.

NAME is higherself, rows or pgqueuer; ROLE is install, produce, consume, ask or answer. It says that it is
ready, begins when it is told to, and what it took comes out as JSON. A consumer counts in ``SEEN``.
"""

import asyncio
import json
import mmap
import os
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from statistics import median
from typing import Any

from pgqueuer_peer import PgQueuerPeer

AT_ONCE, CONNECTIONS, PAUSE = 256, 8, 0.01
"""Messages that a process sends or handles at a time, its connections, seconds between requests."""

DATA = {"text": os.urandom(450).hex(), "who": "nyra", "tags": ["a", "b"], "amount": 12.5}
"""About 1 KB of JSON."""

WARM, PATIENCE = 20, timedelta(seconds=10)
"""Requests that are not counted; how long an answer is awaited."""

Received = Callable[[], None]


class HigherSelfQueue:
    """Ours: leases, fencing, dead letters, once by identifier."""

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
        from higherself.messaging.postgres import open_channel

        async with (
            open_database(self.url, connections=CONNECTIONS) as database,
            open_channel(self.url, database) as self.channel,
        ):
            yield

    async def send(self) -> None:
        """Store one message."""
        await self.channel.outbox.send(_message("work"))

    async def consume(self, received: Received) -> None:
        """Handle messages until cancelled."""

        async def handle(delivery: Any) -> None:
            received()

        await self._consume("work", handle)

    async def answer(self) -> None:
        """Answer requests; the answer goes out in the commit that ends its request."""

        async def handle(delivery: Any) -> Any:
            return delivery.data

        async with (
            self._bus() as bus,
            bus.consuming(bus.serving("topic:ask", handle), direct=False),
        ):
            await asyncio.Event().wait()

    async def ask(self, count: int) -> dict[str, Any]:
        """Send requests one after the other, and return how long each took, and our CPU."""
        lags: list[float] = []
        spent = 0.0
        async with self._bus() as bus:
            for number in range(-WARM, count):
                if number == 0:
                    spent = time.process_time()
                began = time.perf_counter()
                await bus.request("topic:ask", "bench.v1", DATA, timeout=PATIENCE, durable=True)
                if number >= 0:
                    lags.append(time.perf_counter() - began)
                await asyncio.sleep(PAUSE)
            return {"lags": lags, "cpu": time.process_time() - spent}

    @asynccontextmanager
    async def _bus(self) -> AsyncIterator[Any]:
        from higherself.db.pool import open_database
        from higherself.messaging.bus import bus_of
        from higherself.messaging.exchange import open_exchange
        from higherself.messaging.protocol import Identity

        async with (
            open_database(self.url, connections=CONNECTIONS) as database,
            open_exchange(self.channel.outbox, self.channel.store, database) as exchange,
        ):
            yield bus_of(exchange, Identity("service", "bench"))

    async def _consume(self, topic: str, handle: Any) -> None:
        from higherself.messaging.consumer import Consumer
        from higherself.messaging.ports import Subscription

        work = Subscription(topic=topic, handler=handle, concurrency=AT_ONCE)
        await Consumer(self.channel.store, work).run()


def _message(topic: str, **more: Any) -> Any:
    from higherself.messaging.model import Message

    return Message(topic=topic, type="bench.v1", source="urn:bench", data=DATA, **more)


class RowsQueue:
    """What people write first: SKIP LOCKED, a time-out, one commit and one NOTIFY a message."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def install(self) -> None:
        """Make the table."""
        async with self.open(), self.pool.connection() as connection:
            await connection.execute(
                "CREATE TABLE plain_queue (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
                " data json NOT NULL, visible_at timestamptz NOT NULL DEFAULT now())"
            )
            await connection.execute("CREATE INDEX ON plain_queue (visible_at, id)")

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect."""
        from psycopg_pool import AsyncConnectionPool

        async with AsyncConnectionPool(
            self.url, max_size=CONNECTIONS, open=False, kwargs={"autocommit": True}
        ) as self.pool:
            yield

    async def send(self) -> None:
        """Store one message."""
        async with self.pool.connection() as connection:
            await connection.execute(
                "WITH new AS (INSERT INTO plain_queue (data) VALUES (%s) RETURNING id)"
                " SELECT pg_notify('plain_queue', '') FROM new",
                [json.dumps(DATA)],
            )

    async def consume(self, received: Received) -> None:
        """Handle messages until cancelled."""
        async with self.pool.connection() as listening, self.pool.connection() as connection:
            await listening.execute("LISTEN plain_queue")
            while True:
                cursor = await connection.execute(
                    "UPDATE plain_queue SET visible_at = now() + interval '30 s' WHERE id IN ("
                    "SELECT id FROM plain_queue WHERE visible_at <= now() ORDER BY visible_at, id"
                    " LIMIT 100 FOR UPDATE SKIP LOCKED) RETURNING id, data"
                )
                found = await cursor.fetchall()
                for _ in found:
                    received()
                if found:
                    await connection.execute(
                        "DELETE FROM plain_queue WHERE id = ANY(%s)", [[row[0] for row in found]]
                    )
                    continue
                async for _ in listening.notifies(timeout=1, stop_after=1):
                    pass


class PgQueuerQueue(PgQueuerPeer):
    """PgQueuer with the same messages."""

    def __init__(self, url: str) -> None:
        super().__init__(url, connections=CONNECTIONS)

    async def send(self) -> None:
        """Store one message."""
        await self.enqueue(json.dumps(DATA).encode())

    async def consume(self, received: Received) -> None:
        """Handle messages until cancelled."""

        def handle(payload: bytes) -> None:
            json.loads(payload)
            received()

        await self.handle(handle, at_once=AT_ONCE)


QUEUES: dict[str, Callable[[str], Any]] = {
    "higherself": HigherSelfQueue,
    "rows": RowsQueue,
    "pgqueuer": PgQueuerQueue,
}


async def produce(queue: Any, count: int) -> dict[str, Any]:
    """Send one by one, from many tasks."""
    await _told_to_begin()
    spent, numbers = time.process_time(), iter(range(count))

    async def sender() -> None:
        for _ in numbers:
            await queue.send()

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(sender())
    return {"cpu": time.process_time() - spent}


async def consume(queue: Any, slot: int) -> dict[str, Any]:
    """Handle what comes, until told to stop."""
    seen = 0
    with mmap.mmap(os.open(os.environ["SEEN"], os.O_RDWR), 0) as shared:

        def received() -> None:
            nonlocal seen
            seen += 1
            struct.pack_into("q", shared, 8 * slot, seen)

        task = asyncio.get_running_loop().create_task(queue.consume(received))
        await asyncio.sleep(0.5)
        await _told_to_begin()
        spent = time.process_time()
        await _told_to_begin(say=False)
        found = {"cpu": time.process_time() - spent, "seen": seen}
        task.cancel()
        await asyncio.wait([task], timeout=5)
        return found


async def _told_to_begin(*, say: bool = True) -> None:
    if say:
        print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def main(name: str, url: str, role: str, count: int, slot: int) -> dict[str, Any]:
    """Return the figures."""
    queue = QUEUES[name](url)
    if role == "install":
        await queue.install()
        return {}
    async with queue.open():
        if role == "produce":
            return await produce(queue, count)
        if role == "consume":
            return await consume(queue, slot)
        if role == "answer":
            print("ready", flush=True)
            answering = asyncio.get_running_loop().create_task(queue.answer())
            await _told_to_begin(say=False)
            spent = time.process_time()
            await _told_to_begin(say=False)
            found = {"cpu": time.process_time() - spent}
            answering.cancel()
            await asyncio.wait([answering], timeout=5)
            return found
        found = await queue.ask(count)
        return {**found, "median": median(found["lags"])}


if __name__ == "__main__":
    options = [*sys.argv[1:], "0"]
    print(
        json.dumps(
            asyncio.run(main(options[0], options[1], options[2], int(options[3]), int(options[4])))
        ),
        flush=True,
    )
    os._exit(0)  # a peer's workers may take their time to stop
