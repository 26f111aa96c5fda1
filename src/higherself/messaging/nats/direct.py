"""The fleeting way over NATS: a request goes to whoever hears now, and the answer comes back.

Nothing is kept: a hearer that dies takes with it what it had. Of those of one group one gets it; if
nobody hears, the server says so at once.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Unavailable
from higherself.kernel.tasks import task_group
from higherself.messaging.envelope import Envelope
from higherself.messaging.errors import MessageMalformed, MessageTooLarge
from higherself.messaging.nats.client import LARGEST_PAYLOAD, Answer, CutOff, Wire
from higherself.messaging.nats.link import Link
from higherself.messaging.nats.writing import Purpose, Seal, read, written
from higherself.messaging.outbox import LARGEST
from higherself.messaging.roads import Hearer, NobodyHears, RequestTimedOut

AT_ONCE = 256
"""What one hearer handles at a time."""

MOST_WAITING = 10_000
"""What waits for that; more is turned away."""

LOOK_EVERY = timedelta(milliseconds=100)
TOLD_WITHIN = timedelta(seconds=2)

FINISH_WITHIN = 5.0
"""Seconds that a hearer that stops has for what it has begun."""

NOBODY, BUSY = b"NATS/1.0 503", b"NATS/1.0 429"


class Overheard(Unavailable):
    """Whoever hears a topic has more to do than it can."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"who hears {topic!r} has {MOST_WAITING:,} requests waiting and takes no more; run more "
            "workers, or ask less"
        )


_Asked = tuple[Wire, bytes, bytes, Envelope]
"""Where a request came, where its answer goes, its signature, and what it says."""


@dataclass(eq=False)
class _Worker:
    """A task that handles one request after the other: to begin a task for each would cost as much."""

    task: asyncio.Task[None] | None = None
    until: float | None = None
    overdue: bool = False
    called: "asyncio.Future[None] | None" = None


@dataclass(eq=False)
class _Hearing:
    topic: str
    group: str
    handler: Hearer
    patience: float
    seal: Purpose
    tasks: asyncio.TaskGroup
    loop: asyncio.AbstractEventLoop
    waiting: deque[_Asked] = field(default_factory=deque)
    heard: dict[Wire, int] = field(default_factory=dict)
    workers: list[_Worker] = field(default_factory=list)
    idle: list[_Worker] = field(default_factory=list)

    @property
    def busy(self) -> bool:
        """Whether something is being handled, or waits for it."""
        return bool(self.waiting) or len(self.idle) < len(self.workers)


