"""Points: never fewer by doing something, never more than 100, whatever the order of batches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.community.points import (
    LEVELS,
    PointsRejected,
    Reward,
    level_of,
    rewards_due,
    scored,
)

activities = st.lists(
    st.sampled_from(["post", "comment", "reaction", "login", "wave"]), max_size=12
)
scores = st.one_of(st.none(), st.integers(0, 100))


@given(scores, activities)
def test_a_score_rises_by_what_was_earned(score: int | None, done: list[str]) -> None:
    found = scored(score, done)
    assert found.score == (score or 0) + found.earned
    assert found.earned >= 0
    assert found.score <= 100
    assert found.unknown == (("wave",) if "wave" in done else ())


@given(scores, activities, activities)
def test_in_two_parts_it_is_the_same(score: int | None, one: list[str], other: list[str]) -> None:
    first = scored(score, one)
    started = score is not None or any(each != "wave" for each in one)
    assert scored(first.score if started else None, other).score == scored(score, one + other).score


def test_the_first_thing_that_is_done_makes_it_ten() -> None:
    assert scored(None, ["login"]).score == 10
    assert scored(None, ["login", "comment"]).score == 15
    assert scored(None, ["event"], points={"event": 15}).score == 15


@given(st.integers(0, 100), st.integers(0, 100))
def test_levels_rise_with_scores(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert LEVELS[level_of(low)] <= LEVELS[level_of(high)]


rewards = st.lists(
    st.builds(
        Reward,
        st.sampled_from("abcdef"),
        st.integers(0, 100),
        st.integers(0, 3),
        st.one_of(st.none(), st.integers(0, 3)),
    ),
    max_size=6,
    unique_by=lambda each: each.name,
)


@given(st.integers(0, 100), rewards)
def test_a_reward_is_given_once(score: int, offered: list[Reward]) -> None:
    due = rewards_due(score, offered, [])
    assert all(each.points <= score for each in due)
    assert rewards_due(score, offered, [each.name for each in due]) == ()


def test_rules_that_are_none_are_refused() -> None:
    with pytest.raises(PointsRejected, match=r"points\.post"):
        scored(0, ["post"], points={"post": -1})
