"""When to leave a provider that fails alone, and when to try it again: a circuit breaker.

Closed, requests go through. After some failures in a row it opens: no request leaves until a
pause is over. Then it is half open: one request, the probe, goes through, and how that ends
closes the circuit or opens it again, for longer. Pure: the time comes in as an argument, and
whoever sends the requests keeps the value.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from higherself.kernel.backoff import exponential

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a circuit opens and for how long.

    The first pause is ``pause``, each further one twice as long, up to ``longest``. A provider
    that refuses us (a wrong key, say) needs a person: then it is ``refused_pause``, up to
    ``longest_refused``. What a provider asks for itself is granted, up to ``longest_asked``.
    A probe that has not ended after ``probe`` is given up, and another may go.
    """

    failures: int = 3
    pause: timedelta = timedelta(seconds=15)
    longest: timedelta = timedelta(minutes=10)
    refused_pause: timedelta = timedelta(minutes=5)
    longest_refused: timedelta = timedelta(hours=1)
    longest_asked: timedelta = timedelta(days=1)
    probe: timedelta = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """How a request failed.

    ``refused``: trying again does not help until a person changes something. ``timed_out``: there
    was no answer in time, and whoever asks next would wait as long. ``retry_after``: how long the
    provider asks to be left alone.
    """

    refused: bool = False
    timed_out: bool = False
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuit:
    """What is known of a provider's health.

    ``failures`` counts those in a row, ``openings`` how often it opened since the last success.
    ``changed_at`` tells which of two is the newer.
    """

    failures: int = 0
    openings: int = 0
    open_until: datetime | None = None
    probed_until: datetime | None = None
    changed_at: datetime | None = None

    def state(self, now: datetime) -> State:
        """Return what it is at ``now``."""
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def admits(self, now: datetime) -> bool:
        """Whether a request may leave at ``now``."""
        match self.state(now):
            case "closed":
                return True
            case "open":
                return False
            case "half_open":
                return self.probed_until is None or now >= self.probed_until

    def admits_at(self, now: datetime) -> datetime:
        """Return when a request may leave, as far as is known at ``now``."""
        waits = (self.open_until, self.probed_until)
        return max((until for until in waits if until is not None), default=now)


CLOSED = Circuit()


def admitted(circuit: Circuit, now: datetime, policy: BreakerPolicy) -> Circuit:
    """Return ``circuit`` once a request that it admits has left: half open, that is the probe."""
    if circuit.state(now) == "half_open":
        return replace(circuit, probed_until=now + policy.probe)
    return circuit


def succeeded(circuit: Circuit, now: datetime) -> Circuit:
    """Return the circuit after an answer: closed, whatever it was.

    The time is noted though it was closed before: what another process learned earlier than this
    does not count any more.
    """
    return Circuit(changed_at=_later(circuit, now))


def released(circuit: Circuit) -> Circuit:
    """Return the circuit after a request that says nothing of the provider (it was cancelled)."""
    return replace(circuit, probed_until=None)


def cut_short(circuit: Circuit, now: datetime) -> Circuit:
    """Return the circuit with its pause over: the next request is the probe."""
    if circuit.open_until is None:
        return circuit
    return replace(circuit, open_until=min(circuit.open_until, now), probed_until=None)


def failed(
    circuit: Circuit, now: datetime, policy: BreakerPolicy, failure: Failed, *, jitter: float = 0.0
) -> Circuit:
    """Return the circuit after a failed request; ``jitter`` in [0, 1) shortens a growing pause.

    It opens when the failures in a row reach the policy's number, at once when the provider
    refused or did not answer in time, and again when a probe failed. A failure that comes in
    while it is open, of a request that left before, makes the pause longer only if the provider
    asks for it or refuses us.
    """
    after = replace(
        circuit, failures=circuit.failures + 1, probed_until=None, changed_at=_later(circuit, now)
    )
    asked = now + min(failure.retry_after or timedelta(0), policy.longest_asked)
    match circuit.state(now):
        case "open":
            assert circuit.open_until is not None  # noqa: S101  it is open
            refused = now + policy.refused_pause if failure.refused else now
            return replace(after, open_until=max(circuit.open_until, asked, refused))
        case "closed" if not (
            failure.refused or failure.timed_out or after.failures >= policy.failures
        ):
            return after
        case _:
            openings = circuit.openings + 1
            pause = _pause(policy, openings, refused=failure.refused, jitter=jitter)
            return replace(after, openings=openings, open_until=max(now + pause, asked))


def _pause(policy: BreakerPolicy, openings: int, *, refused: bool, jitter: float) -> timedelta:
    base, ceiling = (
        (policy.refused_pause, policy.longest_refused)
        if refused
        else (policy.pause, policy.longest)
    )
    return exponential(openings, base=base, ceiling=ceiling, jitter=jitter)


def _later(circuit: Circuit, now: datetime) -> datetime:
    """Return ``now``, or the last change if the clock went back meanwhile."""
    return now if circuit.changed_at is None else max(now, circuit.changed_at)
