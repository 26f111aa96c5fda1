"""What time it is by the clock of the database, the one that all machines share."""

import asyncio
from datetime import UTC, datetime, timedelta

from higherself.db.pool import Database
from higherself.kernel.clock import Clock
from higherself.messaging.statements import QUERIES, alone

EVERY = timedelta(minutes=1)
"""How long our monotonic clock is counted on."""

JUMP = timedelta(seconds=0.5)
"""If our two clocks differ by more, one of them was set, or the machine slept: we look again."""


class ServerTime:
    """Tells the time by the clock of the database, whatever our own says.

    What is due is found by that clock. So a timer has to be set by it, too: by a clock that is
    wrong for an hour, it would come an hour late.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._reading = asyncio.Lock()
        self._seen: datetime | None = None
        self._ours, self._asked = datetime.min.replace(tzinfo=UTC), 0.0

    async def now(self) -> datetime:
        """Return this instant; perhaps a little later, but never earlier than the database says.

        Raises
            DatabaseUnavailable, ...: the clock could not be read.
        """
        if (now := self._counted()) is not None:
            return now
        async with self._reading:
            while (now := self._counted()) is None:
                await self._read()
            return now

    def _counted(self) -> datetime | None:
        """Return the time that was read and what has passed since, if both can be relied on."""
        passed = timedelta(seconds=self._clock.monotonic() - self._asked)
        if self._seen is None or passed > EVERY:
            return None
        if abs(self._clock.now() - self._ours - passed) > JUMP:
            return None
        return self._seen + passed

    async def _read(self) -> None:
        ours, asked = self._clock.now(), self._clock.monotonic()
        async with alone(self._database) as tx:
            self._seen = (await tx.one(QUERIES["read_clock"]))["now"]
        self._ours, self._asked = ours, asked
