"""Rows of the declared databases, and how far each agrees with its page, in PostgreSQL.

Everything here is one statement inside a transaction of the caller's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from higherself.db.entities import remember_entity
from higherself.db.pool import Row, Transaction
from higherself.db.queryfile import read_queries
from higherself.kernel.jsonvalue import JsonValue, canonical, content_hash
from higherself.messaging.statements import encoded
from higherself.notion.databases.declaration import BUSINESSES, DeclaredDatabase
from higherself.notion.databases.fields import from_row
from higherself.notion.databases.plan import FieldConflict, Values

QUERIES = read_queries("higherself.services.notion", "records.sql")

_LISTS = frozenset({"multi_select", "people", "relation", "files"})


@dataclass(frozen=True, slots=True)
class Record:
    """How far a row and its page agree. ``state``: ok, gone (in the trash), lost (out of reach)."""

    database: str
    record_id: UUID
    entity: str
    page_id: str | None = None
    base: Values = field(default_factory=dict)
    conflict: tuple[Mapping[str, Any], ...] = ()
    deferred: Mapping[str, list[str]] = field(default_factory=dict)
    stamp: bool = False
    creating: Mapping[str, Any] | None = None
    state: str = "ok"
    reason: str | None = None
    page_hash: bytes | None = None
    page_edited_at: datetime | None = None
    synced_at: datetime | None = None

    def changed(self, **changes: Any) -> "Record":
        """Return it with some things changed."""
        return replace(self, **changes)

    def noting(self, conflicts: Iterable[FieldConflict], now: datetime) -> "Record":
        """Return it with every value that lost; what is noted already is not noted again."""
        noted = list(self.conflict)
        for each in conflicts:
            entry: dict[str, Any] = {
                "column": each.column,
                "base": each.base,
                "here": each.here,
                "there": each.there,
                "winner": {"here": "server", "there": "notion", None: None}[each.winner],
                "open": each.winner is None,
            }
            if not any(entry.items() <= known.items() for known in noted):
                if each.winner is None:  # the same question about newer values
                    noted = [k if not (k["open"] and k["column"] == each.column) else {**k, "open": False} for k in noted]  # fmt: skip
                noted.append({**entry, "at": now.isoformat()})
        return replace(self, conflict=tuple(noted))

    def settled(self, columns: Iterable[str]) -> "Record":
        """Return it without open questions about columns on which both sides agree now."""
        done = set(columns)
        noted = tuple({**k, "open": False} if k["open"] and k["column"] in done else k for k in self.conflict)  # fmt: skip
        return replace(self, conflict=noted)

    @property
    def open_columns(self) -> frozenset[str]:
        """The columns about which a person is to decide."""
        return frozenset(each["column"] for each in self.conflict if each["open"])


@dataclass(frozen=True, slots=True)
class Due:
    """A changed row that was claimed. ``changed`` gives the instant by column."""

    database: str
    record_id: UUID
    entity: str
    revision: int
    changed: Mapping[str, str]
    attempts: int


def values_of(declared: DeclaredDatabase, row: Row) -> dict[str, JsonValue]:
    """Return the fields of a row in the common form."""
    return {column: from_row(prop, row[column]) for column, prop in declared.fields.items()}


def empty_values(declared: DeclaredDatabase) -> dict[str, JsonValue]:
    """Return the fields of a row that has nothing yet."""
    return {column: [] if prop.type in _LISTS else False if prop.type == "checkbox" else None for column, prop in declared.fields.items()}  # fmt: skip


def hashed(values: Mapping[str, JsonValue]) -> bytes:
    """Return the hash of values in the common form."""
    return content_hash(canonical(dict(values)))


async def find_rows(
    tx: Transaction, declared: DeclaredDatabase, records: Sequence[UUID]
) -> dict[UUID, Row]:
    """Return rows by their identifiers; those that are not there are left out."""
    rows = await tx.many(QUERIES["find_rows"], {"records": list(records)}, {"rows": declared.name})
    return {row["record_id"]: row for row in rows}


async def insert_row(
    tx: Transaction,
    declared: DeclaredDatabase,
    record: UUID,
    entity: str,
    values: Values,
    now: datetime,
) -> None:
    """Add a row, unless it is there; its business is remembered."""
    await remember_entity(tx, entity, now)
    row = {**empty_values(declared), **values}
    stamps = {"created_at": now.isoformat(), "updated_at": now.isoformat()}
    text = encoded({**row, "record_id": str(record), "entity": entity, **stamps})
    await tx.run(QUERIES["insert_row"], {"row": text}, {"rows": declared.name})


async def set_fields(
    tx: Transaction,
    declared: DeclaredDatabase,
    record: UUID,
    values: Mapping[str, JsonValue],
    now: datetime,
) -> None:
    """Change some columns of a row; ``entity`` may be among them."""
    text = encoded(dict(values))
    for column in values:
        await tx.run(
            QUERIES["set_field"],
            {"values": text, "record_id": record, "now": now},
            {"rows": declared.name, "field": column},
        )


async def set_deleted(
    tx: Transaction, declared: DeclaredDatabase, record: UUID, at: datetime | None, now: datetime
) -> bool:
    """Put up or take away the tombstone of a row; return whether that changed anything."""
    given = {"record_id": record, "at": at, "now": now}
    return await tx.run(QUERIES["set_deleted"], given, {"rows": declared.name}) > 0


async def find_record(tx: Transaction, database: str, record: UUID) -> Record | None:
    """Return how far a row and its page agree, locked until the transaction ends."""
    row = await tx.maybe(QUERIES["find_record"], {"database": database, "record_id": record})
    return None if row is None else _record(row)


async def find_record_of_page(tx: Transaction, page: str) -> Record | None:
    """Return the same by the page."""
    row = await tx.maybe(QUERIES["find_record_of_page"], {"page_id": page})
    return None if row is None else _record(row)


async def save_record(
    tx: Transaction, record: Record, now: datetime, *, row: Values | None = None
) -> None:
    """Remember how far a row and its page agree; ``row`` are the values that the row has now."""
    creating = None if record.creating is None else encoded(record.creating)
    await tx.run(
        QUERIES["save_record"],
        {
            "database": record.database,
            "record_id": record.record_id,
            "entity": record.entity,
            "page_id": record.page_id,
            "base": encoded(dict(record.base)),
            "row_hash": None if row is None else hashed(row),
            "page_hash": record.page_hash,
            "conflict": encoded(list(record.conflict)),
            "deferred": encoded(dict(record.deferred)),
            "stamp": record.stamp,
            "creating": creating,
            "state": record.state,
            "reason": record.reason,
            "page_edited_at": record.page_edited_at,
            "now": now,
        },
    )


def _record(row: Row) -> Record:
    return Record(**{**row, "conflict": tuple(row["conflict"])})


async def queue(tx: Transaction, database: str, record: UUID, entity: str) -> None:
    """Have a row looked at, though nothing in it has changed."""
    await tx.run(
        QUERIES["queue_push"], {"database": database, "record_id": record, "entity": entity}
    )


async def entity_of_business(tx: Transaction, records: Sequence[str]) -> str | None:
    """Return the business that the only one of these rows stands for; of several, none."""
    if len(records) != 1:
        return None
    rows = await tx.many(QUERIES["entities_of_businesses"], {"records": [UUID(records[0])]})
    return rows[0]["entity"] if rows else None


def is_business(declared: DeclaredDatabase) -> bool:
    """Return whether rows of this database are the businesses themselves."""
    return declared.name == BUSINESSES
