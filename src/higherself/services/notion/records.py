"""Records: the rows of the declared databases, for agents, skills and developers; and their sync.

`Records.of` gives a database's rows, typed and checked by its declaration. What is saved is in
PostgreSQL at once, and in Notion as soon as its page is pushed.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from higherself.db.pool import Database, Row, Transaction
from higherself.kernel.clock import Clock
from higherself.kernel.errors import NotFound
from higherself.kernel.ids import checked_entity, new_id
from higherself.kernel.jsonvalue import JsonValue
from higherself.notion.databases.declaration import (
    BUSINESSES,
    Declaration,
    DeclaredDatabase,
    UnknownDatabase,
)
from higherself.notion.databases.fields import checked
from higherself.services.notion import record_store as store
from higherself.services.notion.pulling import business_id, select_rows
from higherself.services.notion.record_store import QUERIES

KEYED = UUID("6f1c1c0e-6d0b-5b0e-9a51-3f7a5f0c9d15")
"""Row identifiers are made of keys under this one."""


class RecordMissing(NotFound):
    """There is no such row, or it is another business's."""

    def __init__(self, database: str, record: UUID) -> None:
        super().__init__(f"there is no row {record} in {database}")
        self.database, self.record = database, record


class NothingToDecide(NotFound):
    """No person is asked to decide about this field."""

    def __init__(self, database: str, record: UUID, column: str) -> None:
        super().__init__(f"nothing is to be decided about {column} of {database} {record}")


class _Shelf(NamedTuple):
    declaration: Declaration
    database: Database
    clock: Clock


