"""What an agent says of itself, and which of its handlers gets a message."""

import json
import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from higherself.agents.agent import Agent, AgentRegistry, agent, agents_in, handles
from higherself.agents.errors import AgentMistaken, TaskIncomplete
from higherself.agents.model import AgentCard, Task
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.ids import new_id
from higherself.messaging.envelope import Envelope, MessageId

CARD = AgentCard(
    name="nyra",
    role="lead_capture",
    capabilities=("lead_enrichment",),
    accepts=("lead.captured",),
    entities=("the_7_space",),
    fallbacks={"lead_enrichment": ("solari",)},
    voice="warm",
)


class Nyra(Agent):
    card = CARD

    @handles("lead.captured", "lead.bought")
    async def captured(self, task: Task, context: Any) -> str:
        return "captured"

    @handles("lead.*")
    async def any_lead(self, task: Task, context: Any) -> str:
        return "any lead"

    @handles(">")
    async def rest(self, task: Task, context: Any) -> str:
        return "rest"


def task(data: Any) -> Task:
    now = SYSTEM_CLOCK.now()
    envelope = Envelope(
        id=MessageId(new_id(now)), source="s", type="t", time=now, correlation_id="c", data=data
    )
    return Task(envelope, "k")


@pytest.mark.parametrize(
    ("type_", "handled_by"),
    [
        ("lead.captured", "captured"),
        ("lead.bought", "captured"),
        ("lead.lost", "any lead"),
        ("lead.lost.again", "rest"),
        ("escalation.answered", "rest"),
    ],
)
async def test_the_most_particular_handler_gets_a_message(type_: str, handled_by: str) -> None:
    handler = Nyra().handler_for(type_)
    assert handler is not None
    assert await handler(task(None), None) == handled_by  # type: ignore[arg-type]


def test_a_card_says_what_the_handlers_accept() -> None:
    accepts = Nyra().described().accepts
    assert sorted(accepts) == [">", "lead.*", "lead.bought", "lead.captured"]


def test_a_card_survives_being_stored() -> None:
    stored = json.loads(json.dumps(CARD.to_json()))
    assert AgentCard.from_json(stored) == CARD
    assert AgentCard.from_json({**stored, "of a later version": 1}) == CARD


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"name": "Nyra"}, "its name is not"),
        ({"name": "n" * 43}, "its name is not"),
        ({"concurrency": 0}, "concurrency is 0"),
        ({"accepts": ("a..b",)}, "is not words with dots"),
        ({"fallbacks": {"lead_enrichmnt": ("solari",)}}, "'lead_enrichmnt', which it has not"),
    ],
)
def test_a_card_that_cannot_be_is_refused(facts: dict[str, Any], said: str) -> None:
    with pytest.raises(AgentMistaken, match=said):
        replace(CARD, **facts)


def test_an_agent_that_accepts_what_it_does_not_handle_is_refused() -> None:
    class Mute(Agent):
        card = replace(CARD, accepts=("lead.lost",))

        @handles("lead.captured")
        async def captured(self, task: Task, context: Any) -> None: ...

    with pytest.raises(AgentMistaken, match=r"accepts 'lead.lost', and no handler"):
        Mute().described()
    with pytest.raises(AgentMistaken, match="it has no handler"):
        type("Empty", (Agent,), {"card": CARD})().described()


def test_a_handler_that_would_block_is_refused_when_it_is_written() -> None:
    with pytest.raises(AgentMistaken, match="is not `async def`"):

        class Blocking(Agent):
            card = CARD

            @handles("lead.captured")
            def captured(self, task: Task, context: Any) -> None: ...

    with pytest.raises(AgentMistaken, match=r"both .* handle 'a'"):

        class Twice(Agent):
            card = CARD

            @handles("a")
            async def one(self, task: Task, context: Any) -> None: ...

            @handles("a")
            async def two(self, task: Task, context: Any) -> None: ...


def test_a_function_becomes_an_agent_and_stays_what_it_is() -> None:
    @agent(name="greeter", accepts=["lead.captured"], capabilities=["greeting"], concurrency=2)
    async def greeter(task: Task, context: Any) -> str:
        """Greets."""
        return "hello"

    (made,) = agents_in({"greeter": greeter, "again": greeter})
    card = made.described()
    assert (card.capabilities, card.concurrency) == (("greeting",), 2)
    assert card.description == "Greets."
    assert made.handler_for("lead.captured") is greeter
    assert made.handler_for("lead.lost") is None
    with pytest.raises(AgentMistaken, match="concurency"):
        agent(name="x", accepts=["a"], concurency=2)(greeter)
    with pytest.raises(AgentMistaken, match="names no type"):
        agent(name="x", accepts=[])(greeter)


def test_classes_with_a_card_are_found_where_they_were_written() -> None:
    module = ModuleType("written_here")
    sys.modules["written_here"] = module
    try:
        exec(
            "from tests.agents.test_agent import *\n"
            "class Own(Nyra): pass\n"
            "ready = Own()\n"
            "class Other(Nyra):\n    card = AgentCard(name='other')\n",
            vars(module),
        )
        found = list(agents_in(vars(module), module="written_here"))
    finally:
        del sys.modules["written_here"]
    assert [type(each).__name__ for each in found] == ["Own", "Other"]
    assert found[0] is module.ready


def test_two_agents_of_one_name_are_refused() -> None:
    registry = AgentRegistry()
    nyra = Nyra()
    registry.add(nyra, origin="a.py")
    registry.add(nyra, origin="b.py")  # imported there
    with pytest.raises(AgentMistaken, match=r"two of this name: in a\.py and in c\.py"):
        registry.add(Nyra(), origin="c.py")
    assert list(registry.cards) == ["nyra"]


@pytest.mark.parametrize("data", [None, {}, ["email"], "email"])
def test_a_field_that_is_missing_is_named(data: Any) -> None:
    with pytest.raises(TaskIncomplete, match="needs the field 'email'"):
        task(data)["email"]
    assert task({"email": "a@b.c"})["email"] == "a@b.c"
