"""Progress of long work, on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from higherself.cli.output import say
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.model import IngestReport

if TYPE_CHECKING:
    from rich.progress import TaskID

    from higherself.knowledge.backlog import Progress

SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def ingest_progress(total: int | None) -> Iterator[Callable[[IngestReport], None]]:
    """Yield what to call with every report of an ingest of about ``total`` documents, if known."""
    if sys.stderr.isatty():
        with _bar(total) as update:
            yield update
    else:
        yield _lines(total)


@contextmanager
def _bar(total: int | None) -> Iterator[Callable[[IngestReport], None]]:
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


@contextmanager
def backlog_progress() -> "Iterator[Callable[[Progress], None]]":
    """Yield what to call with the progress of filling one space after the other."""
    if not sys.stderr.isatty():
        yield _backlog_lines()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    with Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def update(progress: "Progress") -> None:
            if progress.space not in tasks:
                tasks[progress.space] = bars.add_task(progress.space)
            bars.update(
                tasks[progress.space],
                completed=progress.done,
                total=progress.done + progress.waiting,
            )

        yield update


def _backlog_lines() -> "Callable[[Progress], None]":
    last = SYSTEM_CLOCK.monotonic()

    def update(progress: "Progress") -> None:
        nonlocal last
        now = SYSTEM_CLOCK.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            say(f"{progress.space}: {progress.done} embedded, {progress.waiting} wait")

    return update


def _lines(total: int | None) -> Callable[[IngestReport], None]:
    last = SYSTEM_CLOCK.monotonic()

    def update(report: IngestReport) -> None:
        nonlocal last
        now = SYSTEM_CLOCK.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            of_all = "" if total is None else f" of {total}"
            say(f"{report.documents}{of_all} documents, {_rate(report)}{_left(report, total)}")

    return update


def _rate(report: IngestReport) -> str:
    return f"{report.chunks / report.seconds:.1f} chunks/s" if report.seconds else ""


def _left(report: IngestReport, total: int | None) -> str:
    if not report.documents or total is None:
        return ""
    seconds = report.seconds * (total - report.documents) / report.documents
    return f", about {seconds:.0f} s left" if seconds > 0 else ""
