"""A model says which of the declared types an unknown message is, or that it knows none."""

import pytest

from higherself.agents.llm.template import TemplateModel
from higherself.agents.model import AgentCard
from higherself.agents.routing import Need
from higherself.services.agent_router import ModelRouter

CARDS = [
    AgentCard(name="solari", accepts=("booking.wanted", "order.*"), description="Takes bookings"),
    AgentCard(name="sage", accepts=("community.question",), description="Hears the community"),
    AgentCard(name="wild", accepts=(">",)),
]


@pytest.mark.parametrize(
    ("type_", "agent", "known_as"),
    [
        ("guest_booking_wanted", "solari", "booking.wanted"),
        ("community.forum.question", "sage", "community.question"),
        ("zzz.qqq", None, None),
    ],
)
async def test_it_chooses_among_what_is_declared(
    type_: str, agent: str | None, known_as: str | None
) -> None:
    found = await ModelRouter(TemplateModel).suggest(Need(type=type_, entity="gallery"), CARDS)
    assert (found and found.agent, found and found.type) == (agent, known_as)


async def test_without_types_to_choose_from_nobody_is_asked() -> None:
    def never() -> TemplateModel:
        raise AssertionError("nothing to ask about")

    assert await ModelRouter(never).suggest(Need(type="a.b"), CARDS[2:]) is None
    assert await ModelRouter(never).suggest(Need(), CARDS) is None
