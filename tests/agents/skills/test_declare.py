"""What is said of a skill, what follows from it, and what contradicts itself."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, timedelta
from typing import Annotated, Any, Literal
from typing import TypedDict as PlainTypedDict

import pytest
from pydantic import BaseModel, Field, computed_field
from typing_extensions import TypedDict

from higherself import SkillCall, skill
from higherself.agents.skills import (
    Cache,
    Example,
    OutputRejected,
    Retry,
    Skill,
    SkillMistaken,
    skills_in,
)
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject, JsonValue

CALL = SkillCall(key="key")


def made(function: Callable[..., Any], **said: Any) -> Skill:
    (found,) = skills_in({"it": skill(**said)(function)})
    return found


def nothing() -> None: ...


# Effects


@pytest.mark.parametrize(
    ("said", "effects", "idempotent"),
    [
        ({}, "write", False),
        ({"irreversible": True}, "write", False),
        ({"egress": True}, "external", False),
        ({"effects": "pure"}, "pure", True),
        ({"effects": "read"}, "read", True),
        ({"effects": "read", "egress": True}, "read", True),
        ({"effects": "write", "idempotent": True}, "write", True),
        ({"effects": "external", "irreversible": True}, "external", False),
    ],
)
def test_what_a_run_changes_follows_from_what_is_said(
    said: dict[str, Any], effects: str, idempotent: bool
) -> None:
    found = made(nothing, **said)
    assert (found.effects, found.idempotent) == (effects, idempotent)
    assert found.described()["effects"] == effects


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"effects": "pure", "irreversible": True}, "pure and irreversible"),
        ({"effects": "pure", "egress": True}, "pure and has egress"),
        ({"effects": "write", "egress": True}, "say effects='read' or 'external'"),
        ({"effects": "read", "idempotent": False}, "read and not idempotent"),
        ({"effects": "harmless"}, "say 'pure', 'read', 'write' or 'external'"),
        ({"cache": Cache(ttl="1m")}, "has a cache and is write"),
        ({"cache": Cache(ttl="1m"), "egress": True}, "has a cache and is external"),
        ({"version": "new"}, "'new' is no version; write numbers with points"),
        ({"timeout": "soon"}, "'soon' is no duration"),
        ({"tags": "crm"}, r"say tags=\['crm'\]"),
        ({"examples": [{"a": 1}]}, "example 1 does not fit: a: Extra inputs"),
        ({"examples": [Example({}, output=3)]}, "example 1 does not fit: the result: "),
    ],
)
def test_what_contradicts_itself_is_refused(said: dict[str, Any], reason: str) -> None:
    with pytest.raises(SkillMistaken, match=f"skill nothing: .*{reason}"):
        made(nothing, **said)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: Cache(ttl="1x"), "no duration"),
        (lambda: Cache(ttl=timedelta(0)), "not longer than nothing"),
        (lambda: Cache("1m", where="disk"), "say 'memory' or 'postgres'"),  # type: ignore[arg-type]
        (lambda: Retry(attempts=0), "say 1 to 100"),
        (lambda: Retry(wait="1m", ceiling="1s"), "more than ceiling"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(make: Callable[[], Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make()


def test_all_that_is_known_is_described() -> None:
    def find(name: str) -> list[str]:
        return [name]

    found = made(
        find, name="crm.find", description="Find", version="2.1", tags=["crm"], effects="read",
        egress=True, timeout="5s", retry=Retry(attempts=4), cache=Cache("10m", where="postgres"),
        agents=["nyra"], states=["captured"], examples=[{"name": "Ana"}],
    )  # fmt: skip
    described = found.described()
    assert {name: described[name] for name in ("name", "version", "tags", "egress")} == {
        "name": "crm.find", "version": "2.1", "tags": ["crm"], "egress": True,
    }  # fmt: skip
    assert described["timeout"] == "5s"
    assert described["retry"] == {"attempts": 4}
    assert described["cache"] == {"ttl": "10m", "where": "postgres"}
    assert (described["agents"], described["states"]) == (["nyra"], ["captured"])
    assert described["output_schema"] == {"type": "array", "items": {"type": "string"}}
    assert described["examples"] == [{"input": {"name": "Ana"}, "output": None, "description": ""}]


# What it returns


class Lead(BaseModel):
    name: str
    score: Annotated[int, Field(ge=0)] = 0


class Aliased(BaseModel):
    full_name: str = Field(alias="fullName")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def length(self) -> int:
        return len(self.full_name)


class Point(TypedDict):
    x: int


class Uncheckable(PlainTypedDict):
    """Before Python 3.12, pydantic reads only those of typing_extensions."""

    x: int


def returning(value: Any, declared: Any) -> Skill:
    def give() -> Any:
        return value

    give.__annotations__["return"] = declared
    return made(give)


@pytest.mark.parametrize(
    ("value", "declared", "plain"),
    [
        (3, int, 3),
        (3, float, 3),
        (None, None, None),
        (("a", "b"), list[str], ["a", "b"]),
        ({3, 1}, set[int], [1, 3]),
        (date(2026, 3, 1), date, "2026-03-01"),
        (Lead(name="Ana"), Lead, {"name": "Ana", "score": 0}),
        ({"name": "Ana"}, Lead, {"name": "Ana"}),
        ([Lead(name="Ana")], list[Lead], [{"name": "Ana", "score": 0}]),
        (Aliased(fullName="Ana"), Aliased, {"full_name": "Ana", "length": 3}),
        ({"x": 1}, Point, {"x": 1}),
        ({"x": 1}, Uncheckable, {"x": 1}),
        ({"any": [1, {}]}, dict, {"any": [1, {}]}),
        ({"any": [1]}, JsonObject, {"any": [1]}),
        ([1, "two"], JsonValue, [1, "two"]),
        ([{"a": [1]}], list[JsonObject], [{"a": [1]}]),
        ([[1], None], list[JsonValue] | None, [[1], None]),
        ("a", Literal["a", "b"], "a"),
        ("anything", Any, "anything"),
    ],
)
async def test_what_is_as_it_says_comes_out_as_json(value: Any, declared: Any, plain: Any) -> None:
    assert await returning(value, declared).run({}, CALL) == plain


@pytest.mark.parametrize(
    ("value", "declared", "problem"),
    [
        ("3", int, "the result: Input should be a valid integer"),
        (True, int, "the result: Input should be a valid integer"),
        ({}, None, "the result: "),
        (None, dict[str, int], "the result: Input should be an object"),
        ({"a": "x"}, dict[str, int], "a: Input should be a valid integer"),
        ([{"name": "Ana"}, {}], list[Lead], "1.name: Field required"),
        ({"name": "Ana", "score": -1}, Lead, "score: Input should be greater than or equal to 0"),
        (Lead.model_construct(name=3), Lead, "name: Input should be a valid string"),
        ({"y": 1}, Point, "x: Field required"),
        ("c", Literal["a", "b"], "the result: Input should be 'a' or 'b'"),
    ],
)
async def test_a_skill_that_lies_is_told_with_the_field(
    value: Any, declared: Any, problem: str
) -> None:
    with pytest.raises(
        OutputRejected, match="skill give returned what it says it does not"
    ) as said:
        await returning(value, declared).run({}, CALL)
    assert any(each.startswith(problem) for each in said.value.problems)
    assert isinstance(said.value, Rejected)  # so it is never tried again


async def test_what_it_returned_is_not_in_the_text() -> None:
    with pytest.raises(OutputRejected) as said:
        await returning("tok_live_4711", int).run({}, CALL)
    assert "4711" not in str(said.value)


async def test_a_plain_function_may_say_that_it_returns_something_awaitable() -> None:
    async def number() -> int:
        return 3

    def later() -> Awaitable[int]:
        return number()

    found = made(later)
    assert found.output_schema == {"type": "integer"}
    assert await found.run({}, CALL) == 3


def test_what_no_schema_can_be_made_of_is_refused() -> None:
    class Connection: ...

    def connect() -> Connection:
        return Connection()

    def unknown() -> "Nowhere": ...  # type: ignore[name-defined]  # noqa: F821

    async def stream() -> AsyncIterator[int]:
        yield 1

    for function, said in [
        (connect, "pydantic-core schema"),
        (unknown, "Nowhere"),
        (stream, "one value"),
    ]:
        with pytest.raises(SkillMistaken, match=said):
            made(function)
