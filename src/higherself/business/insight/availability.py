"""When there is time: free slots between opening hours and what is booked. Pure.

Everything is reckoned in instants, and opening hours in the zone of the place: so a day on which the
clocks change has the hours that it has.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from higherself.kernel.errors import Rejected

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_VIEW = timedelta(days=92)
_HOURS = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")


class HoursRejected(Rejected):
    """Opening hours, or what is asked for, are not as they have to be."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time from an instant to another."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Slot:
    """A time that can be booked, and how many places are left in it."""

    start: datetime
    end: datetime
    places: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What can be booked: for how long, how many at a time, and what lies between two bookings."""

    length: timedelta
    every: timedelta
    places: int = 1
    pause: timedelta = timedelta(0)
    notice: timedelta = timedelta(0)


def slots(
    hours: Mapping[str, str | Sequence[str]],
    booked: Sequence[Span],
    offer: Offer,
    *,
    zone: ZoneInfo,
    first: date,
    last: date,
    now: datetime,
    closed: Sequence[date] = (),
) -> list[Slot]:
    """Return what is free from ``first`` to ``last``, in order.

    ``hours``: by day (mon to sun), like ``"09:00-12:30"`` or a list of such. A slot lies within
    opening hours, begins no sooner than ``notice`` from now, and has places left after counting
    what is booked at any moment of it (with the pause before and after).

    Raises
        HoursRejected: naming what is wrong.
    """
    if offer.length <= timedelta(0) or offer.every <= timedelta(0) or offer.places < 1:
        raise HoursRejected("length and every must be longer than nothing, and places at least 1")
    if last < first or last - first > LONGEST_VIEW:
        raise HoursRejected(f"from {first} to {last}: at most {LONGEST_VIEW.days} days, forwards")
    opening = {day: list(_hours(day, said)) for day, said in hours.items()}
    taken = sorted(booked, key=lambda span: span.start)
    found: list[Slot] = []
    day = first
    while day <= last:
        for opens, closes in opening.get(DAYS[day.weekday()], []) if day not in closed else []:
            begin, end = _instant(day, opens, zone), _instant(day, closes, zone)
            while begin + offer.length <= end:
                places = offer.places - _most_at_once(taken, begin, offer)
                if places > 0 and begin >= now + offer.notice:
                    found.append(Slot(begin, begin + offer.length, places))
                begin += offer.every
        day += timedelta(days=1)
    return found


def _most_at_once(taken: Sequence[Span], begin: datetime, offer: Offer) -> int:
    """Return how many bookings lie side by side, at most, somewhere in a slot and its pauses."""
    opens, closes = begin - offer.pause, begin + offer.length + offer.pause
    beside = [span for span in taken if span.start < closes and span.end > opens]
    edges = [(max(span.start, opens), 1) for span in beside] + [(span.end, -1) for span in beside]
    most = running = 0
    for _, change in sorted(edges):
        running += change
        most = max(most, running)
    return most


def _instant(day: date, at: timedelta, zone: ZoneInfo) -> datetime:
    """Return the instant of a time of day, in UTC; 24:00 is the midnight that ends the day."""
    midnight = datetime.combine(day + timedelta(days=at.days), time(), zone)
    hour, minute = divmod(at.seconds // 60, 60)
    return midnight.replace(hour=hour, minute=minute).astimezone(UTC)


def _hours(day: str, said: str | Sequence[str]) -> Iterator[tuple[timedelta, timedelta]]:
    if day not in DAYS:
        raise HoursRejected(f"hours.{day}: a day is one of {', '.join(DAYS)}")
    for each in [said] if isinstance(said, str) else said:
        found = _HOURS.fullmatch(each.replace(" ", ""))
        if found is None:
            raise HoursRejected(f"hours.{day}: {each!r} is not like 09:00-17:30")
        numbers = list(map(int, found.groups()))
        opens = timedelta(hours=numbers[0], minutes=numbers[1])
        closes = timedelta(hours=numbers[2], minutes=numbers[3])
        if numbers[1] > 59 or numbers[3] > 59 or not opens < closes <= timedelta(days=1):
            raise HoursRejected(f"hours.{day}: {each!r} does not go forwards within one day")
        yield opens, closes
