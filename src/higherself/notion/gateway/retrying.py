"""What to do after a failed request: wait and try again, or tell what is wrong. Pure.

Source: Notion's reference, "Request limits" and "Status codes" (2026): 429 and 529 may be repeated
whatever the method, a blocked connection never; 500, 502, 503 and 504 only if the request reads;
a write that was answered 503 may have happened.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from higherself.kernel.backoff import exponential
from higherself.notion.gateway.exchange import Call, Failure
from higherself.notion.gateway.explaining import explained

BLOCKED = "public_api_request_blocked"
SOON = timedelta(milliseconds=500)
CEILING = timedelta(seconds=30)
SHORTEST_PAUSE = timedelta(seconds=1)
TRIES = 6
CONFLICTS = 4


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after ``wait``; if ``pause``, nothing of anybody leaves meanwhile.

    ``lighter``: ask for half as much.
    """

    wait: timedelta
    pause: bool = False
    lighter: bool = False


def next_step(
    call: Call, failure: Failure, *, attempt: int, jitter: float, retry_after: timedelta | None
) -> Again | Exception:
    """Return what to do after the failed ``attempt`` (from 1): `Again`, or the error to raise."""
    wait = exponential(attempt, base=SOON, ceiling=CEILING, jitter=jitter / 2)
    error = explained(call, failure, retry_after)
    if failure.status == 429:
        if failure.facts.get("rate_limit_reason") == BLOCKED:
            return error
        return Again(max(retry_after or wait, SHORTEST_PAUSE), pause=True)
    if failure.status == 529:
        return Again(max(retry_after or wait, wait), pause=retry_after is not None)
    if attempt >= TRIES:
        return error
    if failure.status == 409 and failure.code == "conflict_error":
        return Again(wait) if attempt < CONFLICTS else error
    if not failure.sent:
        return Again(wait)  # it never left
    if unavailable(failure) and call.reads:
        heavy = failure.status in (503, 504) or failure.timed_out
        return Again(wait, lighter=heavy and call.path.endswith(("/query", "search")))
    return error


def unavailable(failure: Failure) -> bool:
    """Return whether Notion, or the way there, failed: nothing is wrong with the request."""
    return failure.status is None or failure.status in (200, 500, 502, 503, 504, 529)


def asked_wait(failure: Failure, now: datetime) -> timedelta | None:
    """Return how long Notion asks to wait, or None: seconds, or a date."""
    said = failure.headers.get("retry-after") or failure.facts.get("retry_after")
    if said is None:
        return None
    try:
        wait = timedelta(seconds=float(said))
    except (ValueError, TypeError, OverflowError):
        try:
            wait = parsedate_to_datetime(str(said)) - now
        except (ValueError, TypeError):
            return None
    return max(wait, timedelta(0))
