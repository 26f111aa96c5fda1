"""Collaborations with agents as they are written and run: routed, handed on, failing, charged."""

from datetime import timedelta
from typing import Any

import pytest
from tests.agents.agents_rig import network_on

from higherself.agents.agent import Agent, handles
from higherself.agents.context import AgentContext
from higherself.agents.model import AgentCard, Task
from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Rejected
from higherself.kernel.tasks import in_background
from higherself.messaging.consumer import Consumer
from higherself.messaging.model import RetryPolicy
from higherself.messaging.postgres import open_channel
from higherself.services.collaboration.collaborations import Collaborations

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


def given(task: Task) -> dict[str, Any]:
    assert isinstance(task.data, dict)
    return task.data


class Elan(Agent):
    card = AgentCard(
        name="elan",
        role="writer",
        capabilities=("content",),
        fallbacks={"*": ("grace",)},
    )
    policy = RetryPolicy(max_attempts=1)

    @handles("draft")
    async def draft(self, task: Task, context: AgentContext) -> Any:
        context.bus.spend(micro_usd=700)
        return {"text": f"about {given(task)['topic']}"}

    @handles("polish")
    async def polish(self, task: Task, context: AgentContext) -> Any:
        raise RuntimeError("out of ink")

    @handles("care")
    async def care(self, task: Task, context: AgentContext) -> Any:
        return await context.hand_off("grace", "legal")


class Grace(Agent):
    card = AgentCard(name="grace", role="care")

    @handles("send")
    async def send(self, task: Task, context: AgentContext) -> Any:
        if "previous" not in given(task):
            raise Rejected("there is no text")
        return {"sent": given(task)["previous"]["text"]}

    @handles("care")
    async def care(self, task: Task, context: AgentContext) -> Any:
        return "settled"

    @handles("polish")
    async def polish(self, task: Task, context: AgentContext) -> Any:
        return "polished"


async def test_real_agents_collaborate(database_url: str, database: Database) -> None:
    async with (
        network_on(database_url, database, [Elan(), Grace()]) as network,
        open_channel(database_url, database) as channel,
    ):
        directory = network.directory
        ours = Collaborations(database, channel.outbox, SYSTEM_CLOCK, book=directory)
        consumer = Consumer(channel.store, ours.subscription(), clock=SYSTEM_CLOCK)

        async def came_to(pattern: str, *steps: dict[str, Any]) -> Any:
            id = await ours.start({"pattern": pattern, "steps": list(steps)}, {"topic": "yoga"})
            return await ours.wait(id, timeout=timedelta(seconds=15))

        async with network.working(), in_background(consumer.run()):
            send = {"role": "care", "task": "send"}
            done = await came_to("chain", {"capability": "content", "task": "draft"}, send)
            assert done.result == {"sent": "about yoga"}
            assert done.cost_micro_usd == 700
            refused = await came_to("request", send)
            assert (refused.status, refused.failure) == ("failed", "Refused")
            assert "there is no text" in refused.reason
            stood_in = await came_to("request", {"name": "elan", "task": "polish"})
            assert stood_in.result == "polished", (stood_in.reason, stood_in.asked)
            handed = await came_to("handoff", {"name": "elan", "task": "care"})
            assert handed.outcome["result"] == "settled"
            assert handed.outcome["owners"] == ["elan", "grace"]
