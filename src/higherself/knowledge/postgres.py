"""Documents, chunks, vectors and the lexical index in PostgreSQL: the writing side."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray
from psycopg import AsyncConnection

from higherself.db.entities import remember_entity
from higherself.db.errors import WriteCollided
from higherself.db.pool import EVERY_ENTITY, Database, Transaction
from higherself.db.queryfile import Slots, read_queries
from higherself.kernel.clock import Clock
from higherself.kernel.ids import ChunkId, DocumentId, SpaceId
from higherself.kernel.jsonvalue import canonical
from higherself.knowledge.analysis import analyse
from higherself.knowledge.binary_copy import (
    BEGIN,
    END,
    chunk_row,
    document_row,
    instant,
    vector_rows,
)
from higherself.knowledge.errors import SpaceMismatch
from higherself.knowledge.inverting import Inverter
from higherself.knowledge.labels import labels
from higherself.knowledge.lexical import EVERY_CHUNK
from higherself.knowledge.model import (
    DocumentKey,
    EmbeddingSpace,
    SpaceState,
    StoredChunk,
    StoredDocument,
    StoredSpace,
)
from higherself.knowledge.ports import Change, Content, Deleted, Filling
from higherself.knowledge.revision import Piece, in_context

QUERIES = read_queries("higherself.knowledge")

ROWS_AT_ONCE = 256
"""Rows sent in one piece: the server is at some while the next are made."""

SHORT_RUN = 1024
"""Chunks; runs below this are merged, once many have gathered."""
MANY_SHORT_RUNS = 64
CROWD = 8

MANY_CHANGED = 500
"""Documents; after so many the planner's statistics are made anew."""

INDEX_FROM = 5_000
"""Vectors; below, comparing with each is as fast as an index, and exact."""

SPACE_TABLE = (
    "create_space_table",
    "store_vectors_plainly",
    "enable_space_security",
    "create_space_policy",
)
"""The statements that make the table of a space."""

_UNIT = chr(31)


