"""What leaves the program: log lines that hide secrets, metrics of few series."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from higherself.app.settings import Settings
from higherself.app.telemetry import (
    MASK,
    MOST_SERIES,
    StructuredSink,
    correlated,
    install_telemetry,
    metrics,
)
from higherself.kernel import telemetry


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave no sink behind for other tests."""
    sink, handlers = telemetry._sink, logging.getLogger().handlers[:]
    yield
    telemetry.install(sink)
    logging.getLogger().handlers[:] = handlers


@pytest.fixture
def sink(capsys: pytest.CaptureFixture[str]) -> StructuredSink:
    return install_telemetry(Settings.model_validate({"HIGHERSELF_LOG": "json"}))


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the log lines written since the last call; nothing goes to standard output."""
    output, errors = capsys.readouterr()
    assert output == ""
    return [json.loads(line) for line in errors.splitlines()]


def test_a_line_has_time_level_event_and_facts(
    sink: StructuredSink, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.warning("knowledge.space.filled", space="local", number=3, id=UUID(int=1), to=None)
    (line,) = told(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line.pop("time"))
    assert list(line.items()) == [
        ("level", "warning"),
        ("event", "knowledge.space.filled"),
        ("space", "local"),
        ("number", 3),
        ("id", str(UUID(int=1))),
        ("to", None),
    ]


def test_a_fact_never_hides_what_the_line_is(
    sink: StructuredSink, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.info("a.thing.happened", event="other", level="error", time="never")
    (line,) = told(capsys)
    assert (line["event"], line["event_"]) == ("a.thing.happened", "other")
    assert (line["level"], line["level_"]) == ("info", "error")


def test_a_correlation_is_on_every_line_of_its_block(
    sink: StructuredSink, capsys: pytest.CaptureFixture[str]
) -> None:
    with correlated("abc"):
        telemetry.info("a.thing.happened")
    telemetry.info("a.thing.happened")
    first, second = told(capsys)
    assert first["correlation"] == "abc"
    assert "correlation" not in second


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "api_key",
        "apiKey",
        "API-KEY",
        "X-Auth",
        "authorization",
        "notion_token",
        "clientSecret",
        "Set-Cookie",
        "credentials",
        "passwd",
        "voyage api key",
    ],
)
def test_a_secret_is_masked_wherever_it_stands(
    sink: StructuredSink, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    telemetry.info("a.thing.happened", **{key: "sesame"})
    telemetry.info("a.thing.happened", request={"headers": [{key: "sesame"}]})
    flat, nested = told(capsys)
    assert flat[key] == nested["request"]["headers"][0][key] == MASK


@pytest.mark.parametrize(
    ("key", "value"), [("tokens", 512), ("keyword", "bath"), ("monkey", "see"), ("token", None)]
)
def test_what_is_no_secret_is_shown(
    sink: StructuredSink, capsys: pytest.CaptureFixture[str], key: str, value: object
) -> None:
    telemetry.info("a.thing.happened", **{key: value})
    assert told(capsys)[0][key] == value


def test_a_password_within_an_address_is_masked(
    sink: StructuredSink, capsys: pytest.CaptureFixture[str]
) -> None:
    telemetry.warning("db.lost", error="cannot reach postgresql://me:s3s@me@db:5432/x in time")
    assert told(capsys)[0]["error"] == f"cannot reach postgresql://me:{MASK}@db:5432/x in time"


def test_a_library_that_uses_logging_is_heard(
    sink: StructuredSink, capsys: pytest.CaptureFixture[str]
) -> None:
    install_telemetry(Settings.model_validate({"HIGHERSELF_LOG": "json"}))
    logging.getLogger("psycopg.pool").warning("lost %s", "a connection")
    logging.getLogger("psycopg.pool").info("nothing of note")
    (line,) = told(capsys)
    assert (line["event"], line["level"]) == ("psycopg.pool", "warning")
    assert line["message"] == "lost a connection"


def test_on_a_console_a_text_from_outside_stays_on_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    install_telemetry(Settings())
    telemetry.info("a.thing.happened", path="/a\nERROR b\x1b[31m", token="sesame")
    (line,) = capsys.readouterr().err.splitlines()
    assert "a.thing.happened" in line
    assert "\x1b" not in line
    assert "sesame" not in line


def test_a_log_that_cannot_be_written_stops_nothing(
    sink: StructuredSink, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        def __str__(self) -> str:
            raise ValueError("no")

    telemetry.info("a.thing.happened", what=Broken())
    telemetry.info("a.thing.happened")
    assert len(told(capsys)) == 1


def test_metrics_have_names_and_units(sink: StructuredSink) -> None:
    telemetry.count("knowledge.document.ingested", 2, outcome="created")
    telemetry.gauge("knowledge.queue.waiting", 7)
    with telemetry.timed("knowledge.search.answered", mode="hybrid"):
        pass
    text = metrics().decode()
    for line in (
        'higherself_knowledge_document_ingested_total{outcome="created"} 2.0',
        "higherself_knowledge_queue_waiting 7.0",
        'higherself_knowledge_search_answered_seconds_bucket{le="0.001",mode="hybrid"} 1.0',
        'higherself_knowledge_search_answered_seconds_bucket{le="180.0",mode="hybrid"} 1.0',
        'higherself_knowledge_search_answered_seconds_count{mode="hybrid"} 1.0',
    ):
        assert line in text
    assert "higherself_build_info{version=" in text
    assert "process_resident_memory_bytes" in text
    assert "_created" not in text


def test_a_duration_is_recorded_when_the_block_fails(sink: StructuredSink) -> None:
    with pytest.raises(ValueError, match="no"), telemetry.timed("a.thing.done"):
        raise ValueError("no")
    assert "higherself_a_thing_done_seconds_count 1.0" in metrics().decode()


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda: telemetry.count("a.thing.done", -1), id="a counter goes up"),
        pytest.param(lambda: telemetry.count("a.thing.done", other="b"), id="other labels"),
        pytest.param(lambda: telemetry.gauge("a.thing.done", 1), id="a counter is no gauge"),
    ],
)
def test_what_cannot_be_recorded_is_dropped_and_named(
    sink: StructuredSink, capsys: pytest.CaptureFixture[str], wrong: Any
) -> None:
    telemetry.count("a.thing.done")
    wrong()
    (line,) = told(capsys)
    assert (line["event"], line["name"]) == ("telemetry.metric.refused", "a.thing.done")
    assert "higherself_a_thing_done_total 1.0" in metrics().decode()


def test_labels_without_end_become_one_series(sink: StructuredSink) -> None:
    for number in range(MOST_SERIES + 50):
        telemetry.count("a.thing.done", kind=str(number))
    telemetry.count("a.thing.done", kind="3")
    lines = [line for line in metrics().decode().splitlines() if line.startswith("higherself_a")]
    assert len(lines) == MOST_SERIES + 1
    assert 'higherself_a_thing_done_total{kind="other"} 50.0' in lines
    assert 'higherself_a_thing_done_total{kind="3"} 2.0' in lines


def test_installing_again_begins_anew(sink: StructuredSink) -> None:
    telemetry.count("a.thing.done")
    install_telemetry(Settings())
    assert "a_thing_done" not in metrics().decode()
