"""Which road a message takes: the first that is well, in order of preference.

What happens on a road decides whether it counts as well: a circuit for each, which opens after
failures (at once, if there was no answer in time) and lets one message try again after a pause. So
a road that is back is used again by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Literal, Protocol, TypeVar

from higherself.kernel import breaker, telemetry
from higherself.kernel.breaker import CLOSED, BreakerPolicy, Circuit, Failed
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Misconfigured, Unavailable
from higherself.messaging.errors import TopicFull
from higherself.messaging.roads import Checkable, NobodyHears, RequestTimedOut

POLICY = BreakerPolicy(
    failures=2,
    pause=timedelta(milliseconds=500),
    longest=timedelta(seconds=2),
    probe=timedelta(seconds=5),
)

DEADLINE = timedelta(seconds=3)
"""How long one road may take before the next one is tried."""


class Named(Protocol):
    """A road of any kind."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...


R = TypeVar("R", bound=Named)
T = TypeVar("T")


class NoRoad(Unavailable):
    """No road took a message; ``reasons`` says for each why not."""

    def __init__(self, what: str, reasons: Sequence[tuple[str, str]]) -> None:
        told = "; ".join(f"{name}: {reason}" for name, reason in reasons)
        super().__init__(
            f"{what} was not taken by any road ({told}). Nothing of it is kept: send it again when "
            "one of them answers (`higherself messages roads` shows them), or set "
            "HIGHERSELF_SPOOL=on to have messages kept on this machine until then"
        )
        self.reasons = tuple(reasons)


@dataclass(slots=True)
class Guarded(Generic[R]):
    """A road and what is known of its health."""

    road: R
    circuit: Circuit = CLOSED
    last_error: str | None = None
    failed_at: datetime | None = None
    succeeded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How a road is, as this process knows it. ``checked``: what it says itself."""

    road: str
    kind: Literal["durable", "direct"]
    state: Literal["closed", "open", "half_open"]
    answers: bool
    checked: str
    last_error: str | None
    failed_at: datetime | None
    succeeded_at: datetime | None


class Roads(Generic[R]):
    """Roads of one kind, in order of preference."""

    def __init__(
        self, roads: Iterable[R], clock: Clock, draw: Callable[[], float], policy: BreakerPolicy
    ) -> None:
        self._roads = [Guarded(each) for each in roads]
        self._clock, self._draw, self._policy = clock, draw, policy

    @property
    def roads(self) -> list[R]:
        """The roads, the preferred one first."""
        return [each.road for each in self._roads]

    def named(self, name: str) -> R | None:
        """Return the road of that name."""
        return next((each.road for each in self._roads if each.road.name == name), None)

    async def walk(
        self,
        what: str,
        attempt: Callable[[R], Awaitable[T]],
        *,
        deadline: timedelta | None = DEADLINE,
        first: str | None = None,
    ) -> tuple[T, str]:
        """Return what ``attempt`` returns on the first road that takes it, and the road's name.

        ``deadline``: for each of them. ``first``: a road to try before all others.

        Raises
            NoRoad: none took it. (If only one was there to be asked, its own error.)
            NobodyHears: all that answered said so.
            Rejected, TopicFull, RequestTimedOut, ...: it was refused; another road would not help.
        """
        reasons: list[tuple[str, str]] = []
        deaf: NobodyHears | None = None
        only = len(self._roads) == 1
        for guarded in self._ordered(first):
            closed = guarded.circuit is CLOSED
            if not (only or closed or guarded.circuit.admits(self._clock.now())):
                reasons.append((guarded.road.name, f"it rests after {guarded.last_error}"))
                continue
            try:
                return await self._tried(guarded, attempt, deadline), guarded.road.name
            except NobodyHears as error:
                deaf = error
            except (TopicFull, RequestTimedOut):
                raise
            except (Unavailable, Misconfigured) as error:
                if only:
                    raise
                reasons.append((guarded.road.name, str(error)))
        if deaf is not None:
            raise deaf
        raise NoRoad(what, reasons)

    async def health(self, kind: Literal["durable", "direct"]) -> list[Health]:
        """Ask every road how it is."""
        return [await self._health(each, kind) for each in self._roads]

    def _ordered(self, first: str | None) -> list[Guarded[R]]:
        if first is None:
            return self._roads
        return sorted(self._roads, key=lambda each: each.road.name != first)

    async def _tried(
        self, guarded: Guarded[R], attempt: Callable[[R], Awaitable[T]], deadline: timedelta | None
    ) -> T:
        name = guarded.road.name
        if guarded.circuit is not CLOSED:
            guarded.circuit = breaker.admitted(guarded.circuit, self._clock.now(), self._policy)
        limit = asyncio.timeout(None if deadline is None else deadline.total_seconds())
        try:
            async with limit:
                result = await attempt(guarded.road)
        except (NobodyHears, TopicFull, RequestTimedOut):
            self._well(guarded)
            raise
        except (Unavailable, Misconfigured) as error:  # such as a database that takes no writes
            self._unwell(guarded, str(error), timed_out=False)
            raise
        except TimeoutError:
            if not limit.expired() or deadline is None:
                raise
            reason = f"it did not answer within {deadline.total_seconds():g} s"
            self._unwell(guarded, reason, timed_out=True)
            raise Unavailable(f"the road {name} is cut off: {reason}") from None
        except HigherSelfError:
            self._well(guarded)
            raise
        except BaseException:
            guarded.circuit = breaker.released(guarded.circuit)
            raise
        self._well(guarded)
        return result

    def _well(self, guarded: Guarded[R]) -> None:
        if guarded.circuit.failures:
            telemetry.info("messaging.road.back", road=guarded.road.name)
            guarded.circuit = CLOSED
        guarded.succeeded_at = self._clock.now()

    def _unwell(self, guarded: Guarded[R], reason: str, *, timed_out: bool) -> None:
        now = self._clock.now()
        guarded.circuit = breaker.failed(
            guarded.circuit, now, self._policy, Failed(timed_out=timed_out), jitter=self._draw()
        )
        guarded.last_error, guarded.failed_at = reason, now
        telemetry.count("messaging.road.failed", road=guarded.road.name)
        telemetry.warning("messaging.road.unwell", road=guarded.road.name, reason=reason)

    async def _health(self, guarded: Guarded[R], kind: Literal["durable", "direct"]) -> Health:
        answers, checked = True, ""
        if isinstance(guarded.road, Checkable):
            try:
                async with asyncio.timeout(DEADLINE.total_seconds()):
                    checked = await guarded.road.check()
            except TimeoutError:
                answers, checked = False, f"no answer within {DEADLINE.total_seconds():g} s"
            except HigherSelfError as error:
                answers, checked = False, str(error)
        return Health(
            road=guarded.road.name,
            kind=kind,
            state=guarded.circuit.state(self._clock.now()),
            answers=answers,
            checked=checked,
            last_error=guarded.last_error,
            failed_at=guarded.failed_at,
            succeeded_at=guarded.succeeded_at,
        )
