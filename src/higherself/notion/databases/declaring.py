"""From YAML to the declared databases: every problem with its line, and all of them at once. Pure."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, get_args

import yaml

from higherself.kernel.nearest import did_you_mean
from higherself.notion.databases.declaration import (
    BUSINESSES,
    COMPUTED,
    STORED,
    Declaration,
    DeclaredDatabase,
    InvalidDatabases,
    Place,
    Policy,
    Property,
    View,
    column_of,
)

VIEWS = ("table", "board", "list", "gallery", "calendar", "timeline", "chart")
CHARTS = ("column", "bar", "line", "donut", "number")
LONGEST_OPTION = 100
RESERVED = frozenset({"record_id", "entity", "created_at", "updated_at", "deleted_at"})
"""Columns that every table has."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_VARIABLE = re.compile(r"NOTION_[A-Z0-9_]+_DB")
_DATABASE_KEYS = {"title", "icon", "about", "env", "id", "entity", "optional", "records", "properties", "views"}  # fmt: skip
_PROPERTY_KEYS = {"type", "policy", "options", "format", "to", "both", "formula", "time", "about", "column"}  # fmt: skip
_VIEW_KEYS = {"type", "group_by", "date", "end", "chart", "where", "sort"}


def read_databases(text: str, file: str) -> Declaration:
    """Return the databases that ``text`` declares; ``file`` is named in problems.

    Raises
        InvalidDatabases: listing every problem, each with its line and column.
    """
    return _Reader(file).read(text)


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[str] = []
        self.places: dict[tuple[str, ...], Any] = {}

    def read(self, text: str) -> Declaration:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            self.wrong(error.problem_mark or error.context_mark, "", f"no YAML: {error.problem}")
            raise InvalidDatabases(self.problems) from None
        databases = self._databases(root)
        for check in (_check_relations, _check_formulas, _check_views, _check_uniqueness):
            check(databases, self.wrong_at)
        if self.problems:
            raise InvalidDatabases(self.problems)
        return Declaration(list(databases.values()))

    # --- Problems.

    def wrong(self, mark: Any, path: str, what: str) -> None:
        place = Place(self.file, mark.line + 1, mark.column + 1) if mark else self.file
        self.problems.append(": ".join(str(part) for part in (place, path, what) if part))

    def wrong_at(self, path: tuple[str, ...], what: str) -> None:
        known = next((self.places[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.places), None)  # fmt: skip
        self.wrong(known, ".".join(path), what)

    # --- Pieces.

    def entries(self, node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        """Yield the keys of a mapping with their nodes; a key that comes twice is a problem."""
        if not isinstance(node, yaml.MappingNode):
            self.wrong(
                node and node.start_mark, ".".join(path), "this is to be an object with keys"
            )
            return
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            self.places[(*path, name)] = key.start_mark
            if name in seen:
                self.wrong(key.start_mark, ".".join((*path, name)), "this key is there twice")
            seen.add(name)
            yield name, value

    def known(self, node: Any, path: tuple[str, ...], keys: set[str]) -> dict[str, Any]:
        found = dict(self.entries(node, path))
        for name in found.keys() - keys:
            self.wrong_at((*path, name), f"unknown key{did_you_mean(name, keys)}")
        return found

    def text(self, node: Any, path: tuple[str, ...]) -> str:
        if isinstance(node, yaml.ScalarNode):
            return str(node.value)
        if node is not None:
            self.wrong(node.start_mark, ".".join(path), "this is to be a text")
        return ""

    def texts(self, node: Any, path: tuple[str, ...]) -> tuple[str, ...]:
        if isinstance(node, yaml.SequenceNode):
            return tuple(self.text(each, path) for each in node.value)
        return () if node is None else (self.text(node, path),)

    def truth(self, node: Any, path: tuple[str, ...], default: bool) -> bool:
        if node is None:
            return default
        said = self.text(node, path)
        if said not in ("true", "false"):
            self.wrong_at(path, f"say true or false, not {said!r}")
        return said == "true"

    def one_of(self, said: str, known: tuple[str, ...], path: tuple[str, ...]) -> str:
        if said not in known:
            self.wrong_at(
                path, f"{said!r} is none of {', '.join(known)}{did_you_mean(said, known)}"
            )
        return said

    # --- The whole.

    def _databases(self, root: Any) -> dict[str, DeclaredDatabase]:
        top = self.known(root, (), {"common", "databases"})
        common = self._properties(top.get("common"), ("common",), stored=False)
        found = {}
        for name, node in self.entries(top.get("databases"), ("databases",)):
            path = ("databases", name)
            if not _NAME.fullmatch(name):
                self.wrong_at(path, "a database is named like an SQL table: lower case, _")
            found[name] = self._database(name, node, common)
        return found

    def _database(self, name: str, node: Any, common: dict[str, Property]) -> DeclaredDatabase:
        path = ("databases", name)
        keys = self.known(node, path, _DATABASE_KEYS)
        for needed in ("title", "env", "properties"):
            if needed not in keys:
                self.wrong_at(path, f"{needed} is missing")
        records = self.truth(keys.get("records"), (*path, "records"), True)
        properties = self._properties(keys.get("properties"), (*path, "properties"), stored=True)
        if not records:
            properties = {n: replace(p, column=None) for n, p in properties.items()}
        if [p.type for p in properties.values()].count("title") != 1:
            self.wrong_at((*path, "properties"), "exactly one property is of type title")
        env = self.text(keys.get("env"), (*path, "env"))
        if not _VARIABLE.fullmatch(env):
            self.wrong_at((*path, "env"), f"{env!r} is not like NOTION_TASKS_DB")
        identity = self.known(keys["id"], (*path, "id"), {"property", "prefix"}) if "id" in keys else {}  # fmt: skip
        id_property = self._named(identity.get("property"), (*path, "id", "property"), properties)
        entity = self._named(keys.get("entity"), (*path, "entity"), properties)
        if entity is not None and properties[entity].to != BUSINESSES:
            self.wrong_at((*path, "entity"), f"{entity!r} is no relation to {BUSINESSES}")
        return DeclaredDatabase(
            name=name,
            title=self.text(keys.get("title"), (*path, "title")),
            env=env,
            icon=self.text(keys.get("icon"), (*path, "icon")),
            about=self.text(keys.get("about"), (*path, "about")),
            id_property=id_property,
            id_prefix=self.text(identity.get("prefix"), (*path, "id", "prefix")) or None,
            entity=entity,
            optional=self.truth(keys.get("optional"), (*path, "optional"), False),
            records=records,
            properties={**properties, **common},
            views=tuple(
                self._view(view, each, (*path, "views", view))
                for view, each in self.entries(keys["views"], (*path, "views"))
            )
            if "views" in keys
            else (),
        )

    def _named(self, node: Any, path: tuple[str, ...], known: dict[str, Property]) -> str | None:
        if node is None:
            return None
        name = self.text(node, path)
        if name not in known:
            self.wrong_at(path, f"there is no property {name!r}{did_you_mean(name, known)}")
            return None
        return name

    def _properties(self, node: Any, path: tuple[str, ...], *, stored: bool) -> dict[str, Property]:
        found: dict[str, Property] = {}
        if node is None:
            return found
        for name, each in self.entries(node, path):
            found[name] = self._property(name, each, (*path, name), stored=stored)
        return found

    def _property(self, name: str, node: Any, path: tuple[str, ...], *, stored: bool) -> Property:
        keys = self.known(node, path, _PROPERTY_KEYS)

        def text(key: str) -> str | None:
            return self.text(keys[key], (*path, key)) if key in keys else None

        kind = self.one_of(text("type") or "", (*sorted(STORED), *sorted(COMPUTED)), (*path, "type"))  # fmt: skip
        keeps = stored and kind in STORED
        policy = text("policy")
        if keeps:
            self.one_of(policy or "nothing", get_args(Policy), (*path, "policy"))
        elif policy is not None and kind in STORED | COMPUTED:
            self.wrong_at((*path, "policy"), "what is in no row needs no policy")
        for key, kinds in (("options", {"select", "multi_select", "status"}), ("format", {"number"}), ("to", {"relation"}), ("both", {"relation"}), ("formula", {"formula"}), ("time", {"date"})):  # fmt: skip
            if key in keys and kind not in kinds:
                self.wrong_at((*path, key), f"a property of type {kind} has no {key}")
        for key, needs in (("to", "relation"), ("formula", "formula")):
            if kind == needs and key not in keys:
                self.wrong_at(path, f"a property of type {kind} needs `{key}`")
        options = self.texts(keys.get("options"), (*path, "options"))
        self._check_options(options, (*path, "options"))
        column = (text("column") or column_of(name)) if keeps else None
        if column in RESERVED:
            self.wrong_at(path, f"{column} is a column of every table; name another with `column`")
        return Property(
            name=name,
            type=kind,
            column=column,
            policy=policy if keeps else None,  # type: ignore[arg-type]  # checked above
            options=options,
            format=text("format"),
            to=text("to"),
            both=text("both"),
            formula=text("formula"),
            time=self.truth(keys.get("time"), (*path, "time"), True),
            about=text("about") or "",
        )

    def _check_options(self, options: tuple[str, ...], path: tuple[str, ...]) -> None:
        for option in options:
            if "," in option or len(option) > LONGEST_OPTION or not option:
                self.wrong_at(path, f"Notion allows no comma and at most {LONGEST_OPTION} characters: {option!r}")  # fmt: skip
            if options.count(option) > 1:
                self.wrong_at(path, f"{option!r} is there twice")

    def _view(self, name: str, node: Any, path: tuple[str, ...]) -> View:
        keys = self.known(node, path, _VIEW_KEYS)

        def text(key: str) -> str | None:
            return self.text(keys[key], (*path, key)) if key in keys else None

        kind = self.one_of(text("type") or "", VIEWS, (*path, "type"))
        for needed in {"board": ("group_by",), "chart": ("group_by", "chart"), "calendar": ("date",), "timeline": ("date",)}.get(kind, ()):  # fmt: skip
            if needed not in keys:
                self.wrong_at(path, f"a {kind} needs `{needed}`")
        if "chart" in keys:
            self.one_of(text("chart") or "", CHARTS, (*path, "chart"))
        sort = self.texts(keys.get("sort"), (*path, "sort"))
        return View(
            name=name,
            type=kind,
            group_by=text("group_by"),
            date=text("date"),
            end=text("end"),
            chart=text("chart"),
            where=self._where(keys.get("where"), (*path, "where")),
            sort=tuple((each.removeprefix("-"), each.startswith("-")) for each in sort),
        )

    def _where(self, node: Any, path: tuple[str, ...]) -> Any:
        if node is None:
            return ()
        several = isinstance(node, yaml.SequenceNode)
        alternatives = []
        for each in node.value if several else [node]:
            conditions = tuple((n, self.texts(v, (*path, n))) for n, v in self.entries(each, path))
            if several and any(len(values) > 1 for _, values in conditions):
                self.wrong_at(path, "Notion nests filters twice only: no list of values in a list of objects")  # fmt: skip
            alternatives.append(conditions)
        return tuple(alternatives)


Wrong = Callable[[tuple[str, ...], str], None]
Databases = dict[str, DeclaredDatabase]


def _check_relations(databases: Databases, wrong: Wrong) -> None:
    for database in databases.values():
        for prop in database.properties.values():
            path = ("databases", database.name, "properties", prop.name)
            if prop.to is None:
                continue
            if prop.to not in databases:
                wrong((*path, "to"), f"there is no database {prop.to!r}{did_you_mean(prop.to, databases)}")  # fmt: skip
                continue
            if prop.both is None:
                continue
            other = databases[prop.to].properties.get(prop.both)
            if other is None or other.to != database.name or other.both != prop.name:
                wrong((*path, "both"), f"{prop.both!r} of {prop.to} does not say `to: {database.name}` and `both: {prop.name}`")  # fmt: skip


def _check_formulas(databases: Databases, wrong: Wrong) -> None:
    for database in databases.values():
        for prop in database.properties.values():
            for name in prop.references:
                if name not in database.properties:
                    wrong(("databases", database.name, "properties", prop.name, "formula"), f"there is no property {name!r}{did_you_mean(name, database.properties)}")  # fmt: skip


def _check_views(databases: Databases, wrong: Wrong) -> None:
    for database in databases.values():
        for view in database.views:
            path = ("databases", database.name, "views", view.name)
            named = [view.group_by, view.date, view.end, *(name for name, _ in view.sort)]
            conditions = [each for alternative in view.where for each in alternative]
            for name in [*filter(None, named), *(name for name, _ in conditions)]:
                if name not in database.properties:
                    wrong(path, f"there is no property {name!r}{did_you_mean(name, database.properties)}")  # fmt: skip
            for name in filter(None, (view.date, view.end)):
                if name in database.properties and database.properties[name].type != "date":
                    wrong(path, f"{name!r} is no date")
            for name, values in conditions:
                prop = database.properties.get(name)
                for value in values if prop and prop.options else ():
                    if value not in prop.options:  # type: ignore[union-attr]
                        wrong((*path, "where"), f"{value!r} is no option of {name!r}{did_you_mean(value, prop.options)}")  # type: ignore[union-attr]  # fmt: skip


def _check_uniqueness(databases: Databases, wrong: Wrong) -> None:
    for kind in ("title", "env"):
        seen: dict[str, str] = {}
        for database in databases.values():
            value = getattr(database, kind)
            if value in seen:
                wrong(("databases", database.name, kind), f"{seen[value]} has the {kind} {value!r}")
            seen[value] = database.name
    for database in databases.values():
        columns: dict[str, str] = {}
        for prop in database.properties.values():
            if prop.column is not None and prop.column in columns:
                wrong(("databases", database.name, "properties", prop.name), f"{columns[prop.column]!r} has the column {prop.column} too; name another with `column`")  # fmt: skip
            columns[prop.column or ""] = prop.name
