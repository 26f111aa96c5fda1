from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.notion.databases.declaration import Policy
from higherself.notion.databases.plan import Side, SyncPlan, plan

COLUMNS = ("a", "b", "c", "d", "e")
POLICIES: tuple[Policy, ...] = ("newest", "notion", "server", "manual", "server_only")
EMPTY: tuple[Any, ...] = (None, [], False, "")

values = st.one_of(
    st.none(), st.booleans(), st.integers(0, 3), st.text("xy", max_size=2), st.lists(st.sampled_from("pq"), unique=True).map(sorted)
)  # fmt: skip
rows = st.fixed_dictionaries(dict.fromkeys(COLUMNS, values))
bases = st.dictionaries(st.sampled_from(COLUMNS), values)
policies = st.fixed_dictionaries({c: st.sampled_from(POLICIES) for c in COLUMNS})
newer = st.dictionaries(st.sampled_from(COLUMNS), st.just("here"))
Row = dict[str, Any]


def after(here: Row, there: Row, planned: SyncPlan) -> tuple[Row, Row]:
    """Return both sides once the plan has been carried out."""
    return {**here, **planned.pulls}, {**there, **planned.pushes}


def changed(base: Row, value: Any, column: str) -> bool:
    return bool(value != base[column]) if column in base else value not in EMPTY


@given(bases, rows, rows, policies, newer)
def test_what_one_side_alone_has_changed_goes_over(
    base: Row, here: Row, there: Row, policy: dict[str, Policy], later: dict[str, Side]
) -> None:
    planned = plan(base, here, there, policy, newer=later)
    for column in COLUMNS:
        if here[column] == there[column]:
            continue
        ours, theirs = (changed(base, side[column], column) for side in (here, there))
        if ours and not theirs:
            assert planned.pushes[column] == here[column]
        if theirs and not ours and policy[column] != "server_only":
            assert planned.pulls[column] == there[column]


@given(bases, rows, rows, policies, newer)
def test_equal_values_are_no_conflict_and_nothing_to_do(
    base: Row, here: Row, there: Row, policy: dict[str, Policy], later: dict[str, Side]
) -> None:
    planned = plan(base, here, there, policy, newer=later)
    for column in COLUMNS:
        if here[column] == there[column]:
            assert column not in {*planned.pushes, *planned.pulls}
            assert column not in {each.column for each in planned.conflicts}
            assert planned.agreed[column] == here[column]


@given(bases, rows, rows, policies, newer)
def test_no_value_is_lost_without_being_kept(
    base: Row, here: Row, there: Row, policy: dict[str, Policy], later: dict[str, Side]
) -> None:
    """Whatever somebody changed stands on a side afterwards, or in the conflict."""
    planned = plan(base, here, there, policy, newer=later)
    row, page = after(here, there, planned)
    kept = {each.column: (each.here, each.there) for each in planned.conflicts}
    for column in COLUMNS:
        for side in (here, there):
            if changed(base, side[column], column):
                stands = side[column] == row[column] or side[column] == page[column]
                assert stands or side[column] in kept[column]


@given(bases, rows, rows, policies, newer)
def test_carried_out_it_leaves_nothing_but_open_questions(
    base: Row, here: Row, there: Row, policy: dict[str, Policy], later: dict[str, Side]
) -> None:
    planned = plan(base, here, there, policy, newer=later)
    row, page = after(here, there, planned)
    asked = {each.column for each in planned.conflicts if each.winner is None}
    assert {c for c in COLUMNS if row[c] != page[c]} == asked
    again = plan(planned.agreed, row, page, policy)
    assert again.nothing
    assert {each.column for each in again.conflicts} == asked
    assert all(policy[column] == "manual" for column in asked)


@given(bases, rows, rows, policies, newer)
def test_the_same_sides_give_the_same_plan(
    base: Row, here: Row, there: Row, policy: dict[str, Policy], later: dict[str, Side]
) -> None:
    first = plan(base, here, there, policy, newer=later)
    shuffled = dict(reversed(policy.items()))
    second = plan(base, here, there, shuffled, newer=later)
    assert (first.pushes, first.pulls, first.agreed) == (second.pushes, second.pulls, second.agreed)
    assert set(map(repr, first.conflicts)) == set(map(repr, second.conflicts))


@given(bases, rows, rows, policies, st.sets(st.sampled_from(COLUMNS)))
def test_paused_and_missing_fields_stay_as_they_are(
    base: Row, here: Row, there: Row, policy: dict[str, Policy], paused: set[str]
) -> None:
    lacking = {c: v for c, v in there.items() if c not in paused}
    for planned in (plan(base, here, there, policy, paused=paused), plan(base, here, lacking, policy)):  # fmt: skip
        assert not paused & {*planned.pushes, *planned.pulls}
        assert {c: planned.agreed.get(c) for c in paused} == {c: base.get(c) for c in paused}


@pytest.mark.parametrize(
    ("policy", "later", "winner"),
    [
        ("newest", {}, "there"),
        ("newest", {"a": "here"}, "here"),
        ("notion", {"a": "here"}, "there"),
        ("server", {}, "here"),
        ("manual", {}, None),
        ("server_only", {}, "here"),
    ],
)
def test_the_policy_decides_when_both_have_changed(
    policy: Policy, later: dict[str, Side], winner: Side | None
) -> None:
    planned = plan({"a": 1}, {"a": 2}, {"a": 3}, {"a": policy}, newer=later)
    [conflict] = planned.conflicts
    assert (conflict.base, conflict.here, conflict.there, conflict.winner) == (1, 2, 3, winner)
    assert planned.agreed["a"] == {"here": 2, "there": 3, None: 1}[winner]
