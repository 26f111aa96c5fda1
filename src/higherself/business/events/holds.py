"""What is taken when: a room, a practitioner, the places of a retreat. Nothing is booked twice. Pure.

Times are half open: what ends at ten and what begins at ten do not meet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from higherself.business.insight.availability import Span
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject

MOST_HOLDS = 10_000
LONGEST = timedelta(days=366)


class HoldRejected(Rejected):
    """A time that is asked for is none."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A time that somebody has; ``holder`` is what it is for, such as an instance."""

    holder: str
    span: Span
    title: str = ""

    def to_json(self) -> JsonObject:
        """Return the hold as it is kept."""
        return {
            "holder": self.holder,
            "start": self.span.start.isoformat(),
            "end": self.span.end.isoformat(),
            "title": self.title,
        }


@dataclass(frozen=True, slots=True)
class Held:
    """What came of asking: the holds that there are now, and which ones are in the way (none: held)."""

    holds: tuple[Hold, ...]
    conflicts: tuple[Hold, ...] = ()


def span_of(start: datetime, end: datetime) -> Span:
    """Return the time from an instant to another.

    Raises
        HoldRejected: it ends before it begins, takes longer than a year, or has no zone.
    """
    if start.tzinfo is None or end.tzinfo is None:
        raise HoldRejected("start and end: say in which zone, like 2026-03-09T09:00:00Z")
    if not start < end:
        raise HoldRejected(f"end: {end.isoformat()} is not after the start, {start.isoformat()}")
    if end - start > LONGEST:
        raise HoldRejected(f"end: more than {LONGEST.days} days after the start")
    return Span(start, end)


def hold(
    holds: Sequence[Hold],
    wanted: Hold,
    *,
    places: int = 1,
    pause: timedelta = timedelta(0),
) -> Held:
    """Return what becomes of asking for a time that ``places`` holders may have at once.

    Whoever has a time and asks for another gives the first one up, if the second can be had. Two
    holds are at least ``pause`` apart where there is one place.

    Raises
        HoldRejected: there are no places, or more holds than can be kept.
    """
    if places < 1:
        raise HoldRejected(f"places: {places}; say at least 1")
    others = [each for each in holds if each.holder != wanted.holder]
    if len(others) >= MOST_HOLDS:
        raise HoldRejected(f"there are {MOST_HOLDS:,} holds already; release those that are over")
    around = Span(wanted.span.start - pause, wanted.span.end + pause)
    in_the_way = [each for each in others if _meet(each.span, around)]
    if most_at_once([_clipped(each.span, around) for each in in_the_way]) >= places:
        return Held(tuple(holds), tuple(in_the_way))
    return Held((*others, wanted))


def release(holds: Sequence[Hold], holder: str) -> tuple[Hold, ...]:
    """Return the holds without those of ``holder``."""
    return tuple(each for each in holds if each.holder != holder)


def current(holds: Sequence[Hold], now: datetime, *, kept: timedelta) -> tuple[Hold, ...]:
    """Return the holds that are not over for longer than ``kept``."""
    return tuple(each for each in holds if each.span.end + kept > now)


def most_at_once(spans: Sequence[Span]) -> int:
    """Return how many of ``spans`` there are at once, at most.

    >>> from datetime import UTC
    >>> def at(hour): return datetime(2026, 3, 2, hour, tzinfo=UTC)
    >>> most_at_once([Span(at(9), at(11)), Span(at(10), at(12)), Span(at(11), at(13))])
    2
    """
    edges = sorted([(each.start, 1) for each in spans] + [(each.end, -1) for each in spans])
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def read_holds(said: Any) -> tuple[Hold, ...]:
    """Return holds as `Hold.to_json` made them; none of nothing."""
    return tuple(_read(each) for each in said or ())


def _read(said: Mapping[str, Any]) -> Hold:
    start, end = (datetime.fromisoformat(said[name]) for name in ("start", "end"))
    return Hold(said["holder"], Span(start, end), said.get("title", ""))


def _meet(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


def _clipped(span: Span, around: Span) -> Span:
    return Span(max(span.start, around.start), min(span.end, around.end))
