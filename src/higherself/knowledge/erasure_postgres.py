"""Looking for what is left of what was deleted, and writing the tables anew without it."""

import re
from collections.abc import Callable

from higherself.db.inspection import SCHEMA
from higherself.db.pool import Database, Notice
from higherself.db.queryfile import Slots, read_queries
from higherself.knowledge.erasure import Shredded
from higherself.knowledge.ports import Deleted

QUERIES = read_queries("higherself.knowledge", "erasure.sql")

ROUNDS = 3
"""How often a table is written whose deleted rows somebody saw: mostly they were soon gone."""

CLEARS_STATISTICS = 180000
"""The first PostgreSQL that can be asked to."""


class PostgresErasure:
    """Looks into every table that could hold something, whichever feature made it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def left_of(self, deleted: Deleted) -> dict[str, int]:
        """Return how many rows each table still has of deleted documents."""
        chunk_ids = [chunk.chunk_id for chunks in deleted.chunks.values() for chunk in chunks]
        wanted = {
            "documents": list(deleted.documents),
            "chunk_ids": chunk_ids,
            "first": min(chunk_ids, default=0),
            "last": max(chunk_ids, default=-1),
        }
        async with self._database.transaction() as tx:
            left: dict[str, int] = await tx.one(QUERIES["count_left"], wanted)
            tables = await tx.many(QUERIES["list_tables_of_contents"])
            for entity, chunks in deleted.chunks.items():
                empty = await tx.one(QUERIES["count_empty_terms"], {"entity": entity})
                left["lexical_posting"] += empty["terms"]
                contents = {"entity": entity, "hashes": [chunk.content_hash for chunk in chunks]}
                for table in tables:
                    slots: Slots = {"table": table["name"]}
                    row = await tx.one(QUERIES["count_left_contents"], contents, slots)
                    left[table["name"]] = left.get(table["name"], 0) + row["contents"]
        return left

    async def left_of_entity(self, entity: str) -> dict[str, int]:
        """Return how many rows each table still has of a business."""
        left: dict[str, int] = {}
        async with self._database.transaction() as tx:
            for table in await tx.many(QUERIES["list_tables_of_entities"]):
                slots: Slots = {"table": table["name"], "entity": table["entity"]}
                row = await tx.one(QUERIES["count_left_of_entity"], {"entity": entity}, slots)
                left[table["name"]] = row["left_over"]
        return left

    async def shred(self, *, progress: Callable[[str], None]) -> Shredded:
        """Write every table anew without what was deleted."""
        async with self._database.transaction() as tx:
            tables = await tx.many(QUERIES["list_tables_to_shred"])
        skipped: list[str] = []
        unseen: dict[str, int] = {}
        rest = tables
        for _ in range(ROUNDS):
            for number, table in enumerate(rest, start=1):
                name = table["name"]
                notices = await self._rewritten(table["schema"], name)
                skipped += [each.message for each in notices if each.severity == "WARNING"]
                unseen[name] = max(map(_taken_along, notices), default=0)
                progress(f"{name} written anew ({number} of {len(rest)})")
            rest = [table for table in tables if unseen[table["name"]]]
        left = {name: rows for name, rows in unseen.items() if rows}
        return Shredded(len(tables), tuple(dict.fromkeys(skipped)), left)

    async def _rewritten(self, schema: str, table: str) -> list[Notice]:
        slots: Slots = {"schema": schema, "table": table}
        notices = await self._database.outside(QUERIES["rewrite_table"], slots)
        if schema == SCHEMA:
            await self._forget_values(table)
        return notices

    async def _forget_values(self, table: str) -> None:
        """Drop what the planner knows of the values of a table of ours, if it is empty now."""
        slots: Slots = {"schema": SCHEMA, "table": table}
        async with self._database.transaction() as tx:
            if not (await tx.one(QUERIES["is_empty"], slots=slots))["empty"]:
                return
            if self._database.inspection.server_version >= CLEARS_STATISTICS:
                await tx.many(QUERIES["clear_statistics"], {"schema": SCHEMA, "table": table})
            else:
                await tx.run(QUERIES["clear_statistics_by_type"], slots=slots)


def _taken_along(notice: Notice) -> int:
    """Return how many deleted rows VACUUM FULL could not leave behind.

    Its remark is in the server's language; the first number of the detail is that.
    """
    if notice.severity != "INFO" or not (said := re.match(r"\D*(\d+)", notice.detail)):
        return 0
    return int(said[1])
