"""The only reader of the time, and the only sleeper."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and lets it pass. Tests hand in a `ManualClock`."""

    def now(self) -> datetime:
        """Return this instant, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary instant; never runs backwards."""
        ...

    async def sleep(self, wait: timedelta) -> None:
        """Return after ``wait``."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return this instant, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since an arbitrary instant; never runs backwards."""
        return time.perf_counter()

    async def sleep(self, wait: timedelta) -> None:
        """Return after ``wait``."""
        await asyncio.sleep(wait.total_seconds())


SYSTEM_CLOCK: Clock = SystemClock()
