"""Progress of long work, on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from higherself.cli.output import say
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.model import IngestReport

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def ingest_progress(total: int) -> Iterator[Callable[[IngestReport], None]]:
    """Yield what to call with every report of an ingest of about ``total`` documents."""
    if sys.stderr.isatty():
        with _bar(total) as update:
            yield update
    else:
        yield _lines(total)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[IngestReport], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("documents"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task("documents", total=total, rate="")

        def update(report: IngestReport) -> None:
            progress.update(task, completed=report.documents, rate=_rate(report))

        yield update


def _lines(total: int) -> Callable[[IngestReport], None]:
    last = SYSTEM_CLOCK.monotonic()

    def update(report: IngestReport) -> None:
        nonlocal last
        now = SYSTEM_CLOCK.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            say(f"{report.documents} of {total} documents, {_rate(report)}{_left(report, total)}")

    return update


def _rate(report: IngestReport) -> str:
    return f"{report.chunks / report.seconds:.1f} chunks/s" if report.seconds else ""


def _left(report: IngestReport, total: int) -> str:
    if not report.documents:
        return ""
    seconds = report.seconds * (total - report.documents) / report.documents
    return f", about {seconds:.0f} s left" if seconds > 0 else ""
