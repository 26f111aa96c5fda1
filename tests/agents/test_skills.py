"""Skills: what a function becomes, what its input has to be, what comes of a run."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

import higherself
from higherself import SkillCall, activity, skill
from higherself.agents.skills import (
    InputRejected,
    Skill,
    SkillMistaken,
    SkillRegistry,
    SkillUnknown,
    skills_in,
)
from higherself.kernel import telemetry
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import NotJson, canonical
from higherself.kernel.tasks import task_group

CALL = SkillCall(key="key", attempt=2, instance="instance", entity="the_7_space")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def skill_of(function: Callable[..., Any], **options: Any) -> Skill:
    made = skill(**options)(function).__higherself_skill__  # type: ignore[attr-defined]
    assert isinstance(made, Skill)
    return made


async def run(function: Callable[..., Any], **given: Any) -> Any:
    return await skill_of(function).run(given, CALL)


# What a function becomes


def test_the_function_stays_what_it_is() -> None:
    @skill
    def double(number: int) -> int:
        return 2 * number

    assert double(21) == 42


def test_its_name_and_description_are_those_of_the_function() -> None:
    @skill
    def greet() -> None:
        """Say hello."""

    made: Skill = greet.__higherself_skill__  # type: ignore[attr-defined]
    assert (made.name, made.description) == ("greet", "Say hello.")
    assert (made.irreversible, made.version) == (False, "1")


def test_all_of_it_can_be_said_otherwise() -> None:
    made = skill_of(
        lambda: None, name="mail.send", description="Send", irreversible=True, version="2"
    )
    assert (made.name, made.description) == ("mail.send", "Send")
    assert (made.irreversible, made.version) == (True, "2")


def test_activity_is_the_same_by_another_name() -> None:
    assert activity is skill
    assert {"skill", "activity", "SkillCall"} <= set(higherself.__all__)


def test_types_make_the_schema() -> None:
    class Guest(BaseModel):
        name: str

    def book(
        guest: Guest,
        day: date,
        persons: int = 2,
        table: Literal["inside", "outside"] | None = None,
        *,
        call: SkillCall,
    ) -> None: ...

    schema = skill_of(book).schema
    assert schema["required"] == ["guest", "day"]
    assert schema["additionalProperties"] is False
    properties = schema["properties"]
    assert isinstance(properties, Mapping)
    assert list(properties) == ["guest", "day", "persons", "table"]
    assert properties["day"] == {"type": "string", "format": "date"}
    assert properties["persons"] == {"type": "integer", "default": 2}


def test_the_schema_says_what_a_field_says() -> None:
    def rate(
        stars: Annotated[int, Field(ge=1, le=5, description="How good it was")],
        when: Any = datetime,  # is no JSON
    ) -> None: ...

    properties = skill_of(rate).schema["properties"]
    assert isinstance(properties, Mapping)
    assert properties["stars"] == {
        "type": "integer", "minimum": 1, "maximum": 5, "description": "How good it was",
    }  # fmt: skip
    assert properties["when"] == {}


def unknown(a: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821


class Connection:
    pass


def unfit(a: Connection) -> None: ...


def schemaless(a: Callable[[], None]) -> None: ...


def defaulted(stars: int = Field(ge=1)) -> None: ...


def starred(*several: int) -> None: ...


def by_place(one: int, /) -> None: ...


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (unknown, "skill unknown: name 'Nowhere' is not defined"),
        (unfit, "Unable to generate pydantic-core schema for <class '.*Connection'>$"),
        (schemaless, "skill schemaless: Cannot generate a JsonSchema"),
        (defaulted, "say of stars .* as Annotated"),
        (starred, "its parameter .several: int cannot be given by name"),
        (by_place, "its parameter one: int cannot be given by name"),
    ],
)
def test_what_cannot_be_a_skill_is_refused_with_the_reason(
    function: Callable[..., Any], said: str
) -> None:
    with pytest.raises(SkillMistaken, match=said):
        skill(function)


# What it is given


async def greeting(name: str, times: int = 1, *, call: SkillCall) -> str:
    return f"{name} {times} {call.key}/{call.attempt}"


async def test_it_is_given_by_name_with_the_defaults() -> None:
    assert await run(greeting, name="Ana") == "Ana 1 key/2"


async def test_what_a_template_made_text_is_read_as_its_type() -> None:
    assert await run(greeting, name="Ana", times="3") == "Ana 3 key/2"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "name: Field required"),
        ({"name": 3}, "name: Input should be a valid string"),
        ({"name": "Ana", "times": "often"}, "times: Input should be a valid integer"),
        ({"name": "Ana", "tmies": 3}, "tmies: Extra inputs are not permitted"),
        ({"name": "Ana", "call": 3}, "call: Extra inputs are not permitted"),
        ({"name": None, "times": {}}, "name: .*; times: "),
    ],
)
async def test_what_does_not_fit_is_told_by_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputRejected, match=f"skill greeting was given .*{said}") as raised:
        await run(greeting, **given)
    assert isinstance(raised.value, Rejected)  # so it is never tried again


async def test_what_is_wrong_inside_is_told_with_its_path() -> None:
    class Guest(BaseModel):
        names: list[str]

    def book(guest: Guest) -> None: ...

    with pytest.raises(InputRejected, match=r"guest\.names\.1: Input should be a valid string"):
        await run(book, guest={"names": ["Ana", 3]})


async def test_the_text_does_not_repeat_what_was_given() -> None:
    def pay(token: int) -> None: ...

    with pytest.raises(InputRejected) as raised:
        await run(pay, token="tok_live_4711")
    assert "4711" not in str(raised.value)


async def test_parameters_may_have_any_name() -> None:
    def odd(json: str, model_config: int, copy: bool, _private: int = 1) -> list[Any]:
        return [json, model_config, copy, _private]

    assert await run(odd, json="a", model_config=2, copy=False) == ["a", 2, False, 1]


async def test_the_rest_may_be_taken_by_name() -> None:
    def anything(first: int, **rest: Any) -> list[Any]:
        return [first, rest]

    assert await run(anything, first=1, second=2) == [1, {"second": 2}]


async def test_what_has_no_type_takes_anything() -> None:
    def anything(value):  # type: ignore[no-untyped-def]
        return value

    assert await run(anything, value={"a": [1]}) == {"a": [1]}


async def test_a_default_is_not_shared_between_runs() -> None:
    def collect(item: int, into: list[int] = []) -> list[int]:  # noqa: B006
        into.append(item)
        return into

    assert [await run(collect, item=1), await run(collect, item=2)] == [[1], [2]]


async def test_the_log_says_which_run_it_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(telemetry, "info", lambda name, **facts: told.append((name, facts)))
    monkeypatch.setattr(telemetry, "warning", lambda name, **facts: told.append((name, facts)))

    def work(call: SkillCall) -> None:
        call.log.info("crm.lead.found", lead=3)
        call.log.warning("crm.lead.old")

    await run(work)
    about = {"key": "key", "attempt": 2, "entity": "the_7_space", "instance": "instance"}
    assert told == [("crm.lead.found", {**about, "lead": 3}), ("crm.lead.old", about)]


# How it runs


async def test_a_plain_function_does_not_hold_up_the_others() -> None:
    import threading

    began = threading.Barrier(3, timeout=20)

    def meet() -> int:
        return began.wait()  # each waits for the others

    async with task_group() as group:
        tasks = [group.create_task(run(meet)) for _ in range(3)]
    assert sorted(task.result() for task in tasks) == [0, 1, 2]


async def test_more_plain_functions_may_hang_than_a_pool_has_threads() -> None:
    import threading

    release = threading.Event()

    def hang() -> None:
        release.wait(20)

    async def given_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await run(hang)

    async with task_group() as group:
        for _ in range(40):
            group.create_task(given_up())
    assert await run(lambda: "free") == "free"
    release.set()


async def test_a_plain_function_sees_the_context_of_who_asked() -> None:
    who: ContextVar[str] = ContextVar("who")
    who.set("Ana")
    assert await run(lambda: who.get()) == "Ana"  # noqa: PLW0108


async def test_a_plain_function_may_return_something_to_await() -> None:
    async def later() -> int:
        return 3

    assert await run(lambda: later()) == 3  # noqa: PLW0108


async def test_what_it_raises_comes_through() -> None:
    def fail() -> None:
        raise KeyError("no such lead")

    async def refuse() -> None:
        raise Rejected("never")

    with pytest.raises(KeyError, match="no such lead"):
        await run(fail)
    with pytest.raises(Rejected, match="never"):
        await run(refuse)


def plain_exit() -> None:
    sys.exit(3)


async def async_exit() -> None:
    sys.exit(3)


def exhausted() -> None:
    next(iter([]))


async def async_exhausted() -> None:
    next(iter([]))


async def cancelling_itself() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "function", [plain_exit, async_exit, exhausted, async_exhausted, cancelling_itself]
)
async def test_no_skill_ends_its_worker_or_hangs_it(function: Callable[..., Any]) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(RuntimeError):
            await run(function)


async def test_cancelling_a_run_cancels_it() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await run(hang)


# What comes of it


@dataclass
class Lead:
    name: str
    since: date


class Colour(Enum):
    RED = "red"


class Model(BaseModel):
    at: datetime


@pytest.mark.parametrize(
    ("result", "plain"),
    [
        (Lead("Ana", date(2026, 3, 1)), {"name": "Ana", "since": "2026-03-01"}),
        (Model(at=datetime(2026, 3, 1, tzinfo=UTC)), {"at": "2026-03-01T00:00:00Z"}),
        ({"ids": {UUID(int=7)}}, {"ids": ["00000000-0000-0000-0000-000000000007"]}),
        (("a", 1), ["a", 1]),
        (Colour.RED, "red"),
        ({1: "a"}, {"1": "a"}),
        (b"bytes", "bytes"),
        ((number for number in range(3)), [0, 1, 2]),
    ],
)
async def test_what_is_nearly_json_becomes_json(result: Any, plain: Any) -> None:
    assert await run(lambda: result) == plain


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


@pytest.mark.parametrize(
    "result",
    [object(), {"a": Connection()}, CIRCLE, {"a": float("nan")}, b"\xff", ["a\0"]],
    ids=["object", "inside", "circle", "nan", "bytes", "nul"],
)
async def test_garbage_is_no_result(result: Any) -> None:
    with pytest.raises(NotJson):
        await run(lambda: result)


@given(JSON)
def test_json_goes_through_a_skill_as_it_is(value: Any) -> None:
    def same(value: Any) -> Any:
        return value

    returned = asyncio.run(skill_of(same).run({"value": value}, CALL))
    assert canonical(returned) == canonical(value)


# Many of them


def named(name: str) -> Skill:
    return skill_of(lambda: name, name=name)


def test_a_module_is_searched_for_skills_each_once() -> None:
    one = skill(lambda: 1)
    found = list(skills_in({"one": one, "again": one, "other": 3, "call": SkillCall}))
    assert len(found) == 1


def test_skills_are_found_by_name() -> None:
    skills = SkillRegistry()
    skills.add(named("crm.enrich"), origin="crm.py")
    assert list(skills) == ["crm.enrich"]
    assert len(skills) == 1
    assert skills.find("crm.enrich") is skills["crm.enrich"]
    assert skills.origin("crm.enrich") == "crm.py"


def test_an_unknown_one_is_told_with_the_nearest() -> None:
    skills = SkillRegistry()
    skills.add(named("send_email"))
    with pytest.raises(SkillUnknown, match=r"'send_emial' here; did you mean 'send_email'\?"):
        skills.find("send_emial")
    with pytest.raises(SkillUnknown, match=r"'other' here$"):
        skills.find("other")


def test_two_of_one_name_are_refused_and_both_places_named() -> None:
    skills = SkillRegistry()
    skills.add(named("send"), origin="a.py")
    with pytest.raises(SkillMistaken, match=r"'send': in a\.py and in b\.py; .*@skill\(name="):
        skills.add(named("send"), origin="b.py")


def test_the_same_one_may_come_twice() -> None:
    skills, one = SkillRegistry(), named("send")
    skills.add(one, origin="a.py")
    skills.add(one, origin="b.py")
    assert skills.origin("send") == "a.py"


@given(st.lists(st.sampled_from("abcdef")))
def test_the_registry_has_each_name_once(names: list[str]) -> None:
    skills = SkillRegistry()
    known = {name: named(name) for name in names}
    for name in names:
        skills.add(known[name], origin=name)
    assert dict(skills) == known
