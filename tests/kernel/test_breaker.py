"""The laws of the circuit breaker, over any sequence of what may happen."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.kernel.breaker import (
    CLOSED,
    BreakerPolicy,
    Circuit,
    Failed,
    admitted,
    cut_short,
    failed,
    released,
    succeeded,
)
from higherself.testing.clock import NOON

POLICY = BreakerPolicy()
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)

Happening = Failed | timedelta | Literal["ask", "succeed", "release"]

failures = st.builds(
    Failed,
    refused=st.booleans(),
    timed_out=st.booleans(),
    retry_after=st.none() | st.timedeltas(timedelta(0), timedelta(days=400)),
)
happenings: st.SearchStrategy[list[Happening]] = st.lists(
    failures
    | st.timedeltas(timedelta(0), timedelta(hours=2))
    | st.sampled_from(["ask", "succeed", "release"])
)


def stepped(circuit: Circuit, what: Happening, now: datetime) -> Circuit:
    match what:
        case Failed():
            return failed(circuit, now, POLICY, what)
        case "ask" if circuit.admits(now):
            return admitted(circuit, now, POLICY)
        case "succeed":
            return succeeded(circuit, now)
        case "release":
            return released(circuit)
        case _:
            return circuit


def history(what: Iterable[Happening]) -> Iterator[tuple[Circuit, datetime]]:
    """Yield the circuit after each happening, and when that was."""
    circuit, now = CLOSED, NOON
    yield circuit, now
    for each in what:
        now += each if isinstance(each, timedelta) else timedelta(0)
        circuit = stepped(circuit, each, now)
        yield circuit, now


def after(*what: Happening) -> tuple[Circuit, datetime]:
    """Return the circuit after all of it, and when that is."""
    *_, last = history(what)
    return last


def opened(times: int = 1, failure: Failed | None = None) -> Circuit:
    """Return a circuit that has just opened for the ``times``-th time in a row."""
    circuit = CLOSED
    for _ in range(times):
        begins = circuit.open_until or NOON
        circuit = failed(circuit, begins, POLICY, failure or Failed(timed_out=True))
    return circuit


def test_it_opens_at_the_third_failure_in_a_row() -> None:
    assert after(Failed(), Failed())[0].state(NOON) == "closed"
    assert after(Failed(), Failed(), Failed())[0].state(NOON) == "open"
    assert after(Failed(), Failed(), "succeed", Failed(), Failed())[0].state(NOON) == "closed"


@pytest.mark.parametrize(
    ("failure", "pause"),
    [
        pytest.param(Failed(timed_out=True), POLICY.pause, id="no answer in time"),
        pytest.param(Failed(refused=True), POLICY.refused_pause, id="the key is wrong"),
        pytest.param(Failed(timed_out=True, retry_after=MINUTE), MINUTE, id="asks for longer"),
        pytest.param(Failed(timed_out=True, retry_after=SECOND), POLICY.pause, id="for less"),
    ],
)
def test_it_opens_at_once_and_for_how_long(failure: Failed, pause: timedelta) -> None:
    assert failed(CLOSED, NOON, POLICY, failure).open_until == NOON + pause


def test_the_pause_doubles_up_to_its_bound_and_starts_anew_after_a_success() -> None:
    pauses = []
    circuit, now = CLOSED, NOON
    for _ in range(8):
        circuit = failed(circuit, now, POLICY, Failed(timed_out=True))
        assert circuit.open_until is not None
        pauses.append((circuit.open_until - now).total_seconds())
        now = circuit.open_until
    assert pauses == [15, 30, 60, 120, 240, 480, 600, 600]
    healed = succeeded(circuit, now)
    assert failed(healed, now, POLICY, Failed(timed_out=True)).open_until == now + POLICY.pause


def test_one_probe_at_a_time_until_it_is_given_up() -> None:
    circuit = opened()
    due = NOON + POLICY.pause
    assert not circuit.admits(due - SECOND)
    assert circuit.state(due) == "half_open"
    assert circuit.admits(due)
    probing = admitted(circuit, due, POLICY)
    assert not probing.admits(due)
    assert not probing.admits(due + POLICY.probe - SECOND)
    assert probing.admits(due + POLICY.probe)
    assert released(probing).admits(due)
    assert probing.admits_at(due) == due + POLICY.probe


def test_a_late_failure_does_not_lengthen_the_pause_unless_it_is_asked_for() -> None:
    circuit = opened()
    late = NOON + SECOND
    assert failed(circuit, late, POLICY, Failed()).open_until == circuit.open_until
    asked = failed(circuit, late, POLICY, Failed(retry_after=MINUTE))
    assert asked.open_until == late + MINUTE
    refused = failed(circuit, late, POLICY, Failed(refused=True))
    assert refused.open_until == late + POLICY.refused_pause
    assert failed(refused, late, POLICY, Failed()).openings == 1


def test_a_person_may_cut_the_pause_short() -> None:
    circuit = cut_short(opened(), NOON)
    assert circuit.state(NOON) == "half_open"
    assert circuit.admits(NOON)
    assert cut_short(CLOSED, NOON) is CLOSED


@given(happenings)
def test_while_open_nothing_leaves_and_then_something_may(what: list[Happening]) -> None:
    circuit, now = after(*what)
    if circuit.state(now) == "open":
        assert not circuit.admits(now)
    assert circuit.admits(max(circuit.admits_at(now), now))


@given(happenings)
def test_half_open_admits_exactly_one(what: list[Happening]) -> None:
    circuit, now = after(*what)
    due = max(circuit.admits_at(now), now)
    if circuit.state(due) == "half_open":
        assert not admitted(circuit, due, POLICY).admits(due)


@given(happenings)
def test_a_success_closes_whatever_was(what: list[Happening]) -> None:
    circuit, now = after(*what, "succeed")
    assert circuit == Circuit(changed_at=circuit.changed_at)
    assert circuit.admits(now)


@given(happenings, failures)
def test_a_pause_is_bounded_and_grants_what_is_asked(
    what: list[Happening], failure: Failed
) -> None:
    circuit, now = after(*what, failure)
    if circuit.open_until is None:
        assert circuit.failures < POLICY.failures
        assert not failure.refused
        assert not failure.timed_out
        return
    asked = min(failure.retry_after or timedelta(0), POLICY.longest_asked)
    assert asked <= circuit.open_until - now <= POLICY.longest_asked


@given(st.integers(1, 40), st.floats(0, 0.99), st.booleans())
def test_pauses_never_shrink_and_jitter_only_shortens(
    times: int, jitter: float, refused: bool
) -> None:
    failure = Failed(refused=refused, timed_out=True)
    ends = [NOON, *(opened(number, failure).open_until or NOON for number in range(1, times + 2))]
    pauses = [end - begin for begin, end in pairwise(ends)]
    assert pauses == sorted(pauses)
    shorter = failed(opened(times, failure), ends[times], POLICY, failure, jitter=jitter)
    assert shorter.open_until is not None
    assert ends[times] < shorter.open_until <= ends[times + 1]


@given(happenings)
def test_the_time_of_the_last_change_never_goes_back(what: list[Happening]) -> None:
    times = [circuit.changed_at for circuit, _ in history(what) if circuit.changed_at]
    assert times == sorted(times)
