"""Many agents in one worker: one heartbeat for all, and every one of them answers."""

import asyncio

import pytest
from tests.agents.agents_rig import SOON, data_of, network_on

from higherself.agents.agent import Agent, handles
from higherself.agents.context import AgentContext
from higherself.agents.model import AgentCard, Task
from higherself.db.pool import Database

pytestmark = pytest.mark.postgres

MANY = 60


class One(Agent):
    def __init__(self, number: int) -> None:
        capability = f"c{number % 3}"
        self.card = AgentCard(name=f"agent{number}", capabilities=(capability,), concurrency=2)

    @handles("count")
    async def count(self, task: Task, context: AgentContext) -> object:
        await context.state.about("count").change(lambda value: (value or 0) + 1)
        return context.card.name


async def test_every_agent_of_a_worker_is_present_and_gets_its_own(
    database_url: str, database: Database
) -> None:
    async with network_on(database_url, database, map(One, range(MANY))) as net, net.working():
        assert len(await net.directory.present(None)) == MANY
        assert len(await net.directory.present(None, capability="c1")) == MANY // 3

        async def asked(number: int) -> None:
            durable = number % 2 == 0
            reply = await net.bus.request(
                f"agent:agent{number}", "count", timeout=SOON, durable=durable
            )
            assert data_of(reply) == f"agent{number}"

        async with asyncio.TaskGroup() as group:
            for number in range(MANY):
                group.create_task(asked(number))
        counts = await net.sql("SELECT agent, value FROM agent_state")
        assert sorted(counts) == sorted((f"agent{n}", 1) for n in range(MANY))
