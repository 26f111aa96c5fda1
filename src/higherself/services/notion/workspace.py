"""What carrying rows over works with, and how a page of a declared database is read."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from higherself.db.pool import Database, Transaction
from higherself.kernel.clock import Clock
from higherself.kernel.jsonvalue import JsonValue
from higherself.notion.databases.declaration import SUPABASE_ID, Declaration, DeclaredDatabase
from higherself.notion.databases.fields import from_notion
from higherself.notion.databases.lookup import Databases, DataSource
from higherself.notion.databases.schema import (
    FoundSource,
    Mapped,
    compare,
    compatible,
    found_source,
)
from higherself.notion.ports import JsonObject
from higherself.services.consequences import RecordChange
from higherself.services.notion.links import LinkBook


class PageReads(Protocol):
    """What is read of Notion here (`notion.api.Notion`)."""

    async def page(self, page: str) -> JsonObject:
        """Return a page."""
        ...

    async def data_source(self, data_source: str) -> JsonObject:
        """Return a data source."""
        ...

    async def related(self, page: JsonObject, name: str) -> list[str]:
        """Return the ids of all pages that a relation has."""
        ...


Changed = Callable[[Transaction, RecordChange], Awaitable[None]]
"""Is told, in the transaction that has it, of what people have changed: what it stores there is durable."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """What pulling and pushing work with. ``entity``: whose rows are that name no business.

    ``changed`` is told of what people change in rows.
    """

    declaration: Declaration
    database: Database
    databases: Databases
    notion: PageReads
    links: LinkBook
    clock: Clock
    entity: str = "default"
    changed: "Changed | None" = None


@dataclass(frozen=True, slots=True)
class PageValues:
    """What a page says: its fields, relations still as pages, and which row it says it is.

    ``misfits`` are declared properties that are gone or of another type.
    """

    values: Mapping[str, JsonValue]
    supabase_id: str | None
    misfits: frozenset[str]


async def read_page(
    on: Workspace, declared: DeclaredDatabase, source: DataSource, page: JsonObject
) -> PageValues:
    """Return what a page says. Relations that do not fit into a page object are asked for."""
    by_id = {each["id"]: (name, each) for name, each in page["properties"].items()}
    values: dict[str, JsonValue] = {}
    misfits = set()
    for column, prop in declared.fields.items():
        mapped = source.mapping.get(prop.name)
        if mapped is None:
            continue
        name, given = by_id.get(mapped.id, ("", None))
        if mapped.state != "ok":
            if (
                given is not None
                and mapped.state != "points_elsewhere"
                and compatible(prop.type, given["type"])
            ):
                misfits.add(prop.name)  # it can be used again
            continue
        if given is None or not compatible(prop.type, given["type"]):
            misfits.add(prop.name)
        elif given.get("has_more"):
            values[column] = sorted(set(await on.notion.related(page, name)))
        else:
            values[column] = from_notion(prop, given)
    mark = source.mapping.get(SUPABASE_ID)
    stamped = by_id.get(mark.id, ("", None))[1] if mark is not None else None
    said = from_notion(declared.properties[SUPABASE_ID], stamped) if stamped else None
    return PageValues(values, None if said is None else str(said), frozenset(misfits))


async def refresh_schema(on: Workspace, source: DataSource) -> tuple[DataSource, FoundSource]:
    """Look at a data source anew (one request), and remember which properties can be used."""
    declared = on.declaration[source.name]
    found = found_source(await on.notion.data_source(source.data_source_id))
    sources = {name: each.data_source_id for name, each in on.databases.known.items()}
    now = compare(declared, found, source.mapping, sources=sources)
    # What could be chosen before stays known, so that what is missing shows.
    kept = {name: _with_options(m, source.mapping.get(name)) for name, m in now.mapping.items()}
    views = tuple(d for d in source.drift if d.kind == "view_removed")
    looked = source.changed(mapping=kept, drift=(*now.drift, *views))
    await on.databases.save(looked, declared.columns)
    return looked, found


def _with_options(mapped: Mapped, before: Mapped | None) -> Mapped:
    known = () if before is None else before.options
    return replace(mapped, options=tuple(dict.fromkeys((*known, *mapped.options))))
