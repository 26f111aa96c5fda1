"""Durations such as ``3d``, and cron schedules. Pure; the time is handed in."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from higherself.workflow.errors import did_you_mean

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_DURATION = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>ms|[smhdw])")

LONGEST = timedelta(days=36_525)  # a hundred years


def duration_of(text: str) -> timedelta:
    """Return how long ``text`` is: a whole number and ms, s, m, h, d or w.

    Raises
        ValueError: it is no such thing, or not from 1 ms to a hundred years; the text says which.

    >>> duration_of("3d")
    datetime.timedelta(days=3)
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no duration; write a whole number and ms, s, m, h, d or w, for example 30s"
        )
    duration = int(found["number"]) * _UNITS[found["unit"]]
    if not timedelta(0) < duration <= LONGEST:
        raise ValueError(f"{text} is not from 1ms to a hundred years")
    return duration


def text_of(duration: timedelta) -> str:
    """Return ``duration`` in the largest unit that leaves no rest; the inverse of `duration_of`.

    >>> text_of(timedelta(hours=48)), text_of(timedelta(seconds=90))
    ('2d', '90s')
    """
    name, unit = next(
        (name, unit) for name, unit in _UNITS.items() if not duration % unit or name == "ms"
    )
    return f"{duration // unit}{name}"


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule in the five fields of cron: minute, hour, day of month, month, day of week."""

    text: str

    def next(self, after: datetime, zone: tzinfo) -> datetime:
        """Return the first instant later than ``after``, in UTC; the fields are ``zone``'s clock.

        When clocks change, it does as Debian's cron does: what falls into the hour that is left
        out comes right after it, and nothing comes twice.
        """
        return next(CronSim(self.text, after.astimezone(zone))).astimezone(UTC)


def cron_of(text: str) -> Cron:
    """Return the schedule that ``text`` is.

    Raises
        ValueError: it has not five fields, one of them is wrong, or it never comes round.
    """
    if len(text.split()) != 5:
        raise ValueError(
            f"{text!r} is no schedule; write minute, hour, day of month, month and day of week, "
            'for example "0 9 * * 1" for Mondays at nine'
        )
    cron = Cron(" ".join(text.split()))
    try:
        cron.next(datetime(2000, 1, 1, tzinfo=UTC), UTC)
    except CronSimError as error:
        raise ValueError(f"{text!r} is no schedule: {str(error).lower()}") from None
    except StopIteration:
        raise ValueError(f"{text!r} never comes round") from None
    return cron


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of that name, such as ``America/New_York``.

    Raises
        ValueError: there is none of that name on this machine.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()
        meant = did_you_mean(name, known) or "; write one such as Europe/Berlin"
        install = "" if known else " (and install the package tzdata, for this machine has none)"
        raise ValueError(f"{name!r} is no time zone that is known here{meant}{install}") from None
