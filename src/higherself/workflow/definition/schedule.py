"""Cron schedules, and durations such as ``3d``. Pure; the time is handed in."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from higherself.kernel.durations import LONGEST, duration_of, text_of
from higherself.kernel.jsonvalue import JsonValue
from higherself.workflow.errors import ContextRejected, did_you_mean

__all__ = ["LONGEST", "Cron", "cron_of", "duration_of", "instant_of", "text_of"]


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


def instant_of(said: JsonValue, now: datetime, text: str) -> datetime:
    """Return when ``said`` is: seconds or a duration from ``now``, or an instant; never before ``now``.

    Raises
        ContextRejected: it is nothing of that; ``text`` is where it comes from.
    """
    try:
        if isinstance(said, int | float) and not isinstance(said, bool):
            return now + max(timedelta(0), min(timedelta(seconds=said), LONGEST))
        if isinstance(said, str) and said[:1].isdigit() and "T" not in said:
            number = said.rstrip("smhdw")
            return now if number.strip("0") == "" else now + duration_of(said)
        if isinstance(said, str):
            at = datetime.fromisoformat(said)
            return max(now, at if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as error:
        raise ContextRejected("", f"takes no wait {text!r} that is {said!r}: {error}") from None
    raise ContextRejected(
        "", f"takes no wait {text!r} that is {said!r}; give a duration such as 3d, or a time"
    )


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
