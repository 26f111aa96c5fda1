"""What a database lacks of its declaration, and what people have made different. Pure.

Nothing here, and nothing that follows from it, removes or renames anything in Notion: what is
different stays as it is and is told as `Drift`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from higherself.notion.databases.declaration import DeclaredDatabase, Property, View, alike
from higherself.notion.ids import same_id
from higherself.notion.ports import JsonObject

DriftKind = Literal[
    "renamed", "retyped", "removed", "option_removed", "points_elsewhere", "missing", "view_removed"
]
State = Literal["ok", "retyped", "removed", "points_elsewhere"]
"""Whether a property can be read and written; anything but ``ok`` pauses its field."""

_CHOICES = frozenset({"select", "status"})
_WITH_OPTIONS = ("select", "multi_select", "status")


@dataclass(frozen=True, slots=True)
class FoundProperty:
    """A property as it is in Notion. ``options`` are Notion's objects; ``to`` is a data source."""

    id: str
    name: str
    type: str
    options: tuple[JsonObject, ...] = ()
    to: str | None = None
    other: tuple[str, str] | None = None
    """Of a two-way relation: id and name of the property on the other side."""

    @property
    def option_names(self) -> tuple[str, ...]:
        """What can be chosen."""
        return tuple(str(each.get("name")) for each in self.options)


@dataclass(frozen=True, slots=True)
class FoundSource:
    """A data source as it is in Notion."""

    data_source_id: str
    database_id: str
    title: str
    in_trash: bool
    properties: Mapping[str, FoundProperty] = field(default_factory=dict)

    def named(self, name: str) -> FoundProperty | None:
        """Return the property of this name."""
        return next((p for p in self.properties.values() if p.name == name), None)


@dataclass(frozen=True, slots=True)
class Mapped:
    """Which property in Notion is the declared one, and what it was like when last looked at."""

    id: str
    name: str
    type: str
    options: tuple[str, ...] = ()
    state: State = "ok"

    def as_json(self) -> JsonObject:
        """Return it for storing."""
        return {"id": self.id, "name": self.name, "type": self.type, "options": list(self.options), "state": self.state}  # fmt: skip

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Mapped":
        """Return what was stored."""
        return cls(stored["id"], stored["name"], stored["type"], tuple(stored["options"]), stored["state"])  # fmt: skip


Mappings = Mapping[str, Mapped]
"""By the declared name."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Something that is not as declared; ``detail`` says what is, and what follows from it."""

    kind: DriftKind
    database: str
    property: str
    detail: str


@dataclass(frozen=True, slots=True)
class Extension:
    """What one database lacks. ``options`` are those that are missing, by declared property."""

    declared: DeclaredDatabase
    source: FoundSource
    mapping: Mappings
    properties: tuple[Property, ...] = ()
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    views: tuple[View, ...] = ()
    drift: tuple[Drift, ...] = ()

    @property
    def plain(self) -> tuple[Property, ...]:
        """The missing properties that need nothing else to be there first."""
        return tuple(p for p in self.properties if p.type not in ("relation", "formula"))

    @property
    def relations(self) -> tuple[Property, ...]:
        """The missing relations: the second pass."""
        return tuple(p for p in self.properties if p.type == "relation")

    @property
    def formulas(self) -> tuple[Property, ...]:
        """The missing formulas, which need what they mention."""
        return tuple(p for p in self.properties if p.type == "formula")

    @property
    def changes(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.properties or self.options or self.views)


@dataclass(frozen=True, slots=True)
class SchemaPlan:
    """What setting up would do: databases to make, databases to extend, and what is different."""

    creates: tuple[DeclaredDatabase, ...] = ()
    extends: tuple[Extension, ...] = ()
    drift: tuple[Drift, ...] = ()


def found_source(data_source: JsonObject) -> FoundSource:
    """Return what Notion's data source object says."""
    properties = (_found_property(p) for p in data_source.get("properties", {}).values())
    return FoundSource(
        data_source_id=data_source["id"],
        database_id=data_source.get("parent", {}).get("database_id", ""),
        title=plain_title(data_source.get("title")),
        in_trash=bool(data_source.get("in_trash") or data_source.get("archived")),
        properties={p.id: p for p in properties},
    )


def plain_title(rich_text: Iterable[JsonObject] | None) -> str:
    """Return the text of a title."""
    parts = rich_text or ()
    return "".join(p.get("plain_text") or p.get("text", {}).get("content", "") for p in parts)


def _found_property(given: JsonObject) -> FoundProperty:
    kind = given["type"]
    config = given.get(kind) or {}
    dual = config.get("dual_property") or {}
    other = (dual["synced_property_id"], dual["synced_property_name"]) if "synced_property_id" in dual else None  # fmt: skip
    return FoundProperty(
        id=given["id"],
        name=given["name"],
        type=kind,
        options=tuple(config.get("options", ())) if kind in _WITH_OPTIONS else (),
        to=config.get("data_source_id") if kind == "relation" else None,
        other=other,
    )


