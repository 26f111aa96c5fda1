"""Where events leave the program: counters, gauges, durations and log lines.

Code anywhere calls the functions below. Until a sink is installed (by `app`), they do
nothing. Names are ``feature.thing.past_verb``; labels have few values (never a tenant, an
identifier or a text).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Sink(Protocol):
    """Takes what the program tells about itself. Must be cheap, safe in threads, never raise."""

    def event(self, level: str, name: str, facts: dict[str, Any]) -> None:
        """Write one log line."""
        ...

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        """Add to a counter."""
        ...

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None:
        """Set a gauge."""
        ...

    def duration(self, name: str, seconds: float, labels: dict[str, str]) -> None:
        """Record how long something took."""
        ...


class _Nowhere:
    def event(self, level: str, name: str, facts: dict[str, Any]) -> None: ...
    def count(self, name: str, amount: float, labels: dict[str, str]) -> None: ...
    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None: ...
    def duration(self, name: str, seconds: float, labels: dict[str, str]) -> None: ...


_sink: Sink = _Nowhere()


def install(sink: Sink) -> None:
    """Send everything to ``sink`` from now on."""
    global _sink  # noqa: PLW0603  one process, one place where telemetry leaves it
    _sink = sink


def info(name: str, **facts: Any) -> None:
    """Log that something happened."""
    _sink.event("info", name, facts)


def warning(name: str, **facts: Any) -> None:
    """Log something a person should know."""
    _sink.event("warning", name, facts)


def count(name: str, amount: float = 1, **labels: str) -> None:
    """Add ``amount`` to the counter ``name``."""
    _sink.count(name, amount, labels)


def gauge(name: str, value: float, **labels: str) -> None:
    """Set the gauge ``name``."""
    _sink.gauge(name, value, labels)


def duration(name: str, seconds: float, **labels: str) -> None:
    """Record how long something took."""
    _sink.duration(name, seconds, labels)


@contextmanager
def timed(name: str, **labels: str) -> Iterator[None]:
    """Record how long the block took, also when it raises."""
    start = time.perf_counter()
    try:
        yield
    finally:
        _sink.duration(name, time.perf_counter() - start, labels)
