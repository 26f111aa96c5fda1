from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.knowledge.errors import ProviderUnavailable, TierPaused
from higherself.knowledge.providers.retrying import FOR_A_QUESTION, FOR_DOCUMENTS, Patience, retried
from higherself.testing.clock import ManualClock

SECOND = timedelta(seconds=1)
waits = st.none() | st.timedeltas(timedelta(0), timedelta(hours=1))


class Guard:
    """Lets no request leave from the given number on."""

    def __init__(self, closes_after: int = 1_000) -> None:
        self.closes_after = closes_after
        self.seen = 0

    def request(self, *, texts: int, tokens: int) -> Any:
        return nullcontext()

    def pause(self) -> timedelta:
        self.seen += 1
        return SECOND if self.seen >= self.closes_after else timedelta(0)


async def tried(
    *errors: Exception,
    patience: Patience = FOR_DOCUMENTS,
    guard: Guard | None = None,
    takes: timedelta = timedelta(0),
    draw: Callable[[], float] = lambda: 0.0,
) -> tuple[ManualClock, list[timedelta], bool]:
    """Return the clock, how long each try might take, and whether one succeeded."""
    clock, allowed, left = ManualClock(), [], list(errors)

    async def attempt(within: timedelta) -> bool:
        allowed.append(within)
        clock.move(takes)
        if left:
            raise left.pop(0)
        return True

    try:
        done = await retried(
            attempt, patience=patience, guard=guard or Guard(), clock=clock, draw=draw
        )
    except ProviderUnavailable:
        done = False
    return clock, allowed, done


async def test_waits_grow_and_jitter_halves_them_at_most() -> None:
    broken = [ProviderUnavailable("no") for _ in range(4)]
    clock, _, done = await tried(*broken)
    assert done
    assert clock.slept == [n * SECOND for n in (1, 2, 4, 8)]
    clock, _, done = await tried(*broken, draw=lambda: 1.0)
    assert clock.slept == [n * SECOND / 2 for n in (1, 2, 4, 8)]


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(ProviderUnavailable("no", permanent=True), id="a person has to act"),
        pytest.param(TierPaused("no"), id="no request may leave"),
        pytest.param(ProviderUnavailable("no", retry_after=600 * SECOND), id="it would take long"),
    ],
)
async def test_there_is_no_further_try_when(last: ProviderUnavailable) -> None:
    clock, allowed, done = await tried(last)
    assert not done
    assert len(allowed) == 1
    assert clock.slept == []


async def test_it_stops_when_the_circuit_opens() -> None:
    broken = [ProviderUnavailable("no") for _ in range(4)]
    clock, allowed, done = await tried(*broken, guard=Guard(closes_after=3))
    assert not done
    assert len(allowed) == 3
    assert len(clock.slept) == 2


async def test_a_later_try_has_only_the_time_that_is_left() -> None:
    _, allowed, done = await tried(
        ProviderUnavailable("no"), patience=FOR_A_QUESTION, takes=2 * SECOND
    )
    assert done
    assert [each.total_seconds() for each in allowed] == [3, pytest.approx(0.8)]


@given(st.lists(waits, max_size=8), st.sampled_from([FOR_A_QUESTION, FOR_DOCUMENTS]))
async def test_all_tries_together_stay_within_the_time(
    asked: list[timedelta | None], patience: Patience
) -> None:
    errors = [ProviderUnavailable("no", retry_after=wait) for wait in asked]
    clock, allowed, _ = await tried(*errors, patience=patience)
    assert clock.monotonic() <= patience.total.total_seconds()
    assert len(allowed) <= patience.tries
    for slept, wait in zip(clock.slept, asked, strict=False):
        assert slept >= (wait or timedelta(0))
