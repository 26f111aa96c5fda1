"""PgQueuer as a peer, with its own driver of choice."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any


class PgQueuerPeer:
    """One end of its queue; needs ``benchmarks/.venv``."""

    def __init__(self, url: str, *, connections: int) -> None:
        self._url, self._connections = url, connections

    async def install(self) -> None:
        """Make the tables."""
        import asyncpg
        from pgqueuer import AsyncpgDriver, Queries

        connection = await asyncpg.connect(self._url)
        await Queries(AsyncpgDriver(connection)).install()
        await connection.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect."""
        import asyncpg
        from pgqueuer import AsyncpgPoolDriver, PgQueuer, Queries

        size = self._connections
        async with asyncpg.create_pool(self._url, min_size=1, max_size=size) as pool:
            self._queries = Queries(AsyncpgPoolDriver(pool))
            self._worker = PgQueuer.from_asyncpg_pool(pool)
            yield

    async def enqueue(self, payload: bytes) -> None:
        """Store one message."""
        await self._queries.enqueue("work", payload)

    async def handle(self, received: Callable[[bytes], None], *, at_once: int) -> None:
        """Handle messages until cancelled."""

        @self._worker.entrypoint("work")
        async def handle(job: Any) -> None:
            received(job.payload)

        try:
            await self._worker.run(batch_size=at_once)
        finally:
            self._worker.shutdown.set()
