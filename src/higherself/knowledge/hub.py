"""The knowledge hub: the use cases that every edge calls."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from higherself.kernel.clock import Clock
from higherself.kernel.ids import DocumentId
from higherself.kernel.jsonvalue import JsonValue
from higherself.knowledge.care import Care, Finding
from higherself.knowledge.errors import DocumentNotFound, QueryRejected
from higherself.knowledge.evaluate import Asked, Evaluation, evaluate, read_collection
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
from higherself.knowledge.ports import Catalogue, DocumentStore, EmbeddingProvider, SearchIndex
from higherself.knowledge.revision import checked_entity
from higherself.knowledge.search import Request, Search

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
        provider: EmbeddingProvider | None,
        unavailable: str | None = None,
    ) -> None:
        self._store = store
        self._index = index
        self._catalogue = catalogue
        self._clock = clock
        self._provider = provider
        self._unavailable = unavailable
        self._spaces: dict[str, StoredSpace] = {}
        self._care = Care(catalogue, store, provider)

    async def add(
        self,
        documents: Iterable[NewDocument | Failure],
        *,
        progress: Progress = lambda report: None,
    ) -> IngestReport:
        """Take documents in: split, embed and store what is new or has changed.

        A document that cannot be taken in is a failure in the report and stops nothing; a
        `Failure` in the stream passes through to it. ``progress`` is called whenever a batch is
        stored for good. Cancelling loses nothing that was reported.

        Raises
            Unavailable: the database does not answer; what was reported is stored.
        """
        space = await self._own_space()
        ingest = Ingest(self._store, self._clock, provider=self._provider, space=space)
        return await ingest.add(documents, progress=progress)

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
        stored = await self._remembered(space)
        ingest = Ingest(self._store, self._clock, provider=None, space=stored)
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
    ) -> Answer:
        """Return the passages that answer ``query``, best first, each with the reasons.

        Words in double quotes must occur as they stand. ``entity`` limits the search to one
        business, ``sources`` to any of these, ``tags`` to documents that have them all,
        ``metadata`` to documents whose metadata contain it, ``since`` and ``until`` to when the
        content last changed. ``neighbours`` adds that many chunks before and after each hit.
        ``vector`` is the query's embedding in ``space``, if you have it.

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
        )
        searcher = Search(
            self._index,
            self._clock,
            provider=self._provider if space is None else None,
            space=None
            if space is None and self._provider is None
            else await self._space_named(space),
            unavailable=self._unavailable,
        )
        return await searcher.answer(request)

    async def show(self, document: str) -> dict[str, Any]:
        """Return a document with its chunks, by its identifier or by its name at its source.

        Raises
            DocumentNotFound: there is none.
            QueryRejected: several documents have this name.
        """
        found = await self._catalogue.show(await self._identified(document))
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
        return await self._catalogue.page(
            entity=None if entity is None else checked_entity(entity),
            source=source,
            after=None if after is None else _identifier(after),
            limit=limit,
        )

    async def delete(self, documents: Iterable[str]) -> list[DocumentId]:
        """Delete documents with everything made of them, and return their identifiers.

        Raises
            DocumentNotFound: one of them does not exist; then none is deleted.
        """
        wanted = [await self._identified(document) for document in documents]
        for document in wanted:
            if await self._catalogue.show(document) is None:
                raise DocumentNotFound(str(document))
        return await self._store.delete(wanted)

    async def prune(self, entity: str, source: str, *, keep: Callable[[str], bool]) -> int:
        """Delete the documents of a source whose names ``keep`` refuses; return how many."""
        names = await self._catalogue.names(checked_entity(entity), source)
        gone = [document for name, document in names.items() if not keep(name)]
        for start in range(0, len(gone), 500):
            await self._store.delete(gone[start : start + 500])
        return len(gone)

    async def forget(self, entity: str) -> int:
        """Delete a business with all it knows; return how many documents it had."""
        return await self._store.forget(checked_entity(entity))

    async def stats(self) -> dict[str, Any]:
        """Return how much there is, in all and by source."""
        return await self._catalogue.stats()

    async def spaces(self) -> list[dict[str, Any]]:
        """Return every embedding space with how many chunks it covers."""
        described = []
        for stored in await self._all_spaces():
            covered, chunks = await self._catalogue.coverage(stored)
            described.append(
                {
                    "name": stored.space.name,
                    "provider": stored.space.provider,
                    "model": stored.space.model,
                    "dimensions": stored.space.dimensions,
                    "chunks": covered,
                    "coverage": round(covered / chunks, 4) if chunks else 1.0,
                    "active": stored.active,
                }
            )
        return described

    async def verify(
        self, *, repair: bool = False, progress: Callable[[str], None] = lambda line: None
    ) -> list[Finding]:
        """Check that documents, chunks, vectors and lexical index fit together; mend if asked."""
        own = self._provider.space.name if self._provider else None
        spaces = [stored for stored in await self._all_spaces() if stored.space.name == own]
        return await self._care.verify(spaces, repair=repair, progress=progress)

    async def reembed(
        self, space: str, *, progress: Callable[[int], None] = lambda done: None
    ) -> int:
        """Embed whatever lacks a vector in ``space``; return how many texts that were."""
        return await self._care.fill(await self._space_named(space), progress=progress)

    def export(self, entity: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield every document with its whole text, newest first."""
        return self._catalogue.documents(None if entity is None else checked_entity(entity))

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

    async def _all_spaces(self) -> list[StoredSpace]:
        await self._own_space()
        return await self._store.spaces()

    async def _own_space(self) -> StoredSpace | None:
        """Return the space of our own provider, made at first use."""
        if self._provider is None:
            return None
        return await self._remembered(self._provider.space)

    async def _remembered(self, space: EmbeddingSpace) -> StoredSpace:
        """Return the stored space; a space is never changed, so it is looked up once."""
        stored = self._spaces.get(space.name)
        if stored is None or stored.space.dimensions != space.dimensions:
            stored = await self._store.add_space(space)
            self._spaces[space.name] = stored
        return stored

    async def _space_named(self, name: str | None) -> StoredSpace:
        if name is None and self._provider is not None:
            return await self._remembered(self._provider.space)
        if name is not None and name in self._spaces:
            return self._spaces[name]
        spaces = await self._all_spaces()
        self._spaces |= {stored.space.name: stored for stored in spaces}
        if name is not None and name in self._spaces:
            return self._spaces[name]
        known = ", ".join(stored.space.name for stored in spaces) or "none yet"
        raise QueryRejected(f"there is no embedding space {name!r}; there are: {known}")

    async def _identified(self, document: str) -> DocumentId:
        try:
            return _identifier(document)
        except QueryRejected:
            found = await self._catalogue.named(document, None)
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
