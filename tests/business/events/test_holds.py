"""What is taken when: never by more at once than there are places, and given back whole."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.events.holds import (
    Hold,
    HoldRejected,
    current,
    hold,
    most_at_once,
    read_holds,
    release,
    span_of,
)
from higherself.business.insight.availability import Span

MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@st.composite
def wishes(draw: st.DrawFn) -> Hold:
    start = MORNING + draw(st.integers(0, 12)) * HOUR
    length = draw(st.integers(1, 5)) * HOUR
    return Hold(f"holder {draw(st.integers(0, 8))}", Span(start, start + length), "yoga")


@given(st.lists(wishes(), max_size=20), st.integers(1, 3))
def test_nothing_is_booked_more_often_than_there_are_places(
    wanted: list[Hold], places: int
) -> None:
    holds: tuple[Hold, ...] = ()
    for each in wanted:
        found = hold(holds, each, places=places)
        others = [h for h in holds if h.holder != each.holder]
        if found.conflicts:
            assert found.holds == holds
            assert all(h in others for h in found.conflicts)
        else:
            assert each in found.holds
            assert set(others) <= set(found.holds)
            assert hold(found.holds, each, places=places) == found, "asking twice changed something"
        holds = found.holds
        assert most_at_once([h.span for h in holds]) <= places
        assert len({h.holder for h in holds}) == len(holds)
    assert read_holds([h.to_json() for h in holds]) == holds


@given(st.lists(wishes(), max_size=12), wishes())
def test_with_one_place_the_conflicts_are_exactly_those_that_overlap(
    wanted: list[Hold], last: Hold
) -> None:
    holds: tuple[Hold, ...] = ()
    for each in wanted:
        holds = hold(holds, each).holds
    others = [each for each in holds if each.holder != last.holder]
    overlapping = [
        e for e in others if e.span.start < last.span.end and last.span.start < e.span.end
    ]
    assert list(hold(holds, last).conflicts) == overlapping


@given(st.lists(wishes(), max_size=12), wishes())
def test_what_is_given_back_can_be_had_again(wanted: list[Hold], other: Hold) -> None:
    holds: tuple[Hold, ...] = ()
    for each in wanted:
        holds = hold(holds, each).holds
    free = holds
    for each in holds:
        free = release(free, each.holder)
    assert free == ()
    assert not hold(free, other).conflicts


def test_with_a_pause_there_is_time_between() -> None:
    first = Hold("a", Span(MORNING, MORNING + HOUR))
    second = Hold("b", Span(MORNING + HOUR, MORNING + 2 * HOUR))
    assert not hold([first], second).conflicts
    assert hold([first], second, pause=timedelta(minutes=15)).conflicts == (first,)


def test_what_is_over_is_forgotten() -> None:
    held = Hold("a", Span(MORNING, MORNING + HOUR))
    assert current([held], MORNING + 2 * HOUR, kept=2 * HOUR) == (held,)
    assert current([held], MORNING + 3 * HOUR, kept=2 * HOUR) == ()


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (MORNING, MORNING, "not after the start"),
        (MORNING, MORNING - HOUR, "not after the start"),
        (MORNING, MORNING + timedelta(days=400), "more than 366 days"),
        (MORNING.replace(tzinfo=None), MORNING.replace(tzinfo=None) + HOUR, "in which zone"),
    ],
    ids=["no time", "backwards", "too long", "no zone"],
)
def test_what_is_no_time_is_refused(start: datetime, end: datetime, said: str) -> None:
    with pytest.raises(HoldRejected, match=said):
        span_of(start, end)
