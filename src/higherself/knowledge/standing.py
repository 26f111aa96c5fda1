"""What is known of an embedding tier, in this process and beyond: health, last error, usage."""

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta

from higherself.kernel.breaker import CLOSED, Circuit


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Requests that left, how many of them failed, and what was embedded for how many tokens."""

    requests: int = 0
    failures: int = 0
    texts: int = 0
    tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Return both together.

        >>> Usage(requests=1, tokens=20) + Usage(requests=1, failures=1)
        Usage(requests=2, failures=1, texts=0, tokens=20)
        """
        names = (field.name for field in fields(self))
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in names})


UNUSED = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a tier stands: its circuit, why it last failed and when, and its usage of one day.

    ``configuration`` is a hash of what decides whether a request can succeed (address, key,
    model): what was learned with another one is not held against this one.
    """

    configuration: bytes = b""
    circuit: Circuit = CLOSED
    last_error: str | None = None
    last_error_at: datetime | None = None
    usage: Usage = UNUSED
    latency: timedelta | None = None


def day_of(now: datetime) -> date:
    """Return the day in UTC that ``now`` belongs to."""
    return now.astimezone(UTC).date()


def end_of_day(now: datetime) -> datetime:
    """Return when the next day begins, and with it the next allowance."""
    return datetime.combine(day_of(now) + timedelta(days=1), time(), UTC)
