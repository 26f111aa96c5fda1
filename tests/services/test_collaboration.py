"""Collaborations on a real database, with agents that are functions of the test."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.services.network import Network, Say, network_on, until

from higherself.agents.coordination import PlanRejected
from higherself.agents.coordination.records import Collaboration
from higherself.db.pool import Database
from higherself.kernel.tasks import in_background
from higherself.messaging.envelope import Envelope
from higherself.messaging.model import Message
from higherself.services.collaboration.errors import (
    CollaborationNotFound,
    NotEntitledToAnswer,
    NothingAsked,
)

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

CHAIN = {
    "pattern": "chain",
    "name": "campaign",
    "steps": [
        {"capability": "content", "task": "draft", "compensate": "discard"},
        {"name": "liora", "task": "send"},
    ],
}


@pytest.fixture
async def network(database_url: str, database: Database) -> AsyncIterator[Network]:
    async with network_on(database_url, database) as network:
        network.book.groups["content"] = ["elan"]
        yield network


async def ended(network: Network, id: UUID) -> Collaboration:
    return await network.collaborations.wait(id, timeout=timedelta(seconds=15))


async def left(network: Network) -> list[Any]:
    """Messages that nobody has handled, nor withdrawn."""
    found: list[Any] = await network.bench.asked(
        "SELECT topic, type, data FROM higherself.message WHERE finished_at IS NULL"
    )
    return found


async def test_a_chain_runs_through_its_agents(network: Network) -> None:
    agents = {
        "elan": lambda said: Say("response", {"text": f"about {said.data['topic']}"}, cost=1500),
        "liora": lambda said: {"sent": said.data["previous"]["text"]},
    }
    async with network.working(agents, engine=False):
        id = await network.collaborations.start(CHAIN, {"topic": "yoga"})
        done = await ended(network, id)
    assert done.status == "completed"
    assert done.result == {"sent": "about yoga"}
    assert done.cost_micro_usd == 1500
    assert [(each.task, each.wanted, each.agent, each.status) for each in done.asked] == [
        ("draft/1", "capability content", "elan", "answered"),
        ("send/1", "liora", "liora", "answered"),
    ]
    assert all(each.answered_at and each.answered_at >= each.asked_at for each in done.asked)
    (_, first), (_, second) = network.heard
    assert first.correlation_id == second.correlation_id == str(id)
    assert first.extensions["performative"] == "request"
    assert first.extensions["routing"] == "first"
    assert second.causation_id is not None
    assert await left(network) == []  # the deadline's timer is withdrawn


async def test_a_key_starts_once(network: Network) -> None:
    ids = {await network.collaborations.start(CHAIN, key="k") for _ in range(3)}
    together = await asyncio.gather(
        *(network.collaborations.start(CHAIN, key="other") for _ in range(4))
    )
    assert len(ids) == len(set(together)) == 1
    rows = await network.bench.asked(
        "SELECT count(*) FROM higherself.message WHERE topic = 'agent.elan'"
    )
    assert rows == [(2,)]


async def test_answers_that_come_twice_or_from_others_count_for_nothing(network: Network) -> None:
    agents = {
        "elan": lambda said: Say("response", "text", times=3),
        "liora": lambda said: Say("response", "forged", source="urn:higherself:agent:mallory"),
    }
    async with network.working(agents, engine=False):
        id = await network.collaborations.start(CHAIN)
        await until(lambda: network.asked() == ["draft>elan", "send>liora"])
        await asyncio.sleep(0.2)
        found = await network.collaborations.get(id)
    assert found.status == "running"
    assert [each.status for each in found.asked] == ["answered", "asked"]


async def test_what_was_done_is_undone_when_a_later_step_fails(network: Network) -> None:
    agents = {
        "elan": lambda said: {"draft": 1} if said.type == "draft" else {"gone": said.data},
        "liora": lambda said: Say("failure", {"reason": "no list", "permanent": True}),
    }
    async with network.working(agents, engine=False):
        done = await ended(network, await network.collaborations.start(CHAIN))
    assert (done.status, done.reason) == ("failed", "send (liora): no list")
    assert network.asked() == ["draft>elan", "send>liora", "discard>elan"]
    assert network.heard[-1][1].data == {"result": {"draft": 1}}


async def test_who_does_not_answer_in_time_is_replaced_and_its_message_withdrawn(
    network: Network,
) -> None:
    plan = {
        "pattern": "request",
        "steps": [
            {"name": "slow", "task": "look", "timeout": "300ms", "substitute": [{"name": "quick"}]}
        ],
    }
    async with network.working({"quick": lambda said: 7}, engine=False):
        done = await ended(network, await network.collaborations.start(plan))
    assert done.result == 7
    assert [(each.agent, each.status) for each in done.asked] == [
        ("slow", "late"),
        ("quick", "answered"),
    ]
    rows = await network.bench.asked(
        "SELECT status FROM higherself.message WHERE topic = 'agent.slow'"
    )
    assert rows == [("cancelled",)]


async def test_the_best_bid_has_the_task(network: Network) -> None:
    network.book.groups["words"] = ["ana", "bo"]

    def bidder(price: int) -> Any:
        def behave(said: Envelope) -> Any:
            if said.extensions["performative"] == "cfp":
                return Say("propose", {"price": price, "seconds": 5, "confidence": 1})
            return f"by the one for {price}"

        return behave

    plan = {"pattern": "delegate", "steps": [{"capability": "words", "task": "translate"}]}
    async with network.working({"ana": bidder(9), "bo": bidder(3)}, engine=False):
        done = await ended(network, await network.collaborations.start(plan))
    assert done.result == "by the one for 3"
    assert isinstance(done.outcome, dict)
    assert done.outcome["agent"] == "bo"
    told = await network.bench.asked(
        "SELECT topic, extensions ->> 'performative', extensions ->> 'replyto', data ->> 'reason'"
        " FROM higherself.message WHERE type = 'translate.reject'"
    )
    assert told == [("agent.ana", "reject", None, "bo was chosen")]


async def test_an_owner_hands_it_on(network: Network) -> None:
    agents = {
        "nyra": lambda said: {"hand_off": {"to": "agent:grace", "reason": "legal"}},
        "grace": lambda said: said.data["handed"],
    }
    plan = {"pattern": "handoff", "steps": [{"name": "nyra", "task": "care"}]}
    async with network.working(agents, engine=False):
        done = await ended(network, await network.collaborations.start(plan))
    assert done.result == {"from": "nyra", "reason": "legal"}


async def test_a_person_decides_what_no_agent_could(network: Network) -> None:
    plan = {
        "pattern": "escalation",
        "steps": [{"name": "sage", "task": "refund"}],
        "people": {"roles": ["owner"], "question": "Refund?"},
    }
    async with network.working({"sage": lambda said: Say("refuse", "too much")}, engine=False):
        id = await network.collaborations.start(plan, {"order": 1})
        with pytest.raises(NothingAsked):
            await network.collaborations.answer(id, by="ana", roles=["owner"])
        waiting = await until(lambda: network.collaborations.latest(waiting=True))
        question = waiting[0].question
        assert question is not None
        assert question["question"] == "Refund?"
        assert question["data"] == {"order": 1, "tried": {"refund": "too much"}}
        with pytest.raises(NotEntitledToAnswer, match="asks owner"):
            await network.collaborations.answer(id, by="bo", roles=["staff"])
        done = await network.collaborations.answer(
            id, by="ana", roles=["owner"], data={"refund": 50}
        )
    assert (done.status, done.result, done.question) == ("completed", {"refund": 50}, None)


async def test_cancelling_withdraws_what_is_asked(network: Network) -> None:
    id = await network.collaborations.start(CHAIN)
    done = await network.collaborations.cancel(id, reason="enough")
    assert (done.status, done.reason) == ("cancelled", "enough")
    assert await left(network) == []
    assert (await network.collaborations.cancel(id)).status == "cancelled"


async def test_nobody_there_is_waited_for(network: Network) -> None:
    network.book.groups.clear()
    agents = {"elan": lambda said: "text", "liora": lambda said: "sent"}
    async with network.working(agents, engine=False):
        id = await network.collaborations.start(CHAIN)
        found = await network.collaborations.get(id)
        assert (found.status, found.asked) == ("running", ())
        network.book.groups["content"] = ["elan"]
        assert (await ended(network, id)).result == "sent"


async def test_several_workers_lose_nothing_and_do_nothing_twice(network: Network) -> None:
    names = [f"a{number}" for number in range(6)]
    plan = {"pattern": "concurrent", "steps": [{"name": each, "task": each} for each in names]}
    agents = {name: lambda said: Say("response", said.type, times=2) for name in names}
    async with network.working(agents, workers=3, engine=False):
        ids = [await network.collaborations.start(plan) for _ in range(10)]
        found = [await ended(network, id) for id in ids]
    assert all(each.result == {name: name for name in names} for each in found)
    assert sorted(network.asked()) == sorted(f"{name}>{name}" for name in names * 10)


async def test_what_cannot_be_planned_is_refused(network: Network) -> None:
    with pytest.raises(PlanRejected, match="steps: there are 1 to 100 of them"):
        await network.collaborations.start({"pattern": "chain", "steps": []})
    with pytest.raises(CollaborationNotFound):
        await network.collaborations.get(UUID(int=7))


async def test_an_agent_that_hands_its_conversation_on_is_answered_for_by_the_other(
    network: Network,
) -> None:
    async def hand_on(said: Envelope) -> None:
        message = Message(
            topic="agent.grace",
            type=said.type,
            source="urn:higherself:agent:nyra",
            data=said.data,
            entity=said.entity,
            extensions={"requestid": str(said.id), "replyto": "collaboration"},
        ).caused_by(said)
        await network.bench.workflows.channel.outbox.send(message)

    handed: list[Envelope] = []
    agents = {"nyra": handed.append, "grace": lambda said: "settled"}
    plan = {"pattern": "handoff", "steps": [{"name": "nyra", "task": "care"}]}
    async with network.working(agents, engine=False):
        id = await network.collaborations.start(plan)
        await until(lambda: handed)
        async with in_background(network.bench.workflows.channel.outbox.run()):
            await hand_on(handed[0])
        done = await ended(network, id)
    assert isinstance(done.outcome, dict)
    assert (done.result, done.outcome["owners"]) == ("settled", ["nyra", "grace"])
    assert done.asked[0].status == "answered"
