"""Frozen dataclasses to JSON and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import pytest

from higherself.kernel.ids import InstanceId
from higherself.kernel.jsonvalue import JsonValue
from higherself.workflow.machine.codec import from_json, to_json


@dataclass(frozen=True)
class Leaf:
    name: str
    count: int = 0


@dataclass(frozen=True)
class OtherLeaf:
    at: datetime


@dataclass(frozen=True)
class Tree:
    id: InstanceId
    leaf: Leaf | None = None
    any_leaf: Leaf | OtherLeaf | None = None
    leaves: tuple[Leaf, ...] = ()
    steps: tuple[tuple[str | int, ...], ...] = ()
    by_name: Mapping[str, Leaf] = field(default_factory=dict)
    data: JsonValue = None
    kind_of_wood: Literal["oak", "ash"] = "oak"
    age: timedelta | None = None


FULL = Tree(
    InstanceId(UUID(int=1)),
    Leaf("a"),
    OtherLeaf(datetime(2026, 3, 1, tzinfo=UTC)),
    (Leaf("b", 2),),
    (("x", 0), ()),
    {"c": Leaf("c")},
    {"any": [1, None]},
    "ash",
    timedelta(milliseconds=1_500),
)


def test_what_goes_in_comes_out() -> None:
    assert from_json(Tree, to_json(FULL)) == FULL
    assert to_json(FULL) == {
        "id": "00000000-0000-0000-0000-000000000001",
        "leaf": {"name": "a"},
        "any_leaf": {"kind": "other_leaf", "at": "2026-03-01T00:00:00+00:00"},
        "leaves": [{"name": "b", "count": 2}],
        "steps": [["x", 0], []],
        "by_name": {"c": {"name": "c"}},
        "data": {"any": [1, None]},
        "kind_of_wood": "ash",
        "age": 1.5,
    }


def test_what_is_as_usual_is_left_out_and_what_is_unknown_is_passed_over() -> None:
    bare = Tree(InstanceId(UUID(int=1)))
    data = to_json(bare)
    assert data == {"id": "00000000-0000-0000-0000-000000000001"}
    assert from_json(Tree, {**data, "written_by_a_later_release": 1}) == bare


@pytest.mark.parametrize("declared", [set, tuple[int, int], int | Leaf])
def test_what_has_no_form_in_json_is_refused(declared: object) -> None:
    with pytest.raises(TypeError, match="no form in JSON"):
        from_json(declared, {})
