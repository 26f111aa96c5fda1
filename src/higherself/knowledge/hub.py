"""The knowledge hub: the use cases that every edge calls."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from higherself.kernel.clock import Clock
from higherself.kernel.errors import Unavailable
from higherself.kernel.ids import ChunkId, DocumentId, checked_entity
from higherself.kernel.jsonvalue import JsonValue
from higherself.knowledge.backlog import Backlog, Filled
from higherself.knowledge.backlog import Progress as BacklogProgress
from higherself.knowledge.care.findings import Finding
from higherself.knowledge.care.verify import Care, Ground
from higherself.knowledge.embedding import Embedders
from higherself.knowledge.erasure import Erased, Shredded, proven
from higherself.knowledge.errors import DocumentNotFound, ProviderMisconfigured, QueryRejected
from higherself.knowledge.evaluate import Asked, Evaluation, evaluate, read_collection
from higherself.knowledge.exported import Line
from higherself.knowledge.ingest import Ingest, Progress, unit
from higherself.knowledge.model import (
    Answer,
    DocumentKey,
    EmbeddingSpace,
    Failure,
    Filter,
    IngestReport,
    Mode,
    NewDocument,
    StoredSpace,
)
from higherself.knowledge.ports import Catalogue, DocumentStore, SearchIndex
from higherself.knowledge.reranking import GuardedReranker, no_reranker
from higherself.knowledge.restore import restore
from higherself.knowledge.roster import MakeTier, Roster, no_tier
from higherself.knowledge.search import Request, Search
from higherself.knowledge.switching import Comparison, Switching
from higherself.knowledge.tiers import Tier
from higherself.knowledge.upkeep import Upkeep
from higherself.knowledge.views import GivenView, TierViews

Vector = NDArray[np.float32] | Sequence[float]


class KnowledgeHub:
    """What the business knows. Obtained as ``hs.knowledge``; safe for concurrent use."""

    def __init__(
        self,
        *,
        store: DocumentStore,
        index: SearchIndex,
        catalogue: Catalogue,
        clock: Clock,
        tiers: Sequence[Tier] = (),
        make_tier: MakeTier = no_tier,
        reranker: GuardedReranker | None = None,
    ) -> None:
        self._store = store
        self._index = index
        self._catalogue = catalogue
        self._clock = clock
        self._make_tier = make_tier
        self._reranker = reranker or no_reranker("this hub was made without one")
        self._roster = Roster(store, catalogue, clock, tiers, make_tier)
        self._backlog = Backlog(store, catalogue, self._roster, clock)
        self._views = TierViews(self._roster)
        self._switching = Switching(store, catalogue, index, self._roster)
        self.upkeep = Upkeep(self._backlog, self._switching, self._roster, clock)
        self._given: dict[str, StoredSpace] = {}
        self._care = Care(store)

    async def add(
        self,
        documents: Iterable[NewDocument | Failure],
        *,
        progress: Progress = lambda report: None,
    ) -> IngestReport:
        """Take documents in: split, embed and store what is new or has changed.

        A document that cannot be taken in is a failure in the report and stops nothing; a
        `Failure` in the stream passes through to it. ``progress`` is called whenever a batch is
        stored for good. Cancelling loses nothing that was reported. What an embedding provider
        cannot do now waits for it (``waiting`` in the report), and is found by its words meanwhile.

        Raises
            Unavailable: the database does not answer; what was reported is stored.
            ProviderMisconfigured: every embedding tier is off.
        """
        embedders = Embedders(self._store, await self._roster.writing())
        report = await Ingest(self._store, self._clock, embedders=embedders).add(
            documents, progress=progress
        )
        if report.created or report.updated:
            self._roster.forget()
        return report

    async def add_embedded(
        self,
        documents: Iterable[tuple[NewDocument, Vector]],
        *,
        space: EmbeddingSpace,
        progress: Progress = lambda report: None,
    ) -> IngestReport:
        """Take in documents whose vectors you have; each is one chunk, never split.

        Raises
            SpaceMismatch: a space of this name exists with other dimensions.
            Unavailable: the database does not answer; what was reported is stored.
        """
        stored = self._given.get(space.name)
        if stored is None or stored.space.dimensions != space.dimensions:
            stored = self._given[space.name] = await self._store.add_space(space)
        ingest = Ingest(self._store, self._clock, given=stored)
        return await ingest.add_embedded(documents, progress=progress)

    async def search(
        self,
        query: str,
        *,
        limit: int = 10,
        mode: Mode = "hybrid",
        entity: str | None = None,
        sources: Collection[str] = (),
        tags: Collection[str] = (),
        metadata: Mapping[str, JsonValue] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        neighbours: int = 0,
        vector: Vector | None = None,
        space: str | None = None,
        rerank: bool = False,
    ) -> Answer:
        """Return the passages that answer ``query``, best first, each with the reasons.

        Words in double quotes must occur as they stand. ``entity`` limits the search to one
        business, ``sources`` to any of these, ``tags`` to documents that have them all,
        ``metadata`` to documents whose metadata contain it, ``since`` and ``until`` to when the
        content last changed. ``neighbours`` adds that many chunks before and after each hit.
        ``vector`` is the query's embedding in ``space``, if you have it. ``rerank`` has the
        reranker put the best hits in order; if it cannot, they come as they are, and the answer
        says why.

        Raises
            QueryRejected: a part of the request makes no sense; the text says which.
            Unavailable: only meaning was to be searched, and no provider answers.
        """
        request = Request(
            text=query,
            filter=Filter(
                entity=None if entity is None else checked_entity(entity),
                sources=tuple(sources),
                tags=tuple(tags),
                metadata=metadata or {},
                since=since,
                until=until,
            ),
            limit=limit,
            mode=mode,
            neighbours=neighbours,
            vector=None if vector is None else unit(np.asarray(vector, dtype=np.float32)),
            rerank=rerank,
        )
        views = self._views if space is None else GivenView(await self._space_named(space))
        return await Search(self._index, self._clock, views, self._reranker).answer(request)

    async def show(self, document: str, *, entity: str | None = None) -> dict[str, Any]:
        """Return a document with its chunks, by its identifier or by its name at its source.

        Raises
            DocumentNotFound: there is none, or not in the business ``entity``, if one is given.
            QueryRejected: several documents have this name.
        """
        catalogue = self._within(entity)
        found = await catalogue.show(await _identified(catalogue, document))
        if found is None:
            raise DocumentNotFound(document)
        return found

    async def find(self, entity: str, source: str, external_id: str) -> DocumentId | None:
        """Return the identifier of the document of this name, or None."""
        key = DocumentKey(checked_entity(entity), source, external_id)
        stored = await self._store.find_stored([key])
        return stored[key].document_id if key in stored else None

    async def page(
        self,
        *,
        entity: str | None = None,
        source: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> list[dict[str, Any]]:
        """Return up to ``limit`` documents, newest first, after the identifier ``after``."""
        if not 1 <= limit <= 1000:
            raise QueryRejected(f"limit is {limit}; it must be from 1 to 1000")
        return await self._within(entity).page(
            source=source, after=None if after is None else _identifier(after), limit=limit
        )

    async def delete(self, documents: Iterable[str], *, entity: str | None = None) -> Erased:
        """Delete documents with everything made of them; return the proof that it is gone.

        Raises
            DocumentNotFound: one of them does not exist, or not in the business ``entity``, if one
                is given; then none is deleted.
            TracesLeft: they are deleted, and something of them was found afterwards.
        """
        catalogue = self._within(entity)
        wanted = [await _identified(catalogue, document) for document in documents]
        there = await catalogue.existing(wanted)
        for document in wanted:
            if document not in there:
                raise DocumentNotFound(str(document))
        deleted = await self._store.delete(wanted, entity=entity)
        proof = await self._catalogue.erasure.left_of(deleted)
        return proven(Erased(len(deleted.documents), proof, deleted.documents))

    async def prune(self, entity: str, source: str, *, keep: Callable[[str], bool]) -> int:
        """Delete the documents of a source whose names ``keep`` refuses; return how many."""
        names = await self._catalogue.names(checked_entity(entity), source)
        gone = [document for name, document in names.items() if not keep(name)]
        for start in range(0, len(gone), 500):
            await self._store.delete(gone[start : start + 500])
        return len(gone)

    async def forget(self, entity: str) -> Erased:
        """Delete a business with all it knows; return the proof that it is gone.

        Raises
            TracesLeft: it is deleted, and something of it was found afterwards.
        """
        documents = await self._store.forget(checked_entity(entity))
        return proven(Erased(documents, await self._catalogue.erasure.left_of_entity(entity)))

    async def shred(self, *, progress: Callable[[str], None] = lambda line: None) -> Shredded:
        """Write every table anew, so that no byte of what was deleted stays in its files.

        Each table is locked while it is written. Neither the server's log of changes (WAL) nor
        any backup is touched.
        """
        return await self._catalogue.erasure.shred(progress=progress)

    async def stats(self, *, entity: str | None = None) -> dict[str, Any]:
        """Return how much there is, in all and by source; of one business, if one is given."""
        return await self._within(entity).stats()

    async def spaces(self, *, entity: str | None = None) -> list[dict[str, Any]]:
        """Return every embedding space: its state, and how many chunks it covers.

        With ``entity``, how many of that business.
        """
        described = []
        catalogue = self._within(entity)
        for stored in await self._roster.spaces():
            coverage = await catalogue.coverage(stored)
            described.append(
                {
                    "name": stored.name,
                    "tier": stored.tier,
                    "provider": stored.space.provider,
                    "model": stored.space.model,
                    "dimensions": stored.space.dimensions,
                    "chunks": coverage.covered,
                    "coverage": round(coverage.share, 4),
                    "waiting": coverage.waiting if stored.tier and stored.waiting else 0,
                    "private": coverage.private,
                    "refused": coverage.refused,
                    "state": stored.state,
                    "active": stored.state == "active",
                    "on_machine": stored.on_machine,
                }
            )
        return described

    async def add_space(self, tier: str, model: str, dimensions: int | None) -> StoredSpace:
        """Add a space that ``tier`` fills beside the one that answers; see `activate_space`.

        From now on documents are embedded into both; what is stored already waits for the backlog.

        Raises
            ProviderMisconfigured: the tier cannot embed with that model; the text says why.
        """
        made = self._make_tier(tier, model, dimensions)
        if not made.live:
            raise ProviderMisconfigured(f"{tier} cannot embed with {model}: {made.reason}")
        try:
            stored = await self._store.add_space(
                made.space, tier=tier, state="filling", on_machine=made.on_machine
            )
        finally:
            await made.close()
        if stored.state == "retired":
            await self._store.set_state(stored, "filling")
        self._roster.forget()
        return await self._space_named(stored.name)

    async def activate_space(self, space: str, *, force: bool = False) -> Comparison | None:
        """Make a space the one that answers for its tier, at once for every search to come.

        Raises
            Conflict: it is not covered yet, or finds less than the one that answers now.
        """
        return await self._switching.activate(await self._space_named(space), force=force)

    async def retire_space(self, space: str) -> None:
        """Fill and search a space no longer. Raises Conflict while it answers for its tier."""
        await self._switching.retire(await self._space_named(space))

    async def drop_space(self, space: str) -> None:
        """Delete a retired space with its vectors. Raises Conflict if it is not retired."""
        await self._switching.drop(await self._space_named(space))
        self._given.pop(space, None)

    async def verify(
        self,
        *,
        repair: bool = False,
        entity: str | None = None,
        progress: Callable[[str], None] = lambda line: None,
    ) -> list[Finding]:
        """Check that documents, chunks, vectors and indexes fit together; mend if asked.

        With ``entity``, only the rows of that business. ``progress`` gets a line for a person now
        and then.
        """
        filling = await self._roster.writing()
        ground = Ground(
            spaces=await self._roster.spaces(),
            filled=[member.stored for member in filling],
            fill=partial(self._fill, entity),
            dimensions={m.tier.space.name: m.tier.space.dimensions for m in filling},
        )
        findings = await self._care.verify(
            self._within(entity), ground, whole=entity is None, repair=repair, progress=progress
        )
        if repair:
            self._roster.forget()
        return findings

    async def reembed(
        self,
        space: str | None = None,
        *,
        report: Callable[[BacklogProgress], None] = lambda progress: None,
    ) -> list[Filled]:
        """Embed whatever waits for a vector, in one space or in all; return what became of it.

        Raises
            Unavailable: nobody here embeds into that space, or its provider is left alone.
        """
        if space is None:
            return await self._backlog.catch_up(report=report)
        stored = await self._space_named(space)
        return [await self._backlog.fill(stored, await self._owner(stored), report=report)]

    async def close(self) -> None:
        """Release what it opened itself."""
        await self._roster.close()

    def export(self, entity: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield every document with its whole text, newest first, as they are at one instant."""
        return self._within(entity).documents()

    async def restore(
        self,
        lines: Iterable[Line | Failure],
        *,
        entity: str | None = None,
        dry_run: bool = False,
        progress: Progress = lambda report: None,
    ) -> IngestReport:
        """Take in what `export` yielded (see `read_exported`), exactly as it was.

        A document that is stored just so costs nothing; the rest is as with `add`, whose errors
        it raises. With ``entity``, lines of other businesses are passed over; with ``dry_run``
        nothing is stored.
        """
        return await restore(
            lines,
            store=self._store,
            add=self.add,
            clock=self._clock,
            entity=None if entity is None else checked_entity(entity),
            dry_run=dry_run,
            progress=progress,
        )

    async def evaluate(
        self,
        folder: Path,
        *,
        modes: Sequence[Mode] = ("hybrid",),
        limit: int = 100,
        progress: Progress = lambda report: None,
        asked: Asked = lambda done, total: None,
    ) -> Evaluation:
        """Return how well the search finds what a collection with judgements says it should.

        The collection in ``folder`` (see `evaluate`) is taken in as a business of its own, asked
        in every one of ``modes`` for up to ``limit`` documents a query, and forgotten again, also
        when this is cancelled. ``progress`` is called as by `add`, ``asked`` after every query.

        Raises
            CollectionIncomplete, CollectionRejected: its files are missing or make no sense.
            Unavailable: the database or the provider does not answer.
        """
        collection = await asyncio.to_thread(read_collection, folder, limit=limit)
        return await evaluate(
            self,
            self._clock,
            collection,
            modes=modes,
            limit=limit,
            progress=progress,
            asked=asked,
        )

    async def _fill(self, entity: str | None, space: StoredSpace) -> None:
        backlog = self._backlog
        if entity is not None:
            backlog = Backlog(self._store, self._within(entity), self._roster, self._clock)
        await backlog.fill(space, await self._owner(space))

    async def _owner(self, space: StoredSpace) -> Tier:
        for member in await self._roster.writing():
            if member.stored.name == space.name:
                return member.tier
        raise Unavailable(
            f"nobody here embeds into {space.name}; see `higherself knowledge providers`"
        )

    async def _space_named(self, name: str) -> StoredSpace:
        found = self._given.get(name) or await self._roster.named(name)
        if found is None:
            known = ", ".join(stored.name for stored in await self._roster.spaces()) or "none yet"
            raise QueryRejected(f"there is no embedding space {name!r}; there are: {known}")
        return found

    def _within(self, entity: str | None) -> Catalogue:
        """Return the catalogue of one business, or of all."""
        return self._catalogue if entity is None else self._catalogue.within(checked_entity(entity))

    # For whoever keeps documents here under names of their own, as the LangChain store does.

    async def sources(self, entity: str) -> list[str]:
        """Return the sources that a business has documents from."""
        return await self._catalogue.sources(checked_entity(entity))

    async def read(
        self, entity: str, source: str, external_ids: Collection[str]
    ) -> list[dict[str, Any]]:
        """Return the documents of these names that exist, in their order, with the whole text."""
        return await self._catalogue.read(checked_entity(entity), source, external_ids)

    async def delete_named(self, entity: str, source: str, external_ids: Collection[str]) -> int:
        """Delete the documents of these names; return how many there were."""
        names = [DocumentKey(checked_entity(entity), source, each) for each in external_ids]
        stored = await self._store.find_stored(names)
        gone = [each.document_id for each in stored.values()]
        for start in range(0, len(gone), 500):
            await self._store.delete(gone[start : start + 500])
        return len(gone)

    async def vectors(
        self, chunks: Collection[ChunkId], *, space: str, entity: str | None = None
    ) -> dict[ChunkId, NDArray[np.float32]]:
        """Return the vectors in ``space`` of those of ``chunks`` that have one, of length one.

        They are as they are stored, in half precision.
        """
        return await self._within(entity).vectors(await self._space_named(space), chunks)


async def _identified(catalogue: Catalogue, document: str) -> DocumentId:
    try:
        return _identifier(document)
    except QueryRejected:
        found = await catalogue.named(document)
    if not found:
        raise DocumentNotFound(document)
    if len(found) > 1:
        listed = ", ".join(str(each) for each in found)
        raise QueryRejected(f"several documents are called {document!r}: {listed}; name one")
    return found[0]


def _identifier(text: str) -> DocumentId:
    try:
        return DocumentId(UUID(text))
    except ValueError:
        raise QueryRejected(f"{text!r} is no document identifier") from None
