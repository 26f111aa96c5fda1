"""Who of this process may send its request now: lanes, and portions of the budget.

Requests are taken out of the budget in portions, which grow while they are used up, so that not
every request costs a statement. What is left of a portion when its time is over is given back.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.notion.gateway.lanes import LANES, Held, Lane
from higherself.notion.ports import Budget

AT_ONCE: dict[Lane, int] = {"live": 16, "webhook": 8, "backfill": 8}
"""How many requests of a lane are under way at once, in a process."""

ASK_AGAIN = timedelta(milliseconds=250)
"""How long at most until it is asked again: others give back, and pauses are cut short."""


@dataclass(slots=True)
class _Portion:
    grant: int
    left: int
    until: float


@dataclass(slots=True)
class _Queue:
    """What a lane has: those who wait, in order, and what is left of its portion."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    size: int = 1
    portion: _Portion | None = None


class Admission:
    """Lets requests leave, as the budget allows."""

    def __init__(self, budget: Budget, clock: Clock) -> None:
        self._budget, self._clock = budget, clock
        self._queues: dict[Lane, _Queue] = {lane: _Queue() for lane in LANES}

    async def enter(self, lane: Lane) -> None:
        """Return when a request of ``lane`` may leave: then it has to leave at once."""
        queue = self._queues[lane]
        if not queue.turn.locked() and self._used(lane):
            return
        started = self._clock.monotonic()
        queue.waiting += 1
        try:
            async with queue.turn:
                while not self._used(lane):
                    await self._refill(lane, queue)
        finally:
            queue.waiting -= 1
            telemetry.duration("notion.budget.waited", self._clock.monotonic() - started, lane=lane)

    async def close(self) -> None:
        """Give back what is left."""
        for queue in self._queues.values():
            await self._put_down(queue)

    def drop(self) -> None:
        """Use nothing more of what was taken: there is a pause."""
        for queue in self._queues.values():
            if queue.portion is not None:
                queue.portion.until = float("-inf")

    def _used(self, lane: Lane) -> bool:
        """Use one request of what the lane has, or of what one behind it has."""
        now = self._clock.monotonic()
        for other in LANES[LANES.index(lane) :]:
            portion = self._queues[other].portion
            if portion is not None and portion.left > 0 and now < portion.until:
                portion.left -= 1
                return True
        return False

    async def _refill(self, lane: Lane, queue: _Queue) -> None:
        policy = self._budget.policy
        used_up = await self._put_down(queue)
        queue.size = min(queue.size * 2, policy.portion) if used_up else max(1, queue.size // 2)
        began = self._clock.monotonic()
        answer, grant = await self._budget.take(
            lane, max(queue.size, min(queue.waiting, policy.portion))
        )
        if isinstance(answer, Held):
            if answer.reason is not None:
                self.drop()
            await self._clock.sleep(min(answer.wait, ASK_AGAIN))
            return
        telemetry.gauge("notion.budget.left", answer.left)
        # Counted from before it was granted, so that it ends here before it ends in the books.
        until = began + policy.life.total_seconds()
        queue.portion = _Portion(grant, answer.requests, until)

    async def _put_down(self, queue: _Queue) -> bool:
        """Give back what is left of a portion; return whether it was used up."""
        portion, queue.portion = queue.portion, None
        if portion is None or portion.left <= 0:
            return portion is not None
        try:
            await self._budget.give_back(portion.grant, portion.left)
        except HigherSelfError as error:  # then the window has it; nobody is hurt
            telemetry.warning("notion.budget.not_given_back", reason=str(error))
        return False
