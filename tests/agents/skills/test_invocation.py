"""Running skills: who may, how long, how often, how deep, and what is told of it."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from higherself import SkillCall, skill
from higherself.agents.errors import SkillNotAllowed
from higherself.agents.model import AgentCard
from higherself.agents.skills import (
    Cache,
    InputRejected,
    NotStarted,
    OutcomeUnknown,
    OutputRejected,
    Retry,
    SkillFailed,
    SkillForbidden,
    SkillRegistry,
    SkillsTooDeep,
    SkillTimedOut,
    SkillUnknown,
    skills_in,
)
from higherself.agents.skills.invocation import DEEPEST, SkillInvoker
from higherself.kernel import telemetry
from higherself.kernel.errors import Misconfigured, Rejected, Unavailable
from higherself.testing.clock import ManualClock

CALL = SkillCall(key="key", correlation="c-1", traceparent="00-t")
NYRA = AgentCard(name="nyra", skills=("crm.*", "greet"))
SOLARI = AgentCard(name="solari")
CARDS = {"nyra": NYRA, "solari": SOLARI}


def invoker(*functions: Callable[..., Any], clock: Any = None) -> SkillInvoker:
    skills = SkillRegistry()
    for found in skills_in({str(place): each for place, each in enumerate(functions)}):
        skills.add(found)
    return SkillInvoker(skills, clock=clock or ManualClock(), cards=CARDS.get)


class Told:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.counts: list[tuple[str, dict[str, str]]] = []
        self.durations: list[tuple[str, dict[str, str]]] = []

    def event(self, level: str, name: str, facts: dict[str, Any]) -> None:
        self.events.append((level, name, facts))

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        self.counts.append((name, labels))

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None: ...

    def duration(self, name: str, seconds: float, labels: dict[str, str]) -> None:
        self.durations.append((name, labels))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    sink = Told()
    monkeypatch.setattr(telemetry, "_sink", sink)
    return sink


@skill
def greet(name: str) -> str:
    return f"Hello {name}"


async def test_a_skill_is_run_by_its_name_and_by_its_version() -> None:
    @skill(name="greet", version="2")
    def formally(name: str) -> str:
        return f"Good evening {name}"

    skills = invoker(greet, formally)
    given = {"name": "Ana"}
    assert await skills.run("greet", given, CALL) == "Good evening Ana"
    assert await skills.run("greet@1", given, CALL) == "Hello Ana"
    assert await skills.run("greet", given, CALL, version="1") == "Hello Ana"


@pytest.mark.parametrize(
    ("name", "given", "error", "said"),
    [
        ("great", {}, SkillUnknown, "did you mean 'greet'"),
        ("greet@7", {}, SkillUnknown, "no version '7' of skill 'greet'; there is 1"),
        ("greet", {"nam": "Ana"}, InputRejected, "name: Field required; nam: Extra inputs"),
        ("greet", {"name": 3}, InputRejected, "name: Input should be a valid string"),
    ],
)
async def test_what_is_wrong_is_told(
    name: str, given: Mapping[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        await invoker(greet).run(name, given, CALL)


# Who may


@skill(name="crm.find", agents=["ny*"])
def find() -> int:
    return 1


@skill(states=["captured", "booking.*"])
def enrich() -> int:
    return 1


@pytest.mark.parametrize(
    ("name", "call", "said"),
    [
        ("crm.find", {"agent": "nyra"}, None),
        ("crm.find", {"agent": "solari"}, "for the agent ny\\*, not for solari"),
        ("crm.find", {}, "for the agent ny\\*, and no agent asked"),
        ("crm.find", {"operator": True}, None),
        ("enrich", {"state": "captured", "workflow": "lead"}, None),
        ("enrich", {"state": "any", "workflow": "booking"}, None),
        ("enrich", {"state": "any", "workflow": "lead"}, "captured, booking.*, this is any"),
        ("enrich", {}, "for the states captured, booking.*, and no workflow asked"),
        ("enrich", {"operator": True}, None),
        ("greet_all", {"agent": "solari"}, None),
        ("greet_all", {"agent": "nyra"}, r"nyra may not use the skill 'greet_all'"),
        ("greet_all", {"agent": "solari", "allowed": ("crm.*",)}, "solari may not use"),
        ("greet_all", {"agent": "unknown"}, None),
    ],
)
async def test_who_may_use_a_skill(name: str, call: dict[str, Any], said: str | None) -> None:
    @skill
    def greet_all() -> int:
        return 1

    skills = invoker(find, enrich, greet_all)
    asked = SkillCall(key="k", **call)
    if said is None:
        assert await skills.run(name, {}, asked) == 1
        return
    with pytest.raises((SkillForbidden, SkillNotAllowed), match=said) as raised:
        await skills.run(name, {}, asked)
    assert isinstance(raised.value, Rejected)
    assert skills.tallies() == []


async def test_a_result_that_is_kept_is_not_for_those_who_may_not() -> None:
    @skill(effects="pure", cache=Cache("1m"), agents=["nyra"], name="crm.known")
    def known() -> int:
        return 1

    skills = invoker(known)
    assert await skills.run("crm.known", {}, SkillCall(key="k", agent="nyra")) == 1
    with pytest.raises(SkillForbidden):
        await skills.run("crm.known", {}, SkillCall(key="k", agent="solari"))


# How long


async def hang() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({}, SkillTimedOut),
        ({"irreversible": True}, OutcomeUnknown),
        ({"irreversible": True, "idempotent": True}, SkillTimedOut),
        ({"effects": "external"}, SkillTimedOut),
    ],
)
async def test_a_skill_that_hangs_is_cut_off(said: dict[str, Any], error: type[Exception]) -> None:
    skills = invoker(skill(timeout=timedelta(milliseconds=20), **said)(hang))
    with pytest.raises(error, match=r"0\.02 s") as raised:
        await skills.run("hang", {}, CALL)
    assert isinstance(raised.value, Rejected) is (error is OutcomeUnknown)
    (tally,) = skills.tallies()
    assert (tally.runs, tally.failures) == (1, 1)


async def test_who_asks_may_limit_what_says_nothing_itself() -> None:
    with pytest.raises(SkillTimedOut):
        await invoker(skill(hang)).run("hang", {}, CALL, within=timedelta(milliseconds=20))


async def test_a_thread_that_hangs_is_left_alone() -> None:
    going = threading.Event()

    @skill(timeout="20ms")
    def block() -> None:
        going.wait(20)

    with pytest.raises(SkillTimedOut):
        await invoker(block).run("block", {}, CALL)
    going.set()


async def test_a_timeout_of_the_skills_own_is_its_own_failure() -> None:
    @skill
    async def call_somebody() -> None:
        raise TimeoutError("the CRM")

    with pytest.raises(TimeoutError, match="the CRM"):
        await invoker(call_somebody).run("call_somebody", {}, CALL)


# How often


class Flaky:
    """Fails with ``errors``, one each time, then succeeds; remembers its calls."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls: list[SkillCall] = []

    def __call__(self, call: SkillCall) -> int:
        self.calls.append(call)
        if self.errors:
            raise self.errors.pop(0)
        return len(self.calls)

    def skill(self, **said: Any) -> Callable[..., Any]:
        def flaky(call: SkillCall) -> int:
            return self(call)

        return skill(retry=Retry(attempts=3, wait="1s", ceiling="3s"), **said)(flaky)


