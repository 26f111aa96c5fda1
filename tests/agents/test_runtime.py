"""Agents on the bus: requests and replies, refusals, who speaks, statistics, fallbacks, lifecycle."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.agents.agents_rig import SOON, Network, data_of, network_on, until

from higherself.agents.agent import Agent, agent, agents_in, handles
from higherself.agents.context import AgentContext
from higherself.agents.model import AgentCard, Task
from higherself.agents.routing import Suggestion
from higherself.db.pool import Database
from higherself.messaging.bus import RequestFailed, RequestRefused
from higherself.messaging.model import RetryPolicy
from higherself.messaging.protocol import UnknownRecipient

pytestmark = pytest.mark.postgres

QUICK = RetryPolicy(max_attempts=2, base=timedelta(milliseconds=10))
NyraFacts: dict[str, Any] = {"name": "nyra", "capabilities": ("lead_enrichment",)}

Networking = Callable[..., AbstractAsyncContextManager[Network]]


class Nyra(Agent):
    card = AgentCard(**NyraFacts, role="lead_capture", concurrency=2)
    policy = QUICK

    def __init__(self, **facts: Any) -> None:
        self.card = replace(self.card, **facts)
        self.events: list[str] = []
        self.seen: list[Task] = []
        self.gate = asyncio.Event()

    async def on_start(self) -> None:
        self.events.append("started")

    async def on_stop(self) -> None:
        self.events.append("stopped")

    @handles("echo")
    async def echo(self, task: Task, context: AgentContext) -> Any:
        self.seen.append(task)
        return {"from": context.card.name, "said": task.data, "sender": task.sender}

    @handles("lead.fail")
    async def fail(self, task: Task, context: AgentContext) -> None:
        self.seen.append(task)
        raise RuntimeError("the CRM is down")

    @handles("wait")
    async def wait(self, task: Task, context: AgentContext) -> str:
        self.events.append("waiting")
        await self.gate.wait()
        self.events.append("waited")
        return "done"

    @handles("tell")
    async def tell(self, task: Task, context: AgentContext) -> None:
        await context.delegate(task["to"], "echo", {"source": "urn:higherself:agent:grace"})


class Solari(Nyra):
    card = AgentCard(name="solari", capabilities=("lead_enrichment", "booking"))

    @handles("lead.fail")
    async def fail(self, task: Task, context: AgentContext) -> Any:
        self.seen.append(task)
        return {"enriched by": "solari", "failed": task.envelope.extensions.get("failedagents")}


@pytest.fixture
def networking(database_url: str, database: Database) -> Networking:
    return lambda *agents, **more: network_on(database_url, database, agents, **more)


@pytest.mark.parametrize("durable", [True, False])
async def test_a_request_is_answered(networking: Networking, durable: bool) -> None:
    async with networking(Nyra()) as net, net.working():
        reply = await net.bus.request("agent:nyra", "echo", "hi", timeout=SOON, durable=durable)
    assert reply.data == {"from": "nyra", "said": "hi", "sender": "urn:higherself:operator:local"}
    assert reply.envelope.source == "urn:higherself:agent:nyra"


@pytest.mark.parametrize("durable", [True, False])
async def test_what_it_does_not_accept_is_refused_with_what_it_does(
    networking: Networking, durable: bool
) -> None:
    async with networking(Nyra()) as net, net.working():
        with pytest.raises(RequestRefused, match=r"does not accept 'ehco'; it accepts echo, lead"):
            await net.bus.request("agent:nyra", "ehco", timeout=SOON, durable=durable)
        await net.bus.send("agent:nyra", "ehco")
        ((reason, *_),) = await net.ended("ehco", "dead")
    assert "TypeRefused" in reason


async def test_an_agent_of_one_business_gets_nothing_of_another(networking: Networking) -> None:
    nyra = Nyra(entities=("the_7_space",))
    async with networking(nyra) as net, net.working():
        with pytest.raises(UnknownRecipient, match="does not serve am_consulting; it serves the_7"):
            await net.bus.send("agent:nyra", "echo", entity="am_consulting")
        with pytest.raises(RequestRefused, match="does not serve what belongs to no business"):
            await net.bus.request("topic:agent.nyra", "echo", timeout=SOON)
    assert nyra.seen == []


async def test_who_speaks_is_known_from_the_session_whatever_the_data_claim(
    networking: Networking,
) -> None:
    nyra, solari = Nyra(), Solari()
    async with networking(nyra, solari) as net, net.working():
        await net.bus.send("agent:nyra", "tell", {"to": "agent:solari"})
        await until(lambda: solari.seen)
    (task,) = solari.seen
    assert task.data == {"source": "urn:higherself:agent:grace"}
    assert task.sender == "urn:higherself:agent:nyra"
    assert task.envelope.causation_id is not None
    assert task.envelope.hop_count == 1


async def test_an_unknown_agent_is_said_with_the_nearest(networking: Networking) -> None:
    async with networking(Nyra()) as net:
        with pytest.raises(UnknownRecipient, match=r"agent 'nyro'; did you mean 'nyra'\?"):
            await net.bus.send("agent:nyro", "echo")
        with pytest.raises(UnknownRecipient, match="did you mean 'lead_enrichment'"):
            await net.bus.send("capability:lead_enrichmnt", "echo")


async def test_a_capability_is_routed_and_the_decision_goes_along_and_is_logged(
    networking: Networking,
) -> None:
    nyra, solari = Nyra(), Solari()
    async with networking(nyra, solari) as net, net.working("solari"):
        receipt = await net.bus.send("capability:lead_enrichment", "echo", entity=None)
        assert receipt.agent == "solari", "nyra is away"
        await until(lambda: solari.seen)
        told = solari.seen[0].envelope.extensions
        assert told["routedby"] == "required"
        assert str(told["routedamong"]).startswith("solari 1.5, nyra ")
        await net.directory.log.flush()
        (decision,) = await net.directory.log.latest()
    assert (decision.wanted, decision.agent, decision.way) == (
        "capability:lead_enrichment", "solari", "required",
    )  # fmt: skip
    assert [each["agent"] for each in decision.considered["candidates"]] == ["solari", "nyra"]


async def test_statistics_tell_load_and_success(networking: Networking) -> None:
    nyra = Nyra()
    async with networking(nyra) as net, net.working() as runtime:
        for _ in range(3):
            await net.bus.request("agent:nyra", "echo", timeout=SOON)
        with pytest.raises(RequestFailed, match="the CRM is down"):
            await net.bus.request("agent:nyra", "lead.fail", timeout=SOON, durable=False)
        await net.bus.send("agent:nyra", "wait")
        await until(lambda: "waiting" in nyra.events)
        await runtime._heart.beat()
        known = await net.directory.agent("nyra")
        nyra.gate.set()
    assert (known.done, known.failed) == (3, 1)
    assert known.seconds is not None
    assert 0 <= known.seconds < 5
    (present,) = known.present
    assert (present.worker, present.phase, present.running) == ("here", "ready", 1)
    assert known.candidate().running == 1


async def test_told_to_stop_it_finishes_what_it_has_begun_and_is_gone(
    networking: Networking,
) -> None:
    nyra = Nyra()
    async with networking(nyra) as net:
        async with net.working():
            await net.bus.send("agent:nyra", "wait")
            await until(lambda: "waiting" in nyra.events)
            asyncio.get_running_loop().call_later(0.3, nyra.gate.set)
        assert nyra.events == ["started", "waiting", "waited", "stopped"]
        assert (await net.directory.agent("nyra")).present == ()
        await net.ended("wait")


async def test_while_it_drains_it_is_shown_so_and_gets_no_more(networking: Networking) -> None:
    nyra = Nyra()
    async with networking(nyra) as net:
        phases = []

        async def look() -> None:
            await until(lambda: nyra.events[-1:] == ["waiting"])

            async def draining() -> bool:
                phases.append([p.phase for p in (await net.directory.agent("nyra")).present])
                return phases[-1] == ["draining"]

            await until(draining)
            assert await net.directory.present(None) == []
            nyra.gate.set()

        async with net.working():
            await net.bus.send("agent:nyra", "wait")
            await until(lambda: nyra.events[-1:] == ["waiting"])
            looking = asyncio.create_task(look())
        await looking
    assert phases[-1] == ["draining"]


async def test_an_agent_that_cannot_start_is_shown_with_its_problem_and_others_run(
    networking: Networking,
) -> None:
    class Broken(Nyra):
        card = AgentCard(name="broken")

        async def on_start(self) -> None:
            raise RuntimeError("no key for the CRM")

    async with networking(Nyra(), Broken()) as net, net.working():
        assert (await net.bus.request("agent:nyra", "echo", timeout=SOON)).data
        known = await net.directory.agent("broken")
        assert known.away == "it is stopped (RuntimeError: no key for the CRM)"
        assert await net.directory.present(None) == ["nyra"]


async def test_a_broadcast_goes_to_every_agent_that_is_present(networking: Networking) -> None:
    nyra, solari = Nyra(), Solari()
    async with networking(nyra, solari, Nyra(name="away")) as net:
        async with net.working("nyra", "solari"):
            receipts = await net.bus.broadcast("echo", 1, capability="lead_enrichment")
            await until(lambda: nyra.seen and solari.seen)
        assert [each.agent for each in receipts] == ["nyra", "solari"]


# Fallbacks


@pytest.mark.parametrize("durable", [True, False])
async def test_only_a_declared_fallback_takes_over_what_failed(
    networking: Networking, durable: bool
) -> None:
    nyra = Nyra(fallbacks={"lead_enrichment": ("solari",)}, concurrency=9)
    solari = Solari(concurrency=1)
    async with networking(nyra, solari) as net, net.working():
        asked = net.bus.request(
            "capability:lead_enrichment", "lead.fail", timeout=SOON, durable=durable
        )
        assert (await asked).data == {"enriched by": "solari", "failed": "nyra"}
        # To a name, without a capability: nothing was declared for that.
        with pytest.raises(RequestFailed, match="the CRM is down"):
            await net.bus.request("agent:nyra", "lead.fail", timeout=SOON, durable=durable)
    assert len(solari.seen) == 1
    assert solari.seen[0].sender == "urn:higherself:operator:local"


async def test_what_is_refused_is_no_failure_and_goes_to_nobody_else(
    networking: Networking,
) -> None:
    nyra = Nyra(fallbacks={"*": ("solari",)})
    solari = Solari()
    async with networking(nyra, solari) as net, net.working():
        await net.bus.send("agent:nyra", "tell", {})
        ((reason, *_),) = await net.ended("tell", "dead")
        assert "needs the field 'to'" in reason
        assert (await net.directory.agent("nyra")).failed == 0
        assert solari.seen == []
        await net.bus.send("agent:nyra", "lead.fail")
        await until(lambda: solari.seen)


# The desk


async def test_the_desk_routes_by_type_and_the_answer_comes_back(networking: Networking) -> None:
    nyra = Nyra(events=("echo",))
    async with networking(nyra, Solari()) as net, net.working():
        reply = await net.bus.request("topic:agents", "echo", "hi", timeout=SOON)
        assert reply.data == {
            "from": "nyra", "said": "hi", "sender": "urn:higherself:operator:local",
        }  # fmt: skip
        assert nyra.seen[0].envelope.extensions["routedby"] == "event"


async def test_what_nobody_accepts_is_a_dead_letter_with_the_reasons(
    networking: Networking,
) -> None:
    async with networking(Nyra()) as net, net.working():
        await net.bus.send("topic:agents", "something.else", extensions={"pattern": "no_such"})
        ((reason, *_),) = await net.ended("something.else", "dead")
        with pytest.raises(RequestRefused, match="no agent was found for something"):
            await net.bus.request("topic:agents", "something.else", timeout=SOON)
    assert "pattern: no agent leads a pattern 'no_such'" in reason
    assert "accepts: no agent that may have it has declared to accept something.else" in reason
    assert "model: no language model is installed that routes" in reason


async def test_a_model_may_say_what_a_message_is_to_an_agent_that_knows_it(
    networking: Networking,
) -> None:
    class Routes:
        async def suggest(self, need: Any, agents: Any) -> Suggestion:
            assert [card.name for card in agents] == ["nyra"]
            return Suggestion("nyra", "echo", "it is talk")

    nyra = Nyra()
    others = Nyra(name="theirs", entities=("the_7_space",))
    async with networking(nyra, others, router=Routes()) as net, net.working("nyra"):
        reply = await net.bus.request("topic:agents", "chatter", "hm", timeout=SOON)
        assert data_of(reply)["said"] == "hm"
        told = nyra.seen[0].envelope
    assert (told.type, told.extensions["routedtype"]) == ("echo", "chatter")
    assert told.extensions["routedwhy"] == "the model chose it: it is talk"


async def test_a_named_pattern_goes_to_who_leads_it(networking: Networking) -> None:
    solari = Solari(leads=("lead_to_booking",))
    async with networking(Nyra(events=("echo",)), solari) as net, net.working():
        named = {"pattern": "lead_to_booking"}
        reply = await net.bus.request("topic:agents", "echo", timeout=SOON, extensions=named)
    assert data_of(reply)["from"] == "solari"


# A function


async def test_a_function_is_an_agent_as_well(networking: Networking) -> None:
    @agent(name="doubler", accepts=["double"], concurrency=2)
    async def doubler(task: Task, context: AgentContext) -> int:
        return 2 * int(task["number"])

    async with networking(*agents_in({"doubler": doubler})) as net, net.working():
        reply = await net.bus.request("agent:doubler", "double", {"number": 21}, timeout=SOON)
        assert reply.data == 42
        with pytest.raises(RequestRefused, match="needs the field 'number'"):
            await net.bus.request("agent:doubler", "double", {}, timeout=SOON)
