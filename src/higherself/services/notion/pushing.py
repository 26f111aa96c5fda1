"""From rows to pages: what changes in PostgreSQL arrives in the declared databases in Notion.

A trigger queues every changed row. What is sent is what the row has and both sides have not agreed
on; a row without such a thing costs no request. Before a field is sent that people change too, its
page is read, so that what a person did a moment ago is not overwritten unseen.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from higherself.kernel.errors import HigherSelfError, Misconfigured, Unavailable
from higherself.kernel.jsonvalue import JsonValue, canonical, content_hash
from higherself.kernel.tasks import raise_if_cancelled
from higherself.notion.databases.declaration import LAST_SYNCED, SUPABASE_ID, DeclaredDatabase
from higherself.notion.databases.fields import to_notion
from higherself.notion.databases.lookup import DataSource
from higherself.notion.databases.plan import plan
from higherself.notion.databases.schema import FoundSource
from higherself.notion.errors import PageNotFound
from higherself.notion.following.brake import Brake
from higherself.notion.following.sightings import edited_at
from higherself.notion.ports import JsonObject
from higherself.services.notion import record_store as store
from higherself.services.notion.pulling import apply, policies, translated
from higherself.services.notion.record_store import QUERIES, Due, Record
from higherself.services.notion.workspace import Workspace, read_page, refresh_schema

LEASE = timedelta(minutes=5)
AGAIN = (timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
SCHEMA_FRESH = timedelta(minutes=10)
"""How old what is known of a database's options may be when a choice is sent."""

_CHOICES = frozenset({"select", "status", "multi_select"})


class PageWrites(Protocol):
    """What is written to Notion here (`notion.writes.Writes`). The same key is done once."""

    async def create_page(
        self, parent: JsonObject, properties: JsonObject, *, key: str
    ) -> JsonObject:
        """Make a page."""
        ...

    async def update_page(
        self,
        page: str,
        *,
        key: str,
        properties: JsonObject | None = None,
        in_trash: bool | None = None,
    ) -> JsonObject:
        """Change a page."""
        ...


