"""Setting up: make or extend the declared databases in Notion, find those that are there, compare.

Everything can be done again, also after the process was killed: what was made is remembered at
once, writes have keys, and a database whose title is there already is never made a second time.
Nothing is removed, and nothing of a person's renamed.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from higherself.kernel.errors import Conflict
from higherself.kernel.jsonvalue import canonical, content_hash
from higherself.notion.databases.declaration import Declaration
from higherself.notion.databases.locating import (
    Action,
    Located,
    Locating,
    ParentMissing,
    SchemaReads,
    only_source,
)
from higherself.notion.databases.lookup import Databases, DataSource
from higherself.notion.databases.schema import (
    Drift,
    Extension,
    FoundProperty,
    FoundSource,
    SchemaPlan,
    compare,
    found_source,
    options_json,
    property_json,
)
from higherself.notion.databases.view_bodies import needed, view_body
from higherself.notion.ports import JsonObject

FIRST_VIEW = "Default view"
"""What Notion calls the view that a database is made with."""

PASSES = 4
"""Times that one database is extended at most: relations, formulas, formulas that need relations."""


class Reads(SchemaReads, Protocol):
    """What setting up reads of Notion (`notion.api.Notion`)."""

    def views(self, *, database: str) -> AsyncIterator[JsonObject]:
        """Yield the views of a database; of some only their ids are said."""
        ...

    async def view(self, view: str) -> JsonObject:
        """Return a view."""
        ...


class SchemaWrites(Protocol):
    """What setting up writes (`notion.writes.Writes`). The same key is done once."""

    async def create_database(
        self,
        parent: JsonObject,
        title: str,
        properties: JsonObject,
        *,
        key: str,
        icon: str | None = None,
        description: str = "",
    ) -> JsonObject:
        """Make a database with one data source."""
        ...

    async def update_data_source(
        self, data_source: str, *, key: str, properties: JsonObject
    ) -> JsonObject:
        """Add or change properties."""
        ...

    async def create_view(self, body: JsonObject, *, key: str) -> JsonObject:
        """Make a view."""
        ...


class SetupRunning(Conflict):
    """Another process sets the databases up."""

    def __init__(self) -> None:
        super().__init__("another process sets the databases up now; wait for it to end")


@dataclass(frozen=True, slots=True)
class SetupStep:
    """How far it is."""

    done: int
    total: int
    what: str


@dataclass(frozen=True, slots=True)
class DatabaseReport:
    """What was done about one database, or would be."""

    name: str
    title: str
    action: Action
    database_id: str | None = None
    properties: tuple[str, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    views: tuple[str, ...] = ()
    drift: tuple[Drift, ...] = ()


@dataclass(frozen=True, slots=True)
class SetupReport:
    """What setting up did; ``checked_only``: what it would do."""

    databases: tuple[DatabaseReport, ...]
    checked_only: bool = False

    @property
    def drift(self) -> tuple[Drift, ...]:
        """What is not as declared."""
        return tuple(each for database in self.databases for each in database.drift)

    @property
    def complete(self) -> bool:
        """Whether nothing is lacking, and nothing different but names."""
        lacking = any(d.properties or d.options or d.views for d in self.databases)
        return not (self.checked_only and lacking) and all(d.kind == "renamed" for d in self.drift)


class SetUp:
    """Sets the declared databases up in one Notion workspace.

    ``adopt`` gives databases (or data sources) that are there already, by the name declared.
    """

    def __init__(
        self,
        declaration: Declaration,
        *,
        notion: Reads,
        writes: SchemaWrites,
        databases: Databases,
        adopt: Mapping[str, str] | None = None,
    ) -> None:
        self.declaration, self.notion, self.writes = declaration, notion, writes
        self.databases = databases
        self.adopt = {declaration[name].name: each for name, each in (adopt or {}).items() if each}

    async def plan(self, parent: str | None = None) -> tuple[SchemaPlan, SetupReport]:
        """Compare only: return what `run` would do, and the report of it. Nothing is written.

        Raises
            NotFound, Misconfigured, Unavailable, ...: Notion refuses, or does not answer.
        """
        found = await self._locating(parent).all()
        sources = _sources(found)
        for each in found:
            if each.source is not None and each.found is not None:
                names = await self._view_names(each)
                each.plan = _compared(each, sources, names.values())
                _expect(each)
            elif each.action == "created":
                each.properties = list(each.declared.properties)
                each.views = [view.name for view in each.declared.views]
        return SchemaPlan(
            creates=tuple(e.declared for e in found if e.action == "created"),
            extends=tuple(e.plan for e in found if e.plan is not None and e.plan.changes),
            drift=tuple(drift for e in found for drift in _report(e).drift),
        ), SetupReport(tuple(map(_report, found)), checked_only=True)

    async def run(
        self,
        parent: str | None = None,
        *,
        anew: Sequence[str] = (),
        progress: Callable[[SetupStep], None] = lambda step: None,
    ) -> SetupReport:
        """Make what is missing, and return what was done.

        ``anew`` names databases to leave as they are, and to make or adopt another in their place.

        Raises
            SetupRunning: another process is at it.
            ParentMissing, AmbiguousDatabase: a person has to say more.
            NotFound, Misconfigured, Unavailable, ...: Notion refuses, or does not answer; what was
                made until then is kept, and `run` goes on from there.
        """
        async with self.databases.exclusively() as free:
            if not free:
                raise SetupRunning
            locating = self._locating(parent)
            found = await locating.all(anew)
            if locating.parent is None and any(e.action == "created" for e in found):
                raise ParentMissing
            steps = _Steps(progress, 3 * len(found))
            for each in found:
                if each.action == "created":
                    await self._create(each, locating.parent or "")
                steps.next(each.declared.title)
            for each in found:
                await self._extend(each, found)
                steps.next(f"{each.declared.title}: properties")
            for each in found:
                await self._finish(each, found)
                steps.next(f"{each.declared.title}: views")
        return SetupReport(tuple(map(_report, found)))

    def _locating(self, parent: str | None) -> Locating:
        return Locating(self.declaration, self.notion, self.databases, self.adopt, parent)

    # --- Making.

    async def _create(self, each: Located, parent: str) -> None:
        declared = each.declared
        plain = [p for p in declared.properties.values() if p.type not in ("relation", "formula")]
        before = self.databases.data_source(declared.name)
        properties = {p.name: property_json(p, sources={}, names={}) for p in plain}
        made = await self.writes.create_database(
            {"type": "page_id", "page_id": parent},
            declared.title,
            properties,
            key=_key(
                declared.name, parent, "" if before is None else before.database_id, properties
            ),
            icon=declared.icon or None,
            description=declared.about,
        )
        source = DataSource(declared.name, made["id"], only_source(declared, made), parent)
        await self.databases.save(source)
        each.source, each.properties = source, [p.name for p in plain]
        # Its answer names no properties: until the next one does, their names stand for their ids.
        stand_in = {p.name: FoundProperty(p.name, p.name, p.type, tuple({"name": o} for o in p.options)) for p in plain}  # fmt: skip
        each.found = FoundSource(source.data_source_id, made["id"], declared.title, False, stand_in)
        each.looked = False

    # --- Properties and options.

    async def _extend(self, each: Located, found: list[Located]) -> None:
        """Add what is missing: relations with the first pass, formulas when what they mention is there."""
        if each.source is None or each.found is None:
            return
        for _ in range(PASSES):
            each.plan = _compared(each, _sources(found), None)
            if each.looked:
                each.source = each.source.changed(mapping=each.plan.mapping)
            body = self._next(each, found)
            if not body:
                return
            await self._write(each, body)
            await self._mirror(each, found)

    def _next(self, each: Located, found: list[Located]) -> JsonObject:
        """Return what can be added now."""
        plan = each.plan
        assert plan is not None and each.found is not None  # noqa: S101, PT018  it was compared
        sources = _sources(found)
        body: JsonObject = {}
        for name, lacking in plan.options.items():
            there = each.found.properties[plan.mapping[name].id]
            body[there.id] = options_json(there, lacking)
            each.options[name] = lacking
        there_now = each.found.properties
        called = {n: there_now[m.id].name for n, m in plan.mapping.items() if m.id in there_now}
        ready = [p for p in plan.properties if p in plan.plain or (p.type == "relation" and p.to in sources) or (p.type == "formula" and set(p.references) <= called.keys())]  # fmt: skip
        for prop in ready:
            two_way = not _is_there(prop.both, _of(found, prop.to))
            body[prop.name] = property_json(prop, sources=sources, names=called, two_way=two_way)
        each.properties += [prop.name for prop in ready]
        if body and each.action == "unchanged":
            each.action = "extended"
        return body

    async def _write(self, each: Located, properties: JsonObject) -> None:
        assert each.source is not None  # noqa: S101  the caller has one
        source = each.source.changed(revision=each.source.revision + 1)
        answer = await self.writes.update_data_source(
            source.data_source_id,
            key=_key(source.name, source.data_source_id, source.revision, properties),
            properties=properties,
        )
        each.found, each.source, each.looked = found_source(answer), source, True
        await self.databases.save(source, each.declared.columns)

    async def _mirror(self, each: Located, found: list[Located]) -> None:
        """Take note of what two-way relations have made in the other databases."""
        assert each.found is not None  # noqa: S101  it was written to
        for prop in each.declared.properties.values():
            there, other = each.found.named(prop.name), _of(found, prop.to)
            if prop.both is None or there is None or there.other is None or other is None:
                continue
            identifier, name = there.other
            if other.found is None or other is each or identifier in other.found.properties:
                continue
            mirrored = FoundProperty(
                identifier, name, "relation", to=each.found.data_source_id, other=(there.id, prop.name)
            )  # fmt: skip
            known = {**other.found.properties, identifier: mirrored}
            other.found = FoundSource(other.found.data_source_id, other.found.database_id, other.found.title, False, known)  # fmt: skip
            if name != prop.both and prop.name in each.properties:  # ours: made a moment ago
                await self._write(other, {identifier: {"name": prop.both}})

    # --- Views.

    async def _finish(self, each: Located, found: list[Located]) -> None:
        """Make the views that are missing, and remember what there is."""
        if each.source is None:
            return
        if each.found is None:
            await self.databases.save(
                each.source.changed(state="missing", reason=each.drift[0].detail, drift=tuple(each.drift))
            )  # fmt: skip
            return
        if not each.looked:
            answer = await self.notion.data_source(each.source.data_source_id)
            each.found, each.looked = found_source(answer), True
        names = await self._view_names(each)
        each.plan = _compared(each, _sources(found), names.values())
        source = each.source.changed(mapping=each.plan.mapping, views=names, drift=each.plan.drift)
        if source.state == "missing":
            source = source.changed(state="ok", reason=None)
        for view in each.plan.views:
            if not needed(view) <= {n for n, m in source.mapping.items() if m.state != "removed"}:
                continue
            body = view_body(view, each.declared, source.mapping, database=source.database_id, data_source=source.data_source_id)  # fmt: skip
            revision = source.revision + 1
            made = await self.writes.create_view(
                body, key=_key(source.name, source.data_source_id, revision, body)
            )
            source = source.changed(
                views={**source.views, made["id"]: view.name}, revision=revision
            )
            each.views.append(view.name)
            if each.action == "unchanged":
                each.action = "extended"
            await self.databases.save(source, each.declared.columns)
        each.plan = _compared(each, _sources(found), source.views.values())
        each.source = source.changed(drift=each.plan.drift)
        await self.databases.save(each.source, each.declared.columns)

    async def _view_names(self, each: Located) -> dict[str, str]:
        assert each.source is not None  # noqa: S101  the caller has one
        known = dict(each.source.views)
        listed = [view async for view in self.notion.views(database=each.source.database_id)]
        if each.action == "created" and not known and len(listed) == 1:
            known[listed[0]["id"]] = FIRST_VIEW  # it needs no looking at
        names: dict[str, str] = {}
        for view in listed:
            name = known.get(view["id"]) or view.get("name")
            names[view["id"]] = name or (await self.notion.view(view["id"]))["name"]
        return names


def _key(name: str, target: str, revision: object, body: JsonObject) -> str:
    """Return the key of a write: another content is another write, and so is the next revision."""
    return f"setup:{name}:{target}:{revision}:{content_hash(canonical(body)).hex()[:16]}"


class _Steps:
    def __init__(self, progress: Callable[[SetupStep], None], total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def next(self, what: str) -> None:
        self.done += 1
        self.progress(SetupStep(self.done, self.total, what))


def _compared(each: Located, sources: Mapping[str, str], views: Iterable[str] | None) -> Extension:
    assert each.source is not None and each.found is not None  # noqa: S101, PT018  callers look
    return compare(
        each.declared,
        each.found,
        each.source.mapping,
        sources=sources,
        views=views,
        known_views=each.source.views.values(),
    )


def _expect(each: Located) -> None:
    """Say in the report what would be done."""
    plan = each.plan
    assert plan is not None  # noqa: S101  it was compared
    each.properties = [p.name for p in plan.properties]
    each.options = dict(plan.options)
    each.views = [view.name for view in plan.views]
    if each.action == "unchanged" and plan.changes:
        each.action = "extended"


def _report(each: Located) -> DatabaseReport:
    return DatabaseReport(
        name=each.declared.name,
        title=each.declared.title,
        action=each.action,
        database_id=None if each.source is None else each.source.database_id,
        properties=tuple(each.properties),
        options=each.options,
        views=tuple(each.views),
        drift=(*each.drift, *(() if each.plan is None else each.plan.drift)),
    )


def _sources(found: list[Located]) -> dict[str, str]:
    """Return the data sources of the databases that there are."""
    return {e.declared.name: e.source.data_source_id for e in found if e.source is not None and e.action != "missing"}  # fmt: skip


def _of(found: list[Located], name: str | None) -> Located | None:
    return next((each for each in found if each.declared.name == name), None)


def _is_there(name: str | None, other: Located | None) -> bool:
    """Return whether the other side of a two-way relation is there already: then it is one-way."""
    if name is None or other is None or other.found is None:
        return False
    mapped = None if other.source is None else other.source.mapping.get(name)
    return (mapped is not None and mapped.id in other.found.properties) or other.found.named(name) is not None  # fmt: skip
