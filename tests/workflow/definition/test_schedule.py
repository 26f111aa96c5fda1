"""Durations, schedules, time zones, paths and the schema of a context."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.workflow.definition.paths import below, context_path_of, with_value
from higherself.workflow.definition.schedule import (
    cron_of,
    duration_of,
    instant_of,
    text_of,
    zone_of,
)
from higherself.workflow.definition.schema import ContextSchema
from higherself.workflow.errors import ContextRejected

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("2h", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert duration_of(text) == duration
    assert text_of(duration) == text


@pytest.mark.parametrize(
    "text", ["", "3", "d", "3 d", "-3d", "1.5h", "3d12h", "3D", "0s", "40000d", "٣d"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration|is not from 1ms"):
        duration_of(text)


@given(st.integers(1, 36_525 * 24 * 3600 * 1000))
def test_a_duration_is_what_its_text_says(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    if len(text_of(duration)) <= 9:
        assert duration_of(text_of(duration)) == duration


@given(st.integers(0, 10**9 - 1), st.datetimes(timezones=st.just(UTC)))
def test_a_wait_is_a_number_of_seconds_a_duration_or_a_time_and_never_ends_before_now(
    seconds: int, at: datetime
) -> None:
    then = NOON + timedelta(seconds=seconds)
    assert instant_of(seconds, NOON, "{{ w }}") == then
    assert instant_of(f"{seconds}s", NOON, "{{ w }}") == then
    assert instant_of(then.isoformat(), NOON, "{{ w }}") == then
    assert instant_of(at.isoformat(), NOON, "{{ w }}") == max(NOON, at)
    assert instant_of(-seconds, NOON, "{{ w }}") == NOON


@given(
    st.one_of(st.text(max_size=30), st.none(), st.booleans(), st.floats(), st.lists(st.integers()))
)
def test_whatever_else_a_wait_is_it_is_refused_with_its_template(said: JsonValue) -> None:
    try:
        assert instant_of(said, NOON, "{{ context.wait }}") >= NOON
    except ContextRejected as error:
        assert "{{ context.wait }}" in str(error)  # noqa: PT017  one or the other


def test_a_schedule_comes_round_on_the_clock_of_its_zone() -> None:
    cron = cron_of(" 0  9 * * 1 ")
    assert cron.text == "0 9 * * 1"
    assert cron.next(NOON, UTC) == datetime(2026, 3, 9, 9, tzinfo=UTC)
    berlin = ZoneInfo("Europe/Berlin")
    assert cron.next(NOON, berlin) == datetime(2026, 3, 9, 8, tzinfo=UTC)
    assert cron.next(datetime(2026, 3, 29, tzinfo=UTC), berlin) == datetime(
        2026, 3, 30, 7, tzinfo=UTC
    )


def test_a_zone_that_is_not_known_is_the_nearest_perhaps() -> None:
    assert zone_of("Europe/Berlin").key == "Europe/Berlin"
    with pytest.raises(ValueError, match="did you mean 'Europe/Berlin'"):
        zone_of("Europe/Berlyn")
    with pytest.raises(ValueError, match="is no time zone"):
        zone_of("../../etc/passwd")


@pytest.mark.parametrize(
    ("path", "step", "expected"),
    [
        ("", "states", "states"),
        ("states", "a-b", "states.a-b"),
        ("on", "email.replied", 'on["email.replied"]'),
        ("on.x", 0, "on.x[0]"),
    ],
)
def test_paths_of_keys(path: str, step: str | int, expected: str) -> None:
    assert below(path, step) == expected


@pytest.mark.parametrize("text", ["", "a..b", ".a", "1a", "a-b", "a b", "context.a", "event.a"])
def test_what_is_no_path_in_the_context(text: str) -> None:
    with pytest.raises(ValueError, match="path in the context"):
        context_path_of(text)


def test_putting_a_value_leaves_the_context_that_was() -> None:
    before: JsonObject = {"a": {"b": 1}, "c": 2}
    after = with_value(before, ("a", "d"), 3)
    assert after == {"a": {"b": 1, "d": 3}, "c": 2}
    assert before == {"a": {"b": 1}, "c": 2}


def test_nothing_is_put_into_what_is_no_object() -> None:
    with pytest.raises(
        ContextRejected, match=r"context\.a is no object, so nothing can be put at a\.b"
    ):
        with_value({"a": 1}, ("a", "b"), 2)


def test_a_schema_names_the_value_that_does_not_fit() -> None:
    schema = ContextSchema.of(
        {"properties": {"contact": {"properties": {"score": {"maximum": 100}}}}}
    )
    schema.check({"contact": {"score": 100}})
    with pytest.raises(
        ContextRejected, match=r"context\.contact\.score does not fit the schema: 101"
    ):
        schema.check({"contact": {"score": 101}})


@pytest.mark.parametrize("reference", ["http://example.org/schema", "other.json", "/etc/passwd"])
def test_a_schema_stands_by_itself(reference: str) -> None:
    with pytest.raises(ValueError, match="leads elsewhere"):
        ContextSchema.of({"allOf": [{"$ref": reference}]})
    ContextSchema.of(
        {"$defs": {"n": {"type": "number"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}
    )
