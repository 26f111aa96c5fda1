"""Search by words and by vectors in PostgreSQL: the reading side."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from psycopg.types.json import Jsonb

from higherself.db.pool import EVERY_ENTITY, Database, Transaction
from higherself.db.queryfile import Slots
from higherself.kernel.ids import ChunkId, DocumentId
from higherself.knowledge.analysis import phrase_pattern, query_terms
from higherself.knowledge.labels import labels
from higherself.knowledge.lexical import EVERY_CHUNK, LexicalPlan
from higherself.knowledge.model import Candidate, Filter, FoundChunk, FoundDocument, StoredSpace
from higherself.knowledge.ports import Content, Descriptions
from higherself.knowledge.postgres import QUERIES

RESCORED_CANDIDATES = 1_000
"""Chunks whose score is completed with the query's common terms."""

WALKED = 100
"""Vectors of the HNSW graph kept in view on the way: finds 0.98 of the true ten among 100,000 (40,
the default: 0.956; measured)."""

SESSION_SETTINGS = {
    "hnsw.ef_search": str(WALKED),
    "max_parallel_workers_per_gather": "0",
    "plan_cache_mode": "force_generic_plan",
}
"""What most statements want: they are too short to start helpers for, or to be planned each time
(0.5 ms of a vector search of 2; measured). A search with conditions asks for plans of its own."""


