"""From pages to rows: what people do in the declared databases in Notion arrives in PostgreSQL.

One page, one transaction. What we wrote ourselves is no change: the page says then what both sides
have agreed on.
"""

import re
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from higherself.db.pool import Transaction
from higherself.kernel.errors import HigherSelfError, Misconfigured, Unavailable
from higherself.kernel.ids import new_id
from higherself.kernel.jsonvalue import JsonValue
from higherself.messaging.statements import encoded
from higherself.notion.databases.declaration import DeclaredDatabase
from higherself.notion.databases.lookup import DataSource
from higherself.notion.databases.plan import Side, SyncPlan, Values, plan
from higherself.notion.following.sightings import Seen, Sighting, edited_at
from higherself.notion.ports import JsonObject
from higherself.services.consequences import RecordChange
from higherself.services.notion import record_store as store
from higherself.services.notion.record_store import QUERIES, Record
from higherself.services.notion.workspace import PageValues, Workspace, read_page, refresh_schema

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Of business identifiers: without letters and digits that look alike."""

DEFERRED_AT_ONCE = 500


@dataclass(slots=True)
class _Count:
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: dict[str, str] = field(default_factory=dict)


class RecordWatcher:
    """Watches the declared databases for the follower."""

    name = "records"

    def __init__(self, workspace: Workspace) -> None:
        self._on = workspace

    def watches(self, data_source_id: str | None) -> bool:
        """Return whether it is a declared database that has rows."""
        return self._declared(data_source_id) is not None

    async def see(self, sightings: Sequence[Sighting]) -> Seen:
        """Carry over what is seen, page by page.

        Raises
            Unavailable, Misconfigured: nothing can be done now; those that are done stay done.
        """
        count = _Count()
        refreshed: set[str] = set()
        for sighting in sightings:
            found = self._declared(sighting.data_source_id)
            if found is None:
                continue
            try:
                how = await self._see(sighting, *found, refreshed)
            except (Unavailable, Misconfigured):
                raise
            except HigherSelfError as error:
                count.failed[sighting.page_id] = str(error)
            else:
                setattr(count, how, getattr(count, how) + 1)
        if count.created or count.updated:
            await self.settle_deferred()
        return Seen(
            created=count.created,
            updated=count.updated,
            unchanged=count.unchanged,
            deleted=count.deleted,
            requests=len(refreshed),
            failed=count.failed,
        )

    def _declared(self, data_source_id: str | None) -> tuple[DeclaredDatabase, DataSource] | None:
        source = self._on.databases.by_source(data_source_id)
        if source is None or source.name not in self._on.declaration:
            return None
        declared = self._on.declaration[source.name]
        return (declared, source) if declared.records else None

    async def _see(
        self,
        sighting: Sighting,
        declared: DeclaredDatabase,
        source: DataSource,
        refreshed: set[str],
    ) -> str:
        if sighting.kind != "seen" or sighting.page is None:
            return await self._away(sighting, declared)
        page = dict(sighting.page)
        if page.get("in_trash"):
            return await self._away(Sighting(sighting.page_id, None, sighting.data_source_id, "gone"), declared)  # fmt: skip
        said = await read_page(self._on, declared, source, page)
        if said.misfits and source.name not in refreshed:
            refreshed.add(source.name)
            source, _ = await refresh_schema(self._on, source)
            said = await read_page(self._on, declared, source, page)
        async with self._on.database.transaction() as tx:
            return await pull(self._on, tx, declared, page, said)

    async def _away(self, sighting: Sighting, declared: DeclaredDatabase) -> str:
        now = self._on.clock.now()
        async with self._on.database.transaction() as tx:
            record = await store.find_record_of_page(tx, sighting.page_id)
            if record is None or record.state == sighting.kind:
                return "unchanged"
            if sighting.kind == "lost":
                reason = "its page is out of reach: deleted for good, or not shared any more"
                await store.save_record(tx, record.changed(state="lost", reason=reason), now)
                return "unchanged"
            await store.set_deleted(tx, declared, record.record_id, now, now)
            reason = "its page is in the trash"
            await store.save_record(tx, record.changed(state="gone", reason=reason), now)
            return "deleted"

    async def settle_deferred(self) -> int:
        """Translate relations whose other end is known by now; return how many records changed."""
        settled: Counter[str] = Counter()
        async with self._on.database.transaction() as tx:
            waiting = await tx.many(QUERIES["deferred_records"], {"database": None, "limit": DEFERRED_AT_ONCE})  # fmt: skip
        for each in waiting:
            declared = self._on.declaration[each["database"]]
            async with self._on.database.transaction() as tx:
                record = await store.find_record(tx, declared.name, each["record_id"])
                if record is not None and await _settle(self._on, tx, declared, record):
                    settled[declared.name] += 1
        return settled.total()


async def pull(
    on: Workspace,
    tx: Transaction,
    declared: DeclaredDatabase,
    page: JsonObject,
    said: PageValues,
) -> str:
    """Carry over what a page says; return ``created``, ``updated`` or ``unchanged``."""
    now = on.clock.now()
    there, deferred = await translated(on, tx, declared, said.values)
    record = await _record_of(tx, declared, page["id"], said)
    created = record is None
    if record is None:
        record = await _new_record(on, tx, declared, page["id"], there)
    digest = store.hashed(said.values)
    named = said.supabase_id == str(record.record_id)
    if not created and record.page_hash == digest and record.state == "ok" and named and not record.deferred:  # fmt: skip
        return "unchanged"
    rows = await store.find_rows(tx, declared, [record.record_id])
    row = rows.get(record.record_id)
    if row is None:  # deleted here: the page follows
        return "unchanged"
    here = store.values_of(declared, row)
    decided = plan(
        record.base, here, there, policies(declared), newer=await _newer(tx, record, page)
    )
    restored = record.state == "gone" and await store.set_deleted(tx, declared, record.record_id, None, now)  # fmt: skip
    record = record.changed(
        page_id=page["id"],
        deferred=deferred,
        page_hash=digest,
        page_edited_at=edited_at(page),
        state="ok",
        reason=None,
        stamp=record.stamp or created or bool(decided.pulls) or not named,
    )
    record = await apply(on, tx, declared, record, decided, there)
    await store.save_record(tx, record, now, row={**here, **decided.pulls})
    if decided.pulls and on.changed is not None:
        after = {**here, **decided.pulls}
        await on.changed(
            tx,
            RecordChange(
                database=declared.name,
                record=record.record_id,
                entity=record.entity,
                before=here,
                after=after,
                person=(page.get("last_edited_by") or {}).get("id"),
            ),
        )
    if record.stamp or decided.pushes:
        await store.queue(tx, declared.name, record.record_id, record.entity)
    if created:
        return "created"
    return "updated" if decided.pulls or restored else "unchanged"


async def apply(
    on: Workspace,
    tx: Transaction,
    declared: DeclaredDatabase,
    record: Record,
    decided: SyncPlan,
    there: Values,
) -> Record:
    """Change the row as was decided, and return the record with what Notion is known to say now."""
    now = on.clock.now()
    pulls = dict(decided.pulls)
    if declared.entity_column in pulls:
        entity = await store.entity_of_business(tx, [str(e) for e in pulls[declared.entity_column or ""] or ()])  # type: ignore[union-attr]  # fmt: skip
        if entity is not None and entity != record.entity:
            pulls["entity"] = entity
            record = record.changed(entity=entity)
    await store.set_fields(tx, declared, record.record_id, pulls, now)
    asked = {each.column for each in decided.conflicts if each.winner is None}
    base = {**record.base, **{c: there[c] for c in decided.agreed if c in there and c not in asked}}
    settled = record.settled(c for c in there if c not in asked)
    return settled.noting(decided.conflicts, now).changed(base=base)


def policies(declared: DeclaredDatabase) -> dict[str, Any]:
    """Return the policy of each column."""
    return {column: prop.policy for column, prop in declared.fields.items()}


async def translated(
    on: Workspace, tx: Transaction, declared: DeclaredDatabase, values: Values
) -> tuple[dict[str, JsonValue], dict[str, list[str]]]:
    """Return values with relations as rows, and the relations that have to wait."""
    there: dict[str, JsonValue] = {}
    deferred: dict[str, list[str]] = {}
    for column, value in values.items():
        prop = declared.fields[column]
        if prop.to is None:
            there[column] = value
            continue
        pages = [str(each) for each in value or ()]  # type: ignore[union-attr]
        known = await on.links.records_of(tx, prop.to, pages)
        if known is None:
            deferred[column] = pages
        else:
            there[column] = known
    return there, deferred


async def _settle(
    on: Workspace, tx: Transaction, declared: DeclaredDatabase, record: Record
) -> bool:
    there, waiting = await translated(on, tx, declared, record.deferred)
    rows = await store.find_rows(tx, declared, [record.record_id])
    if not there or record.record_id not in rows:
        return False
    here = store.values_of(declared, rows[record.record_id])
    decided = plan(record.base, here, there, policies(declared))
    record = await apply(on, tx, declared, record.changed(deferred=waiting), decided, there)
    await store.save_record(tx, record, on.clock.now(), row={**here, **decided.pulls})
    return True


async def _record_of(
    tx: Transaction, declared: DeclaredDatabase, page: str, said: PageValues
) -> Record | None:
    """Return the record of a page: by its id, by the row it names, by its business identifier.

    A page that was copied in Notion names the row of another page: then it is a new one.
    """
    record = await store.find_record_of_page(tx, page)
    if record is not None:
        return record
    named = _uuid(said.supabase_id)
    if named is None and declared.id_column is not None and said.values.get(declared.id_column):
        named = await _row_called(tx, declared, said.values[declared.id_column])
    if named is None or named not in await store.find_rows(tx, declared, [named]):
        return None
    record = await store.find_record(tx, declared.name, named)
    if record is not None and record.page_id is not None:
        return None
    if record is None:
        row = (await store.find_rows(tx, declared, [named]))[named]
        return Record(declared.name, named, row["entity"])
    if record.creating is None:
        return record
    # We made the page, and were stopped before we could say so.
    empty = store.empty_values(declared)
    base = {**{c: empty[c] for c in said.values}, **record.creating["base"]}
    return record.changed(base=base, creating=None)


def _uuid(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None


async def _row_called(tx: Transaction, declared: DeclaredDatabase, name: JsonValue) -> UUID | None:
    rows = await select_rows(tx, declared, {declared.id_column or "": name}, limit=2)
    return rows[0]["record_id"] if len(rows) == 1 else None


async def select_rows(
    tx: Transaction,
    declared: DeclaredDatabase,
    where: Values,
    *,
    text: str | None = None,
    entity: str | None = None,
    deleted: bool = False,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Return rows whose columns have some values, the oldest first."""
    return await tx.many(
        QUERIES["select_rows"],
        {
            "where": encoded(dict(where)),
            "text": text,
            "entity": entity,
            "deleted": deleted,
            "limit": limit,
        },
        {"rows": declared.name, "title": declared.title_property.column or ""},
    )


