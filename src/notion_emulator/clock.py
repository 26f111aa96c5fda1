"""Where the emulator reads the time: the machine's clock, or one that tests move."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """What tells the time and waits."""

    def now(self) -> datetime:
        """Return the present, in UTC."""

    async def sleep(self, wait: timedelta) -> None:
        """Wait."""


class RealClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock

    async def sleep(self, wait: timedelta) -> None:
        """Wait."""
        await asyncio.sleep(wait.total_seconds())  # noqa: TID251 - this is the clock


class VirtualClock:
    """A clock that stands still until it is moved. Waiting moves it."""

    def __init__(self, start: datetime = datetime(2026, 7, 4, 9, 0, tzinfo=UTC)) -> None:
        self.instant = start

    def now(self) -> datetime:
        """Return the present, in UTC."""
        return self.instant

    def advance(self, step: timedelta) -> None:
        """Move on; a step backwards is allowed, for tests of clock skew."""
        self.instant += step

    async def sleep(self, wait: timedelta) -> None:
        """Move on without waiting."""
        self.advance(wait)


@lru_cache(maxsize=131_072)  # a query asks for the times of every row, again and again
def minute(instant: datetime) -> str:
    """Return the form of pages, blocks and data sources: floored to the minute.

    >>> minute(datetime(2026, 7, 4, 9, 8, 59, 999, tzinfo=UTC))
    '2026-07-04T09:08:00.000Z'
    """
    return instant.strftime("%Y-%m-%dT%H:%M:00.000Z")


def millisecond(instant: datetime) -> str:
    """Return the form of databases and views.

    >>> millisecond(datetime(2026, 7, 4, 9, 8, 5, 963000, tzinfo=UTC))
    '2026-07-04T09:08:05.963+00:00'
    """
    return instant.isoformat(timespec="milliseconds")


@lru_cache(maxsize=8_192)
def parsed(text: str, zone: timedelta | None = None) -> datetime:
    """Return the instant a text names; a bare date is its midnight in UTC.

    Raises
        ValueError: it is no date.
    """
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