class Records:
    """The rows of all declared databases."""

    def __init__(self, declaration: Declaration, database: Database, clock: Clock) -> None:
        self._on = _Shelf(declaration, database, clock)

    def of(self, database: str) -> "RecordTable":
        """Return the rows of one database.

        Raises
            UnknownDatabase: none of this name is declared, or it has no rows.
        """
        declared = self._on.declaration[database]
        if not declared.records:
            names = [each.name for each in self._on.declaration.records]
            raise UnknownDatabase(database, names)
        return RecordTable(self._on, declared)

    async def conflicts(
        self, database: str | None = None, *, entity: str | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return the values that lost, and those that a person is to decide about (``open``)."""
        given = {"database": database, "entity": entity, "limit": limit}
        async with self._on.database.reading() as tx:
            rows = await tx.many(QUERIES["list_conflicts"], given)
        return [
            {**{k: row[k] for k in ("database", "record_id", "entity", "page_id")}, **each}
            for row in rows
            for each in row["conflict"]
        ]

    async def resolve(self, database: str, record: UUID, column: str, *, take: str) -> None:
        """Decide about a field: ``take`` the value of ``server`` or of ``notion``.

        Raises
            NothingToDecide: nobody asks.
        """
        declared, now = self._on.declaration[database], self._on.clock.now()
        async with self._on.database.transaction() as tx:
            known = await store.find_record(tx, database, record)
            asked = [e for e in (known.conflict if known else ()) if e["open"] and e["column"] == column]  # fmt: skip
            if known is None or not asked:
                raise NothingToDecide(database, record, column)
            there = asked[-1]["there"]
            if take == "notion":
                await store.set_fields(tx, declared, record, {column: there}, now)
            settled = known.settled([column]).changed(base={**known.base, column: there})
            await store.save_record(tx, settled, now)
            await store.queue(tx, database, record, known.entity)

    async def standing(self) -> dict[str, Any]:
        """Return how many rows have a page, what waits to go there, and why it does."""
        async with self._on.database.reading() as tx:
            records = await tx.many(QUERIES["count_records"])
            waiting = await tx.many(QUERIES["count_pushes"])
        return {"records": [dict(row) for row in records], "waiting": [dict(row) for row in waiting]}  # fmt: skip


class RecordTable:
    """The rows of one database. Values are named by column (or property) and typed by it.

    Dates are instants with a zone, choices one of the declared options, relations the
    ``record_id`` of rows (of one, or a list).
    """

    def __init__(self, shelf: _Shelf, declared: DeclaredDatabase) -> None:
        self._on, self.declared = shelf, declared

    async def get(self, record: UUID, *, entity: str | None = None) -> Row:
        """Return a row.

        Raises
            RecordMissing: there is none, it is deleted, or it is not this business's.
        """
        async with self._on.database.reading(entity=entity) as tx:
            row = (await store.find_rows(tx, self.declared, [record])).get(record)
        if row is None or row["deleted_at"] is not None:
            raise RecordMissing(self.declared.name, record)
        return row

    async def find(
        self,
        where: Mapping[str, Any] | None = None,
        *,
        entity: str | None = None,
        text: str | None = None,
        limit: int = 100,
    ) -> list[Row]:
        """Return rows that have these values, the oldest first.

        A row's list has to hold all that is named; ``text`` is a part of the title.

        Raises
            DoesNotFit: there is no such field, or a value is not of its type.
        """
        wanted = checked(self.declared, where or {})
        async with self._on.database.reading(entity=entity) as tx:
            return await select_rows(
                tx, self.declared, wanted, text=text, entity=entity, limit=limit
            )

    async def keyed(self, entity: str, key: str) -> Row | None:
        """Return the row that was saved under ``key`` for a business, if one was and it is there."""
        record = _keyed(self.declared.name, entity, key)
        async with self._on.database.reading(entity=entity) as tx:
            row = (await store.find_rows(tx, self.declared, [record])).get(record)
        return None if row is None or row["deleted_at"] is not None else row

    async def save(
        self,
        entity: str,
        values: Mapping[str, Any],
        *,
        key: str | None = None,
        record: UUID | None = None,
    ) -> Row:
        """Add a row, or change the fields that are given; return the whole row.

        ``record`` names the row to change; so does ``key``, if a row was saved under it before.

        Raises
            DoesNotFit: there is no such field, or a value is not of its type.
            RecordMissing: there is no ``record``, or it is another business's.
        """
        fields = checked(self.declared, values)
        now, given = self._on.clock.now(), record
        checked_entity(entity)
        if key is not None:
            record = _keyed(self.declared.name, entity, key)
        async with self._on.database.transaction(entity=entity) as tx:
            found = {} if record is None else await store.find_rows(tx, self.declared, [record])
            if record is None or record not in found:
                if given is not None:
                    raise RecordMissing(self.declared.name, given)
                record = record or new_id(now)
                await self._add(tx, record, entity, fields, now)
            else:
                before = store.values_of(self.declared, found[record])
                changed = {c: v for c, v in fields.items() if v != before[c]}
                await store.set_fields(tx, self.declared, record, changed, now)
                await store.set_deleted(tx, self.declared, record, None, now)
            return (await store.find_rows(tx, self.declared, [record]))[record]

    async def delete(self, entity: str, record: UUID) -> None:
        """Put a row into the trash: its page follows. Saving it again brings both back.

        Raises
            RecordMissing: there is none, or it is another business's.
        """
        now = self._on.clock.now()
        async with self._on.database.transaction(entity=entity) as tx:
            if record not in await store.find_rows(tx, self.declared, [record]):
                raise RecordMissing(self.declared.name, record)
            await store.set_deleted(tx, self.declared, record, now, now)

    async def _add(
        self,
        tx: Transaction,
        record: UUID,
        entity: str,
        fields: dict[str, JsonValue],
        now: datetime,
    ) -> None:
        declared = self.declared
        if declared.name == BUSINESSES:
            fields = {**fields, "slug": entity}
        elif declared.id_column is not None and declared.id_prefix is not None:
            fields.setdefault(declared.id_column, business_id(declared.id_prefix))
        if declared.entity_column is not None and declared.entity_column not in fields:
            business = await _business_of(tx, self._on, entity)
            fields = {**fields, declared.entity_column: [str(business)]}
        await store.insert_row(tx, declared, record, entity, fields, now)


def _keyed(database: str, entity: str, key: str) -> UUID:
    return uuid5(KEYED, f"{database}\0{entity}\0{key}")


async def _business_of(tx: Transaction, on: _Shelf, slug: str) -> UUID:
    """Return the row that stands for a business; it is made when first needed."""
    row = await tx.maybe(QUERIES["find_business"], {"slug": slug})
    if row is not None:
        return UUID(str(row["record_id"]))
    now: datetime = on.clock.now()
    named = await tx.maybe(QUERIES["name_of_entity"], {"slug": slug})
    name = named["name"] if named else slug.replace("_", " ").replace("-", " ").title()
    record = uuid5(KEYED, f"{BUSINESSES}\0{slug}")
    declared = on.declaration[BUSINESSES]
    title = declared.title_property.column or "name"
    await store.insert_row(tx, declared, record, slug, {title: name, "slug": slug}, now)
    return record