class PostgresSearch:
    """What can be searched."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def reading(self, filter: Filter, *, depth: int) -> AsyncIterator["PostgresReader"]:
        """Open one look at the store, for up to ``depth`` candidates that ``filter`` allows."""
        scope = filter.entity if filter.entity is not None else EVERY_ENTITY
        async with self._database.reading(entity=scope, settings=_settings(filter, depth)) as tx:
            yield PostgresReader(tx, filter)


class PostgresReader:
    """Finds chunks that one filter allows, by words and by vectors, in one transaction."""

    def __init__(self, tx: Transaction, filter: Filter) -> None:
        self._tx = tx
        self._filter = filter
        self._parameters = _parameters(filter)
        # What `some_allowed` saw: the content of each chunk, so that nobody looks it up again.
        self._contents: dict[ChunkId, Content] = {}
        self._conditions: Slots = {
            "allowed": QUERIES[_narrowest(filter, self._parameters)],
            "conditions": QUERIES["conditions"],
        }

    async def some_allowed(self, *, limit: int) -> list[ChunkId]:
        """Return the chunks that the filter allows, at most ``limit``."""
        rows = await self._tx.tuples(
            QUERIES["some_allowed"], {**self._parameters, "limit": limit}, self._conditions
        )
        self._contents = {ChunkId(chunk): (digest, entity) for chunk, digest, entity in rows}
        return list(self._contents)

    async def count_terms(self, terms: Collection[str]) -> tuple[dict[str, int], int, int]:
        """Return the chunks that have each term, the number of chunks, and their total length."""
        rows = await self._tx.tuples(
            QUERIES["count_terms"],
            {"terms": [EVERY_CHUNK, *terms], "entity": self._filter.entity},
        )
        counts = {term: (chunks, length) for term, chunks, length in rows}
        chunks, length = counts.pop(EVERY_CHUNK, (0, 0))
        return {term: count for term, (count, _) in counts.items()}, chunks, length

    async def score_terms(
        self, plan: LexicalPlan, *, among: Sequence[ChunkId] | None, limit: int
    ) -> list[Candidate]:
        """Return the best chunks by BM25; ``among`` these, if given, else as the filter allows."""
        parameters: dict[str, Any] = {
            "terms": list(plan.full),
            "weights": list(plan.full.values()),
            "more_terms": list(plan.rescored),
            "more_weights": list(plan.rescored.values()),
            "flat": plan.flat,
            "slope": plan.slope,
            "entity": self._filter.entity,
            "depth": max(RESCORED_CANDIDATES, limit) if plan.rescored else limit,
            "limit": limit,
        }
        restriction = "unrestricted"
        if among is not None:
            restriction = "among_chunks"
            parameters["chunk_ids"] = list(among)
        elif self._filter.selects_documents:
            restriction = "among_allowed"
            parameters |= self._parameters
        rows = await self._tx.tuples(
            QUERIES["score_terms"],
            parameters,
            {"restriction": QUERIES[restriction], "bm25": QUERIES["bm25"], **self._conditions},
        )
        return _candidates(rows)

    async def nearest(
        self,
        space: StoredSpace,
        vector: NDArray[np.float32],
        *,
        among: Sequence[ChunkId] | None,
        limit: int,
        described: bool,
    ) -> tuple[list[Candidate], Descriptions]:
        """Return the chunks of the nearest vectors; exact when ``among`` is given.

        With ``described`` also what their hits show, in the same round trip.
        """
        parameters: dict[str, Any] = {"vector": HalfVector(vector), "limit": limit}
        slots: Slots = {"embedding": space.table, **self._conditions}
        name = "nearest"
        if among is not None:
            parameters["chunk_ids"] = list(among)
            if not described and all(chunk in self._contents for chunk in among):
                contents = [self._contents[chunk] for chunk in among]
                parameters["hashes"] = [digest for digest, _ in contents]
                parameters["entities"] = [entity for _, entity in contents]
                return _candidates(
                    await self._tx.tuples(QUERIES["nearest_these"], parameters, slots)
                ), {}
            name = "nearest_among"
        elif self._filter.selects_documents:
            name = "nearest_allowed"
            parameters |= self._parameters
        elif self._filter.entity is not None:
            name = "nearest_of_entity"
            parameters["entity"] = self._filter.entity
        slots = {**slots, "near": QUERIES[name]}
        if not described:
            return _candidates(await self._tx.tuples(QUERIES["candidates"], parameters, slots)), {}
        return _found(await self._tx.many(QUERIES["described"], parameters, slots))

    async def nearest_few(
        self, space: StoredSpace, vector: NDArray[np.float32], *, few: int, limit: int
    ) -> tuple[list[Candidate], Descriptions] | None:
        """Return the same, exact, if the filter allows at most ``few`` chunks; else None."""
        rows = await self._tx.many(
            QUERIES["nearest_few"],
            {**self._parameters, "vector": HalfVector(vector), "few": few, "limit": limit},
            {"embedding": space.table, **self._conditions},
        )
        if rows[0]["allowed"] > few:
            return None
        return _found([row for row in rows if row["chunk_id"] is not None])

    async def lacking(self, space: StoredSpace, chunks: Collection[ChunkId]) -> set[ChunkId]:
        """Return those of ``chunks`` that have no vector in ``space``."""
        rows = await self._tx.tuples(
            QUERIES["lacking"], {"chunk_ids": list(chunks)}, {"embedding": space.table}
        )
        return {ChunkId(chunk) for (chunk,) in rows}

    async def describe(self, chunks: Collection[ChunkId]) -> Descriptions:
        """Return what a hit shows, for those of ``chunks`` that still exist."""
        return _described(
            await self._tx.many(QUERIES["describe_chunks"], {"chunk_ids": list(chunks)})
        )

    async def neighbours(
        self, chunks: Collection[ChunkId], *, distance: int
    ) -> dict[ChunkId, list[FoundChunk]]:
        """Return the chunks within ``distance`` places of each, in order."""
        rows = await self._tx.many(
            QUERIES["find_neighbours"], {"chunk_ids": list(chunks), "distance": distance}
        )
        near: defaultdict[ChunkId, list[FoundChunk]] = defaultdict(list)
        for row in rows:
            near[ChunkId(row["hit"])].append(_chunk(row))
        return dict(near)


def _narrowest(filter: Filter, parameters: Mapping[str, Any]) -> str:
    """Return the query that finds what a filter allows by its rarest kind of condition."""
    if parameters["phrase_terms"]:
        return "allowed_with_phrase"
    if not parameters["labels"]:
        return "allowed"
    only_tags = replace(filter, tags=(), entity=None) == Filter()
    return "allowed_with_tags" if only_tags else "allowed_with_labels"


def _parameters(filter: Filter) -> dict[str, Any]:
    terms = sorted({term for phrase in filter.phrases for term in query_terms(phrase)})
    return {
        "entity": filter.entity,
        "sources": list(filter.sources) or None,
        "tags": list(filter.tags) or None,
        "metadata": Jsonb(dict(filter.metadata)) if filter.metadata else None,
        "since": filter.since,
        "until": filter.until,
        "patterns": [phrase_pattern(phrase) for phrase in filter.phrases] or None,
        "phrase_terms": terms or None,
        "labels": labels(filter.tags, filter.metadata) or None,
    }


def _settings(filter: Filter, depth: int) -> dict[str, str]:
    """Return what a search needs set beyond `SESSION_SETTINGS`.

    With conditions, the scan of the index goes on, in relaxed order, until enough rows passed
    them; and a plan made for all conditions at once would serve none well.
    """
    settings = {}
    if depth > WALKED:
        settings["hnsw.ef_search"] = str(min(depth, 1000))
    if filter.entity is not None or filter.selects_documents:
        settings |= {
            "hnsw.iterative_scan": "relaxed_order",
            "hnsw.max_scan_tuples": "100000",
            "plan_cache_mode": "force_custom_plan",
        }
    return settings


def _candidates(rows: Sequence[Sequence[Any]]) -> list[Candidate]:
    return [Candidate(ChunkId(chunk), score) for chunk, score in rows]


def _found(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Candidate], Descriptions]:
    return [Candidate(ChunkId(row["chunk_id"]), row["score"]) for row in rows], _described(rows)


def _described(rows: Sequence[Mapping[str, Any]]) -> Descriptions:
    return {ChunkId(row["chunk_id"]): (_document(row), _chunk(row)) for row in rows}


def _document(row: Mapping[str, Any]) -> FoundDocument:
    return FoundDocument(
        id=DocumentId(row["document_id"]),
        entity=row["entity"],
        source=row["source"],
        external_id=row["external_id"],
        title=row["title"],
        uri=row["uri"],
        tags=tuple(row["tags"]),
        metadata=row["metadata"],
        at=row["changed_at"],
        trust=row["trust"],
        local_only=row["local_only"],
    )


def _chunk(row: Mapping[str, Any]) -> FoundChunk:
    heading = " > ".join(row["headings"])
    return FoundChunk(ChunkId(row["chunk_id"]), row["ordinal"], heading, row["text"])
