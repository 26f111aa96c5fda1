"""Named queries, read from the ``queries.sql`` of the feature that owns the tables.

A file holds statements, each under a header that names it and says how many rows to expect::

    -- name: find_document :maybe
    -- One document by its identifier. Served by the primary key.
    SELECT ... WHERE document_id = %(document)s;

Parameters are ``%(name)s``. What is only known at run time but is no value (the table of an
embedding space, a condition that is itself a named query) is ``{name}``.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from string import Formatter
from typing import Literal, get_args

from psycopg import sql

Rows = Literal["one", "maybe", "many", "none"]

_HEADER = re.compile(r"^-- name: (?P<name>[a-z][a-z0-9_]*) :(?P<rows>\w+)\s*$", re.MULTILINE)
_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True)
class Query:
    """One named statement."""

    name: str
    rows: Rows
    text: str

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters, in order of first use."""
        return tuple(dict.fromkeys(_PARAMETER.findall(self.text)))

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """The names of its ``{}`` placeholders."""
        fields = (field for _, field, _, _ in Formatter().parse(self.text) if field)
        return tuple(dict.fromkeys(fields))

    def statement(self, slots: "Slots | None" = None) -> bytes:
        """Return the statement for the driver, its ``slots`` filled in and safely quoted."""
        if not self.slots:
            return self._plain
        return _filled(self, tuple((slots or {}).items()))

    def composed(self, slots: "Slots") -> sql.Composed:
        """Return the statement with an identifier, a number or another query in each slot."""
        parts = {name: _composable(slots[name], slots) for name in self.slots}
        return sql.SQL(self.text).format(**parts)

    @cached_property
    def _plain(self) -> bytes:
        return self.text.encode()


Slots = Mapping[str, "str | int | Query"]


@lru_cache(maxsize=1024)
def _filled(query: Query, slots: tuple[tuple[str, "str | int | Query"], ...]) -> bytes:
    """Return the statement; kept, because composing takes longer than a fast query runs."""
    return query.composed(dict(slots)).as_bytes(None)


def _composable(value: str | int | Query, slots: Slots) -> sql.Composable:
    match value:
        case str():
            return sql.Identifier(value)
        case int():
            return sql.Literal(value)
        case Query():
            return value.composed(slots)


class Queries(Mapping[str, Query]):
    """The queries of one file, by name: ``QUERIES["find_document"]``."""

    def __init__(self, text: str, *, origin: str) -> None:
        self._queries = {query.name: query for query in _parse(text, origin)}
        self._origin = origin

    def __getitem__(self, name: str) -> Query:
        return self._queries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)


def read_queries(package: str, name: str = "queries.sql") -> Queries:
    """Return the named queries of ``name`` inside ``package``.

    Raises
        ValueError: the file is malformed: a developer's mistake, found by the first import.
    """
    text = files(package).joinpath(name).read_text(encoding="utf-8")
    return Queries(text, origin=f"{package}/{name}")


def _parse(text: str, origin: str) -> Iterator[Query]:
    headers = list(_HEADER.finditer(text))
    seen: set[str] = set()
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        name, rows = header["name"], header["rows"]
        if rows not in get_args(Rows):
            raise ValueError(f"{origin}: {name} expects :{rows}; say one of {get_args(Rows)}")
        if name in seen:
            raise ValueError(f"{origin}: two queries are named {name}")
        seen.add(name)
        body = text[header.end() : following.start() if following else len(text)]
        yield Query(name, rows, _without_comments(body).rstrip().rstrip(";"))  # type: ignore[arg-type]


def _without_comments(body: str) -> str:
    lines = (line for line in body.splitlines() if not line.lstrip().startswith("--"))
    return "\n".join(lines).strip()
