"""What becomes of a message: a table of cases, and laws that hold for every case."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.messaging.envelope import Envelope, MessageId
from higherself.messaging.model import (
    DONE,
    Cancelled,
    Claimed,
    Expired,
    Failed,
    Lapsed,
    Outcome,
    Released,
    RetryPolicy,
    Snoozed,
)
from higherself.messaging.settlement import (
    LAPSED,
    LONGEST_ERROR,
    LONGEST_WAIT,
    Again,
    End,
    Settlement,
    settle,
)

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
POLICY = RetryPolicy(max_attempts=3, max_lapses=2, base=10 * SECOND, ceiling=HOUR)


def claimed(attempt: int = 1, lapses: int = 0, expires_at: datetime | None = None) -> Claimed:
    identifier = MessageId(UUID(int=1))
    envelope = Envelope(
        id=identifier,
        source="urn:test",
        type="com.test.v1",
        time=NOON,
        correlation_id="c",
        expires_at=expires_at,
    )
    return Claimed(
        envelope=envelope,
        topic="work",
        sequence=1,
        lane=None,
        attempt=attempt,
        lapses=lapses,
        lease=1,
    )


def again(wait: timedelta, attempt: int, error: str | None = None) -> Again:
    at = f"2026-11-22T12:00:00Z attempt {attempt}: "
    return Again(at=NOON + wait, attempt=attempt, error=error and at + error)


def dead(attempt: int, reason: str) -> End:
    return End(
        status="dead", reason=reason, error=f"2026-11-22T12:00:00Z attempt {attempt}: {reason}"
    )


@pytest.mark.parametrize(
    ("message", "outcome", "expected"),
    [
        pytest.param(claimed(), DONE, End(status="delivered"), id="what is done is delivered"),
        pytest.param(
            claimed(1), Failed("boom"), again(10 * SECOND, 1, "boom"), id="the first failure waits"
        ),
        pytest.param(
            claimed(2), Failed("boom"), again(20 * SECOND, 2, "boom"), id="the second waits longer"
        ),
        pytest.param(claimed(3), Failed("boom"), dead(3, "boom"), id="the last attempt is dead"),
        pytest.param(
            claimed(1), Failed("no", retryable=False), dead(1, "no"), id="of no use, dead at once"
        ),
        pytest.param(
            claimed(1),
            Failed("busy", retry_after=HOUR),
            again(HOUR, 1, "busy"),
            id="not before whoever refused has asked",
        ),
        pytest.param(
            claimed(2), Snoozed(HOUR), again(HOUR, 1), id="a snooze costs no attempt and no error"
        ),
        pytest.param(claimed(2), Released(), again(0 * SECOND, 1), id="given back at once"),
        pytest.param(
            claimed(1, lapses=1), Lapsed(), again(10 * SECOND, 1, LAPSED), id="a lapse waits"
        ),
        pytest.param(claimed(2, lapses=2), Lapsed(), dead(2, LAPSED), id="too many lapses"),
        pytest.param(claimed(3, lapses=1), Lapsed(), dead(3, LAPSED), id="a lapse is an attempt"),
        pytest.param(
            claimed(),
            Cancelled("not needed"),
            End(status="cancelled", reason="not needed"),
            id="cancelled with the reason",
        ),
        pytest.param(
            claimed(),
            Expired(),
            End(status="expired", reason="it was not handled in time"),
            id="expired",
        ),
        pytest.param(
            claimed(1, expires_at=NOON + 10 * SECOND),
            Failed("boom"),
            End(
                status="expired",
                reason="there was no time for another attempt, after: boom",
                error="2026-11-22T12:00:00Z attempt 1: boom",
            ),
            id="no attempt after it has expired",
        ),
        pytest.param(
            claimed(1, expires_at=NOON + 11 * SECOND),
            Failed("boom"),
            again(10 * SECOND, 1, "boom"),
            id="one more attempt before it expires",
        ),
    ],
)
def test_settle(message: Claimed, outcome: Outcome, expected: Settlement) -> None:
    assert settle(message, outcome, POLICY, NOON, 0.0) == expected


def test_a_dead_one_pauses_its_lane_if_so_agreed() -> None:
    policy = RetryPolicy(max_attempts=1, when_dead="pause")
    settled = settle(claimed(), Failed("boom"), policy, NOON, 0.0)
    assert isinstance(settled, End)
    assert settled.pauses


waits = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400))
outcomes = st.one_of(
    st.just(DONE),
    st.builds(Failed, st.text(), st.booleans(), st.none() | st.timedeltas()),
    st.builds(Snoozed, st.timedeltas()),
    st.builds(Cancelled, st.text()),
    st.just(Lapsed()),
    st.just(Expired()),
    st.just(Released()),
)
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 20),
    max_lapses=st.integers(1, 20),
    base=waits,
    ceiling=waits,
    when_dead=st.sampled_from(["skip", "pause"]),
)
messages = st.builds(
    claimed,
    attempt=st.integers(1, 30),
    lapses=st.integers(0, 30),
    expires_at=st.none() | st.datetimes(timezones=st.just(UTC)),
)
draws = st.floats(0, 1, exclude_max=True)


@given(messages, outcomes, policies, draws)
def test_whatever_happens_it_has_an_end_or_another_time(
    message: Claimed, outcome: Outcome, policy: RetryPolicy, draw: float
) -> None:
    match settle(message, outcome, policy, NOON, draw):
        case Again(at=at, attempt=attempt):
            assert NOON <= at <= NOON + max(policy.ceiling, LONGEST_WAIT)
            assert message.attempt - 1 <= attempt <= message.attempt
        case End(status=status, reason=reason):
            assert (reason is None) == (status == "delivered")


@given(messages, outcomes, policies, draws)
def test_it_is_never_offered_when_it_has_expired(
    message: Claimed, outcome: Outcome, policy: RetryPolicy, draw: float
) -> None:
    settled = settle(message, outcome, policy, NOON, draw)
    failed = isinstance(outcome, Failed | Lapsed)
    if failed and isinstance(settled, Again) and message.envelope.expires_at:
        assert settled.at < message.envelope.expires_at


@given(messages, outcomes, policies, draws)
def test_only_a_snooze_and_a_release_cost_no_attempt(
    message: Claimed, outcome: Outcome, policy: RetryPolicy, draw: float
) -> None:
    settled = settle(message, outcome, policy, NOON, draw)
    if isinstance(settled, Again):
        free = isinstance(outcome, Snoozed | Released)
        assert settled.attempt == message.attempt - free
        assert (settled.error is None) == free


@given(policies, st.lists(st.tuples(st.sampled_from([Failed("x"), Lapsed()]), draws), min_size=20))
def test_failing_for_ever_ends_after_as_many_attempts_as_agreed(
    policy: RetryPolicy, course: list[tuple[Outcome, float]]
) -> None:
    attempt, lapses = 0, 0
    for outcome, draw in course:
        attempt, lapses = attempt + 1, lapses + isinstance(outcome, Lapsed)
        settled = settle(claimed(attempt, lapses), outcome, policy, NOON, draw)
        if isinstance(settled, End):
            assert settled.status == "dead"
            assert attempt <= policy.max_attempts
            assert lapses <= policy.max_lapses
            assert attempt == policy.max_attempts or lapses == policy.max_lapses
            return
    raise AssertionError("it never ended")


@given(st.integers(1, 12), draws)
def test_the_wait_is_drawn_from_all_that_is_allowed(attempt: int, draw: float) -> None:
    policy = RetryPolicy(max_attempts=99, base=SECOND, ceiling=HOUR)
    settled = settle(claimed(attempt), Failed("x"), policy, NOON, draw)
    assert isinstance(settled, Again)
    longest = min(SECOND * 2 ** (attempt - 1), HOUR)
    expected = longest * (1 - draw)
    assert abs((settled.at - NOON) - expected) <= timedelta(microseconds=1)


@given(messages, policies, draws, st.text(alphabet=st.characters()))
def test_any_text_of_an_error_can_be_stored(
    message: Claimed, policy: RetryPolicy, draw: float, text: str
) -> None:
    settled: Any = settle(message, Failed(text * 50, retryable=False), policy, NOON, draw)
    for stored in (settled.reason, settled.error):
        assert "\0" not in stored
        assert len(stored.encode(errors="strict").decode()) <= LONGEST_ERROR + 50
