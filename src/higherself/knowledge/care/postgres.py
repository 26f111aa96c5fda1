"""Counting what does not fit together in PostgreSQL, and mending it."""

from collections.abc import Collection, Mapping
from typing import Any

from higherself.db.inspection import SCHEMA
from higherself.db.pool import Database
from higherself.db.queryfile import Slots, read_queries
from higherself.kernel.ids import ChunkId, DocumentId
from higherself.kernel.jsonvalue import canonical
from higherself.knowledge.binary_copy import posting_rows
from higherself.knowledge.care.findings import (
    UNIT_TOLERANCE,
    Facts,
    Index,
    Misindexed,
    SpaceTable,
    Table,
    Text,
    is_alone,
)
from higherself.knowledge.lexical import invert
from higherself.knowledge.model import StoredSpace
from higherself.knowledge.postgres import (
    INDEX_FROM,
    SPACE_TABLE,
    copy_postings,
)
from higherself.knowledge.postgres import QUERIES as STORE
from higherself.knowledge.revision import in_context

QUERIES = read_queries("higherself.knowledge.care")

AT_ONCE = 2_000
_SAMPLED_PAGES = 500


class PostgresCare:
    """Counts what does not fit, and mends it; of one business, or of all."""

    def __init__(self, database: Database, entity: str | None) -> None:
        self._database = database
        self._of = {"entity": entity}

    async def unprotected(self) -> list[str]:
        """Return the tables with rows of businesses that are not kept apart by forced security."""
        async with self._database.transaction() as tx:
            return [row["name"] for row in await tx.many(QUERIES["list_unprotected"])]

    async def protect(self, tables: Collection[str]) -> None:
        """Keep the businesses apart in these tables, as in all others."""
        async with self._database.transaction() as tx:
            for table in tables:
                slots: Slots = {"table": table, "entity": "slug" if table == "entity" else "entity"}
                await tx.run(QUERIES["enable_security"], slots=slots)
                for row in await tx.many(QUERIES["list_policies"], {"table": table}):
                    await tx.run(QUERIES["drop_policy"], slots={**slots, "policy": row["name"]})
                await tx.run(QUERIES["create_policy"], slots=slots)

    async def space_tables(self) -> list[SpaceTable]:
        """Return every embedding space with its table, and every such table without a space."""
        async with self._database.transaction() as tx:
            return [SpaceTable(**row) for row in await tx.many(QUERIES["list_space_tables"])]

    async def make_space_table(self, table: SpaceTable) -> None:
        """Make the table of a space, empty, in the place of the one there may be."""
        slots: Slots = {"embedding": _table(table), "dimensions": table.expected or 0}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["drop_space_table"], slots=slots)
            for name in SPACE_TABLE:
                await tx.run(STORE[name], slots=slots)
            await tx.run(QUERIES["expect_vectors"], {"space_id": table.space_id})

    async def drop_space_table(self, table: SpaceTable) -> None:
        """Drop a table of vectors."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["drop_space_table"], slots={"embedding": _table(table)})

    async def correct_space(self, table: SpaceTable) -> None:
        """Give a space the dimensions that its table has."""
        right = {"space_id": table.space_id, "dimensions": table.dimensions}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["correct_space"], right)

    async def indexes(self) -> list[Index]:
        """Return every index, measured."""
        found: list[Index] = []
        entries: dict[str, int] = {}
        async with self._database.transaction() as tx:
            for row in await tx.many(QUERIES["list_indexes"]):
                table, key_bytes = row["relation"], 0.0
                percent = {"percent": min(100.0, 100.0 * _SAMPLED_PAGES / max(1, row["pages"]))}
                for column in row["columns"]:
                    slots: Slots = {"table": table, "column": column}
                    key_bytes += (await tx.one(QUERIES["measure_column"], percent, slots))["bytes"]
                if table not in entries:
                    counted = await tx.one(QUERIES["count_rows"], slots={"table": table})
                    entries[table] = counted["entries"]
                found.append(
                    Index(
                        name=row["name"],
                        table=table,
                        # How many rows a partial one has, nobody knows.
                        method="partial" if row["partial"] else row["method"],
                        valid=row["valid"],
                        bytes=row["bytes"],
                        entries=entries[table],
                        key_bytes=key_bytes,
                    )
                )
        return found

    async def lacks_index(self, space: StoredSpace) -> bool:
        """Return whether ``space`` has grown large enough for an index, and has none that works."""
        slots: Slots = {"embedding": space.table}
        async with self._database.transaction() as tx:
            size = await tx.one(STORE["measure_space"], {"table": space.table}, slots)
        return not size["indexed"] and size["vectors"] >= INDEX_FROM

    async def rebuild_index(self, index: Index) -> None:
        """Build an index anew beside itself, while it is used."""
        await self._database.outside(
            QUERIES["rebuild_index"], {"schema": SCHEMA, "index": index.name}
        )

    async def drop_index(self, index: Index) -> None:
        """Drop an index, while its table is used."""
        await self._database.outside(QUERIES["drop_index"], {"schema": SCHEMA, "index": index.name})

    async def tables(self) -> list[Table]:
        """Return every table, measured."""
        async with self._database.transaction() as tx:
            return [Table(**row) for row in await tx.many(QUERIES["list_tables"])]

    async def vacuum(self, table: Table) -> None:
        """Free the space of a table's dead rows."""
        await self._database.outside(QUERIES["vacuum"], {"schema": SCHEMA, "table": table.name})

    async def misfiled(self) -> dict[str, int]:
        """Return how many rows belong to no document, or to another business than theirs."""
        async with self._database.transaction() as tx:
            return await tx.one(QUERIES["count_misfiled"])

    async def refile(self) -> None:
        """Delete rows of no document; give the others to the business of their document."""
        async with self._database.transaction() as tx:
            for name in (
                "drop_orphaned_chunks",
                "drop_orphaned_labels",
                "bring_chunks_home",
                "bring_labels_home",
                "expect_everywhere",
            ):
                await tx.run(QUERIES[name])

    async def broken(self) -> list[DocumentId]:
        """Return the documents whose chunks do not make up a text."""
        async with self._database.transaction() as tx:
            rows = await tx.tuples(QUERIES["find_broken_documents"], self._of)
        return [DocumentId(row[0]) for row in rows]

    async def expect_again(self, documents: Collection[DocumentId]) -> None:
        """Have these documents taken in anew when they are added again."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["expect_again"], {"documents": list(documents)})

    async def count_chunks(self) -> int:
        """Return how many chunks there are."""
        async with self._database.transaction() as tx:
            return int((await tx.one(QUERIES["count_chunks"], self._of))["chunks"])

    async def texts(self, *, after: ChunkId, limit: int) -> list[Text]:
        """Return chunks with what is embedded of them, in order, after a given one."""
        async with self._database.transaction() as tx:
            rows = await tx.many(
                QUERIES["read_texts"], {**self._of, "after": after, "limit": limit}
            )
        return [Text(**row) for row in rows]

    async def rehash(self, hashes: Mapping[ChunkId, tuple[bytes, bytes]]) -> None:
        """Give chunks that still have the first hash the second one."""
        old, new = zip(*hashes.values(), strict=True)
        async with self._database.transaction() as tx:
            await tx.run(
                QUERIES["rehash_chunks"],
                {"chunk_ids": list(hashes), "old": list(old), "new": list(new)},
            )
            await tx.run(QUERIES["expect_everywhere"])

    async def facts(self, *, after: DocumentId | None, limit: int) -> list[Facts]:
        """Return the facts of documents, in order, after a given one."""
        async with self._database.transaction() as tx:
            rows = await tx.many(
                QUERIES["read_facts"], {**self._of, "after": after, "limit": limit}
            )
        return [Facts(**row) for row in rows]

    async def relabel(self, documents: Collection[DocumentId]) -> None:
        """Give documents exactly the labels of their facts, if they still exist."""
        async with self._database.transaction() as tx:
            rows = await tx.many(QUERIES["lock_facts"], {"documents": list(documents)})
            facts = [Facts(**row) for row in rows]
            there = {"documents": [each.document_id for each in facts]}
            labels = [canonical(each.expected()).decode() for each in facts]
            await tx.run(QUERIES["drop_labels"], there)
            await tx.run(QUERIES["insert_labels"], {**there, "labels": labels})

    async def misindexed(self) -> list[Misindexed]:
        """Return the businesses whose lexical index does not say what their chunks do."""
        async with self._database.transaction() as tx:
            rows: list[dict[str, Any]] = await tx.many(QUERIES["compare_lexical"], self._of)
        return [Misindexed(**row) for row in rows]

    async def rebuild_lexical(self, entity: str) -> int:
        """Make the lexical index of a business anew, and return its chunks. All or nothing."""
        indexed = 0
        async with self._database.transaction(entity=entity) as tx:
            await tx.run(STORE["lock_lexical"], {"entity": entity})
            await tx.run(QUERIES["hold_lexical"])
            await tx.run(QUERIES["clear_lexical"], {"entity": entity})
            after = 0
            while rows := await tx.many(
                QUERIES["read_texts"], {"entity": entity, "after": after, "limit": AT_ONCE}
            ):
                texts = [Text(**row) for row in rows]
                inverted = invert([(text.chunk_id, _indexed(text)) for text in texts])
                await copy_postings(tx, posting_rows(entity, inverted))
                indexed += len(rows)
                after = texts[-1].chunk_id
        return indexed

    async def lengths(self, space: StoredSpace) -> tuple[int, int]:
        """Return how many vectors of ``space`` are zero, and how many have another length than 1."""
        wanted = {**self._of, "tolerance": UNIT_TOLERANCE}
        async with self._database.transaction() as tx:
            row = await tx.one(QUERIES["count_odd_lengths"], wanted, {"embedding": space.table})
        return row["zero"], row["off"]

    async def mend_lengths(self, space: StoredSpace) -> None:
        """Give every vector length 1; delete those that are zero."""
        slots: Slots = {"embedding": space.table}
        wanted = {**self._of, "tolerance": UNIT_TOLERANCE}
        async with self._database.transaction() as tx:
            if await tx.run(QUERIES["drop_zero_vectors"], self._of, slots):
                await tx.run(QUERIES["expect_vectors"], {"space_id": space.space_id})
            await tx.run(QUERIES["mend_lengths"], wanted, slots)

    async def private(self, space: StoredSpace) -> int:
        """Return how many vectors of ``space`` are of texts that must not leave this machine."""
        slots: Slots = {"embedding": space.table, "private": QUERIES["private"]}
        async with self._database.transaction() as tx:
            return int((await tx.one(QUERIES["count_private"], self._of, slots))["vectors"])

    async def drop_private(self, space: StoredSpace) -> None:
        """Delete those."""
        slots: Slots = {"embedding": space.table, "private": QUERIES["private"]}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["drop_private"], self._of, slots)

    async def orphaned_refusals(self, space: StoredSpace) -> int:
        """Return how many refusals of texts are noted that no chunk has any more."""
        wanted = {**self._of, "space_id": space.space_id}
        slots: Slots = {"orphaned": QUERIES["orphaned"]}
        async with self._database.transaction() as tx:
            return int(
                (await tx.one(QUERIES["count_orphaned_refusals"], wanted, slots))["refusals"]
            )

    async def drop_orphaned_refusals(self, space: StoredSpace) -> None:
        """Delete those."""
        wanted = {**self._of, "space_id": space.space_id}
        slots: Slots = {"orphaned": QUERIES["orphaned"]}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["drop_orphaned_refusals"], wanted, slots)


def _table(table: SpaceTable) -> str:
    return f"embedding_{table.space_id}"


def _indexed(text: Text) -> str:
    """Return what of a chunk is indexed by its words: just what is embedded."""
    return text.text if is_alone(text) else in_context(text.title, text.headings, text.text)
