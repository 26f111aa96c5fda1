"""Documents back in, as they were exported: only what differs is touched."""

from collections import Counter
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from higherself.kernel.clock import Clock
from higherself.kernel.tasks import abandonable
from higherself.knowledge.exported import Line
from higherself.knowledge.ingest import Progress
from higherself.knowledge.model import Failure, IngestReport, NewDocument, StoredDocument
from higherself.knowledge.ports import DocumentStore
from higherself.knowledge.revision import hash_of_attributes, hash_of_content

READ_AT_ONCE = 1_000
"""Lines read and compared together; fewer if their texts are long."""

CHARACTERS_AT_ONCE = 8_000_000

_COUNTS = ("documents", "created", "updated", "unchanged", "chunks", "embedded", "reused")


class Add(Protocol):
    """Takes documents in, as `KnowledgeHub.add` does."""

    def __call__(
        self, documents: Iterable[NewDocument], *, progress: Progress
    ) -> Awaitable[IngestReport]:
        """Return what became of ``documents``."""
        ...


async def restore(
    lines: Iterable[Line | Failure],
    *,
    store: DocumentStore,
    add: Add,
    clock: Clock,
    entity: str | None = None,
    dry_run: bool = False,
    progress: Progress = lambda report: None,
) -> IngestReport:
    """Store the documents of ``lines`` that are not stored just so, and report on all of them.

    With ``entity``, lines of other businesses are passed over. With ``dry_run``, nothing is
    stored, and the report says what would be.
    """
    started = clock.monotonic()
    total = IngestReport()
    rest = iter(lines)

    def told(part: IngestReport) -> IngestReport:
        summed = _plus(total, part)
        summed.seconds = round(clock.monotonic() - started, 3)
        return summed

    while batch := await abandonable(partial(_taken, rest)):
        wanted = [
            line
            for line in batch
            if isinstance(line, Failure) or entity in (None, line.document.entity)
        ]
        part, changed = await _compared(store, wanted)
        if dry_run:
            total = told(part)
        else:
            total = told(_without_updates(part))
            if changed:
                documents = [line.document for line in changed]
                report = await add(documents, progress=lambda part: progress(told(part)))
                total = told(_with_places(report, changed))
        progress(total)
    return total


def _taken(lines: Iterator[Line | Failure]) -> list[Line | Failure]:
    taken: list[Line | Failure] = []
    characters = 0
    for line in lines:
        taken.append(line)
        characters += 0 if isinstance(line, Failure) else len(line.document.text)
        if len(taken) >= READ_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
            break
    return taken


async def _compared(
    store: DocumentStore, lines: Sequence[Line | Failure]
) -> tuple[IngestReport, list[Line]]:
    """Return what is to become of ``lines``, and those that are to be stored."""
    report = IngestReport(documents=len(lines))
    report.failed = [line for line in lines if isinstance(line, Failure)]
    read = [line for line in lines if isinstance(line, Line)]
    stored = await store.find_stored([line.document.key for line in read])
    changed: list[Line] = []
    for line in read:
        before = stored.get(line.document.key)
        if before is not None and _is_stored(line.document, before):
            report.unchanged += 1
            continue
        changed.append(line)
        report.created += before is None
        report.updated += before is not None
    return report, changed


def _is_stored(document: NewDocument, stored: StoredDocument) -> bool:
    """Return whether ``document`` is stored just so, split or (as its caller wished) whole."""
    if stored.attributes_hash != hash_of_attributes(document):
        return False
    contents = (hash_of_content(document, whole=whole) for whole in (False, True))
    return stored.content_hash in contents


def _without_updates(report: IngestReport) -> IngestReport:
    """Return ``report`` without what is still to be stored, and counted by whoever does."""
    documents = report.unchanged + len(report.failed)
    return replace(report, documents=documents, created=0, updated=0)


def _with_places(report: IngestReport, lines: Sequence[Line]) -> IngestReport:
    """Return ``report`` with the line of each failure in the place of the document's name."""
    places = {line.document.external_id: line.place for line in reversed(lines)}
    failed = [
        Failure(places[each.path], f"{each.path}: {each.reason}") if each.path in places else each
        for each in report.failed
    ]
    return replace(report, failed=failed)


def _plus(total: IngestReport, part: IngestReport) -> IngestReport:
    summed = IngestReport(
        failed=[*total.failed, *part.failed],
        waiting=dict(Counter(total.waiting) + Counter(part.waiting)),
        reasons=total.reasons | part.reasons,
    )
    for name in _COUNTS:
        setattr(summed, name, getattr(total, name) + getattr(part, name))
    return summed
