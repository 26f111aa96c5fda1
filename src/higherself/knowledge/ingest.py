"""Documents in: split, embedded, stored; only what changed, a batch at a time.

A batch is embedded first and stored in one transaction, so a document is either there with all
its chunks, vectors and postings, or not at all; what was stored stays, whatever happens to the
next batch. The next batch is prepared while one is being stored.
"""

import asyncio
import math
from collections import deque
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Sized,
)
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from higherself.db.errors import WriteCollided
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.ids import DocumentId, new_id
from higherself.kernel.tasks import task_group
from higherself.knowledge.embedding import Embedders, Wanted
from higherself.knowledge.errors import BadVector, DocumentRejected, ProviderMisconfigured
from higherself.knowledge.model import (
    DocumentKey,
    Failure,
    IngestReport,
    NewDocument,
    StoredDocument,
    StoredSpace,
)
from higherself.knowledge.ports import Change, Content, DocumentStore, Filling
from higherself.knowledge.revision import (
    Piece,
    Revision,
    checked,
    checked_name,
    hash_of_attributes,
    hash_of_content,
    pieces,
    revise,
    whole,
)

COMPARED_AT_ONCE = 2_000
"""Documents whose stored state is read together, at first; then twice as many, up to the next."""
COMPARED_AT_MOST = 12_000

EMBEDDED_AT_ONCE = 96
"""Chunks embedded and stored together: some four seconds of work of the local model."""

CHARACTERS_OF_A_CHUNK = 700
"""About; for telling when a batch has enough work."""

CHARACTERS_AT_MOST = 20_000_000
"""Of the texts stored together, so that memory stays flat however long they are."""

STORED_AT_ONCE = 12_000
"""Documents stored together at most when their vectors are given."""

STORED_BESIDE = 2
"""Batches being stored while the next is made: the server is at one as the other is sent."""

TRIES = 3

Vector = NDArray[np.float32]
Given = Vector | Sequence[float]
Progress = Callable[[IngestReport], None]
Incoming = tuple[NewDocument, Given | None]


@dataclass(frozen=True, slots=True)
class _Planned:
    """A document that differs from what is stored, and what it is made of now."""

    document: NewDocument
    vector: Vector | None
    stored: StoredDocument | None
    content_hash: bytes
    attributes_hash: bytes

    @property
    def revised(self) -> bool:
        """Whether its content differs, and not only its attributes."""
        return self.stored is None or self.stored.content_hash != self.content_hash

    @property
    def opened(self) -> bool:
        """Whether only its attributes differ, and it is not private: it may have been before."""
        return not self.revised and not self.document.local_only


@dataclass(slots=True)
class _Batch:
    """Changes ready to be stored, with the vectors they need and what they will count as."""

    planned: list[_Planned] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    given: dict[Content, Vector] = field(default_factory=dict)
    wanted: dict[Content, Wanted] = field(default_factory=dict)
    fillings: list[Filling] = field(default_factory=list)
    report: IngestReport = field(default_factory=IngestReport)


