"""Templates answer where the model cannot, and say why."""

import pytest
from tests.agents.llm.conftest import Make

from higherself.agents.llm import tasks
from higherself.agents.llm.errors import AllowanceUsedUp, ModelUnavailable
from higherself.agents.llm.fallback import WithTemplates
from higherself.agents.llm.model import Ask, Source
from higherself.agents.llm.usage import Allowance
from higherself.testing.llm import Fault

QUESTION = tasks.answer("When are deposits refunded?", [Source(text="Deposits are refunded soon.")])


async def test_the_model_answers_if_it_can(make: Make) -> None:
    answer = await WithTemplates(make().model).complete(QUESTION)
    assert (answer.degraded, answer.reason) == (False, None)
    assert answer.output.text == "certainly"


@pytest.mark.parametrize(
    ("fault", "reason", "attempts"),
    [
        ("server_error", "answers 500", 3),
        ("unauthorized", "refuses the key", 1),
        ("wrong_schema", "no valid output in 3 attempts", 3),
        ("refused", "makes no sense", 1),
    ],
)
async def test_if_not_a_template_does_and_says_why_and_what_was_spent(
    make: Make, fault: Fault, reason: str, attempts: int
) -> None:
    desk = make()
    desk.server.failing = fault
    answer = await WithTemplates(desk.model).complete(QUESTION)
    assert answer.degraded
    assert reason in str(answer.reason)
    assert answer.output.text == "Deposits are refunded soon. [1]"
    assert answer.attempts == answer.usage.requests == attempts


async def test_without_money_a_template_does(make: Make) -> None:
    ask = tasks.answer(
        "When are deposits refunded?",
        [Source(text="Deposits are refunded soon.")],
        left=Allowance(tokens=10),
    )
    answer = await WithTemplates(make().model).complete(ask)
    assert answer.degraded
    assert "budget of this conversation" in str(answer.reason)
    assert answer.attempts == 0


async def test_what_no_template_does_fails_as_the_model_failed(make: Make) -> None:
    desk = make()
    desk.server.failing = "server_error"
    with pytest.raises(ModelUnavailable, match="answers 500") as raised:
        await WithTemplates(desk.model).complete(Ask(prompt="Write a poem."))
    assert raised.value.usage.requests == 3
    assert "no template" in raised.value.__notes__[0]
    with pytest.raises(AllowanceUsedUp):
        await WithTemplates(desk.model).complete(Ask(prompt="x", left=Allowance(tokens=1)))