class PostgresDocuments:
    """Keeps documents, chunks, vectors and the lexical index, all or nothing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: set[str] = set()
        """Businesses that are stored. What another process forgets meanwhile, a save finds out."""
        self._staged: WeakSet[AsyncConnection[Any]] = WeakSet()
        """Connections that have the tables to COPY into."""
        self._inverter = Inverter()

    async def spaces(self) -> list[StoredSpace]:
        """Return every embedding space."""
        async with self._database.reading() as tx:
            return [_space(row) for row in await tx.many(QUERIES["list_spaces"])]

    async def add_space(
        self,
        space: EmbeddingSpace,
        *,
        tier: str | None = None,
        state: SpaceState = "active",
        on_machine: bool = True,
    ) -> StoredSpace:
        """Return the stored space of this name, making it first if need be."""
        owner = {"tier": tier, "on_machine": on_machine}
        for stored in await self.spaces():
            if stored.name == space.name:
                if tier is not None and stored.tier is None:
                    return await self._adopt(_same(stored, space), owner)
                return _same(stored, space)
        async with self._database.transaction() as tx:
            row = await tx.one(
                QUERIES["add_space"],
                {
                    "name": space.name,
                    "provider": space.provider,
                    "model": space.model,
                    "dimensions": space.dimensions,
                    "state": state,
                    "now": self._clock.now(),
                    **owner,
                },
            )
            stored = _same(_space(row), space)
            if not row["made"]:
                return stored
            slots: Slots = {"embedding": stored.table, "dimensions": space.dimensions}
            for name in SPACE_TABLE:
                await tx.run(QUERIES[name], slots=slots)
        return stored

    async def find_stored(self, keys: Collection[DocumentKey]) -> dict[DocumentKey, StoredDocument]:
        """Return what is stored under these names."""
        names: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for entity, source, external_id in keys:
            names[entity, source].append(external_id)
        found: dict[DocumentKey, StoredDocument] = {}
        async with self._database.reading() as tx:
            for (entity, source), external_ids in names.items():
                rows = await tx.tuples(
                    QUERIES["find_stored"],
                    {"entity": entity, "source": source, "external_ids": external_ids},
                )
                for external_id, *stored in rows:
                    found[DocumentKey(entity, source, external_id)] = StoredDocument(*stored)
        return found

    async def find_chunks(
        self, documents: Collection[DocumentId]
    ) -> dict[DocumentId, list[StoredChunk]]:
        """Return the chunks of these documents, in order."""
        async with self._database.reading() as tx:
            return await _chunks_of(tx, documents)

    async def find_embedded(
        self, space: StoredSpace, contents: Collection[Content]
    ) -> set[Content]:
        """Return those of ``contents`` that have a vector in ``space``."""
        hashes, entities = zip(*contents, strict=True) if contents else ((), ())
        async with self._database.reading() as tx:
            rows = await tx.tuples(
                QUERIES["find_embedded"],
                {"hashes": list(hashes), "entities": list(entities)},
                {"embedding": space.table},
            )
        return {(digest, entity) for entity, digest in rows}

    async def save(self, changes: Sequence[Change], *, fillings: Sequence[Filling] = ()) -> None:
        """Store ``changes`` with their chunks, postings and vectors: all of it, or nothing."""
        entities = sorted({change.document.entity for change in changes})
        scope = entities[0] if len(entities) == 1 else EVERY_ENTITY
        await self._remember(entities, scope)
        try:
            await self._save(changes, fillings, scope)
        except WriteCollided:
            self._known.clear()
            raise

    async def _save(
        self, changes: Sequence[Change], fillings: Sequence[Filling], scope: str
    ) -> None:
        async with self._database.transaction(entity=scope) as tx:
            await self._stage(tx)
            revised = [change for change in changes if change.revision is not None]
            added = await _numbered(tx, revised)
            # Inverting takes as long as all the rest, so it goes on beside it.
            postings = asyncio.get_running_loop().run_in_executor(
                None, self._inverter.rows, _texts_of(added)
            )
            await self._save_documents(tx, changes)
            removed = _by_entity(revised)
            await _move_chunks(tx, revised)
            for entity, chunks in removed.items():
                await _remove_chunks(tx, entity, chunks)
            if added:
                await _add_chunks(tx, added)
            for place, filling in enumerate(fillings):
                await self._fill(tx, filling, again=place > 0)
            await _copy_postings(tx, await postings)
            for entity, chunks in removed.items():
                await _drop_orphans(tx, entity, chunks)
            await _drop_private(tx, changes)
            if waiting := [filling.space.space_id for filling in fillings if filling.waiting]:
                await tx.run(QUERIES["mark_waiting"], {"space_ids": waiting})
        self._staged.add(tx.connection)

    async def _stage(self, tx: Transaction) -> None:
        """Make the tables of the session to COPY into, unless this connection has them for sure."""
        if tx.connection not in self._staged or self._database.inspection.transaction_pooler:
            await tx.run(QUERIES["stage"])

    async def _remember(self, entities: Collection[str], scope: str) -> None:
        """Store businesses not seen before: at once, for whoever waits for them to be committed."""
        if new := set(entities) - self._known:
            async with self._database.transaction(entity=scope) as tx:
                for entity in sorted(new):
                    await remember_entity(tx, entity, self._clock.now())
            self._known |= new

    async def fill(self, filling: Filling) -> None:
        """Store vectors of contents that are there already; of what has gone meanwhile, nothing."""
        space = filling.space
        async with self._database.transaction() as tx:
            await self._stage(tx)
            await self._fill(tx, filling)
            by_entity: defaultdict[str, list[bytes]] = defaultdict(list)
            for digest, entity in filling.vectors:
                by_entity[entity].append(digest)
            for entity, hashes in by_entity.items():
                await tx.run(
                    QUERIES["delete_orphaned_embeddings"],
                    {"hashes": hashes, "entity": entity, "on_machine": space.on_machine},
                    {"embedding": space.table, "holders": QUERIES["holders"]},
                )

    async def settle(self, space: StoredSpace) -> bool:
        """Note that nothing waits in ``space`` any more, if that is so; return whether it is."""
        parameters = {
            "space_id": space.space_id,
            "on_machine": space.on_machine,
            "entity": None,
        }
        async with self._database.transaction() as tx:
            await tx.maybe(QUERIES["lock_space"], {"space_id": space.space_id})
            slots: Slots = {"embedding": space.table, "uncovered": QUERIES["uncovered"]}
            return bool(await tx.run(QUERIES["settle_space"], parameters, slots))

    async def set_state(self, space: StoredSpace, state: SpaceState) -> None:
        """Change the state of a space; one that becomes active takes the place of its tier's other."""
        named = {"space_id": space.space_id, "tier": space.tier, "state": state}
        async with self._database.transaction() as tx:
            if state == "active":
                await tx.run(QUERIES["replace_active_space"], named)
            if space.state == "retired":
                await tx.run(QUERIES["expect_everything"], named)
            await tx.run(QUERIES["set_space_state"], named)

    async def left_out(self) -> tuple[bool, set[SpaceId]]:
        """Return whether any document must not leave this machine, and where texts are refused."""
        async with self._database.reading() as tx:
            row = await tx.one(QUERIES["find_left_out"])
        return bool(row["private"]), {SpaceId(number) for number in row["refusing"]}

    async def _adopt(self, stored: StoredSpace, owner: Mapping[str, Any]) -> StoredSpace:
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["adopt_space"], {**owner, "space_id": stored.space_id})
        return next(s for s in await self.spaces() if s.space_id == stored.space_id)

    async def _fill(self, tx: Transaction, filling: Filling, *, again: bool = False) -> None:
        if again:
            await tx.run(QUERIES["clear_staged_embeddings"])
        await _add_vectors(tx, filling.space, filling.vectors)
        if filling.refused:
            hashes, entities = zip(*filling.refused, strict=True)
            await tx.run(
                QUERIES["insert_refusals"],
                {
                    "space_id": filling.space.space_id,
                    "hashes": list(hashes),
                    "entities": list(entities),
                    "reasons": list(filling.refused.values()),
                    "now": self._clock.now(),
                },
            )

    async def drop_space(self, space: StoredSpace) -> None:
        """Delete a space with all its vectors."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["drop_space_table"], slots={"embedding": space.table})
            await tx.run(QUERIES["forget_space"], {"space_id": space.space_id})

    async def delete(
        self, documents: Collection[DocumentId], *, entity: str | None = None
    ) -> Deleted:
        """Delete documents (of one business, if given) with everything made of them."""
        gone: dict[str, list[StoredChunk]] = {}
        wanted = {"documents": list(documents), "entity": entity}
        async with self._database.transaction(entity=entity) as tx:
            rows = await tx.many(QUERIES["lock_documents"], wanted)
            entity_of = {row["document_id"]: row["entity"] for row in rows}
            stored = await _chunks_of(tx, entity_of)
            for owner in sorted(set(entity_of.values())):
                mine = [document for document in entity_of if entity_of[document] == owner]
                gone[owner] = [chunk for document in mine for chunk in stored[document]]
                await _remove_chunks(tx, owner, gone[owner])
                await tx.run(QUERIES["delete_documents"], {"documents": mine})
                await _drop_orphans(tx, owner, gone[owner])
        return Deleted(tuple(entity_of), gone)

    async def forget(self, entity: str) -> int:
        """Delete a business with all it knows; return how many documents it had."""
        self._known.discard(entity)
        async with self._database.transaction(entity=entity) as tx:
            counted = await tx.one(QUERIES["count_documents"], {"entity": entity})
            await tx.run(QUERIES["lock_lexical"], {"entity": entity})
            await tx.run(QUERIES["clear_lexical"], {"entity": entity})
            for row in await tx.many(QUERIES["list_spaces"]):
                slots: Slots = {"embedding": _space(row).table}
                await tx.run(QUERIES["forget_vectors"], {"entity": entity}, slots)
            for name in (
                "forget_refusals",
                "forget_chunks",
                "forget_documents",
                "forget_entity",
            ):
                await tx.run(QUERIES[name], {"entity": entity})
        return int(counted["documents"])

    async def tidy(self, entity: str, *, changed: int) -> None:
        """Merge the short runs of the lexical index if many have gathered; count after many."""
        await asyncio.to_thread(self._inverter.close)
        async with self._database.transaction(entity=entity) as tx:
            counted = await tx.one(
                QUERIES["count_short_runs"], {"entity": entity, "short": SHORT_RUN}
            )
            if counted["runs"] >= MANY_SHORT_RUNS:
                await tx.run(QUERIES["lock_lexical"], {"entity": entity})
                await tx.run(
                    QUERIES["merge_runs"], {"entity": entity, "short": SHORT_RUN, "crowd": CROWD}
                )
            if changed >= MANY_CHANGED:
                await tx.run(QUERIES["analyse_knowledge"])

    async def expect_vectors(self, space: StoredSpace, arriving: int) -> None:
        """Drop the index of ``space`` if building it anew costs less than adding so many to it."""
        slots: Slots = {"embedding": space.table, "index": f"{space.table}_nearest"}
        async with self._database.transaction() as tx:
            size = await tx.one(QUERIES["measure_space"], {"table": space.table}, slots)
            if size["indexed"] and arriving >= max(INDEX_FROM, size["vectors"]):
                await tx.run(QUERIES["drop_space_index"], slots=slots)

    async def index_vectors(self, space: StoredSpace, *, gently: bool = False) -> bool:
        """Build the index of ``space`` if it has grown large enough and lacks one.

        Nothing is done while another does it.
        """
        slots: Slots = {"embedding": space.table, "index": f"{space.table}_nearest"}
        named = {"table": space.table}
        async with self._database.transaction() as tx:
            if not (await tx.one(QUERIES["may_index"], named))["ours"]:
                return False
            size = await tx.one(QUERIES["measure_space"], named, slots)
            if size["indexed"] or size["vectors"] < INDEX_FROM:
                return False
            await tx.run(QUERIES["use_memory_for_index"])
            if gently:
                await tx.run(QUERIES["use_one_processor_for_index"])
            await tx.run(QUERIES["create_space_index"], slots=slots)
            await tx.run(QUERIES["analyse_space"], slots=slots)
        return True

    async def _save_documents(self, tx: Transaction, changes: Sequence[Change]) -> None:
        now = instant(self._clock.now())
        async with tx.copy(QUERIES["copy_documents"]) as copy:
            await copy.write(BEGIN)
            for at in range(0, len(changes), ROWS_AT_ONCE):
                some = changes[at : at + ROWS_AT_ONCE]
                await copy.write(b"".join([_document_row(each, now) for each in some]))
            await copy.write(END)
        known = [change.document_id for change in changes if change.version > 1]
        written = 0
        if len(known) < len(changes):
            written += await tx.run(QUERIES["insert_documents"])
        if known:
            written += await tx.run(QUERIES["update_documents"])
        if written != len(changes):
            raise WriteCollided(
                f"{len(changes) - written} of {len(changes)} documents were changed by another "
                "process in the meantime; nothing was stored, add them again"
            )
        if known:
            await tx.run(QUERIES["drop_labels"], {"documents": known})
        await tx.run(QUERIES["insert_labels"])


async def _drop_orphans(tx: Transaction, entity: str, chunks: Sequence[StoredChunk]) -> None:
    if not chunks:
        return
    gone = {"hashes": list({chunk.content_hash for chunk in chunks}), "entity": entity}
    for row in await tx.many(QUERIES["list_spaces"]):
        await tx.run(
            QUERIES["delete_orphaned_embeddings"],
            {**gone, "on_machine": row["on_machine"]},
            {"embedding": _space(row).table, "holders": QUERIES["holders"]},
        )
    await tx.run(QUERIES["delete_orphaned_refusals"], gone)


async def _drop_private(tx: Transaction, changes: Sequence[Change]) -> None:
    """Delete the vectors made elsewhere of documents that must not leave this machine any more."""
    private = [c.document_id for c in changes if c.document.local_only and c.version > 1]
    if not private:
        return
    for row in await tx.many(QUERIES["list_spaces"]):
        if not row["on_machine"]:
            await tx.run(
                QUERIES["delete_private_embeddings"],
                {"documents": private, "on_machine": False},
                {"embedding": _space(row).table, "holders": QUERIES["holders"]},
            )


async def _chunks_of(
    tx: Transaction, documents: Iterable[DocumentId]
) -> dict[DocumentId, list[StoredChunk]]:
    found: dict[DocumentId, list[StoredChunk]] = {document: [] for document in documents}
    rows = await tx.tuples(QUERIES["find_stored_chunks"], {"documents": list(found)})
    for row in rows:
        number, document, ordinal, digest, text, title, headings = row
        chunk = StoredChunk(number, document, ordinal, digest, text, title, tuple(headings))
        found[chunk.document_id].append(chunk)
    return found


def _by_entity(changes: Iterable[Change]) -> dict[str, list[StoredChunk]]:
    removed: defaultdict[str, list[StoredChunk]] = defaultdict(list)
    for change in changes:
        if change.revision is not None and change.revision.removed:
            removed[change.document.entity].extend(change.revision.removed)
    return dict(sorted(removed.items()))


async def _move_chunks(tx: Transaction, changes: Iterable[Change]) -> None:
    """Give the chunks that stay their place in the new text."""
    kept = [pair for change in changes if change.revision for pair in change.revision.kept]
    if not kept:
        return
    await tx.run(QUERIES["defer_places"])
    passages = [piece.passage for _, piece in kept]
    await tx.run(
        QUERIES["move_chunks"],
        {
            "chunk_ids": [chunk.chunk_id for chunk, _ in kept],
            "ordinals": [passage.ordinal for passage in passages],
            "starts": [passage.start for passage in passages],
            "ends": [passage.end for passage in passages],
            "headings": [_UNIT.join(passage.headings) for passage in passages],
        },
    )


async def _remove_chunks(tx: Transaction, entity: str, chunks: Sequence[StoredChunk]) -> None:
    """Delete ``chunks`` and take every trace of their words out of the lexical index."""
    if not chunks:
        return
    chunk_ids = [chunk.chunk_id for chunk in chunks]
    texts = (in_context(chunk.title, chunk.headings, chunk.text) for chunk in chunks)
    terms = set(chain.from_iterable(map(analyse, texts))) | {EVERY_CHUNK}
    parameters = {"entity": entity, "terms": list(terms), "chunk_ids": chunk_ids}
    await tx.run(QUERIES["lock_lexical"], {"entity": entity})
    await tx.run(QUERIES["remove_postings"], parameters)
    await tx.run(QUERIES["delete_empty_runs"], {"entity": entity, "terms": list(terms)})
    await tx.run(QUERIES["delete_chunks"], {"chunk_ids": chunk_ids})


Added = tuple[ChunkId, Change, Piece]


async def _numbered(tx: Transaction, changes: Sequence[Change]) -> list[Added]:
    """Return the pieces to add, each with the number its chunk will have, ascending."""
    added = [
        (change, piece)
        for change in changes
        if change.revision is not None
        for piece in change.revision.added
    ]
    if not added:
        return []
    reserved = await tx.tuples(QUERIES["reserve_chunk_ids"], {"count": len(added)})
    numbers = sorted(ChunkId(row[0]) for row in reserved)
    return [(number, *pair) for number, pair in zip(numbers, added, strict=True)]


async def _add_chunks(tx: Transaction, added: Sequence[Added]) -> None:
    async with tx.copy(QUERIES["copy_chunks"]) as copy:
        await copy.write(BEGIN)
        for at in range(0, len(added), ROWS_AT_ONCE):
            some = added[at : at + ROWS_AT_ONCE]
            await copy.write(b"".join([_chunk_row(*each) for each in some]))
        await copy.write(END)
    await tx.run(QUERIES["insert_chunks"])


async def copy_postings(tx: Transaction, rows: bytes) -> None:
    """Add ``rows`` (see `posting_rows`) to the lexical index, in any transaction, any time."""
    await tx.run(QUERIES["stage"])
    await tx.run(QUERIES["clear_staged_postings"])
    await _copy_postings(tx, rows)


async def _copy_postings(tx: Transaction, rows: bytes) -> None:
    if not rows:
        return
    async with tx.copy(QUERIES["copy_postings"]) as copy:
        for part in (BEGIN, rows, END):
            await copy.write(part)
    await tx.run(QUERIES["insert_postings"])


def _texts_of(added: Sequence[Added]) -> dict[str, list[tuple[ChunkId, str]]]:
    by_entity: defaultdict[str, list[tuple[ChunkId, str]]] = defaultdict(list)
    for number, change, piece in added:
        by_entity[change.document.entity].append((number, piece.embedded_text))
    return dict(by_entity)


def _document_row(change: Change, now: bytes) -> bytes:
    new = change.document
    return document_row(
        change.document_id,
        (new.entity, new.source, new.external_id, new.title, new.uri),
        new.tags,
        (
            canonical(new.metadata), canonical(labels(new.tags, new.metadata)),
            change.content_hash, change.attributes_hash,
        ),
        change.version,
        instant(new.at) + now,
        new.trust,
        change.blanks,
        local_only=new.local_only,
    )  # fmt: skip


def _chunk_row(number: ChunkId, change: Change, piece: Piece) -> bytes:
    passage = piece.passage
    return chunk_row(
        number,
        change.document_id,
        change.document.entity,
        passage.headings,
        (passage.ordinal, passage.start, passage.end, passage.tokens),
        passage.text,
        piece.content_hash,
    )


async def _add_vectors(
    tx: Transaction, space: StoredSpace, vectors: Mapping[Content, NDArray[np.float32]]
) -> None:
    if not vectors:
        return
    by_entity: defaultdict[str, list[bytes]] = defaultdict(list)
    for digest, entity in vectors:
        by_entity[entity].append(digest)
    async with tx.copy(QUERIES["copy_embeddings"]) as copy:
        await copy.write(BEGIN)
        for entity, digests in by_entity.items():
            stacked = np.stack([vectors[digest, entity] for digest in digests])
            await copy.write(vector_rows(entity, digests, stacked))
        await copy.write(END)
    await tx.run(QUERIES["insert_embeddings"], slots={"embedding": space.table})


def _space(row: Mapping[str, Any]) -> StoredSpace:
    space = EmbeddingSpace(
        name=row["name"],
        provider=row["provider"],
        model=row["model"],
        dimensions=row["dimensions"],
    )
    return StoredSpace(
        SpaceId(row["space_id"]),
        space,
        tier=row["tier"],
        state=row["state"],
        on_machine=row["on_machine"],
        waiting=row["waiting"],
    )


def _same(stored: StoredSpace, wanted: EmbeddingSpace) -> StoredSpace:
    if stored.space.dimensions != wanted.dimensions:
        raise SpaceMismatch(
            expected=f"{stored.space.name} with {stored.space.dimensions} dimensions",
            got=f"{wanted.dimensions} dimensions",
        )
    return stored
