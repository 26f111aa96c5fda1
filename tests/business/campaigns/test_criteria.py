"""Criteria of segments: their operators, and the laws of groups."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.campaigns.criteria import CriteriaRejected, criteria, operators

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ANA: dict[str, Any] = {
    "full_name": "Ana Silva",
    "email": "ana@example.org",
    "status": "Active Client",
    "visits": 3,
    "spent": "120.50",
    "tags": ["VIP", "Returning"],
    "last_interaction": "2026-02-20T10:00:00Z",
    "city": "",
    "external": {"beehiiv": "b-7"},
}


@pytest.mark.parametrize(
    ("field", "operator", "value", "holds"),
    [
        ("status", "equals", "active client", True),
        ("status", "==", "Lead", False),
        ("status", "not_equals", "Lead", True),
        ("tags", "equals", "VIP", True),
        ("tags", "contains", "vip", True),
        ("tags", "not_contains", "New", True),
        ("full_name", "contains", "silva", True),
        ("visits", "greater_than", 2, True),
        ("visits", ">", 3, False),
        ("visits", ">=", 3, True),
        ("visits", "<=", 2, False),
        ("spent", "greater_than", 100, True),
        ("visits", "less_than", "10", True),
        ("visits", "greater_than", "many", False),
        ("last_interaction", "greater_than", "2026-02-01", True),
        ("last_interaction", "newer_than_days", 30, True),
        ("last_interaction", "older_than_days", 30, False),
        ("last_interaction", "older_than_days", 5, True),
        ("email", "exists", None, True),
        ("city", "exists", None, False),
        ("phone", "not_exists", None, True),
        ("phone", "equals", "1", False),
        ("phone", "not_equals", "1", True),
        ("phone", "newer_than_days", 1, False),
        ("status", "in", ["Active Client", "VIP"], True),
        ("status", "not_in", ["Lead"], True),
        ("email", "ends_with", "@Example.org", True),
        ("full_name", "starts_with", "ana", True),
        ("visits", "starts_with", "3", False),
        ("email", "regex_match", r"^ana@.*\.org$", True),
        ("email", "regex", r"^bob", False),
        ("external.beehiiv", "equals", "b-7", True),
        ("visits", "equals", True, False),
    ],
)
def test_operators(field: str, operator: str, value: Any, holds: bool) -> None:
    said: dict[str, Any] = {
        "field": field,
        "operator": operator,
        **({} if value is None else {"value": value}),
    }
    assert criteria(said, now=NOW)(ANA) is holds


fields = st.sampled_from([*ANA, "phone", "missing"])
values = st.one_of(st.integers(-5, 200), st.text(max_size=5), st.booleans(), st.just("VIP"))
conditions = st.builds(
    lambda field, operator, value: {"field": field, "operator": operator, "value": value},
    fields,
    st.sampled_from(
        [
            e
            for e in operators()
            if e not in ("in", "not_in", "regex_match", "newer_than_days", "older_than_days")
        ]
    ),
    values,
)
groups = st.recursive(
    conditions,
    lambda inner: st.builds(
        lambda kind, parts: {kind: parts},
        st.sampled_from(["all", "any", "none"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)
contacts = st.dictionaries(
    fields, st.one_of(values, st.none(), st.lists(values, max_size=3)), max_size=6
)


@given(groups, groups, contacts)
def test_groups_are_and_or_and_neither(one: Any, other: Any, contact: dict[str, Any]) -> None:
    a, b = criteria(one, now=NOW)(contact), criteria(other, now=NOW)(contact)
    assert criteria({"all": [one, other]})(contact) is (a and b)
    assert criteria([one, other])(contact) is (a and b)
    assert criteria({"any": [one, other]})(contact) is (a or b)
    assert criteria({"none": [one, other]})(contact) is (not a and not b)


@given(fields, values, contacts)
def test_what_denies_is_the_opposite(field: str, value: Any, contact: dict[str, Any]) -> None:
    for operator in ("equals", "contains"):
        one = criteria({"field": field, "operator": operator, "value": value})(contact)
        other = criteria({"field": field, "operator": f"not_{operator}", "value": value})(contact)
        assert one is not other


def test_without_criteria_everybody_is_meant() -> None:
    assert criteria(None)({})
    assert criteria({})({})


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("status == 'Lead'", "criteria: say"),
        ({"all": []}, "criteria.all: a list"),
        ({"all": [{}], "any": [{}]}, "and nothing beside it"),
        ({"field": "a", "operator": "equal", "value": 1}, "did you mean 'equals'"),
        ({"all": [{"operator": "equals", "value": 1}]}, "criteria.all.0.field"),
        ({"field": "a"}, "criteria.value"),
        ({"field": "a", "operator": "in", "value": "b"}, "takes a list"),
        ({"field": "a", "op": "equals"}, "unknown key 'op'"),
        ({"field": "a", "operator": "newer_than_days", "value": "soon"}, "number of days"),
        ({"field": "a", "operator": "regex_match", "value": "(a+)+$"}, "no repeated groups"),
        ({"field": "a", "operator": "regex_match", "value": "a*a*a*b"}, "at most two"),
        ({"field": "a", "operator": "regex_match", "value": "["}, "criteria.value"),
    ],
)
def test_what_is_wrong_is_told_by_place(said: Any, what: str) -> None:
    with pytest.raises(CriteriaRejected) as told:
        criteria(said, now=NOW)
    assert what in str(told.value)


def test_criteria_have_bounds() -> None:
    deep: Any = {"field": "a", "operator": "exists"}
    for _ in range(10):
        deep = {"all": [deep]}
    with pytest.raises(CriteriaRejected, match="deep"):
        criteria(deep)
    with pytest.raises(CriteriaRejected, match="more than 200"):
        criteria({"any": [{"field": "a", "operator": "exists"}] * 300})
