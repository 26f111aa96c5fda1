"""Agents on the bus over the database of the test, as a worker runs them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from higherself.agents.agent import Agent, AgentRegistry
from higherself.agents.context import Surroundings
from higherself.agents.conversations import Conversations
from higherself.agents.directory import Directory
from higherself.agents.escalations import Escalations
from higherself.agents.roster import Roster
from higherself.agents.routing import NOTHING_AGREED, Table
from higherself.agents.routings import RoutingLog
from higherself.agents.runtime import AgentRuntime
from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.messaging.bus import Bus, Reply, bus_of
from higherself.messaging.exchange import open_exchange
from higherself.messaging.postgres import open_channel
from higherself.messaging.protocol import OPERATOR

SOON = timedelta(seconds=10)
PATIENCE = 20.0


@dataclass
class Network:
    """Agents that are installed here, and all around them."""

    url: str
    database: Database
    bus: Bus
    directory: Directory
    around: Surroundings
    registry: AgentRegistry

    @property
    def escalations(self) -> Escalations:
        return self.around.escalations

    @property
    def conversations(self) -> Conversations:
        return self.around.conversations

    @asynccontextmanager
    async def working(self, *names: str, worker: str = "here") -> AsyncIterator[AgentRuntime]:
        """Run these agents (all, if none is named) while the block runs."""
        chosen = [each for name, each in self.registry.items() if not names or name in names]
        runtime = AgentRuntime(chosen, self.around, self.directory, worker=worker)
        task = asyncio.create_task(runtime.run())
        try:
            await until(lambda: runtime.is_ready.is_set() or task.done())
            if task.done():
                task.result()
            await self.directory.agents()
            yield runtime
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, PATIENCE)

    async def sql(self, statement: str, *values: Any) -> list[Any]:
        async with self.database.transaction() as tx:
            cursor = await tx.connection.execute(statement.encode(), values)
            return await cursor.fetchall() if cursor.description else []

    async def ended(self, type_: str, status: str = "delivered") -> list[Any]:
        """Wait until a message of this type has ended so; return its (reason, source, topic, data)."""

        async def found() -> bool:
            return bool(await self._ended(type_, status))

        await until(found)
        return await self._ended(type_, status)

    async def _ended(self, type_: str, status: str) -> list[Any]:
        return await self.sql(
            "SELECT reason, source, topic, data FROM message WHERE type = %s AND status = %s"
            " ORDER BY sequence",
            type_,
            status,
        )


@asynccontextmanager
async def network_on(
    url: str,
    database: Database,
    agents: Iterable[Agent] = (),
    *,
    table: Table = NOTHING_AGREED,
    entity: str | None = None,
    router: Any = None,
    **around: Any,
) -> AsyncIterator[Network]:
    registry = AgentRegistry()
    for each in agents:
        registry.add(each, origin="test")
    log = RoutingLog(database, SYSTEM_CLOCK)
    directory = Directory(
        Roster(database), log, SYSTEM_CLOCK, installed=registry.cards, table=table, router=router
    )
    async with (
        open_channel(url, database, clock=SYSTEM_CLOCK) as channel,
        open_exchange(channel.outbox, channel.store, database, book=directory) as exchange,
    ):
        bus = bus_of(exchange, OPERATOR, entity=entity)
        conversations = Conversations(database)
        surroundings = Surroundings(
            database=database,
            bus=bus,
            conversations=conversations,
            escalations=Escalations(database, conversations, bus),
            **around,
        )
        yield Network(url, database, bus, directory, surroundings, registry)


def data_of(reply: Reply) -> Any:
    """Return the data of an answer, whatever they are."""
    return reply.data


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something holds."""
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                found = condition()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError("it never came to that") from None
