"""Trying a request again: how often, how long to wait, and when to stop. The only place that does."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import TypeVar

from higherself.kernel.backoff import exponential
from higherself.kernel.clock import Clock
from higherself.knowledge.errors import ProviderUnavailable, TierPaused
from higherself.knowledge.ports import RequestGuard

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a request is tried: in all, for one try, how often, and how long between tries."""

    total: timedelta
    one_try: timedelta
    tries: int
    base: timedelta
    ceiling: timedelta


FOR_A_QUESTION = Patience(
    total=timedelta(seconds=3),
    one_try=timedelta(seconds=3),
    tries=2,
    base=timedelta(milliseconds=200),
    ceiling=timedelta(milliseconds=200),
)
"""A person waits, and there is another tier: one quick second try."""

FOR_DOCUMENTS = Patience(
    total=timedelta(minutes=5),
    one_try=timedelta(minutes=1),
    tries=5,
    base=timedelta(seconds=1),
    ceiling=timedelta(seconds=30),
)


async def retried(
    attempt: Callable[[timedelta], Awaitable[T]],
    *,
    patience: Patience,
    guard: RequestGuard,
    clock: Clock,
    draw: Callable[[], float],
) -> T:
    """Return what ``attempt`` returns, trying again after a `ProviderUnavailable` that may pass.

    ``attempt`` is told how long it may take. Between two tries lies what the provider asks for,
    at least the back-off, with jitter from ``draw``. There is no further try when ``guard`` lets
    no request leave, or the time would not suffice; then the last error comes out.
    """
    until = clock.monotonic() + patience.total.total_seconds()
    for number in count(1):
        left = timedelta(seconds=until - clock.monotonic())
        try:
            return await attempt(min(left, patience.one_try))
        except TierPaused:
            raise
        except ProviderUnavailable as error:
            wait = exponential(
                number, base=patience.base, ceiling=patience.ceiling, jitter=draw() / 2
            )
            wait = max(wait, error.retry_after or wait)
            ends = clock.monotonic() + wait.total_seconds()
            if error.permanent or number == patience.tries or ends >= until or guard.pause():
                raise
            await clock.sleep(wait)
    raise AssertionError("unreachable: the count never ends")


async def in_time(answer: Awaitable[T], within: timedelta, *, tier: str) -> T:
    """Return ``answer``, which is cancelled when it takes longer than it may.

    Raises
        ProviderUnavailable: it did.
    """
    seconds = within.total_seconds()
    try:
        async with asyncio.timeout(seconds):
            return await answer
    except TimeoutError as error:
        raise ProviderUnavailable(
            f"{tier} did not answer within {seconds:.3g} s", timed_out=True
        ) from error