async def _new_record(
    on: Workspace, tx: Transaction, declared: DeclaredDatabase, page: str, there: Values
) -> Record:
    """Make the row of a page: empty but for its own identifier; the plan fills it."""
    now = on.clock.now()
    values: dict[str, JsonValue] = {}
    entity = on.entity
    if store.is_business(declared):
        title = str(there.get(declared.title_property.column or "") or "")
        entity = await business_slug(tx, title)
        row = await tx.maybe(QUERIES["find_business"], {"slug": entity})
        if row is not None:
            known = await store.find_record(tx, declared.name, row["record_id"])
            if known is None or known.page_id is None:
                return (known or Record(declared.name, row["record_id"], entity)).changed(page_id=page)  # fmt: skip
            entity = f"{entity}_{secrets.token_hex(3)}"
        values[declared.id_column or "slug"] = entity
    elif declared.id_prefix is not None and declared.id_column is not None:
        values[declared.id_column] = business_id(declared.id_prefix)
    if declared.entity_column is not None:
        entity = await store.entity_of_business(tx, [str(e) for e in there.get(declared.entity_column) or ()]) or entity  # type: ignore[union-attr]  # fmt: skip
    record = new_id(now)
    await store.insert_row(tx, declared, record, entity, values, now)
    return Record(declared.name, record, entity, page)


async def business_slug(tx: Transaction, title: str) -> str:
    """Return what a business of this name is called in commands and rows."""
    slug = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:50]
    return slug or f"business_{secrets.token_hex(3)}"


def business_id(prefix: str) -> str:
    """Return a new business identifier, such as CTCT-7K2MWQ9X."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(8))


async def _newer(tx: Transaction, record: Record, page: JsonObject) -> dict[str, Side]:
    """Return the columns that were changed here in a later minute than the page was edited."""
    edited = edited_at(page)
    row = await tx.maybe(QUERIES["find_push"], {"database": record.database, "record_id": record.record_id})  # fmt: skip
    if row is None or edited is None:
        return {}
    return {column: "here" for column, at in row["changed"].items() if _minute(at) > edited}


def _minute(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC).replace(second=0, microsecond=0)
