"""The way within one process: an envelope is handed to who hears it, and the answer comes back.

A request runs the handler in the task of whoever asks, so nothing is copied, queued or switched.
What is told waits in a queue of limited length; when that is full, whoever tells has to wait too.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from higherself.kernel import telemetry
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.errors import Unavailable
from higherself.kernel.tasks import task_group
from higherself.messaging.envelope import Envelope
from higherself.messaging.roads import Hearer, NobodyHears, RequestTimedOut

MOST_WAITING = 1000
"""Envelopes that have been told to one hearer and not begun."""

AT_ONCE = 64
"""Of what was told, so many are handled at a time."""

PATIENCE = timedelta(seconds=5)
"""How long one waits to tell something when the queue is full; and how long a hearer that stops may
go on with what it has begun."""

A_TURN = 0.001
"""Seconds after which others in the event loop get their turn, though nobody has to be waited for."""


class Overloaded(Unavailable):
    """A hearer has more to do than it gets done."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"{MOST_WAITING:,} messages wait for the hearer of {topic!r} in this process, so no "
            "more are taken: send less, start more workers, or send durably"
        )
        self.topic = topic


class HearerStopped(Unavailable):
    """Whoever handled a request had to stop before it had an answer."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"the hearer of {topic!r} stopped before it had answered; ask again")
        self.topic = topic


@dataclass(slots=True, eq=False)
class _Hearer:
    """Who hears a topic, what runs there now, and what waits."""

    topic: str
    group: str
    handler: Hearer
    waiting: asyncio.Queue[Envelope]
    patience: float
    running: set[asyncio.Timeout] = field(default_factory=set)
    stopped: bool = False


class MemoryRoad:
    """Hearers of this process, by topic."""

    name = "memory"

    def __init__(self, clock: Clock = SYSTEM_CLOCK, *, most_waiting: int = MOST_WAITING) -> None:
        self._clock, self._most_waiting = clock, most_waiting
        self._hearers: dict[str, list[_Hearer]] = {}
        self._turn_ends = 0.0

    async def request(
        self,
        topic: str,
        envelope: Envelope,
        *,
        timeout: timedelta,  # noqa: ASYNC109  a road knows how to wait
    ) -> Envelope:
        """Return the answer of one hearer of ``topic``; several take turns."""
        hearer = self._next(topic)
        if (now := self._clock.monotonic()) >= self._turn_ends:
            await self._clock.sleep(timedelta(0))
            self._turn_ends = now + A_TURN
        limit = asyncio.timeout(min(timeout.total_seconds(), hearer.patience))
        hearer.running.add(limit)
        try:
            async with limit:
                answer = await hearer.handler(envelope)
        except TimeoutError:
            if not limit.expired():
                raise
            if hearer.stopped:
                raise HearerStopped(topic) from None
            raise RequestTimedOut(envelope.type, topic, timeout) from None
        finally:
            hearer.running.discard(limit)
        if answer is None:
            raise RequestTimedOut(envelope.type, topic, timeout)
        return answer

    async def tell(self, topic: str, envelope: Envelope) -> None:
        """Give ``envelope`` to one hearer in each group of ``topic``.

        Raises
            Overloaded: there was no room for it in time.
        """
        self._next(topic)
        groups = {each.group: each for each in self._hearers[topic]}
        for hearer in groups.values():
            try:
                async with asyncio.timeout(PATIENCE.total_seconds()):
                    await hearer.waiting.put(envelope)
            except TimeoutError:
                raise Overloaded(topic) from None

    def hears(self, topic: str) -> bool:
        """Whether somebody in this process hears ``topic``."""
        return topic in self._hearers

    async def check(self) -> str:
        """Return how many topics are heard."""
        return f"{len(self._hearers)} topics are heard in this process"

    @asynccontextmanager
    async def hear(
        self, topic: str, handler: Hearer, *, group: str, patience: timedelta
    ) -> AsyncIterator[None]:
        """Give what comes on ``topic`` to ``handler`` while the block runs."""
        waiting: asyncio.Queue[Envelope] = asyncio.Queue(self._most_waiting)
        hearer = _Hearer(topic, group, handler, waiting, patience.total_seconds())
        async with task_group() as tasks:
            told = tasks.create_task(self._handle_told(hearer))
            self._hearers.setdefault(topic, []).append(hearer)
            try:
                yield
            finally:
                self._forget(hearer)
                await self._finish(hearer)
                told.cancel()

    def _next(self, topic: str) -> _Hearer:
        """Return the hearer whose turn it is, and put it behind the others."""
        hearers = self._hearers.get(topic)
        if not hearers:
            raise NobodyHears(topic, self.name)
        if len(hearers) > 1:
            hearers.append(hearers.pop(0))
        return hearers[-1]

    def _forget(self, hearer: _Hearer) -> None:
        left = self._hearers[hearer.topic]
        left.remove(hearer)
        if not left:
            del self._hearers[hearer.topic]
        hearer.stopped = True

    async def _finish(self, hearer: _Hearer) -> None:
        """Let go on what has begun, for a while."""
        until = self._clock.monotonic() + PATIENCE.total_seconds()
        while hearer.running or hearer.waiting.qsize():
            if self._clock.monotonic() >= until:
                break
            await self._clock.sleep(timedelta(milliseconds=5))
        if hearer.waiting.qsize():
            telemetry.warning("messaging.told.lost", messages=hearer.waiting.qsize())
        for limit in hearer.running:
            limit.reschedule(0)

    async def _handle_told(self, hearer: _Hearer) -> None:
        room = asyncio.Semaphore(AT_ONCE)

        async def handle(envelope: Envelope) -> None:
            limit = asyncio.timeout(hearer.patience)
            hearer.running.add(limit)
            try:
                async with limit:
                    await hearer.handler(envelope)
            except Exception as error:  # noqa: BLE001  it is about this message alone, and nobody waits
                telemetry.warning("messaging.told.failed", topic=hearer.topic, reason=repr(error))
            finally:
                hearer.running.discard(limit)
                room.release()

        async with task_group() as tasks:
            while True:
                await room.acquire()
                tasks.create_task(handle(await hearer.waiting.get()))
