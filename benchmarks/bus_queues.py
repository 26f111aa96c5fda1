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
from statistics import median
from typing import Any

AT_ONCE, CONNECTIONS, PAUSE = 256, 8, 0.01
"""Messages that a process sends or handles at a time, its connections, seconds between requests."""

DATA = {"text": os.urandom(450).hex(), "who": "nyra", "tags": ["a", "b"], "amount": 12.5}
"""About 1 KB of JSON."""

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
        from higherself.messaging.model import Done

        async def handle(delivery: Any) -> Done:
            reply = _message("reply.asker").caused_by(delivery.envelope)
            return Done(sends=await self.channel.outbox.prepared(reply))

        await self._consume("ask", handle)

    async def ask(self, count: int) -> list[float]:
        """Send requests one after the other, and return how long each answer took."""
        from higherself.messaging.model import Message

        waiting: dict[str, asyncio.Future[None]] = {}
        lags: list[float] = []

        async def handle(delivery: Any) -> None:
            waiting.pop(delivery.envelope.causation_id).set_result(None)

        task = asyncio.get_running_loop().create_task(self._consume("reply.asker", handle))
        await asyncio.sleep(1)
        for number in range(count):
            began = time.perf_counter()
            request: Message = _message("ask", idempotency_key=f"{began}/{number}")
            answered = asyncio.get_running_loop().create_future()
            waiting[str(_identifier(request))] = answered
            await self.channel.outbox.send(request)
            await answered
            lags.append(time.perf_counter() - began)
            await asyncio.sleep(PAUSE)
        task.cancel()
        return lags

    async def _consume(self, topic: str, handle: Any) -> None:
        from higherself.messaging.consumer import Consumer
        from higherself.messaging.ports import Subscription

        work = Subscription(topic=topic, handler=handle, concurrency=AT_ONCE)
        await Consumer(self.channel.store, work).run()


def _message(topic: str, **more: Any) -> Any:
    from higherself.messaging.model import Message

    return Message(topic=topic, type="bench.v1", source="urn:bench", data=DATA, **more)


def _identifier(message: Any) -> Any:
    from higherself.messaging.model import identifier_of_key

    return identifier_of_key(message.entity, message.topic, message.idempotency_key)


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


class PgQueuerQueue:
    """PgQueuer, with its own driver of choice."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def install(self) -> None:
        """Make the tables."""
        import asyncpg
        from pgqueuer import AsyncpgDriver, Queries

        connection = await asyncpg.connect(self.url)
        await Queries(AsyncpgDriver(connection)).install()
        await connection.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect."""
        import asyncpg
        from pgqueuer import AsyncpgPoolDriver, PgQueuer, Queries

        async with asyncpg.create_pool(self.url, min_size=1, max_size=CONNECTIONS) as pool:
            self.queries = Queries(AsyncpgPoolDriver(pool))
            self.worker = PgQueuer.from_asyncpg_pool(pool)
            yield

    async def send(self) -> None:
        """Store one message."""
        await self.queries.enqueue("work", json.dumps(DATA).encode())

    async def consume(self, received: Received) -> None:
        """Handle messages until cancelled."""

        @self.worker.entrypoint("work")
        async def handle(job: Any) -> None:
            json.loads(job.payload)
            received()

        await self.worker.run(batch_size=AT_ONCE)


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
            await queue.answer()
        lags = await queue.ask(count)
        return {"lags": lags, "median": median(lags)}


if __name__ == "__main__":
    options = [*sys.argv[1:], "0"]
    print(
        json.dumps(
            asyncio.run(main(options[0], options[1], options[2], int(options[3]), int(options[4])))
        ),
        flush=True,
    )
    os._exit(0)  # a peer's workers may take their time to stop
