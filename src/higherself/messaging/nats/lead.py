"""Which of several drains works: so that not all read the same. If two do, nothing is wrong; see `drain`.

The one that works says so twice a second. If the others have not heard that for a while, or it says
good-bye, one of them goes on. If two work, the one whose name comes later stops.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from higherself.kernel.clock import Clock
from higherself.kernel.tasks import in_background, raise_if_cancelled
from higherself.messaging.nats.client import Wire
from higherself.messaging.nats.writing import Forged, Purpose

EVERY = timedelta(milliseconds=500)
SILENT_FOR = 2.0
"""Seconds without a word after which another one goes on."""

ANSWER_WITHIN = 0.1
"""Seconds that the one that works has to say so, when another one begins."""

WORKS, STOPS, ASKS = b"works", b"stops", b"asks"


class Lead:
    """Takes part on behalf of one drain, on one connection."""

    def __init__(self, wire: Wire, subject: str, seal: Purpose, clock: Clock) -> None:
        self._wire, self._subject, self._seal, self._clock = wire, subject, seal, clock
        self._name = secrets.token_hex(8).encode()
        self._free = asyncio.Event()
        self._silent_until = clock.monotonic() + ANSWER_WITHIN
        self.works = False

    async def wait(self) -> None:
        """Return when it is our turn; from then on `works` says whether it still is."""
        while not self.works and not self._wire.lost.is_set():
            left = self._silent_until - self._clock.monotonic()
            if left <= 0:
                self.works = True
                self._say(WORKS)
                return
            try:
                async with asyncio.timeout(min(left, SILENT_FOR)):
                    await self._free.wait()
                self._free.clear()
            except TimeoutError:
                raise_if_cancelled()

    async def _keep_saying(self) -> None:
        while not self._wire.lost.is_set():
            raise_if_cancelled()
            if self.works:
                self._say(WORKS)
            await self._clock.sleep(EVERY)

    def _say(self, what: bytes) -> None:
        if not self._wire.lost.is_set():
            said = what + b" " + self._name
            self._wire.tell(self._subject.encode(), b"", self._seal.header(said), said)

    def _hear(self, subject: bytes, answer_to: bytes, header: bytes, payload: bytes) -> None:
        try:
            self._seal.check(header, payload)
        except Forged:
            return
        what, _, name = payload.partition(b" ")
        if name == self._name:
            return
        if what == ASKS and self.works:
            self._say(WORKS)
        elif what == WORKS and self.works and name < self._name:
            self.works = False
        if what == WORKS and not self.works:
            self._silent_until = self._clock.monotonic() + SILENT_FOR
        elif what == STOPS:
            self._silent_until = self._clock.monotonic()
            self._free.set()


@asynccontextmanager
async def taking_part(wire: Wire, subject: str, seal: Purpose, clock: Clock) -> AsyncIterator[Lead]:
    """Take part while the block runs."""
    lead = Lead(wire, subject, seal, clock)
    number = await wire.take(subject, lead._hear)
    lead._say(ASKS)
    try:
        async with in_background(lead._keep_saying()):
            yield lead
    finally:
        if lead.works:
            lead._say(STOPS)
        await wire.leave(number)
