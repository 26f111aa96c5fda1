"""Skills as tools: what is said of each."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from higherself.agents.skills import Cache, Skill, skill, skills_in
from higherself.mcp.offers import CACHE, offer_of, offers_of


class Inner(BaseModel):
    number: int


def skill_of(**said: Any) -> Skill:
    @skill(**{"name": "look", "effects": "read", **said})
    def look(text: str) -> str:
        return text

    (made,) = skills_in({"look": look})
    return made


@pytest.mark.parametrize(
    ("said", "hints"),
    [
        pytest.param({"effects": "pure"}, (True, False, True, False), id="pure"),
        pytest.param({"effects": "read", "egress": True}, (True, False, True, True), id="asks"),
        pytest.param({"effects": "write"}, (False, False, False, False), id="writes"),
        pytest.param(
            {"effects": "write", "idempotent": True}, (False, False, True, False), id="sets"
        ),
        pytest.param({"effects": "external"}, (False, False, False, True), id="elsewhere"),
        pytest.param(
            {"effects": "external", "irreversible": True}, (False, True, False, True), id="final"
        ),
    ],
)
def test_hints_come_from_the_flags(said: dict[str, Any], hints: tuple[bool, ...]) -> None:
    told = offer_of(skill_of(**said)).tool.annotations
    assert told is not None
    assert hints == (
        told.read_only_hint,
        told.destructive_hint,
        told.idempotent_hint,
        told.open_world_hint,
    )


def test_a_name_that_no_tool_has_is_left_out() -> None:
    assert offers_of([skill_of(name="no tool's name")]) == {}


def test_a_result_that_is_no_object_stands_in_one() -> None:
    offer = offer_of(skill_of())
    assert offer.tool.output_schema == {
        "type": "object",
        "properties": {"result": {"type": "string"}},
        "required": ["result"],
    }
    assert offer.structured("x") == {"result": "x"}


def test_definitions_stay_where_references_point() -> None:
    @skill(effects="pure", name="inner")
    def inner() -> list[Inner]:
        return []

    (made,) = skills_in({"inner": inner})
    schema = offer_of(made).tool.output_schema
    assert schema is not None
    assert schema["properties"]["result"]["items"] == {"$ref": "#/$defs/Inner"}
    assert "Inner" in schema["$defs"]


def test_the_cache_policy_is_told() -> None:
    tool = offer_of(skill_of(cache=Cache(timedelta(minutes=2)))).tool
    assert tool.meta == {CACHE: {"ttlMs": 120_000, "cacheScope": "private"}}
