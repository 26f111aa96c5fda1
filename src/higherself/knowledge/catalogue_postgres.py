"""Looking at what is stored, and checking it, in PostgreSQL."""

from collections.abc import AsyncIterator, Collection, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from higherself.db.pool import EVERY_ENTITY, Database
from higherself.kernel.ids import ChunkId, DocumentId
from higherself.knowledge.binary_copy import posting_rows
from higherself.knowledge.lexical import invert
from higherself.knowledge.model import StoredSpace
from higherself.knowledge.postgres import QUERIES, copy_postings
from higherself.knowledge.revision import in_context

AT_ONCE = 2_000
_OF_CHUNKS = frozenset({"span_start", "span_end", "text"})


class PostgresCatalogue:
    """Lists, counts and checks. What it returns are plain values, ready to be shown."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def show(self, document: DocumentId) -> dict[str, Any] | None:
        """Return a document with its chunks, or None."""
        async with self._database.transaction() as tx:
            row = await tx.maybe(QUERIES["show_document"], {"document": document})
            if row is None:
                return None
            row["chunks"] = await tx.many(QUERIES["show_chunks"], {"document": document})
            return row

    async def named(self, external_id: str, entity: str | None) -> list[DocumentId]:
        """Return the documents whose name at their source is ``external_id`` (ten at most)."""
        async with self._database.reading() as tx:
            rows = await tx.tuples(
                QUERIES["find_documents_named"], {"external_id": external_id, "entity": entity}
            )
        return [DocumentId(row[0]) for row in rows]

    async def page(
        self, *, entity: str | None, source: str | None, after: DocumentId | None, limit: int
    ) -> list[dict[str, Any]]:
        """Return up to ``limit`` documents, newest first, after the one given."""
        async with self._database.transaction(entity=entity or EVERY_ENTITY) as tx:
            return await tx.many(
                QUERIES["list_documents"],
                {"entity": entity, "source": source, "after": after, "limit": limit},
            )

    async def names(self, entity: str, source: str) -> dict[str, DocumentId]:
        """Return every document of a source by its name there."""
        async with self._database.transaction(entity=entity) as tx:
            rows = await tx.tuples(QUERIES["list_names"], {"entity": entity, "source": source})
        return {name: DocumentId(document) for document, name in rows}

    async def stats(self) -> dict[str, Any]:
        """Return how much there is, in all and by source."""
        async with self._database.transaction() as tx:
            counts = await tx.one(QUERIES["count_knowledge"])
            sources = await tx.many(QUERIES["count_by_source"])
            entities = await tx.many(QUERIES["list_entities"])
        return {**counts, "sources": sources, "entities": entities}

    async def coverage(self, space: StoredSpace) -> tuple[int, int]:
        """Return how many chunks have a vector in ``space``, and how many there are."""
        async with self._database.transaction() as tx:
            row = await tx.one(QUERIES["count_space"], slots={"embedding": space.table})
        return row["covered"], row["chunks"]

    async def uncovered(self, space: StoredSpace, *, limit: int) -> list[tuple[bytes, str, str]]:
        """Return contents without a vector in ``space``: hash, entity, the text to embed."""
        async with self._database.transaction() as tx:
            rows = await tx.many(
                QUERIES["find_uncovered"], {"limit": limit}, {"embedding": space.table}
            )
        return [(row["content_hash"], row["entity"], _to_embed(row)) for row in rows]

    async def problems(self, space: StoredSpace) -> tuple[int, int]:
        """Return the chunks of ``space`` without a vector, and the vectors without a chunk."""
        slots = {"embedding": space.table}
        async with self._database.transaction() as tx:
            uncovered = await tx.one(QUERIES["count_uncovered"], slots=slots)
            orphans = await tx.one(QUERIES["count_orphans"], slots=slots)
        return uncovered["chunks"], orphans["vectors"]

    async def drop_orphans(self, space: StoredSpace) -> int:
        """Delete the vectors of ``space`` that belong to no chunk."""
        async with self._database.transaction() as tx:
            return await tx.run(QUERIES["delete_all_orphans"], slots={"embedding": space.table})

    async def miscounted(self) -> list[dict[str, Any]]:
        """Return the businesses whose lexical index does not hold exactly their chunks."""
        async with self._database.transaction() as tx:
            return await tx.many(QUERIES["compare_lexical"])

    async def broken(self) -> list[DocumentId]:
        """Return the documents whose chunks do not follow one another."""
        async with self._database.transaction() as tx:
            rows = await tx.tuples(QUERIES["find_broken_documents"])
        return [DocumentId(row[0]) for row in rows]

    async def rebuild_lexical(self, entity: str) -> int:
        """Make the lexical index of a business anew, and return its chunks. All or nothing."""
        indexed = 0
        async with self._database.transaction(entity=entity) as tx:
            await tx.run(QUERIES["lock_lexical"], {"entity": entity})
            await tx.run(QUERIES["clear_lexical"], {"entity": entity})
            after = 0
            while rows := await tx.tuples(
                QUERIES["read_texts"], {"entity": entity, "after": after, "limit": AT_ONCE}
            ):
                inverted = invert([(ChunkId(row[0]), in_context(*row[1:])) for row in rows])
                await copy_postings(tx, posting_rows(entity, inverted))
                indexed += len(rows)
                after = rows[-1][0]
        return indexed

    async def documents(self, entity: str | None) -> AsyncIterator[dict[str, Any]]:
        """Yield every document with its whole text, newest first."""
        after: DocumentId | None = None
        while page := await self.page(entity=entity, source=None, after=after, limit=200):
            for row in page:
                whole = await self.show(row["document_id"])
                if whole is not None:
                    chunks = whole.pop("chunks")
                    yield {**whole, "text": _joined(chunks)}
            after = page[-1]["document_id"]

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
        found = {}
        for _, group in groupby(rows, key=itemgetter("document_id")):
            chunks = list(group)
            whole = {name: value for name, value in chunks[0].items() if name not in _OF_CHUNKS}
            found[whole["external_id"]] = {**whole, "text": _joined(chunks)}
        return [found[name] for name in names if name in found]

    async def vectors(
        self, space: StoredSpace, chunks: Collection[ChunkId]
    ) -> dict[ChunkId, NDArray[np.float32]]:
        """Return the vectors in ``space`` of those of ``chunks`` that have one."""
        async with self._database.reading() as tx:
            rows = await tx.tuples(
                QUERIES["read_vectors"], {"chunk_ids": list(chunks)}, {"embedding": space.table}
            )
        return {ChunkId(chunk): vector.to_numpy().astype(np.float32) for chunk, vector in rows}


def _to_embed(row: Mapping[str, Any]) -> str:
    return in_context(row["title"], row["headings"], row["text"])


def _joined(chunks: list[dict[str, Any]]) -> str:
    """Return the text that was split into ``chunks``: their spans tile it, but for overlaps."""
    text, end = [], 0
    for chunk in chunks:
        text.append(chunk["text"][max(0, end - chunk["span_start"]) :])
        end = max(end, chunk["span_end"])
    return "".join(text)
