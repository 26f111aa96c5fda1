"""Decide what becomes of a message after an attempt.

Nothing here touches a database or a clock. `consumer` finds out how an attempt ended, `postgres`
stores what `settle` returns.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, assert_never

from higherself.kernel.backoff import exponential
from higherself.messaging.model import (
    Cancelled,
    Claimed,
    Done,
    Expired,
    Failed,
    Lapsed,
    Outcome,
    Prepared,
    Released,
    RetryPolicy,
    Snoozed,
)

LONGEST_ERROR = 2000
"""Characters that are kept of an error's text."""

LONGEST_WAIT = timedelta(days=3660)
"""What is asked to wait longer waits so long; a wrong number must not stop the consumer."""

LAPSED = "the process that handled it died, hung or lost its connection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """It is offered again ``at`` an instant; ``attempt``: how many count so far."""

    at: datetime
    attempt: int
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """It is never offered again.

    ``pauses``: its lane waits for a person's decision. ``sends``: messages that are stored with
    this, if it is.
    """

    status: Literal["delivered", "dead", "expired", "cancelled"]
    reason: str | None = None
    error: str | None = None
    pauses: bool = False
    sends: Prepared | None = None


DELIVERED = End(status="delivered")

Settlement = Again | End


def settle(
    message: Claimed, outcome: Outcome, policy: RetryPolicy, now: datetime, draw: float
) -> Settlement:
    """Return what to store for ``message`` after ``outcome``.

    ``draw`` is a random number in [0, 1) of the caller's, for the wait. Every message ends: a
    failure or a lapse takes an attempt of a limited number; only a snooze and a release cost none.
    """
    match outcome:
        case Done(sends):
            return DELIVERED if sends is None else End(status="delivered", sends=sends)
        case Snoozed(wait):
            return Again(at=now + _bounded(wait), attempt=message.attempt - 1)
        case Released():
            return Again(at=now, attempt=message.attempt - 1)
        case Cancelled(reason):
            return End(status="cancelled", reason=_short(reason))
        case Expired():
            return End(status="expired", reason="it was not handled in time")
        case Failed(reason, retryable, retry_after):
            wait = max(_wait(message.attempt, policy, draw), _bounded(retry_after or timedelta(0)))
            spent = not retryable or message.attempt >= policy.max_attempts
            return _after_failure(message, policy, now, reason, None if spent else wait)
        case Lapsed():
            spent = message.lapses >= policy.max_lapses or message.attempt >= policy.max_attempts
            wait = _wait(message.lapses, policy, draw)
            return _after_failure(message, policy, now, LAPSED, None if spent else wait)
        case _:
            assert_never(outcome)


def _after_failure(
    message: Claimed, policy: RetryPolicy, now: datetime, reason: str, wait: timedelta | None
) -> Settlement:
    reason = _short(reason)
    error = _error(message, now, reason)
    if wait is None:
        pauses = policy.when_dead == "pause"
        return End(status="dead", reason=reason, error=error, pauses=pauses)
    expires_at = message.envelope.expires_at
    if expires_at is not None and now + wait >= expires_at:
        reason = f"there was no time for another attempt, after: {reason}"
        return End(status="expired", reason=_short(reason), error=error)
    return Again(at=now + wait, attempt=message.attempt, error=error)


def _error(message: Claimed, now: datetime, reason: str) -> str:
    return f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} attempt {message.attempt}: {reason}"


def _wait(failures: int, policy: RetryPolicy, draw: float) -> timedelta:
    return exponential(failures, base=policy.base, ceiling=policy.ceiling, jitter=draw)


def _bounded(wait: timedelta) -> timedelta:
    return min(max(wait, timedelta(0)), LONGEST_WAIT)


def _short(text: str) -> str:
    text = text.replace("\0", "?").encode(errors="replace").decode()
    return text if len(text) <= LONGEST_ERROR else f"{text[: LONGEST_ERROR - 3]}..."