class NatsDirectRoad:
    """Requests and answers over core NATS."""

    name = "nats"

    def __init__(self, link: Link, seal: Seal, clock: Clock) -> None:
        self._link, self._seal, self._clock = link, seal, clock
        self._answers = seal.of("answer")
        self._requests: dict[str, tuple[bytes, Purpose]] = {}
        self._hearings: list[_Hearing] = []
        link.on_up(self._hear_again)

    async def request(
        self,
        topic: str,
        envelope: Envelope,
        *,
        timeout: timedelta,  # noqa: ASYNC109  a road knows how to wait
    ) -> Envelope:
        """Return the answer of one hearer of ``topic``: of the one that is first, if several groups hear.

        Raises
            NobodyHears: at once.
            RequestTimedOut: it may be handled, or have been.
            CutOff: the server is away, or went away meanwhile; then it may be handled, too.
            MessageTooLarge: over 1 MB.
        """
        _, signature, answer = self._ask(topic, envelope, timeout)
        header, payload = await answer
        if header.startswith(NOBODY):
            raise NobodyHears(topic, self.name)
        if header.startswith(BUSY):
            raise Overheard(topic)
        self._answers.check(header, payload, answers=signature)
        return read(payload)

    async def tell(self, topic: str, envelope: Envelope) -> None:
        """Give ``envelope`` to one hearer in each group of ``topic``.

        When this returns it is with the server, which knew of hearers.
        """
        wire, _, answer = self._ask(topic, envelope, TOLD_WITHIN)
        try:
            if not await wire.answers(within=TOLD_WITHIN.total_seconds()):
                raise CutOff("the connection was lost")
            if answer.done() and answer.result()[0].startswith(NOBODY):
                raise NobodyHears(topic, self.name)
        finally:
            answer.cancel()

    async def check(self) -> str:
        """Return which server carries it."""
        return await self._link.check()

    @asynccontextmanager
    async def hear(
        self, topic: str, handler: Hearer, *, group: str, patience: timedelta
    ) -> AsyncIterator[None]:
        """Give what comes on ``topic`` to ``handler`` while the block runs, whenever NATS is there."""
        async with task_group() as tasks:
            seal = self._request(topic)[1]
            loop = asyncio.get_running_loop()
            hearing = _Hearing(topic, group, handler, patience.total_seconds(), seal, tasks, loop)
            looking = tasks.create_task(self._stop_overdue(hearing))
            self._hearings.append(hearing)
            if (wire := self._link.wire) is not None:
                with suppress(CutOff):  # the next connection will hear
                    await self._hear(wire, hearing)
            try:
                yield
            finally:
                self._hearings.remove(hearing)
                for wire, number in hearing.heard.items():
                    await wire.leave(number)
                await self._finish(hearing)
                looking.cancel()

    def _ask(
        self, topic: str, envelope: Envelope, timeout: timedelta
    ) -> tuple[Wire, bytes, "asyncio.Future[Answer]"]:
        """Send a request; return on which connection, its signature, and what will be the answer."""
        wire = self._link.up()
        subject, seal = self._request(topic)
        payload = written(envelope)
        _require_small(envelope, payload)
        header = seal.header(payload)
        answer = wire.ask(
            subject,
            header,
            payload,
            within=timeout.total_seconds(),
            late=lambda: RequestTimedOut(envelope.type, topic, timeout),
        )
        return wire, header[-68:-4], answer

    def _request(self, topic: str) -> tuple[bytes, Purpose]:
        """Return where requests to ``topic`` go, and what signs them."""
        known = self._requests.get(topic)
        if known is None:
            subject = self._link.subject(f"direct.{spelt(topic)}").encode()
            known = subject, self._seal.of(f"request {topic}")
            if len(self._requests) < MOST_WAITING:
                self._requests[topic] = known
        return known

    async def _hear_again(self, wire: Wire) -> None:
        for hearing in list(self._hearings):
            await self._hear(wire, hearing)

    async def _hear(self, wire: Wire, hearing: _Hearing) -> None:
        if wire in hearing.heard:
            return
        hearing.heard = {wire: 0}

        def take(subject: bytes, answer_to: bytes, header: bytes, payload: bytes) -> None:
            try:
                signature = hearing.seal.check(header, payload)
                envelope = read(payload)
            except MessageMalformed as error:
                telemetry.count("messaging.nats.refused", topic=hearing.topic)
                telemetry.warning("messaging.nats.refused", topic=hearing.topic, reason=str(error))
                return
            if len(hearing.waiting) < MOST_WAITING:
                hearing.waiting.append((wire, answer_to, signature, envelope))
                self._call_one(hearing)
            elif answer_to:
                wire.tell(answer_to, b"", BUSY + b"\r\n\r\n", b"")

        subject = self._request(hearing.topic)[0].decode()
        hearing.heard[wire] = await wire.take(subject, take, group=spelt(hearing.group))

    def _call_one(self, hearing: _Hearing) -> None:
        if hearing.idle:
            called = hearing.idle.pop().called
            if called is not None and not called.done():
                called.set_result(None)
        elif len(hearing.workers) < AT_ONCE:
            worker = _Worker()
            hearing.workers.append(worker)
            worker.task = hearing.tasks.create_task(self._work(hearing, worker))

    async def _work(self, hearing: _Hearing, worker: _Worker) -> None:
        while True:
            while hearing.waiting:
                await self._handle(hearing, worker, *hearing.waiting.popleft())
            worker.called = hearing.loop.create_future()
            hearing.idle.append(worker)
            await worker.called

    async def _handle(
        self,
        hearing: _Hearing,
        worker: _Worker,
        wire: Wire,
        answer_to: bytes,
        signature: bytes,
        envelope: Envelope,
    ) -> None:
        worker.until = hearing.loop.time() + hearing.patience
        try:
            answer = await hearing.handler(envelope)
            if answer is not None and answer_to:
                payload = written(answer)
                _require_small(answer, payload)
                header = self._answers.header(payload, answers=signature)
                wire.tell(answer_to, b"", header, payload)
                if wire.has_written_much:
                    await wire.room()
        except asyncio.CancelledError:
            if not worker.overdue or worker.task is None:
                raise
            worker.overdue = False
            if worker.task.uncancel():
                raise
            _note_unanswered(hearing, f"it took longer than {hearing.patience:g} s")
        except Exception as error:  # noqa: BLE001  it is about this message alone; who asked waits in vain
            _note_unanswered(hearing, repr(error))
        finally:
            worker.until = None

    async def _stop_overdue(self, hearing: _Hearing) -> None:
        """Stop handlers that take too long. One look at all costs less than a timer for each."""
        while True:
            await self._clock.sleep(LOOK_EVERY)
            now = hearing.loop.time()
            for worker in hearing.workers:
                late = worker.until is not None and worker.until <= now
                if late and not worker.overdue and worker.task is not None:
                    worker.overdue = True
                    worker.task.cancel()

    async def _finish(self, hearing: _Hearing) -> None:
        """Let go on what has begun, for a while."""
        until = self._clock.monotonic() + FINISH_WITHIN
        while hearing.busy and self._clock.monotonic() < until:
            await self._clock.sleep(timedelta(milliseconds=5))
        hearing.waiting.clear()
        for worker in hearing.workers:
            if worker.task is not None:
                worker.task.cancel()
        for wire in hearing.heard:
            await wire.answers(within=1)


def _note_unanswered(hearing: _Hearing, reason: str) -> None:
    telemetry.warning("messaging.nats.not_answered", topic=hearing.topic, reason=reason)


def spelt(name: str) -> str:
    """Return a topic or group as a subject of NATS: no part of it may be empty there.

    >>> spelt("agent.nyra"), spelt("odd..topic.")
    ('agent.nyra', 'odd.=.topic.=')
    """
    return ".".join(part or "=" for part in name.split("."))


def _require_small(envelope: Envelope, payload: bytes) -> None:
    if len(payload) > LARGEST_PAYLOAD - 1024:
        raise MessageTooLarge(envelope.type, len(payload), LARGEST)