async def test_what_is_idempotent_is_tried_again_with_the_same_key_and_longer_waits() -> None:
    flaky, clock = Flaky(ValueError(), Unavailable("down")), ManualClock()
    assert await invoker(flaky.skill(idempotent=True), clock=clock).run("flaky", {}, CALL) == 3
    assert [(call.key, call.attempt) for call in flaky.calls] == [
        ("key", 1),
        ("key", 2),
        ("key", 3),
    ]
    first, second = (each.total_seconds() for each in clock.slept)
    assert 0.5 <= first <= 1
    assert 1 <= second <= 2


async def test_but_no_more_often_than_it_says() -> None:
    flaky = Flaky(*[ValueError(str(number)) for number in range(5)])
    with pytest.raises(ValueError, match="2"):
        await invoker(flaky.skill(effects="read")).run("flaky", {}, CALL)
    assert len(flaky.calls) == 3


@pytest.mark.parametrize("said", [{}, {"irreversible": True}, {"egress": True}])
async def test_what_is_not_idempotent_is_tried_again_only_if_nothing_was_done(
    said: dict[str, Any],
) -> None:
    flaky = Flaky(NotStarted("refused"), NotStarted("refused"))
    assert await invoker(flaky.skill(**said)).run("flaky", {}, CALL) == 3
    flaky = Flaky(ConnectionError("in the middle"))
    with pytest.raises(ConnectionError):
        await invoker(flaky.skill(**said)).run("flaky", {}, CALL)
    assert len(flaky.calls) == 1


@pytest.mark.parametrize("error", [Rejected("no"), Misconfigured("no")])
async def test_what_would_only_be_repeated_is_not(error: Exception) -> None:
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        await invoker(flaky.skill(effects="pure")).run("flaky", {}, CALL)
    assert len(flaky.calls) == 1


async def test_a_lie_is_not_tried_again() -> None:
    runs: list[int] = []

    @skill(effects="pure", retry=Retry())
    def lie() -> int:
        runs.append(1)
        return "three"  # type: ignore[return-value]

    with pytest.raises(OutputRejected, match="the result: Input should be a valid integer"):
        await invoker(lie).run("lie", {}, CALL)
    assert runs == [1]