class _Beside:
    """Batches being stored while the next ones are made."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: deque[tuple[asyncio.Task[None], frozenset[DocumentKey]]] = deque()

    async def start(self, storing: Coroutine[Any, Any, None], batch: _Batch) -> None:
        """Store ``batch``, once few enough others are being stored."""
        if len(self._tasks) == STORED_BESIDE:
            await self._tasks.popleft()[0]
        keys = frozenset(planned.document.key for planned in batch.planned)
        self._tasks.append((self._group.create_task(storing), keys))

    async def settle(self, incoming: Mapping[DocumentKey, Incoming]) -> None:
        """Wait for what is being stored under the same names: it is to be compared with."""
        if any(not others.isdisjoint(incoming) for _, others in self._tasks):
            await self.wait()

    async def wait(self) -> None:
        """Wait until everything is stored."""
        while self._tasks:
            await self._tasks.popleft()[0]


class Ingest:
    """Takes documents in, for one run: with ``embedders``, or vectors of the space ``given``."""

    def __init__(
        self,
        store: DocumentStore,
        clock: Clock,
        *,
        embedders: Embedders | None = None,
        given: StoredSpace | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._embedders = embedders
        self._given = given

    async def add(
        self,
        documents: Iterable[NewDocument | Failure],
        *,
        progress: Progress = lambda report: None,
    ) -> IngestReport:
        """Take ``documents`` in and report what became of each.

        One that cannot be taken in is a failure of its own and stops nothing. `Failure`s in the
        stream (a file that could not be read) pass through to the report. ``progress`` is called
        after every batch, when what it counts is stored for good. What a provider cannot embed
        now is stored all the same, found by its words meanwhile, and told in ``waiting``.

        Raises
            Unavailable: the database does not answer; what was counted is stored.
            ProviderMisconfigured: every tier is off.
        """
        if self._embedders is None or not self._embedders.members:
            raise ProviderMisconfigured(
                "documents cannot be embedded: no embedding provider is available; "
                "see `higherself knowledge providers`"
            )
        stream = ((item, None) if isinstance(item, NewDocument) else item for item in documents)
        return await self._run(stream, EMBEDDED_AT_ONCE, progress)

    async def add_embedded(
        self,
        documents: Iterable[tuple[NewDocument, Given]],
        *,
        progress: Progress = lambda report: None,
    ) -> IngestReport:
        """Take in documents whose vectors the caller has; each is one chunk, never split.

        Raises
            Unavailable: the database does not answer; what was counted is stored.
        """
        expected = len(documents) if isinstance(documents, Sized) else 0
        return await self._run(documents, STORED_AT_ONCE, progress, expected=expected)

    async def _run(
        self,
        stream: Iterable[Incoming | Failure],
        at_once: int,
        progress: Progress,
        *,
        expected: int = 0,
    ) -> IngestReport:
        started = self._clock.monotonic()
        total = IngestReport()
        entities: set[str] = set()

        async def store(batch: _Batch) -> None:
            _count(total, await self._stored(batch))
            total.seconds = round(self._clock.monotonic() - started, 3)
            progress(_summed(total))

        async with task_group() as group:
            beside = _Beside(group)
            try:
                async for batch in self._batches(stream, total, at_once, beside):
                    entities |= {planned.document.entity for planned in batch.planned}
                    await self._embed(batch)
                    if batch.given and expected:
                        await self._expect(expected - total.unchanged - len(total.failed))
                        expected = 0
                    await beside.start(store(batch), batch)
            except Exception:
                await beside.wait()  # what is embedded already is not thrown away
                raise
        await self._finish(entities, changed=total.created + total.updated)
        if self._embedders is not None:
            total.reasons = dict(self._embedders.left)
        total.seconds = round(self._clock.monotonic() - started, 3)
        progress(_summed(total))
        for outcome in ("created", "updated", "unchanged"):
            telemetry.count("knowledge.document.ingested", getattr(total, outcome), outcome=outcome)
        telemetry.count("knowledge.document.ingested", len(total.failed), outcome="failed")
        return total

    async def _expect(self, arriving: int) -> None:
        if self._given is not None:
            await self._store.expect_vectors(self._given, max(0, arriving))

    async def _finish(self, entities: Collection[str], *, changed: int) -> None:
        """Do what is done once, after the last batch."""
        if not entities:
            return
        for entity in sorted(entities):
            await self._store.tidy(entity, changed=changed)
        for space in self._spaces():
            await self._store.index_vectors(space)

    async def _batches(
        self,
        stream: Iterable[Incoming | Failure],
        total: IngestReport,
        at_once: int,
        beside: "_Beside",
    ) -> AsyncIterator[_Batch]:
        """Yield what has changed, in batches of about ``at_once`` new chunks."""
        for incoming in _compared(stream, total):
            await beside.settle(incoming)
            changed = await self._changed(incoming, total)
            for planned in _portions(changed, at_once):
                yield await self._prepared(_Batch(planned))

    async def _changed(
        self, incoming: Mapping[DocumentKey, Incoming], total: IngestReport
    ) -> list[_Planned]:
        """Return the documents that differ from what is stored; count the others."""
        stored = await self._store.find_stored(incoming)
        changed: list[_Planned] = []
        for key, (document, vector) in incoming.items():
            try:
                planned = _planned(document, vector, stored.get(key), self._given)
            except (DocumentRejected, BadVector) as error:
                total.failed.append(Failure(document.external_id, str(error)))
                continue
            if planned is None:
                total.unchanged += 1
            else:
                changed.append(planned)
        return changed

    async def _prepared(self, batch: _Batch) -> _Batch:
        """Fill in how the stored chunks change, and which vectors are missing."""
        stored_ids = [p.stored.document_id for p in batch.planned if p.stored and p.revised]
        chunks = await self._store.find_chunks(stored_ids) if stored_ids else {}
        split = await asyncio.to_thread(self._split, batch.planned)
        now = self._clock.now()
        for planned, new in zip(batch.planned, split, strict=True):
            old = chunks.get(planned.stored.document_id, []) if planned.stored else []
            revision = None if new is None else revise(old, new)
            batch.changes.append(
                Change(
                    document=planned.document,
                    document_id=planned.stored.document_id
                    if planned.stored
                    else DocumentId(new_id(now)),
                    version=planned.stored.version + 1 if planned.stored else 1,
                    content_hash=planned.content_hash,
                    attributes_hash=planned.attributes_hash,
                    revision=revision,
                )
            )
            _note(batch, planned, revision)
        return batch

    def _split(self, planned: Sequence[_Planned]) -> list[list[Piece] | None]:
        return [self._pieces(each) if each.revised else None for each in planned]

    def _pieces(self, planned: _Planned) -> list[Piece]:
        if planned.vector is not None:
            return whole(planned.document)
        assert self._embedders is not None  # noqa: S101  `add` has seen to it
        splitter = self._embedders.splitter
        return pieces(planned.document, count_tokens=splitter.count_tokens, window=splitter.window)

    async def _embed(self, batch: _Batch) -> None:
        if self._given is not None:
            batch.fillings = [Filling(self._given, batch.given)]
        elif self._embedders is not None:
            batch.fillings = await self._embedders.fillings(batch.wanted)
            lacking = {content for filling in batch.fillings for content in filling.lacking}
            made = {content for filling in batch.fillings for content in filling.vectors}
            batch.report.embedded += len(made)
            batch.report.reused += len(batch.wanted) - len(lacking)
            left = {filling.space.name: filling.left for filling in batch.fillings if filling.left}
            _add_to(batch.report.waiting, left)
            if any(planned.opened for planned in batch.planned):
                # What was private may be embedded elsewhere now: the backlog finds out.
                batch.fillings = [
                    replace(filling, waiting=filling.waiting or not filling.space.on_machine)
                    for filling in batch.fillings
                ]

    def _spaces(self) -> list[StoredSpace]:
        if self._given is not None:
            return [self._given]
        return [member.stored for member in self._embedders.members] if self._embedders else []

    async def _stored(self, batch: _Batch) -> IngestReport:
        """Store ``batch`` and return what it counts as; if others were faster, look again."""
        for _ in range(TRIES - 1):
            try:
                await self._save(batch)
            except WriteCollided:
                batch = await self._again(batch)
            else:
                return batch.report
        await self._save(batch)
        return batch.report

    async def _save(self, batch: _Batch) -> None:
        if batch.changes:
            await self._store.save(batch.changes, fillings=batch.fillings)

    async def _again(self, batch: _Batch) -> _Batch:
        again = _Batch()
        incoming = {p.document.key: (p.document, p.vector) for p in batch.planned}
        counted = IngestReport()
        again.planned = await self._changed(incoming, counted)
        again.report.unchanged = counted.unchanged
        await self._prepared(again)
        await self._embed(again)
        return again


def _portions(changed: Sequence[_Planned], at_once: int) -> Iterator[list[_Planned]]:
    """Yield ``changed`` in portions of about ``at_once`` chunks to embed, or documents to store."""
    whole = any(planned.vector is not None for planned in changed)
    most = CHARACTERS_AT_MOST if whole else at_once * CHARACTERS_OF_A_CHUNK
    portion: list[_Planned] = []
    characters = 0
    for planned in changed:
        portion.append(planned)
        characters += len(planned.document.text)
        if len(portion) >= at_once or characters >= most:
            yield portion
            portion, characters = [], 0
    if portion:
        yield portion


def _compared(
    stream: Iterable[Incoming | Failure], total: IngestReport
) -> Iterator[dict[DocumentKey, Incoming]]:
    """Yield the documents in groups to compare with what is stored; count the failures.

    A group never holds two documents of one name: the second is a change of the first.
    """
    group: dict[DocumentKey, Incoming] = {}
    size = COMPARED_AT_ONCE
    for item in stream:
        if isinstance(item, Failure):
            total.failed.append(item)
            continue
        document = item[0]
        try:
            checked_name(document)
        except DocumentRejected as error:
            total.failed.append(Failure(document.external_id or "(unnamed)", str(error)))
            continue
        key = document.key
        if key in group or len(group) >= size:
            yield group
            group, size = {}, min(2 * size, COMPARED_AT_MOST)
        group[key] = item
    if group:
        yield group


def _planned(
    document: NewDocument,
    vector: Given | None,
    stored: StoredDocument | None,
    space: StoredSpace | None,
) -> _Planned | None:
    """Return what is to be done for ``document``, or None if it is stored just so.

    What is stored was checked when it came; only what differs is checked now.
    """
    try:
        content = hash_of_content(document, whole=vector is not None)
        attributes = hash_of_attributes(document)
    except (UnicodeEncodeError, TypeError, ValueError):
        checked(document)
        raise
    if stored and (stored.content_hash, stored.attributes_hash) == (content, attributes):
        return None
    given = None if vector is None else unit(vector)
    if given is not None and space is not None and given.size != space.space.dimensions:
        raise BadVector(
            f"the vector has {given.size} dimensions, and {space.space.name} has "
            f"{space.space.dimensions}"
        )
    return _Planned(checked(document), given, stored, content, attributes)


def unit(vector: Given) -> Vector:
    """Return ``vector`` at length one, as float32.

    Raises
        BadVector: it is no list of finite numbers, or it is zero and points nowhere.
    """
    given = np.asarray(vector, dtype=np.float32)
    if given.ndim != 1 or not given.size:
        raise BadVector(f"a vector must be a list of numbers; this has shape {given.shape}")
    length = math.sqrt(given.dot(given))
    if not math.isfinite(length) or length == 0.0:
        raise BadVector("the vector is zero or has an entry that is no finite number")
    return given / np.float32(length)


def _note(batch: _Batch, planned: _Planned, revision: Revision | None) -> None:
    """Count one change, and note the vectors it needs."""
    report = batch.report
    report.created += planned.stored is None
    report.updated += planned.stored is not None
    if revision is None:
        return
    report.chunks += len(revision.kept) + len(revision.added)
    report.reused += len(revision.kept)
    for piece in revision.added:
        content = piece.content_hash, planned.document.entity
        if planned.vector is not None:
            batch.given[content] = planned.vector
            continue
        private = planned.document.local_only
        if content in batch.wanted:
            report.reused += 1
            private = private and batch.wanted[content].private
        batch.wanted[content] = Wanted(piece.embedded_text, private)


def _summed(total: IngestReport) -> IngestReport:
    """Return ``total`` with its documents counted: those whose fate is settled, no others."""
    total.documents = total.created + total.updated + total.unchanged + len(total.failed)
    return total


def _count(total: IngestReport, part: IngestReport) -> None:
    for name in ("created", "updated", "unchanged", "chunks", "embedded", "reused"):
        setattr(total, name, getattr(total, name) + getattr(part, name))
    _add_to(total.waiting, part.waiting)


def _add_to(total: dict[str, int], part: Mapping[str, int]) -> None:
    for name, count in part.items():
        total[name] = total.get(name, 0) + count
