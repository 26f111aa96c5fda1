"""Answers that come as messages, and who waits for them.

Each process that asks has a topic of its own for them, and reads it alone: so an answer needs no
lease. It is read, handed to who waits, and noted as delivered with others a moment later; what was
read and not noted (the process is gone) is ended by `upkeep`.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from typing import Protocol

from higherself.kernel import telemetry
from higherself.kernel.backoff import exponential
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.tasks import raise_if_cancelled, task_group
from higherself.messaging.envelope import Envelope, MessageId
from higherself.messaging.flights import TROUBLE_BASE, TROUBLE_CEILING
from higherself.messaging.model import Claimed
from higherself.messaging.ports import Listener, Settled
from higherself.messaging.protocol import REPLIES, REQUEST
from higherself.messaging.settlement import DELIVERED, End

AT_ONCE = 256
"""Answers that are read at a time."""

TOGETHER = timedelta(milliseconds=20)
"""How long an answer that was handed over waits for others to be noted with."""

LAST_WORDS = timedelta(seconds=2)
"""How long the last ones may take to be noted when the process stops."""

UNWANTED = End(status="cancelled", reason="nobody waited for this answer any more")


class AnswerStore(Protocol):
    """Where answers are kept until they are read."""

    async def answers(self, topic: str, known: Sequence[MessageId], limit: int) -> list[Claimed]:
        """Return what came for ``topic`` and has not ended, but for what is ``known``."""
        ...

    async def settle(
        self, settled: Sequence[Settled], *, wake: Sequence[str] = ()
    ) -> set[MessageId]:
        """Store how messages ended; see `MessageStore.settle`."""
        ...

    def listen(
        self,
        topics: Sequence[str],
        wake: Callable[[str], None],
        told: Callable[[Claimed], None] | None = None,
    ) -> AbstractAsyncContextManager[Listener]:
        """Call ``wake`` or ``told`` while the block runs; see `MessageStore.listen`."""
        ...


class Answers:
    """Hands answers over. `run` has to run beside."""

    def __init__(self, store: AnswerStore, clock: Clock, draw: Callable[[], float]) -> None:
        self._store, self._clock, self._draw = store, clock, draw
        self.topic = f"{REPLIES}{secrets.token_hex(8)}"
        self._awaited: dict[str, asyncio.Future[Envelope]] = {}
        self._taken: dict[MessageId, Settled] = {}
        self._look, self._some_taken = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def awaited(self, request: MessageId) -> AsyncIterator[asyncio.Future[Envelope]]:
        """Yield what will be the answer to ``request``, which is awaited while the block runs."""
        name = str(request)
        answer = self._awaited[name] = asyncio.get_running_loop().create_future()
        try:
            yield answer
        finally:
            if self._awaited.get(name) is answer:
                del self._awaited[name]

    async def run(self) -> None:
        """Hand answers over until cancelled; then what was handed over is noted."""
        async with (
            self._store.listen([self.topic], self._hinted, self._take) as listener,
            task_group() as group,
        ):
            noting = group.create_task(self._note_for_ever())
            try:
                await self._read_for_ever(listener)
            finally:
                noting.cancel()
                with suppress(HigherSelfError, TimeoutError):
                    async with asyncio.timeout(LAST_WORDS.total_seconds()):
                        await self._note()

    def _hinted(self, topic: str) -> None:
        self._look.set()

    async def _read_for_ever(self, listener: Listener) -> None:
        failures = 0
        while True:
            self._look.clear()
            try:
                more = await self._read()
                wait, failures = listener.patience, 0
            except HigherSelfError as error:
                telemetry.warning("messaging.answers.not_read", reason=str(error))
                failures, more = failures + 1, False
                wait = self._pause(failures)
            raise_if_cancelled()
            if not more:
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait.total_seconds()):
                        await self._look.wait()

    async def _read(self) -> bool:
        """Hand over what has come; return whether there may be more."""
        found = await self._store.answers(self.topic, list(self._taken), AT_ONCE)
        for each in found:
            self._take(each)
        return len(found) == AT_ONCE

    def _take(self, message: Claimed) -> None:
        if message.id not in self._taken:
            end = DELIVERED if self._hand_over(message) else UNWANTED
            self._taken[message.id] = Settled(message, end)
            self._some_taken.set()

    def _hand_over(self, message: Claimed) -> bool:
        envelope = message.envelope
        answer = self._awaited.get(str(envelope.extensions.get(REQUEST, envelope.causation_id)))
        if answer is None or answer.done():
            telemetry.count("messaging.answer.unwanted")
            return False
        answer.set_result(envelope)
        return True

    async def _note_for_ever(self) -> None:
        failures = 0
        while True:
            await self._some_taken.wait()
            await self._clock.sleep(TOGETHER)
            self._some_taken.clear()
            try:
                await self._note()
                failures = 0
            except HigherSelfError as error:
                telemetry.warning("messaging.answers.not_noted", reason=str(error))
                failures += 1
                await self._clock.sleep(self._pause(failures))
                self._some_taken.set()
            raise_if_cancelled()

    async def _note(self) -> None:
        if taken := list(self._taken.values()):
            await self._store.settle(taken)
            for each in taken:
                self._taken.pop(each.message.id, None)

    def _pause(self, failures: int) -> timedelta:
        return exponential(
            failures, base=TROUBLE_BASE, ceiling=TROUBLE_CEILING, jitter=self._draw()
        )
