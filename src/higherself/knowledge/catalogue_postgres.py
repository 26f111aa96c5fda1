"""Looking at what is stored in PostgreSQL."""

from collections.abc import AsyncIterator, Collection, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from higherself.db.pool import Database
from higherself.db.queryfile import Slots
from higherself.kernel.ids import ChunkId, DocumentId
from higherself.kernel.jsonvalue import content_hash
from higherself.knowledge.care.postgres import PostgresCare
from higherself.knowledge.erasure_postgres import PostgresErasure
from higherself.knowledge.model import StoredSpace
from higherself.knowledge.ports import Content, Coverage
from higherself.knowledge.postgres import QUERIES
from higherself.knowledge.revision import in_context, put_together

_OF_PARTS = frozenset({"span_start", "span_end", "text", "blanks"})


class PostgresCatalogue:
    """Lists and counts. What it returns are plain values, ready to be shown.

    With ``entity`` it knows that business alone: its queries ask for it, and row-level security
    shows it nothing else.
    """

    def __init__(self, database: Database, entity: str | None = None) -> None:
        self._database = database if entity is None else database.narrowed(entity)
        self._entity = entity

    @property
    def care(self) -> PostgresCare:
        """Counts what does not fit together, and mends it."""
        return PostgresCare(self._database, self._entity)

    @property
    def erasure(self) -> PostgresErasure:
        """Looks for what is left of what was deleted."""
        return PostgresErasure(self._database)

    def within(self, entity: str) -> "PostgresCatalogue":
        """Return the catalogue of one business alone."""
        return PostgresCatalogue(self._database, entity)

    async def show(self, document: DocumentId) -> dict[str, Any] | None:
        """Return a document with its chunks, or None."""
        wanted = {"document": document, "entity": self._entity}
        async with self._database.transaction() as tx:
            row = await tx.maybe(QUERIES["show_document"], wanted)
            if row is None:
                return None
            row["chunks"] = await tx.many(QUERIES["show_chunks"], {"document": document})
            return row

    async def existing(self, documents: Collection[DocumentId]) -> set[DocumentId]:
        """Return those of ``documents`` that exist."""
        wanted = {"documents": list(documents), "entity": self._entity}
        async with self._database.reading() as tx:
            rows = await tx.tuples(QUERIES["find_existing"], wanted)
        return {DocumentId(document) for (document,) in rows}

    async def named(self, external_id: str) -> list[DocumentId]:
        """Return the documents whose name at their source is ``external_id`` (ten at most)."""
        wanted = {"external_id": external_id, "entity": self._entity}
        async with self._database.reading() as tx:
            rows = await tx.tuples(QUERIES["find_documents_named"], wanted)
        return [DocumentId(row[0]) for row in rows]

    async def page(
        self, *, source: str | None, after: DocumentId | None, limit: int
    ) -> list[dict[str, Any]]:
        """Return up to ``limit`` documents, newest first, after the one given."""
        async with self._database.transaction() as tx:
            return await tx.many(
                QUERIES["list_documents"],
                {"entity": self._entity, "source": source, "after": after, "limit": limit},
            )

    async def names(self, entity: str, source: str) -> dict[str, DocumentId]:
        """Return every document of a source by its name there."""
        async with self._database.transaction(entity=entity) as tx:
            rows = await tx.tuples(QUERIES["list_names"], {"entity": entity, "source": source})
        return {name: DocumentId(document) for document, name in rows}

    async def stats(self) -> dict[str, Any]:
        """Return how much there is, in all and by source."""
        of = {"entity": self._entity}
        async with self._database.transaction() as tx:
            counts = await tx.one(QUERIES["count_knowledge"], of)
            sources = await tx.many(QUERIES["count_by_source"], of)
            entities = await tx.many(QUERIES["list_entities"], of)
        return {**counts, "sources": sources, "entities": entities}

    def _of(self, space: StoredSpace) -> dict[str, Any]:
        return {
            "space_id": space.space_id,
            "on_machine": space.on_machine,
            "entity": self._entity,
        }

    async def coverage(self, space: StoredSpace) -> Coverage:
        """Return how much ``space`` covers."""
        async with self._database.transaction() as tx:
            row = await tx.one(QUERIES["count_space"], self._of(space), {"embedding": space.table})
        return Coverage(row["chunks"], row["covered"], row["private"], row["refused"])

    async def uncovered(
        self, space: StoredSpace, *, after: Content, limit: int
    ) -> list[tuple[Content, str]]:
        """Return contents that wait for a vector in ``space``, each with the text to embed."""
        digest, entity = after
        async with self._database.transaction() as tx:
            rows = await tx.many(
                QUERIES["find_uncovered"],
                {**self._of(space), "after_hash": digest, "after_entity": entity, "limit": limit},
                {"embedding": space.table},
            )
        return [((row["content_hash"], row["entity"]), _to_embed(row)) for row in rows]

    async def sample(self, *, on_machine: bool, limit: int) -> list[tuple[ChunkId, str]]:
        """Return some chunks with their texts, picked by chance."""
        async with self._database.transaction() as tx:
            rows = await tx.tuples(
                QUERIES["sample_chunks"], {"on_machine": on_machine, "limit": limit}
            )
        return [(ChunkId(chunk), text) for chunk, text in rows]

    async def refusals(self, space: StoredSpace) -> list[dict[str, Any]]:
        """Return why the provider of ``space`` refuses how many texts, by business."""
        async with self._database.reading() as tx:
            return await tx.many(QUERIES["list_refusals"], self._of(space))

    async def problems(self, space: StoredSpace) -> tuple[int, int]:
        """Return the chunks of ``space`` without a vector, and the vectors without a chunk."""
        slots: Slots = {
            "embedding": space.table,
            "uncovered": QUERIES["uncovered"],
            "holders": QUERIES["holders"],
        }
        async with self._database.transaction() as tx:
            uncovered = await tx.one(QUERIES["count_uncovered"], self._of(space), slots)
            orphans = await tx.one(QUERIES["count_orphans"], self._of(space), slots)
        return uncovered["chunks"], orphans["vectors"]

    async def drop_orphans(self, space: StoredSpace) -> int:
        """Delete the vectors of ``space`` that belong to no chunk."""
        async with self._database.transaction() as tx:
            return await tx.run(
                QUERIES["delete_all_orphans"],
                self._of(space),
                {"embedding": space.table, "holders": QUERIES["holders"]},
            )

    async def documents(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every document with its whole text, newest first, as they are at one instant."""
        async with self._database.transaction() as tx:
            parts: list[dict[str, Any]] = []
            async for part in tx.stream(QUERIES["read_documents"], {"entity": self._entity}):
                if parts and parts[0]["document_id"] != part["document_id"]:
                    yield _whole(parts)
                    parts = []
                parts.append(part)
            if parts:
                yield _whole(parts)

    async def sources(self, entity: str) -> list[str]:
        """Return the sources that a business has documents from."""
        async with self._database.reading() as tx:
            rows = await tx.tuples(QUERIES["list_sources"], {"entity": entity})
        return [source for (source,) in rows]

    async def read(
        self, entity: str, source: str, external_ids: Collection[str]
    ) -> list[dict[str, Any]]:
        """Return the documents of these names that exist, in their order, with the whole text."""
        names = list(dict.fromkeys(external_ids))
        async with self._database.reading(entity=entity) as tx:
            rows = await tx.many(
                QUERIES["read_named"], {"entity": entity, "source": source, "external_ids": names}
            )
        groups = (list(group) for _, group in groupby(rows, key=itemgetter("document_id")))
        found = {parts[0]["external_id"]: _whole(parts) for parts in groups}
        return [found[name] for name in names if name in found]

    async def vectors(
        self, space: StoredSpace, chunks: Collection[ChunkId]
    ) -> dict[ChunkId, NDArray[np.float32]]:
        """Return the vectors in ``space`` of those of ``chunks`` that have one."""
        async with self._database.reading() as tx:
            rows = await tx.tuples(
                QUERIES["read_vectors"],
                {"chunk_ids": list(chunks), "entity": self._entity},
                {"embedding": space.table},
            )
        return {ChunkId(chunk): vector.to_numpy().astype(np.float32) for chunk, vector in rows}


def _to_embed(row: Mapping[str, Any]) -> str:
    """Return the text that has this hash: a document taken in whole has none above it."""
    if content_hash(row["text"]) == row["content_hash"]:
        return str(row["text"])
    return in_context(row["title"], row["headings"], row["text"])


def _whole(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a document with its text, given a row for each of its chunks, or one without."""
    chunks = [
        (part["span_start"], part["span_end"], part["text"])
        for part in parts
        if part["text"] is not None
    ]
    document = {name: value for name, value in parts[0].items() if name not in _OF_PARTS}
    return {**document, "text": put_together(chunks, parts[0]["blanks"])}
