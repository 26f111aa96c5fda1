from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.insight.availability import HoursRejected, Offer, Span, slots

LISBON = ZoneInfo("Europe/Lisbon")
MONDAY = date(2026, 3, 2)
HOUR = timedelta(hours=1)
OFFER = Offer(length=HOUR, every=timedelta(minutes=30))
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def at(hour: int, minute: int = 0, day: date = MONDAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=LISBON).astimezone(UTC)


def free(booked: list[Span] = [], offer: Offer = OFFER, **more: Any) -> list[str]:  # noqa: B006
    settings: dict[str, Any] = {"zone": LISBON, "first": MONDAY, "last": MONDAY, "now": LONG_AGO}
    found = slots({"mon": ["09:00-11:00", "14:00-15:00"]}, booked, offer, **{**settings, **more})
    return [f"{each.start.astimezone(LISBON):%d %H:%M}" for each in found]


def test_what_is_open_and_not_booked_is_free() -> None:
    assert free() == ["02 09:00", "02 09:30", "02 10:00", "02 14:00"]
    assert free([Span(at(9), at(10))]) == ["02 10:00", "02 14:00"]
    assert free([Span(at(9, 30), at(9, 45))]) == ["02 10:00", "02 14:00"]


def test_a_pause_keeps_bookings_apart() -> None:
    offer = Offer(length=HOUR, every=timedelta(minutes=30), pause=timedelta(minutes=15))
    assert free([Span(at(8), at(9))], offer) == ["02 09:30", "02 10:00", "02 14:00"]


def test_several_places_at_a_time() -> None:
    offer = Offer(length=HOUR, every=HOUR, places=2)
    booked = [Span(at(9), at(9, 30)), Span(at(9, 30), at(10))]
    found = slots(
        {"mon": "09:00-10:00"}, booked, offer, zone=LISBON, first=MONDAY, last=MONDAY, now=LONG_AGO
    )
    assert [each.places for each in found] == [1]  # never more than one of the two at once
    assert free([*booked, Span(at(9), at(10))], offer) == ["02 10:00", "02 14:00"]


def test_closed_days_and_short_notice() -> None:
    assert free(closed=[MONDAY]) == []
    offer = Offer(length=HOUR, every=timedelta(minutes=30), notice=timedelta(hours=1))
    assert free(offer=offer, now=at(9)) == ["02 10:00", "02 14:00"]


def test_the_day_the_clocks_change_has_the_hours_it_has() -> None:
    spring = date(2026, 3, 29)  # 01:00 becomes 02:00 in Lisbon
    found = slots(
        {"sun": "00:00-04:00"},
        [],
        Offer(length=HOUR, every=HOUR),
        zone=LISBON,
        first=spring,
        last=spring,
        now=LONG_AGO,
    )
    assert [f"{each.start.astimezone(LISBON):%H:%M}" for each in found] == [
        "00:00",
        "02:00",
        "03:00",
    ]


@given(
    st.lists(st.tuples(st.integers(8 * 60, 17 * 60), st.integers(5, 120)), max_size=8),
    st.integers(1, 3),
)
def test_a_slot_has_a_place_at_every_moment(booked: list[tuple[int, int]], places: int) -> None:
    spans = [
        Span(at(0) + timedelta(minutes=m), at(0) + timedelta(minutes=m + n)) for m, n in booked
    ]
    offer = Offer(length=HOUR, every=timedelta(minutes=20), places=places)
    found = slots(
        {"mon": "08:00-18:00"}, spans, offer, zone=LISBON, first=MONDAY, last=MONDAY, now=LONG_AGO
    )
    for slot in found:
        assert at(8) <= slot.start
        assert slot.end <= at(18)
        moments = [slot.start + timedelta(minutes=n) for n in range(60)]
        busiest = max(sum(span.start <= moment < span.end for span in spans) for moment in moments)
        assert slot.places == places - busiest > 0


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ({"monday": "9:00-10:00"}, "hours.monday"),
        ({"mon": "9-10"}, "hours.mon: '9-10'"),
        ({"mon": "10:00-09:00"}, "forwards"),
        ({"mon": "10:75-11:00"}, "forwards"),
        ({"mon": "10:00-25:00"}, "forwards"),
    ],
)
def test_wrong_hours_are_named(hours: dict[str, str], said: str) -> None:
    with pytest.raises(HoursRejected, match=said):
        slots(hours, [], OFFER, zone=LISBON, first=MONDAY, last=MONDAY, now=LONG_AGO)


def test_what_cannot_be_asked() -> None:
    with pytest.raises(HoursRejected, match="92 days"):
        free(last=date(2027, 1, 1))
    with pytest.raises(HoursRejected, match="longer than nothing"):
        free(offer=Offer(length=HOUR, every=timedelta(0)))