def compare(
    declared: DeclaredDatabase,
    source: FoundSource,
    mapping: Mappings,
    *,
    sources: Mapping[str, str],
    views: Iterable[str] | None = None,
    known_views: Iterable[str] = (),
) -> Extension:
    """Return what ``source`` lacks of ``declared``, which of its properties is which, and its drift.

    ``mapping`` is what was known before (empty: it is adopted now); ``sources`` gives the data
    source of each database by name, as far as there is one. ``views`` are the names of its views
    (None: nobody looked), ``known_views`` those that were made before. Properties that are gone or
    retyped are kept in the mapping with that state, so that everybody knows that they are paused.
    """
    compared = _Compared(declared, source, mapping, sources)
    for prop in declared.properties.values():
        compared.property(prop)
    lacking: tuple[View, ...] = ()
    if views is not None:
        there = set(views)
        lacking = tuple(v for v in declared.views if v.name not in there)
        for view in lacking:
            if view.name in set(known_views):
                compared.drifted("view_removed", view.name, "the view is gone; `notion setup` makes it again")  # fmt: skip
    return Extension(
        declared=declared,
        source=source,
        mapping=compared.mapping,
        properties=tuple(compared.missing),
        options=compared.options,
        views=lacking,
        drift=tuple(compared.drift),
    )


class _Compared:
    def __init__(
        self,
        declared: DeclaredDatabase,
        source: FoundSource,
        before: Mappings,
        sources: Mapping[str, str],
    ) -> None:
        self.declared, self.source, self.before, self.sources = declared, source, before, sources
        self.mapping: dict[str, Mapped] = {}
        self.missing: list[Property] = []
        self.options: dict[str, tuple[str, ...]] = {}
        self.drift: list[Drift] = []
        self.taken = {m.id for m in before.values() if m.id in source.properties}

    def drifted(self, kind: DriftKind, name: str, detail: str) -> None:
        self.drift.append(Drift(kind, self.declared.name, name, detail))

    def property(self, prop: Property) -> None:
        before = self.before.get(prop.name)
        there = self.source.properties.get(before.id) if before else None
        if before and there is None:
            self.drifted("removed", prop.name, "the property is gone and its field paused; `notion setup` makes it again")  # fmt: skip
        there = there or self._alike(prop)
        if there is None:
            self.missing.append(prop)
            if before:
                self.mapping[prop.name] = replace(before, state="removed")
            return
        self.taken.add(there.id)
        if before and there.id == before.id and there.name not in (before.name, prop.name):
            self.drifted("renamed", prop.name, f"it is called {there.name!r} now; nothing else changes")  # fmt: skip
        kept = before.name if before and there.id == before.id else there.name
        self.mapping[prop.name] = Mapped(
            there.id, kept, there.type, there.option_names, self._state(prop, there)
        )
        if self.mapping[prop.name].state == "ok":
            self._compare_options(prop, there, before)

    def _alike(self, prop: Property) -> FoundProperty | None:
        """Return the property that is meant, in a database that has been there before."""
        free = [p for p in self.source.properties.values() if p.id not in self.taken]
        if prop.type == "title":
            return next((p for p in free if p.type == "title"), None)
        exact = next((p for p in free if p.name == prop.name), None)
        return exact or next((p for p in free if alike(p.name) == alike(prop.name)), None)

    def _state(self, prop: Property, there: FoundProperty) -> State:
        if not compatible(prop.type, there.type):
            self.drifted("retyped", prop.name, f"it is of type {there.type}, declared is {prop.type}; its field is paused")  # fmt: skip
            return "retyped"
        expected = self.sources.get(prop.to or "")
        if there.to and expected and not same_id(there.to, expected):
            self.drifted("points_elsewhere", prop.name, f"it relates to another database than {prop.to}; its field is paused")  # fmt: skip
            return "points_elsewhere"
        return "ok"

    def _compare_options(self, prop: Property, there: FoundProperty, before: Mapped | None) -> None:
        names = set(there.option_names)
        lacking = tuple(option for option in prop.options if option not in names)
        if not lacking:
            return
        self.options[prop.name] = lacking
        for option in lacking if before else ():
            if before and option in before.options:
                self.drifted("option_removed", prop.name, f"the option {option!r} is gone, so it cannot be set; `notion setup` adds it again")  # fmt: skip


def compatible(declared: str, found: str) -> bool:
    """Return whether values of a declared type can be kept in a property of another."""
    return declared == found or {declared, found} <= _CHOICES


# --- What is sent.


def property_json(
    prop: Property, *, sources: Mapping[str, str], names: Mapping[str, str], two_way: bool = True
) -> JsonObject:
    """Return a property as it is added.

    ``sources`` gives the data source of a relation's database, ``names`` what the properties that
    a formula mentions are called there.
    """
    match prop.type:
        case "select" | "multi_select" | "status":
            config: JsonObject = {"options": [{"name": option} for option in prop.options]}
        case "number":
            config = {"format": prop.format or "number"}
        case "formula":
            config = {"expression": _expression(prop, names)}
        case "relation":
            config = {"data_source_id": sources[prop.to or ""]}
            if two_way and prop.both is not None:
                config |= {"type": "dual_property", "dual_property": {"synced_property_name": prop.both}}  # fmt: skip
            else:
                config |= {"type": "single_property", "single_property": {}}
        case _:
            config = {}
    described = {"description": prop.about} if prop.about else {}
    return {"type": prop.type, prop.type: config, **described}


def _expression(prop: Property, names: Mapping[str, str]) -> str:
    expression = prop.formula or ""
    for name in prop.references:
        expression = expression.replace(f'prop("{name}")', f'prop("{names.get(name, name)}")')
    return expression


def options_json(there: FoundProperty, added: Iterable[str]) -> JsonObject:
    """Return a property with options added; those that are there are named, else they would go."""
    kept = [{k: o[k] for k in ("id", "name", "color") if k in o} for o in there.options]
    return {there.type: {"options": [*kept, *({"name": name} for name in added)]}}
