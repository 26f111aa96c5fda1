"""Dates as people write them, read one way or refused. Pure."""

import re
from datetime import UTC, date, datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from higherself.kernel.errors import Rejected

DayFirst = Literal["day", "month"]

LONGEST = 40
"""Characters of a date, whatever the language."""

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_NUMBERS = re.compile(r"(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})")
_DAY_NAMED = re.compile(
    r"(?:[a-z]+,? )?(\d{1,2})(?:st|nd|rd|th)?\.? (?:of )?([a-z]{3,9})\.?,? (\d{4})"
)
_MONTH_NAMED = re.compile(r"(?:[a-z]+,? )?([a-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})")


class DateUnclear(Rejected):
    """A text is no date, or might be two."""


def read_date(text: str, *, first: DayFirst | None = None) -> date:
    """Return the date that ``text`` names.

    ``first`` says what comes first where only numbers stand: 03/04/2026. Without it such a date is
    read only if it can mean but one thing. A year has four digits: there is no guessing a century.

    Raises
        DateUnclear: there is no such date, or there are two.

    >>> read_date("21 March 2026"), read_date("2026-03-21"), read_date("21/03/2026")
    (datetime.date(2026, 3, 21), datetime.date(2026, 3, 21), datetime.date(2026, 3, 21))
    """
    said = " ".join(text.lower().split())
    if len(said) > LONGEST:
        raise DateUnclear(f"{text[:20]!r}... is no date: it has {len(text):,} characters")
    if found := _NUMBERS.fullmatch(said):
        one, two, three = map(int, found.groups())
        return _of_numbers(text, one, two, three, first)
    if found := _DAY_NAMED.fullmatch(said):
        day, month, year = found.groups()
        return _date(text, int(year), _month(text, month), int(day))
    if found := _MONTH_NAMED.fullmatch(said):
        month, day, year = found.groups()
        return _date(text, int(year), _month(text, month), int(day))
    try:
        return datetime.fromisoformat(text.strip()).date()
    except ValueError:
        raise DateUnclear(f"{text!r} is no date; write it as 2026-03-21") from None


def read_instant(text: str, *, zone: str | None = None) -> datetime:
    """Return the instant that ``text`` names, in UTC.

    A time without a zone of its own is one in ``zone`` (an IANA name). A Unix time in seconds or
    milliseconds is an instant, too.

    Raises
        DateUnclear: it is none, or it has no zone and none is given.
    """
    said = text.strip()
    if said.isdigit() and len(said) in (10, 13):
        return datetime.fromtimestamp(int(said) / (1000 if len(said) == 13 else 1), UTC)
    try:
        instant = datetime.fromisoformat(said)
    except ValueError:
        raise DateUnclear(f"{text!r} is no instant; write it as 2026-03-21T18:30:00Z") from None
    if instant.tzinfo is None:
        if zone is None:
            raise DateUnclear(f"{text!r} has no time zone; write it as {said}Z, or give a zone")
        instant = instant.replace(tzinfo=zone_named(zone))
    return instant.astimezone(UTC)


def zone_named(name: str) -> ZoneInfo:
    """Return the time zone with an IANA name.

    Raises
        DateUnclear: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DateUnclear(
            f"{name!r} is no time zone; write it as America/New_York or Europe/Lisbon"
        ) from None


def _of_numbers(text: str, one: int, two: int, three: int, first: DayFirst | None) -> date:
    if one >= 1000:
        return _date(text, one, two, three)
    if three < 1000:
        raise DateUnclear(f"{text!r} has no year of four digits; write it as 2026-03-21")
    if first is None and one <= 12 and two <= 12 and one != two:
        raise DateUnclear(
            f"{text!r} may be the {one}. of month {two} or the {two}. of month {one}; write it as "
            "2026-03-21, or say which comes first"
        )
    day_first = first == "day" or (first is None and one > 12)
    day, month = (one, two) if day_first else (two, one)
    return _date(text, three, month, day)


def _month(text: str, name: str) -> int:
    for number, month in enumerate(_MONTHS, start=1):
        if name == month or (month.startswith(name) and len(name) in (3, 4)):
            return number
    raise DateUnclear(f"{text!r} has no month that is known; write it as 2026-03-21")


def _date(text: str, year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError as error:
        raise DateUnclear(f"{text!r} is no date: {error}") from None