async def test_each_attempt_gets_its_own_arguments() -> None:
    @skill(idempotent=True, retry=Retry(attempts=2))
    def add(items: list[int]) -> list[int]:
        items.append(1)
        if len(items) == 1 and not seen:
            seen.append(1)
            raise ValueError
        return items

    seen: list[int] = []
    assert await invoker(add).run("add", {"items": []}, CALL) == [1]


# Within each other


async def test_skills_run_others_with_keys_of_their_own() -> None:
    keys: list[str] = []

    @skill
    def inner(call: SkillCall) -> str:
        keys.append(call.key)
        return f"{call.agent} {call.entity} {call.correlation} {call.traceparent}"

    @skill
    async def outer(call: SkillCall) -> list[Any]:
        return [await call.skill("inner"), await call.skill("inner")]

    call = SkillCall(key="k", agent="solari", entity="spa", correlation="c", traceparent="t")
    skills = invoker(inner, outer)
    assert await skills.run("outer", {}, call) == ["solari spa c t"] * 2
    assert await skills.run("outer", {}, call) == ["solari spa c t"] * 2
    assert keys == ["k/inner/1", "k/inner/2"] * 2


async def test_the_agent_has_to_be_allowed_the_inner_one_too() -> None:
    @skill
    def secret() -> int:
        return 1

    @skill(name="crm.outer")
    async def outer(call: SkillCall) -> Any:
        return await call.skill("secret")

    with pytest.raises(SkillNotAllowed, match="may not use the skill 'secret'"):
        await invoker(secret, outer).run("crm.outer", {}, SkillCall(key="k", agent="nyra"))


async def test_skills_that_call_each_other_for_ever_are_stopped() -> None:
    depth: list[int] = []

    @skill
    async def ping(call: SkillCall) -> Any:
        depth.append(1)
        return await call.skill("pong")

    @skill
    async def pong(call: SkillCall) -> Any:
        depth.append(1)
        return await call.skill("ping")

    skills = invoker(ping, pong)
    with pytest.raises(SkillsTooDeep, match=r"16 is the most\): ping@1 -> pong@1 -> .* -> ping@1"):
        await skills.run("ping", {}, CALL)
    assert len(depth) == DEEPEST
    with pytest.raises(SkillsTooDeep):  # and that is all that it leaves behind
        await skills.run("ping", {}, CALL)


async def test_a_skill_that_waits_for_its_own_result_is_stopped() -> None:
    @skill(effects="pure", cache=Cache("1m"))
    async def narcissus(call: SkillCall) -> Any:
        return await call.skill("narcissus")

    async with asyncio.timeout(5):
        with pytest.raises(SkillsTooDeep, match="waits for its own result"):
            await invoker(narcissus).run("narcissus", {}, CALL)


# What it works with


async def test_a_skill_finds_what_the_program_provides_and_is_told_what_it_does_not() -> None:
    @skill
    def use(name: str, call: SkillCall) -> Any:
        return call.resource(name)

    skills = invoker(use)
    skills.provide("greeting", lambda: "hello")
    assert await skills.run("use", {"name": "greeting"}, CALL) == "hello"
    with pytest.raises(
        Misconfigured, match="no 'notion' for skills in this process; there is greet"
    ):
        await skills.run("use", {"name": "notion"}, CALL)


# What is told


async def test_a_run_is_told_with_what_led_to_it(told: Told) -> None:
    @skill
    def fail() -> None:
        raise ValueError("why")

    skills = invoker(greet, fail)
    await skills.run("greet", {"name": "Ana"}, CALL)
    with pytest.raises(ValueError, match="why"):
        await skills.run("fail", {}, CALL)
    with pytest.raises(InputRejected):
        await skills.run("greet", {}, CALL)
    assert told.durations == [
        ("skills.run", {"skill": "greet", "outcome": "done"}),
        ("skills.run", {"skill": "fail", "outcome": "failed"}),
        ("skills.run", {"skill": "greet", "outcome": "rejected"}),
    ]
    level, name, facts = told.events[1]
    assert (level, name) == ("warning", "skills.run.failed")
    assert facts["skill"] == "fail@1"
    assert facts["reason"] == "ValueError: why"
    assert (facts["correlation"], facts["traceparent"]) == ("c-1", "00-t")
    assert {(each.skill, each.runs, each.failures) for each in skills.tallies()} == {
        ("greet", 2, 1), ("fail", 1, 1),
    }  # fmt: skip
    assert skills.tallies() == []


async def test_at_the_edges_every_error_is_one_of_ours() -> None:
    @skill
    def fail() -> None:
        raise KeyError("lead")

    skills = invoker(fail, greet)
    with pytest.raises(SkillFailed, match=r"skill fail failed: KeyError: 'lead'") as raised:
        await skills.explained("fail", {}, CALL)
    assert isinstance(raised.value.__cause__, KeyError)
    with pytest.raises(InputRejected):
        await skills.explained("greet", {}, CALL)
