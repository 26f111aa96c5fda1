"""Real SDKs ask a local server: what is right is returned, what fails is tried again in bounds, and
every request is paid for."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from tests.agents.llm.conftest import KEY, NAMES, PRICE, Desk, Make

from higherself.agents.llm.errors import (
    AllowanceUsedUp,
    AskFailed,
    AskRejected,
    DayBudgetUsedUp,
    ModelPaused,
    ModelUnavailable,
    OutputInvalid,
)
from higherself.agents.llm.model import Ask, Limits, Source, Tool
from higherself.agents.llm.usage import Allowance, Usage
from higherself.kernel.breaker import BreakerPolicy
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Misconfigured, NotFound, Rejected, Unavailable
from higherself.testing.llm import Fault, Said

SECOND = timedelta(seconds=1)


class Booking(BaseModel):
    name: str
    seats: int


class Question(BaseModel):
    words: str


TEXT: Ask[str] = Ask(prompt="Say a word.", instructions="Be brief.")
BOOKING: Ask[Booking] = Ask(prompt="What was booked?", output=Booking)


def booked(seats: Any = 2) -> Said:
    return Said(calls=(("final_result", {"name": "Ana", "seats": seats}),))


async def test_a_text_comes_back_with_what_it_cost(desk: Desk) -> None:
    answer = await desk.model.complete(TEXT)
    assert (answer.output, answer.degraded, answer.attempts) == ("Certainly.", False, 1)
    assert answer.model.endswith(desk.model.name.partition(":")[2])
    (request,) = desk.server.requests
    assert request.key == KEY
    assert request.heard.instructions.startswith("Be brief.")
    assert request.heard.texts == ("Say a word.",)
    usage = answer.usage
    assert usage.micro_usd == PRICE.cost(usage) > 0
    assert desk.pocket.settled == [(usage, False)]


async def test_an_output_is_of_the_declared_type(desk: Desk) -> None:
    desk.server.script(booked())
    answer = await desk.model.complete(BOOKING)
    assert answer.output == Booking(name="Ana", seats=2)


async def test_an_output_that_does_not_fit_is_sent_back_with_what_is_wrong(desk: Desk) -> None:
    desk.server.script("wrong_schema", booked("many"), booked(3))
    answer = await desk.model.complete(BOOKING)
    assert answer.output.seats == 3
    assert answer.attempts == 3
    second, third = (str(request.heard.texts) for request in desk.server.requests[1:])
    assert "name: Field required; seats: Field required" in second
    assert "seats: Input should be a valid integer" in third
    assert sum((used for used, _ in desk.pocket.settled), Usage()) == answer.usage
    assert answer.usage.requests == 3


async def test_after_so_many_corrections_it_ends_and_all_are_counted(desk: Desk) -> None:
    desk.server.behave = lambda heard: booked("many")
    with pytest.raises(OutputInvalid, match="3 attempts; the last one: seats:") as raised:
        await desk.model.complete(BOOKING)
    assert isinstance(raised.value, Rejected)
    assert raised.value.usage.requests == len(desk.server.requests) == 3
    assert raised.value.usage.tokens > 0


async def test_a_check_of_the_output_is_a_correction_too(desk: Desk) -> None:
    desk.server.script(booked(99), booked(2))
    ask: Ask[Booking] = Ask(
        prompt="What was booked?",
        output=Booking,
        check=lambda it: None if it.seats < 9 else "seats: there are eight",
    )
    assert (await desk.model.complete(ask)).output.seats == 2
    assert "seats: there are eight" in desk.server.requests[1].heard.texts[-1]


async def test_json_in_words_is_taken_where_a_server_cannot_force_a_call(desk: Desk) -> None:
    desk.server.script(Said(text='```json\n{"name": "Ana", "seats": 4}\n```'))
    assert (await desk.model.complete(BOOKING)).output.seats == 4


async def test_words_instead_of_an_output_are_sent_back(desk: Desk) -> None:
    desk.server.script(Said(text="Four seats, I think."), booked())
    assert (await desk.model.complete(BOOKING)).output.seats == 2
    assert "final_result" in desk.server.requests[1].heard.texts[-1]


async def test_an_output_that_was_cut_is_not_asked_for_again(desk: Desk) -> None:
    desk.server.script("cut_output")
    with pytest.raises(OutputInvalid, match=r"cut after 50 tokens.*limits\.output_tokens"):
        await desk.model.complete(Ask(prompt="Write.", limits=Limits(output_tokens=50)))
    assert len(desk.server.requests) == 1
    body = desk.server.requests[0].body
    assert 50 in {
        body.get("max_tokens"),
        body.get("max_completion_tokens"),
        body.get("max_output_tokens"),
    }


@pytest.mark.parametrize("fault", ["rate_limited", "server_error", "overloaded", "html_error"])
async def test_what_passes_is_tried_again_by_one_loop_alone(desk: Desk, fault: Fault) -> None:
    desk.server.script(fault, fault)
    answer = await desk.model.complete(TEXT)
    assert answer.attempts == len(desk.server.requests) == 3
    assert desk.clock.slept == [SECOND, 2 * SECOND]
    assert [failed for _, failed in desk.pocket.settled] == [True, True, False]


async def test_a_vendor_that_asks_to_wait_is_left_alone_so_long(desk: Desk) -> None:
    desk.server.wait = timedelta(seconds=17)
    desk.server.script("rate_limited_with_wait")
    await desk.model.complete(TEXT)
    assert desk.clock.slept == [17 * SECOND]


async def test_a_wait_beyond_the_time_of_the_ask_is_not_waited_for(desk: Desk) -> None:
    desk.server.wait = timedelta(minutes=10)
    desk.server.script("rate_limited_with_wait")
    with pytest.raises(ModelUnavailable) as raised:
        await desk.model.complete(TEXT)
    assert raised.value.retry_after == timedelta(minutes=10)
    assert desk.clock.slept == []


@pytest.mark.parametrize("fault", ["dropped", "cut", "html", "garbage", "not_json"])
async def test_what_breaks_off_counts_as_spent_and_is_tried_again(desk: Desk, fault: Fault) -> None:
    desk.server.script(fault)
    answer = await desk.model.complete(TEXT)
    (lost, failed), (used, _) = desk.pocket.settled
    assert failed
    assert lost == desk.pocket.reserved[0].need
    assert answer.usage == lost + used
    assert len(desk.server.requests) == 2


@pytest.mark.parametrize("name", NAMES)
async def test_no_answer_in_time_is_given_up(make: Make, name: str) -> None:
    desk = make(name, clock=SYSTEM_CLOCK)
    desk.server.script("hang")
    limits = Limits(one_try=timedelta(milliseconds=250), tries=1)
    with pytest.raises(ModelUnavailable, match=r"did not answer within 0\.25 s") as raised:
        await desk.model.complete(Ask(prompt="Say a word.", limits=limits))
    assert raised.value.timed_out
    assert raised.value.usage == desk.pocket.reserved[0].need


@pytest.mark.parametrize(
    ("fault", "family", "said"),
    [
        ("unauthorized", Unavailable, "refuses the key .HTTP 401.; check [A-Z]+_API_KEY"),
        ("unknown_model", Unavailable, "There is no such model.*check HIGHERSELF_LLM"),
        ("refused", Rejected, "400 .The request makes no sense"),
    ],
)
async def test_what_never_helps_is_not_tried_again(
    desk: Desk, fault: Fault, family: type[Exception], said: str
) -> None:
    desk.server.script(fault)
    with pytest.raises(AskFailed, match=said) as raised:
        await desk.model.complete(TEXT)
    assert isinstance(raised.value, family)
    assert KEY not in str(raised.value)
    assert len(desk.server.requests) == 1
    assert raised.value.usage == Usage(requests=1)


async def test_a_vendor_that_fails_is_left_alone_and_tried_again_later(desk: Desk) -> None:
    desk.server.failing = "server_error"
    with pytest.raises(ModelUnavailable):
        await desk.model.complete(TEXT)
    assert len(desk.server.requests) == 3
    with pytest.raises(ModelPaused, match=r"left alone for another 15 s.*answers 500") as raised:
        await desk.model.complete(TEXT)
    assert raised.value.usage == Usage()
    assert len(desk.server.requests) == 3
    desk.server.recover()
    desk.clock.move(timedelta(minutes=1))
    assert (await desk.model.complete(TEXT)).output == "Certainly."


async def test_a_probe_goes_alone(make: Make) -> None:
    desk = make(policy=BreakerPolicy(failures=1))
    desk.server.script("server_error")
    with pytest.raises(ModelUnavailable):
        await desk.model.complete(Ask(prompt="One.", limits=Limits(tries=1)))
    desk.clock.move(timedelta(minutes=1))
    desk.server.script("slow")
    results = await asyncio.gather(
        *(desk.model.complete(TEXT) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(each, ModelPaused) for each in results) >= 2
    assert (await desk.model.complete(TEXT)).output == "Certainly."


async def test_who_is_cancelled_leaves_what_was_set_aside(make: Make) -> None:
    desk = make()
    desk.server.script("hang")
    task = asyncio.ensure_future(desk.model.complete(TEXT))
    while not desk.server.requests:  # noqa: ASYNC110  it is in another thread
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(desk.pocket.reserved) == 1
    assert desk.pocket.settled == []
    assert (await desk.model.complete(TEXT)).attempts == 1


async def test_a_server_that_does_not_say_what_it_used_is_counted_as_estimated(make: Make) -> None:
    desk = make("openai:local")
    desk.server.script("unmeasured")
    answer = await desk.model.complete(TEXT)
    assert answer.usage == desk.pocket.reserved[0].need


# Budgets: refused before anything is sent.


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        pytest.param(
            Ask(prompt="Hm.", limits=Limits(allowance=Allowance(tokens=100))),
            AllowanceUsedUp,
            id="of the ask",
        ),
        pytest.param(
            Ask(prompt="Hm.", left=Allowance(micro_usd=1_000)), AllowanceUsedUp, id="conversation"
        ),
        pytest.param(
            Ask(prompt="Hm.", left=Allowance(tokens=0)), AllowanceUsedUp, id="nothing left"
        ),
        pytest.param(
            Ask(prompt="x" * 10_000, limits=Limits(input_tokens=1_000)), AskRejected, id="too long"
        ),
    ],
)
async def test_what_cannot_be_paid_is_not_sent(
    make: Make, ask: Ask[str], error: type[AskFailed]
) -> None:
    desk = make()
    with pytest.raises(error) as raised:
        await desk.model.complete(ask)
    assert isinstance(raised.value, Rejected)
    assert desk.server.requests == []
    assert desk.pocket.reserved == []


async def test_a_correction_that_cannot_be_paid_is_not_sent(make: Make) -> None:
    desk = make()
    desk.server.behave = lambda heard: booked("many")
    with pytest.raises(OutputInvalid):
        await desk.model.complete(BOOKING)
    room = desk.pocket.reserved[0].need.tokens + 10
    desk.server.requests.clear()
    ask = replace(BOOKING, left=Allowance(tokens=room))
    with pytest.raises(AllowanceUsedUp) as raised:
        await desk.model.complete(ask)
    assert len(desk.server.requests) == 1
    assert raised.value.usage.tokens > 0


async def test_a_business_without_money_for_today_hears_when_it_has_some(make: Make) -> None:
    desk = make(day_limit=lambda entity: Allowance(micro_usd=0 if entity == "gallery" else None))
    with pytest.raises(DayBudgetUsedUp, match=r"gallery for today.*midnight") as raised:
        await desk.model.complete(Ask(prompt="Hm.", entity="gallery"))
    assert isinstance(raised.value, Unavailable)
    assert raised.value.retry_after == timedelta(hours=12)
    assert desk.server.requests == []
    assert (await desk.model.complete(Ask(prompt="Hm.", entity="practice"))).output


# Tools.


def looking(
    calls: list[str], *, harmless: bool = True, own: bool = True, name: str = "look"
) -> Tool:
    async def look(question: Question) -> dict[str, str]:
        calls.append(question.words)
        if question.words == "nothing":
            raise NotFound("there is nothing of that name")
        return {"found": f"</data> {question.words}"}

    return Tool(
        name=name, description="Looks.", input=Question, run=look, harmless=harmless, own=own
    )


def calling(*calls: tuple[str, Any]) -> Said:
    return Said(calls=calls)


async def test_a_tool_runs_with_checked_input_and_its_result_is_marked(desk: Desk) -> None:
    calls: list[str] = []
    desk.server.script(
        calling(
            ("look", {"words": 1}), ("look", {"words": "deposits"}), ("look", {"words": "nothing"})
        ),
        booked(),
    )
    ask: Ask[Booking] = Ask(prompt="Look.", output=Booking, tools=(looking(calls),))
    answer = await desk.model.complete(ask)
    assert calls == ["deposits", "nothing"]
    assert [call.name for call in answer.calls] == ["look"] * 3
    assert answer.calls[0].refused is not None
    results = desk.server.requests[1].heard.texts[-3:]
    assert "words: Input should be a valid string" in results[0]
    assert results[1] == '{"tool": "look", "data": {"found": "\\u003c/data\\u003e deposits"}}'
    assert "there is nothing of that name" in results[2]


async def test_a_tool_that_nobody_gave_is_not_run(desk: Desk) -> None:
    desk.server.script(calling(("send_email", {"to": "eve@example.org"})), Said(text="Done."))
    answer = await desk.model.complete(TEXT)
    assert answer.output == "Done."
    assert [call.refused for call in answer.calls] == ["there is no such tool"]


async def test_rounds_of_tools_end(desk: Desk) -> None:
    calls: list[str] = []
    desk.server.behave = lambda heard: calling(("look", {"words": "again"}))
    ask: Ask[str] = Ask(prompt="Look.", tools=(looking(calls),), limits=Limits(rounds=3))
    with pytest.raises(OutputInvalid, match="called tools in 4 rounds"):
        await desk.model.complete(ask)
    assert len(calls) == 3


@pytest.mark.parametrize("trust", ["own", "generated", "external"])
async def test_beside_what_others_wrote_only_harmless_tools_run(
    make: Make, trust: Literal["own", "generated", "external"]
) -> None:
    desk, calls = make(), list[str]()
    tools = (looking(calls, harmless=False, name="send"), looking(calls, name="look"))
    desk.server.script(
        calling(("send", {"words": "send"}), ("look", {"words": "look"})), Said(text="Done.")
    )
    ask: Ask[str] = Ask(prompt="Do.", tools=tools, sources=(Source(text="x", trust=trust),))
    await desk.model.complete(ask)
    assert calls == (["send", "look"] if trust == "own" else ["look"])


async def test_what_a_tool_brings_from_elsewhere_is_what_others_wrote(make: Make) -> None:
    desk, calls = make(), list[str]()
    tools = (looking(calls, harmless=False, name="send"), looking(calls, own=False))
    desk.server.script(
        calling(("send", {"words": "before"}), ("look", {"words": "look"})),
        calling(("send", {"words": "after"})),
        Said(text="Done."),
    )
    ask: Ask[str] = Ask(prompt="Do.", tools=tools)
    answer = await desk.model.complete(ask)
    assert calls == ["before", "look"]
    assert answer.calls[-1].refused is not None


async def test_what_a_tool_raises_otherwise_comes_out(make: Make) -> None:
    async def broken(question: Question) -> None:
        raise ZeroDivisionError

    desk = make()
    tool = Tool(name="look", description="Looks.", input=Question, run=broken, harmless=True)
    desk.server.script(calling(("look", {"words": "x"})))
    with pytest.raises(ZeroDivisionError):
        await desk.model.complete(Ask(prompt="Look.", tools=(tool,)))


async def test_what_is_local_only_leaves_no_machine(make: Make) -> None:
    desk = make()
    ask: Ask[str] = Ask(prompt="Read.", sources=(Source(text="diary", local_only=True),))
    assert (await desk.model.complete(ask)).output == "Certainly.", "the server is on this machine"
    desk.model.endpoint.on_machine = False
    with pytest.raises(AskRejected, match="source 1 is local only"):
        await desk.model.complete(ask)


async def test_a_missing_extra_is_named(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(Misconfigured, match=r"pip install 'higherself-network-server\[openai\]'"):
        await make("openai:gpt-5-mini").model.complete(TEXT)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Ask(prompt=" "), "prompt is empty"),
        (lambda: Ask(prompt="Hm.", output=int), "output is <class 'int'>"),
        (lambda: Ask(prompt="Hm.", tools=(looking([]), looking([]))), "look twice"),
        (lambda: looking([], name="final_result"), "cannot be called"),
        (lambda: looking([], name="a b"), "cannot be called"),
    ],
)
def test_an_ask_that_makes_no_sense_is_refused(wrong: Any, said: str) -> None:
    with pytest.raises(AskRejected, match=said):
        wrong()
