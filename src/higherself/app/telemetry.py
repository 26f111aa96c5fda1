"""Where telemetry goes: log lines on standard error, metrics for Prometheus to read.

The only module that imports structlog and prometheus-client, and nothing imports it before a
server runs: the command line stays quick.
"""

import logging
import re
import sys
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import structlog
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from higherself import __version__
from higherself.app.settings import Settings
from higherself.kernel import telemetry

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180)
"""Seconds: from a query by primary key to a large ingest."""

MOST_SERIES = 300
"""Label combinations a metric may have; what comes after them is counted as `other`."""

MASK = "****"
METRICS_TYPE = CONTENT_TYPE_LATEST

Metric = TypeVar("Metric", Counter, Gauge, Histogram)
Facts = MutableMapping[str, Any]

_FIRST = ("time", "level", "event")
_SECRET = re.compile(
    r"\b((api)?keys?|auth(orization)?|cookies?|credentials?|pass(phrase|word|wd)|pwd|secrets?|tokens?)\b"
)
_URL_PASSWORD = re.compile(r"(?<=://)([^\s/@:]*):\S+(?=@)")
_BETWEEN_WORDS = re.compile(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])")


class StructuredSink:
    """Takes what the program tells about itself. What cannot be recorded is dropped, and named."""

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._metrics: dict[str, Any] = {}
        self._series: dict[str, set[tuple[str, ...]]] = {}
        self._lock = threading.Lock()
        self._log = structlog.wrap_logger(
            _StandardError(),
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.TimeStamper(fmt="iso", key="time"),
                _masked,
                _renderer(settings),
            ],
            wrapper_class=structlog.BoundLogger,
        )

    def event(self, level: str, name: str, facts: dict[str, Any]) -> None:
        """Write one log line. A fact never hides the time, the level or the name."""
        told = {f"{key}_" if key in _FIRST else key: value for key, value in facts.items()}
        try:
            self._log.msg(name, level=level, **told)
        except Exception:  # noqa: BLE001  a log that cannot be written must not stop the work
            return

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        """Add to a counter."""
        with self._named_if_refused(name):
            self._metric(Counter, name, labels).inc(amount)

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None:
        """Set a gauge."""
        with self._named_if_refused(name):
            self._metric(Gauge, name, labels).set(value)

    def duration(self, name: str, seconds: float, labels: dict[str, str]) -> None:
        """Record how long something took."""
        with self._named_if_refused(name):
            self._metric(Histogram, f"{name}_seconds", labels, buckets=BUCKETS).observe(seconds)

    @contextmanager
    def _named_if_refused(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  nor must a metric that cannot be recorded
            self.event("warning", "telemetry.metric.refused", {"name": name, "error": repr(error)})

    def _metric(
        self, kind: type[Metric], name: str, labels: dict[str, str], **options: Any
    ) -> Metric:
        full = f"higherself_{name.replace('.', '_')}"
        with self._lock:
            if full not in self._metrics:
                told = name.replace(".", " ").replace("_", " ").capitalize()
                self._metrics[full] = kind(
                    full, told, list(labels), registry=self.registry, **options
                )
            metric: Metric = self._metrics[full]
            seen, series = self._series.setdefault(full, set()), tuple(labels.values())
            if series not in seen and len(seen) >= MOST_SERIES:
                labels = dict.fromkeys(labels, "other")
            seen.add(series)
        return metric.labels(**labels) if labels else metric


class _StandardError:
    """Writes lines to whatever standard error is at the time; one write each, so none is torn."""

    def msg(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")


class _Records(logging.Handler):
    """Passes the warnings of libraries that use `logging` on to a sink."""

    def __init__(self, sink: StructuredSink) -> None:
        super().__init__(logging.WARNING)
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        facts = {"message": record.getMessage()}
        if record.exc_info:
            facts["exception"] = logging.Formatter().formatException(record.exc_info)
        self._sink.event(record.levelname.lower(), record.name, facts)


_installed: StructuredSink | None = None


def install_telemetry(settings: Settings) -> StructuredSink:
    """Send logs to standard error, and metrics to a registry of our own, from now on."""
    global _installed  # noqa: PLW0603  one process, one place where telemetry leaves it
    disable_created_metrics()  # type: ignore[no-untyped-call]
    _installed = StructuredSink(settings)
    _installed.gauge("build.info", 1, {"version": __version__})
    telemetry.install(_installed)
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Records)]:
        root.removeHandler(handler)
    root.addHandler(_Records(_installed))
    return _installed


def metrics() -> bytes:
    """Return every metric in Prometheus' text format (`METRICS_TYPE`); nothing if not installed."""
    return generate_latest(_installed.registry) if _installed else b""


def correlated(correlation: str) -> AbstractContextManager[Any]:
    """Put ``correlation`` on every log line of the block."""
    return structlog.contextvars.bound_contextvars(correlation=correlation)


def _renderer(settings: Settings) -> Any:
    if settings.log == "json":
        return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        timestamp_key="time",
        repr_native_str=True,  # a text from outside cannot break the line or colour the terminal
        exception_formatter=structlog.dev.plain_traceback,
    )


def _masked(logger: Any, method: str, facts: Facts) -> Facts:
    first = {key: facts.pop(key) for key in _FIRST}
    return {**first, **{key: _mask(key, value) for key, value in facts.items()}}


def _mask(key: str, value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case _ if _SECRET.search(_BETWEEN_WORDS.sub(" ", key).lower()):
            return MASK
        case dict():
            return {inner: _mask(str(inner), each) for inner, each in value.items()}
        case list() | tuple():
            return [_mask("", each) for each in value]
        case str():
            return _URL_PASSWORD.sub(rf"\1:{MASK}", value)
        case _:
            return value
