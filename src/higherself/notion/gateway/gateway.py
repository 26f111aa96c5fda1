"""The one door to Notion: whoever asks it anything asks here.

It keeps the budget of the token, which all processes share, the order of the lanes, the pauses
that Notion asks for, and the rules of trying again.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

from higherself.kernel import telemetry
from higherself.kernel.breaker import (
    CLOSED,
    BreakerPolicy,
    Failed,
    admitted,
    failed,
    released,
    succeeded,
)
from higherself.kernel.clock import Clock
from higherself.notion.errors import NotionThrottled, NotionUnavailable
from higherself.notion.gateway.admission import AT_ONCE, Admission
from higherself.notion.gateway.exchange import Call, Exchange, Failure, File
from higherself.notion.gateway.explaining import explained
from higherself.notion.gateway.lanes import Lane
from higherself.notion.gateway.retrying import Again, asked_wait, next_step, unavailable
from higherself.notion.ports import Budget, JsonObject, Query

__all__ = ["Gateway", "Lane", "Leaving", "Patience"]

PAGE = 100

Leaving = Callable[[], Awaitable[None]]
"""Is told that a request leaves now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a request of each lane may take in all, with waiting for its turn."""

    live: timedelta = timedelta(minutes=3)
    webhook: timedelta = timedelta(minutes=10)
    backfill: timedelta = timedelta(hours=1)

    def of(self, lane: Lane) -> timedelta:
        """Return it for a lane."""
        return {"live": self.live, "webhook": self.webhook, "backfill": self.backfill}[lane]


class Gateway:
    """Sends requests with one token."""

    def __init__(
        self,
        exchange: Exchange,
        budget: Budget,
        clock: Clock,
        *,
        patience: Patience | None = None,
        breaker: BreakerPolicy | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._exchange, self._budget, self._clock = exchange, budget, clock
        self._admission = Admission(budget, clock)
        self._patience = patience or Patience()
        self._breaker = breaker or BreakerPolicy(failures=8)
        self._circuit = CLOSED
        self._draw = draw
        self._places = {lane: asyncio.Semaphore(number) for lane, number in AT_ONCE.items()}
        self._lighter: dict[str, int] = {}  # page sizes of listings that were too heavy

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: JsonObject | None = None,
        file: File | None = None,
        lane: Lane = "live",
        leaving: Leaving | None = None,
    ) -> JsonObject:
        """Send a request when it is its turn, and return Notion's answer.

        ``path`` is what comes after ``/v1/``. What may be repeated is repeated. ``leaving`` is
        called each time just before it leaves, and keeps it from that by raising something.

        Raises
            NotionUnavailable: Notion does not answer; ``ambiguous`` if it was a write that may
                have happened all the same (`Committed`: it has).
            NotionThrottled: there are too many requests for the time that the lane has.
            NotAuthorised, NotionForbidden: the token, or what its connection may do.
            PageNotFound: it is not there, or not shared with the connection.
            EditConflict: somebody else is writing it.
            NotionRejected: the request is wrong.
        """
        call = Call(method=method, path=path.lstrip("/"), query=query, body=body, file=file)
        until = self._clock.monotonic() + self._patience.of(lane).total_seconds()
        told: Exception | None = None
        for attempt in count(1):
            self._require_closed(told)
            await self._turn(call, lane, until, told)
            try:
                answer = await self._sent(self._lightened(call), lane, leaving)
            except Failure as failure:
                step = self._after(call, failure, attempt)
                if isinstance(step, Exception):
                    raise step from failure
                told = explained(call, failure, step.wait)
                if step.pause:
                    await self._pause(step.wait, failure)
                if self._clock.monotonic() + step.wait.total_seconds() >= until:
                    raise told from failure
                if not step.pause:  # else its turn comes after the pause
                    await self._clock.sleep(step.wait)
            else:
                if answer.get("has_more") is False:
                    self._lighter.pop(call.path, None)
                return answer
        raise AssertionError("unreachable: the count never ends")

    async def close(self) -> None:
        """Give back what is left of the budget, and release the connections."""
        await self._admission.close()
        await self._exchange.close()

    def described(self) -> dict[str, Any]:
        """Return what there is to show of this process's gateway."""
        now = self._clock.now()
        return {
            "circuit": self._circuit.state(now),
            "open_until": self._circuit.open_until,
            "failures": self._circuit.failures,
        }

    async def _turn(self, call: Call, lane: Lane, until: float, told: Exception | None) -> None:
        """Wait until a request of ``lane`` may leave; it has a place among those under way then."""
        left = until - self._clock.monotonic()
        try:
            async with asyncio.timeout(max(left, 0)):
                await self._places[lane].acquire()
                try:
                    await self._admission.enter(lane)
                except BaseException:
                    self._places[lane].release()
                    raise
        except TimeoutError as error:
            raise told or NotionThrottled(
                f"{call.name}: no turn within {self._patience.of(lane)}: the requests that Notion "
                "allows are used up; try again later"
            ) from error

    async def _sent(self, call: Call, lane: Lane, leaving: Leaving | None) -> JsonObject:
        outcome = "kept"
        self._circuit = admitted(self._circuit, self._clock.now(), self._breaker)
        started = self._clock.monotonic()
        try:
            if leaving is not None:
                await leaving()
            answer = await self._exchange.send(call)
            outcome = "answered"
            self._circuit = succeeded(self._circuit, self._clock.now())
            return answer
        except Failure as failure:
            outcome = str(failure.status or ("timeout" if failure.timed_out else "unreachable"))
            self._learned(failure)
            raise
        except BaseException as error:
            outcome = "kept" if isinstance(error, Exception) else "cancelled"
            self._circuit = released(self._circuit)
            raise
        finally:
            self._places[lane].release()
            spent = self._clock.monotonic() - started
            telemetry.count("notion.gateway.requested", lane=lane, outcome=outcome)
            telemetry.duration("notion.gateway.answered", spent, lane=lane)

    async def _pause(self, wait: timedelta, failure: Failure) -> None:
        """Let nothing of anybody leave for ``wait``."""
        self._admission.drop()
        telemetry.warning("notion.gateway.paused", seconds=wait.total_seconds())
        reason = str(failure.facts.get("rate_limit_reason") or failure.code or failure.status)
        await self._budget.pause(wait, reason)

    def _learned(self, failure: Failure) -> None:
        now = self._clock.now()
        if not unavailable(failure):
            self._circuit = succeeded(self._circuit, now)
            return
        before = self._circuit
        self._circuit = failed(before, now, self._breaker, Failed(), jitter=self._draw() / 5)
        if self._circuit.openings > before.openings:
            telemetry.warning(
                "notion.gateway.opened", until=self._circuit.open_until, reason=failure.message
            )

    def _require_closed(self, told: Exception | None) -> None:
        now = self._clock.now()
        if not self._circuit.admits(now):
            until = self._circuit.admits_at(now)
            raise told or NotionUnavailable(
                f"Notion has failed {self._circuit.failures} times in a row; it is left alone "
                f"until {until:%H:%M:%S} UTC",
                retry_after=until - now,
            )

    def _after(self, call: Call, failure: Failure, attempt: int) -> Again | Exception:
        asked = asked_wait(failure, self._clock.now())
        step = next_step(call, failure, attempt=attempt, jitter=self._draw(), retry_after=asked)
        if isinstance(step, Again) and step.lighter:
            size = int(self._lighter.get(call.path) or (call.body or {}).get("page_size") or PAGE)
            self._lighter[call.path] = max(1, size // 2)
        return step

    def _lightened(self, call: Call) -> Call:
        size = self._lighter.get(call.path)
        if size is None or call.body is None:
            return call
        asked = call.body.get("page_size", PAGE)
        return replace(call, body={**call.body, "page_size": min(size, asked)})
