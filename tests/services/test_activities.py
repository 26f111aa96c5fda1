"""Who runs an activity, why nobody can, and where secrets go."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.agents.routing import Candidate
from higherself.agents.skills import (
    Cache,
    InputRejected,
    SkillCall,
    SkillForbidden,
    SkillRegistry,
    skill,
)
from higherself.agents.skills.invocation import SkillInvoker
from higherself.kernel.errors import Rejected
from higherself.kernel.ids import InstanceId
from higherself.services.activities import SkillRunner
from higherself.workflow.definition import AgentSelector
from higherself.workflow.engine.activities import ActivityCall, Ran
from higherself.workflow.engine.errors import CannotRun

ABOUT = ("key", "attempt", "instance", "entity", "agent", "workflow", "state", "correlation")
INSTANCE = InstanceId(UUID(int=7))
TOKEN = "tok_live_4711"
SECRETS = {"crm_token": TOKEN, "user": "higherself-bot", "pin": "1234"}

NYRA = Candidate("nyra", role="sales", capabilities=frozenset({"lead_enrichment"}))
LUMEN = Candidate("lumen", capabilities=frozenset({"content"}), running=1)


def asked(skill: str | None, input: Any = None, **facts: Any) -> ActivityCall:
    return ActivityCall(
        key=f"{INSTANCE}/3/captured/activity",
        attempt=2,
        instance=INSTANCE,
        workflow="lead_nurturing",
        entity="the_7_space",
        activity="captured/activity",
        input={} if input is None else input,
        skill=skill,
        **facts,
    )


async def _candidates() -> list[Candidate]:
    return [NYRA, LUMEN]


def runner(*functions: Callable[..., Any]) -> SkillRunner:
    skills = SkillRegistry()
    for each in functions:
        skills.add(skill(each).__higherself_skill__)  # type: ignore[attr-defined]
    return SkillRunner(SkillInvoker(skills), candidates=_candidates, secrets=SECRETS.get)


def seen(call: SkillCall, **rest: Any) -> dict[str, Any]:
    return {"call": {name: getattr(call, name) for name in ABOUT}, "given": rest}


async def test_a_skill_gets_its_input_and_what_it_is_about() -> None:
    ran = await runner(seen).run(asked("seen", {"email": "ana@example.org"}))
    assert ran == Ran(
        {
            "call": {
                "key": f"{INSTANCE}/3/captured/activity", "attempt": 2, "instance": str(INSTANCE),
                "entity": "the_7_space", "agent": None, "workflow": "lead_nurturing",
                "state": "captured", "correlation": str(INSTANCE),
            },
            "given": {"email": "ana@example.org"},
        }
    )  # fmt: skip


async def test_what_a_skill_raises_is_how_it_ended() -> None:
    def fail() -> None:
        raise Rejected("never")

    with pytest.raises(Rejected, match="never"):
        await runner(fail).run(asked("fail"))


@pytest.mark.parametrize("given", [["a"], "{{ secrets.crm_token }}", 3])
async def test_input_that_is_no_object_is_refused(given: Any) -> None:
    with pytest.raises(InputRejected, match=r"cannot take: input: an object is needed$"):
        await runner(seen).run(asked("seen", given, secrets=((),)))


# Versions, states, results that are kept


def kept_runner(*functions: Callable[..., Any]) -> SkillRunner:
    """Of functions that are skills already."""
    skills = SkillRegistry()
    for each in functions:
        skills.add(each.__higherself_skill__)  # type: ignore[attr-defined]
    return SkillRunner(SkillInvoker(skills), secrets=SECRETS.get)


async def test_a_definition_may_pin_a_version() -> None:
    @skill(name="score", version="1")
    def old() -> int:
        return 1

    @skill(name="score", version="2")
    def new() -> int:
        return 2

    both = kept_runner(old, new)
    assert [(await both.run(asked(name))).result for name in ("score", "score@1")] == [2, 1]
    with pytest.raises(CannotRun, match="no version '3' of skill 'score'; there is 2, 1"):
        await both.run(asked("score@3"))


@pytest.mark.parametrize(
    ("states", "allowed"), [("captured", True), ("lead_*.captured", True), ("won", False)]
)
async def test_a_skill_is_run_in_its_states_alone(states: str, allowed: bool) -> None:
    @skill(states=[states])
    def enrich() -> int:
        return 1

    if allowed:
        assert await kept_runner(enrich).run(asked("enrich")) == Ran(1)
    else:
        with pytest.raises(SkillForbidden, match="it is for the state won, this is captured"):
            await kept_runner(enrich).run(asked("enrich"))


async def test_what_is_made_with_a_secret_is_not_kept() -> None:
    @skill(effects="read", cache=Cache("1h"))
    def fetch(token: str) -> int:
        runs.append(token)
        return len(runs)

    runs: list[str] = []
    runs_it = kept_runner(fetch)
    with_secret = asked("fetch", {"token": "{{ secrets.crm_token }}"}, secrets=(("token",),))
    without = asked("fetch", {"token": "none"})
    results = [await runs_it.run(each) for each in (with_secret, with_secret, without, without)]
    assert results == [Ran(1), Ran(2), Ran(3), Ran(3)]
    assert runs == [TOKEN, TOKEN, "none"]


# Agents


async def test_the_agent_that_routing_chooses_is_told_and_kept() -> None:
    selector = AgentSelector(capability="lead_enrichment")
    ran = await runner(seen).run(asked("seen", agent=selector))
    assert ran.agent == "nyra"
    assert isinstance(ran.result, dict)
    assert ran.result["call"]["agent"] == "nyra"


@pytest.mark.parametrize(
    ("skill", "agent", "reason"),
    [
        ("sene", None, r"no worker that looked has it .*did you mean 'seen'\?"),
        (None, None, "no worker that looked can run the pattern chain"),
        ("seen", AgentSelector(capability="lead_enrichmnt"), "did you mean 'lead_enrichment'"),
        ("seen", AgentSelector(role="owner"), "no agent with role owner"),
        ("seen", AgentSelector(name="lumen"), r"busy or away: lumen is busy \(1 of 1\)"),
    ],
)
async def test_what_nobody_can_run_says_why(
    skill: str | None, agent: AgentSelector | None, reason: str
) -> None:
    with pytest.raises(CannotRun, match=reason):
        await runner(seen).run(asked(skill, agent=agent, pattern=None if skill else "chain"))


# Secrets

INPUT = {
    "headers": [{"auth": "Bearer {{ secrets.crm_token }} of {{secrets.user}}"}],
    "note": "{{ secrets.crm_token }}",
}
PLACES = (("headers", 0, "auth"),)


async def test_secrets_are_put_into_their_places_and_nowhere_else() -> None:
    got: list[dict[str, Any]] = []
    await runner(take(got)).run(asked("post", INPUT, secrets=PLACES))
    assert got == [
        {
            "headers": [{"auth": f"Bearer {TOKEN} of higherself-bot"}],
            "note": "{{ secrets.crm_token }}",  # came from the context, say: it stays a text
        }
    ]
    assert INPUT["note"] == "{{ secrets.crm_token }}", "what was given is as it was"


def take(got: list[dict[str, Any]]) -> Callable[..., Any]:
    def post(**given: Any) -> None:
        got.append(given)

    return post


async def test_a_secret_that_is_not_set_is_waited_for() -> None:
    called: list[dict[str, Any]] = []
    call = asked("post", {"token": "{{ secrets.mail_key }}"}, secrets=(("token",),))
    with pytest.raises(CannotRun, match=r"has the secret mail_key; set HIGHERSELF_SECRET_MAIL_KEY"):
        await runner(take(called)).run(call)
    assert called == []


async def test_a_result_does_not_hold_the_secrets_that_were_given() -> None:
    def echo(**given: Any) -> Any:
        return {**given, f"of {TOKEN}": [TOKEN.upper(), 4711, None]}

    ran = await runner(echo).run(asked("echo", INPUT, secrets=PLACES))
    assert ran.result == {
        "headers": [{"auth": "Bearer *** of ***"}],
        "note": "{{ secrets.crm_token }}",
        "of ***": [TOKEN.upper(), 4711, None],
    }


class CrmDown(Exception):
    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"GET {url} says {status}")


@pytest.mark.parametrize(
    "error",
    [
        CrmDown(f"https://crm.example.org?key={TOKEN}", 503),
        Rejected(f"{TOKEN} is not valid"),
        KeyError(TOKEN),
        OSError(5, f"cannot reach {TOKEN}"),
        UnicodeDecodeError("utf-8", TOKEN.encode(), 0, 1, f"of {TOKEN}"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_error_does_not_tell_the_secrets_and_is_of_the_same_kind(error: Exception) -> None:
    def fail(**given: Any) -> None:
        raise error

    with pytest.raises(type(error)) as raised:
        await runner(fail).run(asked("fail", INPUT, secrets=PLACES))
    assert TOKEN not in str(raised.value)
    assert "***" in str(raised.value)
    assert type(raised.value).__name__ == type(error).__name__
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


async def test_an_error_without_secrets_is_left_alone() -> None:
    error = CrmDown("https://crm.example.org", 503)

    def fail(**given: Any) -> None:
        raise error

    with pytest.raises(CrmDown) as raised:
        await runner(fail).run(asked("fail", INPUT, secrets=PLACES))
    assert raised.value is error


async def test_a_secret_that_is_too_short_to_be_told_apart_is_not_searched_for() -> None:
    def echo(**given: Any) -> Any:
        return [given, 1234, "12345"]

    call = asked("echo", {"pin": "{{ secrets.pin }}"}, secrets=(("pin",),))
    assert (await runner(echo).run(call)).result == [{"pin": "1234"}, 1234, "12345"]


async def test_refused_input_does_not_tell_them_either() -> None:
    def post(headers: int) -> None: ...

    with pytest.raises(InputRejected) as raised:
        await runner(post).run(asked("post", INPUT, secrets=PLACES))
    assert TOKEN not in str(raised.value)


@given(
    st.lists(st.sampled_from(["a", "b", 0, 1, 7]), max_size=4),
    st.recursive(
        st.text(max_size=3) | st.just("{{ secrets.crm_token }}") | st.none(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
        ),
        max_leaves=6,
    ),
)
def test_a_place_that_is_not_there_changes_nothing(place: list[str | int], value: Any) -> None:
    """At most what stands at the place is another, and only if it is a text that names one."""
    import asyncio

    got: list[dict[str, Any]] = []
    call = asked("post", {"a": value}, secrets=(("a", *place),))
    asyncio.run(runner(take(got)).run(call))
    assert str(got[0]).count(TOKEN) <= 1
    assert str(got[0]).replace(TOKEN, "{{ secrets.crm_token }}") == str({"a": value})
