"""The health of one provider: may a request leave, how did it end, what was used today.

Decisions are made from memory and cost no database. What is learned is written to the ledger, and
what other processes learned is read from it, beside the work: nobody waits for either.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from higherself.kernel import telemetry
from higherself.kernel.breaker import (
    BreakerPolicy,
    Circuit,
    Failed,
    admitted,
    cut_short,
    failed,
    released,
    succeeded,
)
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Rejected
from higherself.knowledge.errors import ProviderUnavailable, TierPaused
from higherself.knowledge.ports import Spent, TierLedger
from higherself.knowledge.standing import UNUSED, Standing, Usage, day_of, end_of_day

FRESH = timedelta(seconds=10)
"""How old what is known of other processes may be."""

JITTER = 0.2
"""The share by which a pause is at most shorter, so that processes do not come back together."""

NEW = 0.2
"""The share of the newest request in the latency that is shown."""

MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TierPolicy:
    """When a tier is left alone, how many calls it gets at once, and its tokens a day."""

    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    concurrency: int = 4
    daily_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What the metrics call the work of a provider, and a text that it is done with."""

    name: str
    done: str


EMBEDDING = Work("knowledge.embedding", "embedded")


class TierHealth:
    """Guards the requests of one tier (a `RequestGuard`), or of a reranker, which is no tier."""

    def __init__(
        self,
        tier: str,
        clock: Clock,
        policy: TierPolicy,
        *,
        configuration: bytes,
        ledger: TierLedger | None,
        draw: Callable[[], float] = random.random,
        work: Work = EMBEDDING,
    ) -> None:
        self._tier = tier
        self._work = work
        self._clock = clock
        self._policy = policy
        self._ledger = ledger
        self._draw = draw
        self._standing = Standing(configuration=configuration)
        self._day = day_of(clock.now())
        self._read_at: datetime | None = None
        self._under_way = 0  # tokens of requests that have not ended
        self._unwritten = self._in_writing = UNUSED
        self._changed = False
        self._syncing: asyncio.Task[None] | None = None

    def standing(self) -> Standing:
        """Return how the tier stands, as far as this process knows; usage is that of today."""
        self._turn_page(self._clock.now())
        usage = self._standing.usage + self._in_writing + self._unwritten
        return replace(self._standing, usage=usage)

    def refusal(self, *, tokens: int = 0) -> TierPaused | None:
        """Return why no request of so many ``tokens`` may leave now, or None."""
        self._read_on()
        now = self._clock.now()
        circuit, limit = self._standing.circuit, self._policy.daily_tokens
        if not circuit.admits(now):
            until = circuit.admits_at(now)
            return TierPaused(
                f"{self._tier} is left alone until {until:%H:%M:%S} UTC, after: "
                f"{self._standing.last_error}",
                retry_after=until - now,
            )
        if limit is not None:
            used = self.standing().usage.tokens
            if used >= limit or used + self._under_way + tokens > limit:
                until = end_of_day(now)
                return TierPaused(
                    f"{self._tier}: daily limit of {limit:,} tokens reached ({used:,} used), "
                    f"resets at {until:%Y-%m-%d %H:%M} UTC",
                    retry_after=until - now,
                )
        return None

    def require(self, *, tokens: int = 0) -> None:
        """Return if a request may leave.

        Raises
            TierPaused: the circuit is open, or the day's tokens are used up.
        """
        if (refusal := self.refusal(tokens=tokens)) is not None:
            telemetry.count(f"{self._work.name}.held", tier=self._tier)
            raise refusal

    def pause(self) -> timedelta:
        """Return how long no request may leave; zero if one may."""
        refusal = self.refusal()
        return timedelta(0) if refusal is None else refusal.retry_after or timedelta(0)

    def described(self) -> dict[str, Any]:
        """Return what there is to show of a provider that is live. The counts are those of today."""
        paused, standing = self.refusal(), self.standing()
        usage, latency, now = standing.usage, standing.latency, self._clock.now()
        return {
            "state": "paused" if paused else "ready",
            "reason": str(paused) if paused else None,
            "circuit": standing.circuit.state(now),
            "paused_until": now + paused.retry_after if paused and paused.retry_after else None,
            "last_error": standing.last_error,
            "last_error_at": standing.last_error_at,
            "latency_ms": None if latency is None else round(latency / MILLISECOND, 3),
            "requests": usage.requests,
            "failures": usage.failures,
            "texts": usage.texts,
            "tokens": usage.tokens,
            "daily_tokens": self._policy.daily_tokens,
        }

    def described_off(self, reason: str | None) -> dict[str, Any]:
        """Return the same of a provider that there is not, for that ``reason``."""
        return {**self.described(), "state": "off", "reason": reason, "circuit": None}

    def cut_pause_short(self) -> None:
        """Let the next request leave as a probe, though the pause is not over."""
        self._keep(cut_short(self._standing.circuit, self._clock.now()))

    @contextmanager
    def request(self, *, texts: int, tokens: int) -> Iterator[Spent]:
        """Stand around one request for so many texts, of about so many tokens.

        Raises
            TierPaused: no request may leave now; the block was not entered.
        """
        self.require(tokens=tokens)
        circuit = self._standing.circuit
        self._keep(admitted(circuit, self._clock.now(), self._policy.breaker))
        self._under_way += tokens
        spent, started, usage = Spent(), self._clock.monotonic(), Usage(requests=1, failures=1)
        outcome = "failed"
        try:
            with telemetry.timed(f"{self._work.name}.answered", tier=self._tier):
                yield spent
        except Rejected:
            outcome, usage = "refused", Usage(requests=1)
            self._keep(succeeded(self._standing.circuit, self._clock.now()))
            raise
        except Exception as error:
            self._failed(error)
            raise
        except BaseException:
            outcome, usage = "cancelled", Usage(requests=1)
            self._keep(released(self._standing.circuit))
            raise
        else:
            outcome, usage = "answered", Usage(requests=1, texts=texts)
            self._keep(succeeded(self._standing.circuit, self._clock.now()))
            self._timed(timedelta(seconds=self._clock.monotonic() - started))
        finally:
            self._under_way -= tokens
            self._used(replace(usage, tokens=spent.tokens), outcome)

    async def recall(self) -> None:
        """Read how the tier stands from the ledger, once, before the first request.

        A ledger that does not answer is told in the log; then the tier starts as if new.
        """
        if self._ledger is not None:
            await self._sync()

    async def close(self) -> None:
        """Write what is not written yet, if the ledger answers."""
        if self._syncing is not None and not self._syncing.done():
            await self._syncing
        elif self._changed and self._ledger is not None:
            await self._sync()

    def _failed(self, error: Exception) -> None:
        now = self._clock.now()
        failure = Failed()
        if isinstance(error, ProviderUnavailable):
            failure = Failed(
                refused=error.permanent, timed_out=error.timed_out, retry_after=error.retry_after
            )
        before, policy = self._standing.circuit, self._policy.breaker
        after = failed(before, now, policy, failure, jitter=JITTER * self._draw())
        ours = isinstance(error, HigherSelfError)
        reason = str(error) if ours else f"{type(error).__name__}: {error}"
        self._standing = replace(self._standing, last_error=reason, last_error_at=now)
        self._keep(after)
        if after.openings > before.openings:
            telemetry.warning(
                f"{self._work.name}.opened",
                tier=self._tier,
                until=after.open_until,
                reason=reason,
            )

    def _keep(self, circuit: Circuit) -> None:
        """Go on with ``circuit``; have it written if others are to know."""
        before = self._standing.circuit
        if circuit is before:
            return
        self._standing = replace(self._standing, circuit=circuit)
        self._changed |= circuit.changed_at != before.changed_at
        if (circuit.open_until is None) != (before.open_until is None):
            is_open = circuit.open_until is not None
            telemetry.gauge(f"{self._work.name}.paused", int(is_open), tier=self._tier)
            if not is_open:
                telemetry.info(f"{self._work.name}.closed", tier=self._tier)

    def _timed(self, latency: timedelta) -> None:
        before = self._standing.latency
        if before is not None:
            latency = before + NEW * (latency - before)
        self._standing = replace(self._standing, latency=latency)

    def _used(self, usage: Usage, outcome: str) -> None:
        self._turn_page(self._clock.now())
        self._unwritten += usage
        self._changed = True
        telemetry.count(f"{self._work.name}.requested", tier=self._tier, outcome=outcome)
        telemetry.count(f"{self._work.name}.{self._work.done}", usage.texts, tier=self._tier)
        telemetry.count(f"{self._work.name}.spent", usage.tokens, tier=self._tier)
        self._sync_soon()

    def _turn_page(self, now: datetime) -> None:
        if (day := day_of(now)) != self._day:
            self._day, self._unwritten = day, UNUSED
            self._standing = replace(self._standing, usage=UNUSED)

    def _read_on(self) -> None:
        if self._read_at is None or self._clock.now() - self._read_at > FRESH:
            self._sync_soon()

    def _sync_soon(self) -> None:
        """Write and read beside the work; one task at a time, which `close` waits for."""
        if self._ledger is None or (self._syncing is not None and not self._syncing.done()):
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # somebody only looks, from outside of the event loop
        self._syncing = loop.create_task(self._sync())

    async def _sync(self) -> None:
        while await self._synced() and self._changed:
            pass  # what came in meanwhile

    async def _synced(self) -> bool:
        """Write what has changed, or only read; return whether the ledger answered."""
        assert self._ledger is not None  # noqa: S101  without one nobody calls this
        now = self._clock.now()
        self._turn_page(now)
        day, self._read_at = self._day, now
        try:
            if self._changed:
                self._changed = False
                self._in_writing, self._unwritten = self._unwritten, UNUSED
                change = replace(self._standing, usage=self._in_writing)
                found = await self._ledger.record(self._tier, day, change)
            else:
                found = await self._ledger.read(self._tier, day) or Standing()
        except HigherSelfError as error:
            self._changed = True
            self._unwritten += self._in_writing
            telemetry.warning(f"{self._work.name}.unrecorded", tier=self._tier, reason=str(error))
            return False
        finally:
            self._in_writing = UNUSED
        if day == self._day:
            self._adopt(found)
        return True

    def _adopt(self, found: Standing) -> None:
        """Take over what other processes have learned, where it is newer."""
        mine = self._standing
        self._standing = replace(mine, usage=found.usage, latency=mine.latency or found.latency)
        if found.configuration == mine.configuration and _newer(found.circuit, mine.circuit):
            self._standing = replace(
                self._standing,
                circuit=found.circuit,
                last_error=found.last_error,
                last_error_at=found.last_error_at,
            )


def _newer(one: Circuit, other: Circuit) -> bool:
    if one.changed_at is None:
        return False
    return other.changed_at is None or one.changed_at > other.changed_at
