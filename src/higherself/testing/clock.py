"""A clock that is set by hand."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class ManualClock:
    """Stands still until it is moved; whoever sleeps moves it, and wakes at once.

    ``slept`` has every sleep, in order.
    """

    def __init__(self, at: datetime = NOON) -> None:
        self._now = at
        self._monotonic = 0.0
        self.slept: list[timedelta] = []

    def now(self) -> datetime:
        """Return the instant it is set to, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds it was moved in all."""
        return self._monotonic

    def move(self, wait: timedelta) -> None:
        """Let time pass."""
        self._now += wait
        self._monotonic += wait.total_seconds()

    async def sleep(self, wait: timedelta) -> None:
        """Move by ``wait`` and return."""
        self.slept.append(wait)
        self.move(wait)