@dataclass(slots=True)
class Pushed:
    """What became of changed rows. ``waiting`` can go on only when something else has happened."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    trashed: int = 0
    restored: int = 0
    waiting: int = 0
    held: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def handled(self) -> int:
        """How many rows were looked at."""
        return self.created + self.updated + self.unchanged + self.trashed + self.restored + self.waiting + self.held + len(self.failed)  # fmt: skip

    def add(self, other: "Pushed") -> None:
        """Count more of them."""
        for name in ("created", "updated", "unchanged", "trashed", "restored", "waiting", "held"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failed |= other.failed


class _Waits(Exception):
    """It can go on when something else has happened."""


class RecordPusher:
    """Brings changed rows to Notion."""

    def __init__(self, workspace: Workspace, writes: PageWrites, *, brake: Brake | None = None) -> None:  # fmt: skip
        self._on, self._writes = workspace, writes
        self._brake = brake or Brake()
        self._schemas: dict[str, tuple[datetime, FoundSource]] = {}

    async def push(self, *, limit: int = 100, release: Sequence[str] = ()) -> Pushed:
        """Bring up to ``limit`` changed rows to Notion; ``release`` names databases without brake.

        Raises
            Unavailable, Misconfigured: Notion lets nothing through now; what is left stays queued.
        """
        known = await self._on.databases.load()
        names = [name for name, source in known.items() if source.state != "missing" and name in self._on.declaration]  # fmt: skip
        pushed = Pushed()
        due = await self._claim(names, limit)
        held = dict.fromkeys(release, False)
        for name in set(release) & {n for n, source in known.items() if source.state == "held"}:
            await self._on.databases.set_state(name, "ok")
        for number, each in enumerate(due):
            raise_if_cancelled()
            try:
                how = await self._one(each, held)
            except _Waits as waits:
                await self._postpone(each, str(waits), waits=True)
                pushed.waiting += 1
            except (Unavailable, Misconfigured):
                await self._release(due[number:])
                raise
            except HigherSelfError as error:
                await self._postpone(each, str(error))
                pushed.failed[f"{each.database}/{each.record_id}"] = str(error)
            else:
                setattr(pushed, how, getattr(pushed, how) + 1)
        if pushed.created:
            await self.wake()
        return pushed

    async def wake(self, database: str | None = None) -> None:
        """Let what waited try again: a page was made, or a database is as declared again."""
        self._schemas.clear()
        async with self._on.database.transaction() as tx:
            await tx.run(QUERIES["wake_pushes"], {"now": self._on.clock.now(), "database": database})  # fmt: skip

    async def wake_held(self, database: str) -> None:
        """Have every row of a database looked at that waits for its time."""
        async with self._on.database.transaction() as tx:
            await tx.run(QUERIES["hasten_pushes"], {"now": self._on.clock.now(), "database": database})  # fmt: skip

    # --- The queue.

    async def _claim(self, names: Sequence[str], limit: int) -> list[Due]:
        now = self._on.clock.now()
        given = {"now": now, "until": now + LEASE, "databases": list(names), "limit": limit}
        async with self._on.database.transaction() as tx:
            rows = await tx.many(QUERIES["claim_pushes"], given)
        return [Due(**row) for row in rows]

    async def _postpone(self, due: Due, error: str, *, waits: bool = False) -> None:
        wait = AGAIN[min(due.attempts, len(AGAIN) - 1)]
        async with self._on.database.transaction() as tx:
            await tx.run(
                QUERIES["postpone_push"],
                {**_named(due), "due_at": self._on.clock.now() + wait, "waits": waits, "error": error},
            )  # fmt: skip

    async def _release(self, left: Sequence[Due]) -> None:
        async with self._on.database.transaction() as tx:
            for due in left:
                await tx.run(QUERIES["release_push"], {**_named(due), "now": self._on.clock.now()})

    async def _holds(self, name: str, held: dict[str, bool]) -> bool:
        """Return whether so many pages would go to the trash that a person is to be asked."""
        if name not in held:
            held[name] = await self._asks(name)
        return held[name]

    async def _asks(self, name: str) -> bool:
        async with self._on.database.transaction() as tx:
            row = await tx.one(QUERIES["pending_deletions"], {"database": name}, {"rows": name})
        held = self._brake.holds(row["pending"], of=row["living"], proven=True)
        if held:
            reason = (
                f"{row['pending']} of {row['living']} pages would go to the trash, because their "
                f"rows are deleted; if that is meant: `higherself notion release {name}`"
            )
            await self._on.databases.set_state(name, "held", reason)
        elif self._on.databases.known[name].state == "held":
            await self._on.databases.set_state(name, "ok")
        return held

    # --- One row.

    async def _one(self, due: Due, held: dict[str, bool]) -> str:
        declared = self._on.declaration[due.database]
        source = self._on.databases.known[due.database]
        async with self._on.database.transaction() as tx:
            row = (await store.find_rows(tx, declared, [due.record_id])).get(due.record_id)
            record = await store.find_record(tx, declared.name, due.record_id)
        deleted = row is None or row["deleted_at"] is not None
        if record is None or record.page_id is None:
            if row is None or (deleted and (record is None or record.creating is None)):
                return await self._finished(due, None, "unchanged")
            record = record or Record(declared.name, due.record_id, row["entity"])
            return await self._create(due, declared, source, record, row)
        if record.state == "lost":
            raise _Waits(record.reason or "its page is out of reach")
        if deleted and record.state == "ok":
            if await self._holds(due.database, held):
                await self._postpone(due, "held: see `higherself notion status`")
                return "held"
            return await self._trash(due, record, gone=row is None)
        if deleted or row is None:
            return await self._finished(due, record, "unchanged", gone=row is None)
        if record.state == "gone":
            key = f"record:{record.page_id}:restore:{due.revision}"
            await self._writes.update_page(record.page_id, key=key, in_trash=False)
            await self._save(due, record.changed(state="ok", reason=None), finish=False)
            return "restored"  # and the row comes again, with its fields
        return await self._update(due, declared, source, record, row)

    async def _create(
        self,
        due: Due,
        declared: DeclaredDatabase,
        source: DataSource,
        record: Record,
        row: dict[str, Any],
    ) -> str:
        """Make the page of a row. What is sent is remembered first: a second try sends the same."""
        if record.creating is None:
            here = store.values_of(declared, row)
            filled = {c: v for c, v in here.items() if v not in (None, [], False, "")}
            properties, sent, _ = await self._properties(declared, source, filled)
            properties |= self._stamps(source, record.record_id)
            record = record.changed(creating={"properties": properties, "base": sent})
            async with self._on.database.transaction() as tx:
                await store.save_record(tx, record, self._on.clock.now())
        creating = dict(record.creating or {})
        digest = content_hash(canonical(creating)).hex()[:16]
        try:
            page = await self._writes.create_page(
                {"type": "data_source_id", "data_source_id": source.data_source_id},
                creating["properties"],
                key=f"record:{source.data_source_id}:{record.record_id}:create:{digest}",
            )
        except (Unavailable, Misconfigured):
            raise
        except HigherSelfError:
            async with self._on.database.transaction() as tx:  # it is refused: send another one
                await store.save_record(tx, record.changed(creating=None), self._on.clock.now())
            raise
        empty = store.empty_values(declared)
        usable = {c for c, p in declared.fields.items() if source.property_id(p.name) is not None}
        base = {**{c: empty[c] for c in usable}, **creating["base"]}
        made = record.changed(page_id=page["id"], base=base, creating=None, page_edited_at=edited_at(page))  # fmt: skip
        here = store.values_of(declared, row)
        whole = all(here[c] == base[c] for c in usable)
        await self._save(due, made, finish=whole)
        return "created"

    async def _update(
        self,
        due: Due,
        declared: DeclaredDatabase,
        source: DataSource,
        record: Record,
        row: dict[str, Any],
    ) -> str:
        here = store.values_of(declared, row)
        wanted = _wanted(here, record, due)
        if not wanted and not record.stamp:
            return await self._finished(due, record, "unchanged")
        changes: Mapping[str, JsonValue] = {c: here[c] for c in wanted}
        properties, sent, why = await self._properties(declared, source, changes)
        if why and not properties and not record.stamp:
            raise _Waits(why)
        if any(declared.fields[c].policy != "server_only" for c in sent):
            looked = await self._look(due, declared, source, record)
            if looked is None:
                raise _Waits("its page is out of reach, or in the trash")
            record, changes = looked
            properties, sent, also = await self._properties(declared, source, changes)
            why = why or also
        if why and not properties and not record.stamp:
            raise _Waits(why)
        if not properties and not record.stamp:
            return await self._finished(due, record, "unchanged")
        properties |= self._stamps(source, record.record_id)
        digest = content_hash(canonical(properties)).hex()[:16]
        page = await self._writes.update_page(
            record.page_id or "",
            key=f"record:{record.page_id}:{due.revision}:{digest}",
            properties=properties,
        )
        await self._sent(due, record, sent, edited_at(page), finish=not why)
        if why:
            await self._postpone(due, why, waits=True)
        return "updated"

    async def _look(
        self, due: Due, declared: DeclaredDatabase, source: DataSource, record: Record
    ) -> tuple[Record, Mapping[str, JsonValue]] | None:
        """Read the page as it is now, take over what people changed, and return what is to be sent."""
        now = self._on.clock.now()
        try:
            page = await self._on.notion.page(record.page_id or "")
        except PageNotFound:
            page = {"in_trash": True}
        if page.get("in_trash"):
            return None
        said = await read_page(self._on, declared, source, page)
        async with self._on.database.transaction() as tx:
            there, deferred = await translated(self._on, tx, declared, said.values)
            fresh = await store.find_record(tx, declared.name, due.record_id) or record
            rows = await store.find_rows(tx, declared, [due.record_id])
            if due.record_id not in rows:
                return None
            here = store.values_of(declared, rows[due.record_id])
            edited = edited_at(page)
            newer = {c: "here" for c, at in due.changed.items() if edited is not None and _minute(at) > edited}  # fmt: skip
            decided = plan(fresh.base, here, there, policies(declared), newer=newer)  # type: ignore[arg-type]
            fresh = fresh.changed(deferred=deferred, page_edited_at=edited)
            fresh = await apply(self._on, tx, declared, fresh, decided, there)
            await store.save_record(tx, fresh, now, row={**here, **decided.pulls})
        return fresh, decided.pushes

    async def _trash(self, due: Due, record: Record, *, gone: bool) -> str:
        key = f"record:{record.page_id}:trash:{due.revision}"
        with suppress(PageNotFound):  # then there is nothing left to do
            await self._writes.update_page(record.page_id or "", key=key, in_trash=True)
        await self._finished(due, record.changed(state="gone", reason="its row was deleted"), "", gone=gone)  # fmt: skip
        return "trashed"

    # --- What is sent.

    async def _properties(
        self,
        declared: DeclaredDatabase,
        source: DataSource,
        values: Mapping[str, JsonValue],
    ) -> tuple[JsonObject, dict[str, JsonValue], str]:
        """Return properties to send, the values that they are, and why others cannot go yet."""
        properties: JsonObject = {}
        sent: dict[str, JsonValue] = {}
        why = ""
        found = await self._schema(source) if any(declared.fields[c].type in _CHOICES and v for c, v in values.items()) else None  # fmt: skip
        for column, value in values.items():
            prop = declared.fields[column]
            mapped = source.mapping.get(prop.name)
            if mapped is None or mapped.state != "ok":
                why = f"{prop.name}: its property in Notion is {mapped.state if mapped else 'missing'}; its field is paused"  # fmt: skip
                continue
            if found is not None and prop.type in _CHOICES and (lacking := _lacking(prop.options, found, mapped.id, value)):  # fmt: skip
                why = f"{prop.name}: the option {lacking!r} is not in Notion any more; `higherself notion setup` adds it"  # fmt: skip
                continue
            given: JsonValue = value
            if prop.to is not None:
                async with self._on.database.transaction() as tx:
                    given = await self._on.links.pages_of(tx, prop.to, [str(e) for e in value or ()])  # type: ignore[union-attr]  # fmt: skip
                if given is None:
                    why = f"{prop.name}: a row of {prop.to} that it names has no page yet"
                    continue
            properties[mapped.id] = to_notion(prop, mapped.type, given)
            sent[column] = value
        return properties, sent, why

    def _stamps(self, source: DataSource, record: UUID) -> JsonObject:
        """Return which row the page is, and when it was synced."""
        stamps: JsonObject = {}
        if (mark := source.property_id(SUPABASE_ID)) is not None:
            stamps[mark] = {"rich_text": [{"type": "text", "text": {"content": str(record)}}]}
        if (synced := source.property_id(LAST_SYNCED)) is not None:
            stamps[synced] = {"date": {"start": self._on.clock.now().isoformat(timespec="milliseconds")}}  # fmt: skip
        return stamps

    async def _schema(self, source: DataSource) -> FoundSource:
        known = self._schemas.get(source.name)
        now = self._on.clock.now()
        if known is None or known[0] + SCHEMA_FRESH < now:
            _, found = await refresh_schema(self._on, source)
            known = self._schemas[source.name] = (now, found)
        return known[1]

    # --- What is remembered.

    async def _sent(
        self,
        due: Due,
        record: Record,
        sent: Mapping[str, JsonValue],
        edited: datetime | None,
        *,
        finish: bool,
    ) -> None:
        """Remember what both sides agree on now; the follower may have seen the page meanwhile."""
        async with self._on.database.transaction() as tx:
            fresh = await store.find_record(tx, due.database, due.record_id) or record
            base = {**fresh.base, **sent}
            saved = fresh.changed(base=base, stamp=False, page_edited_at=edited, page_hash=None)
            await store.save_record(tx, saved, self._on.clock.now())
            if finish:
                await tx.run(QUERIES["finish_push"], _named(due))

    async def _save(self, due: Due, record: Record, *, finish: bool) -> None:
        async with self._on.database.transaction() as tx:
            await store.save_record(tx, record, self._on.clock.now())
            if finish:
                await tx.run(QUERIES["finish_push"], _named(due))
            else:
                await tx.run(QUERIES["release_push"], {**_named(due), "now": self._on.clock.now()})

    async def _finished(
        self, due: Due, record: Record | None, how: str, *, gone: bool = False
    ) -> str:
        async with self._on.database.transaction() as tx:
            if record is not None and not gone and how == "":
                await store.save_record(tx, record, self._on.clock.now())
            if gone:
                await tx.run(QUERIES["forget_record"], _named(due))
            await tx.run(QUERIES["finish_push"], _named(due))
        return how


def _named(due: Due) -> dict[str, Any]:
    return {"database": due.database, "record_id": due.record_id, "revision": due.revision}


def _wanted(here: Mapping[str, JsonValue], record: Record, due: Due) -> set[str]:
    """Return the columns on which both sides have not agreed, and which are not for a person to decide.

    One that a person is to decide is looked at again once it has been changed here.
    """
    differ = {c for c, v in here.items() if (v != record.base[c] if c in record.base else v not in (None, [], False))}  # fmt: skip
    return differ - (record.open_columns - due.changed.keys()) - record.deferred.keys()


def _lacking(options: Sequence[str], found: FoundSource, property_id: str, value: JsonValue) -> str | None:  # fmt: skip
    """Return the first option that was declared and is gone in Notion: sending it would make it anew."""
    there = found.properties.get(property_id)
    if there is None:
        return None
    chosen = [value] if isinstance(value, str) else [str(each) for each in value or ()]  # type: ignore[union-attr]  # fmt: skip
    return next((each for each in chosen if each in options and each not in there.option_names), None)  # fmt: skip


def _minute(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(second=0, microsecond=0)
