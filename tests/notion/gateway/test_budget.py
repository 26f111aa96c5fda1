"""The budget's decisions: never more than the plan allows, and who comes first."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.notion.gateway.budget import Books, BudgetPolicy, decide, for_plan
from higherself.notion.gateway.lanes import LANES, Granted, Held, Lane

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
POLICY = BudgetPolicy(requests=20)
SECOND = timedelta(seconds=1)

asked = st.lists(
    st.tuples(
        st.floats(0, 40),  # seconds since the one before
        st.sampled_from(LANES),
        st.integers(1, 15),
        st.floats(0, 1),  # when in its life it leaves
        st.floats(0, 1),  # how long it is on its way, of the margin
    ),
    max_size=60,
)


@given(asked, st.floats(0, 60))
def test_no_window_of_sixty_seconds_has_more_than_the_plan_allows(
    asked: list[tuple[float, Lane, int, float, float]], phase: float
) -> None:
    now, grants, arrivals = START, list[tuple[datetime, int]](), list[datetime]()
    for wait, lane, most, left, travelled in asked:
        now += wait * SECOND
        answer = decide(POLICY, Books(now=now, grants=grants), lane, most)
        if isinstance(answer, Granted):
            assert 1 <= answer.requests <= most
            grants.append((now, answer.requests))
            arrives = now + left * POLICY.life + travelled * POLICY.margin
            arrivals += [arrives] * answer.requests
        else:
            assert answer.wait > timedelta(0)
            later = Books(now=now + answer.wait, grants=grants)
            assert isinstance(decide(POLICY, later, lane, 1), Granted), "the wait is long enough"
    for first in arrivals:  # a window may begin with any request, or shortly before it
        begins = first - phase * SECOND
        inside = [at for at in arrivals if begins <= at < begins + 60 * SECOND]
        assert len(inside) <= POLICY.requests


def books(used: int, **more: datetime | str) -> Books:
    return Books(now=START, grants=[(START - 30 * SECOND, used)], **more)  # type: ignore[arg-type]


def test_what_is_behind_leaves_something_for_those_before() -> None:
    policy = for_plan("free")
    assert policy.requests == 180
    assert for_plan("business").requests == 600
    assert decide(policy, books(144), "backfill", 5) == Held(31.5 * SECOND)
    assert decide(policy, books(144), "webhook", 50) == Granted(18, 18)
    assert decide(policy, books(162), "webhook", 5) == Held(31.5 * SECOND)
    assert decide(policy, books(162), "live", 50) == Granted(18, 0)
    assert decide(policy, books(180), "live", 1) == Held(31.5 * SECOND)


@pytest.mark.parametrize(
    ("waits", "goes"),
    [({}, LANES), ({"announced_waits_until": START + SECOND}, ("live", "webhook")), ({"live_waits_until": START + SECOND}, ("live",))],
)  # fmt: skip
def test_who_waits_before_goes_first(waits: dict[str, datetime], goes: tuple[Lane, ...]) -> None:
    answers = {lane: decide(POLICY, books(0, **waits), lane, 1) for lane in LANES}
    assert tuple(lane for lane, answer in answers.items() if isinstance(answer, Granted)) == goes


def test_a_pause_is_for_everybody() -> None:
    paused = books(0, paused_until=START + 90 * SECOND, reason="said so")
    assert {decide(POLICY, paused, lane, 1) for lane in LANES} == {Held(90 * SECOND, "said so")}
