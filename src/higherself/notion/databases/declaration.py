"""The databases as they are declared: what is to be in Notion, and how its fields are kept in step. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from higherself.kernel.errors import NotFound, Rejected
from higherself.kernel.nearest import did_you_mean

Policy = Literal["newest", "notion", "server", "manual", "server_only"]
"""Who wins when both sides have changed a field: see `notion.plan`."""

STORED = frozenset(
    {"title", "rich_text", "number", "select", "multi_select", "status", "date", "people", "files",
     "checkbox", "url", "email", "phone_number", "relation"}
)  # fmt: skip
"""Types whose values are kept in rows too."""

COMPUTED = frozenset(
    {"formula", "created_time", "created_by", "last_edited_time", "last_edited_by", "unique_id"}
)
"""Types whose values Notion makes itself."""

SUPABASE_ID, LAST_SYNCED = "Supabase ID", "Last Synced"
"""What the sync itself writes on every page; in no row."""

BUSINESSES = "business_entities"
"""The database of the businesses; a relation to it says whose a row is."""

ConditionsOfAll = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is written. Lines and columns are counted from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class InvalidDatabases(Rejected):
    """The declaration of the databases cannot be used; every problem that was found is listed."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class UnknownDatabase(NotFound):
    """No database of this name is declared."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(
            f"there is no database {name!r}{did_you_mean(name, known)} "
            f"(`higherself notion setup --check` lists {len(known)})"
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class Property:
    """One property. ``column`` is where rows keep it; None: they do not."""

    name: str
    type: str
    column: str | None = None
    policy: Policy | None = None
    options: tuple[str, ...] = ()
    format: str | None = None
    to: str | None = None
    both: str | None = None
    formula: str | None = None
    time: bool = True
    about: str = ""

    @property
    def references(self) -> tuple[str, ...]:
        """The names of the properties that its formula mentions."""
        return tuple(dict.fromkeys(re.findall(r'prop\("([^"]*)"\)', self.formula or "")))


@dataclass(frozen=True, slots=True)
class View:
    """One view. ``where`` holds alternatives, each of conditions that must all hold.

    A condition is a property with values of which any will do. ``sort`` names properties, with
    whether the largest comes first.
    """

    name: str
    type: str
    group_by: str | None = None
    date: str | None = None
    end: str | None = None
    chart: str | None = None
    where: tuple[ConditionsOfAll, ...] = ()
    sort: tuple[tuple[str, bool], ...] = ()


@dataclass(frozen=True)
class DeclaredDatabase:
    """One database. ``name`` is its SQL table's; ``id_prefix`` begins its business identifiers.

    ``records`` tells whether there is a table at all; ``entity`` names the relation that says
    which business a row belongs to.
    """

    name: str
    title: str
    env: str
    icon: str = ""
    about: str = ""
    id_property: str | None = None
    id_prefix: str | None = None
    entity: str | None = None
    optional: bool = False
    records: bool = True
    properties: Mapping[str, Property] = field(default_factory=dict)
    views: tuple[View, ...] = ()

    @cached_property
    def fields(self) -> Mapping[str, Property]:
        """The properties that rows keep, by column."""
        return {p.column: p for p in self.properties.values() if p.column is not None}

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """The column of each property that rows keep."""
        return {p.name: column for column, p in self.fields.items()}

    @cached_property
    def title_property(self) -> Property:
        """The property that is a page's title."""
        return next(p for p in self.properties.values() if p.type == "title")

    @property
    def id_column(self) -> str | None:
        """The column of the business identifier."""
        return None if self.id_property is None else self.properties[self.id_property].column

    @property
    def entity_column(self) -> str | None:
        """The column that says which business a row belongs to."""
        return None if self.entity is None else self.properties[self.entity].column


class Declaration(Mapping[str, DeclaredDatabase]):
    """The declared databases by name, in the order in which they are made.

    Raises
        UnknownDatabase: there is none of the name asked for.
    """

    def __init__(self, databases: Sequence[DeclaredDatabase]) -> None:
        self._databases = {each.name: each for each in databases}

    def __getitem__(self, name: str) -> DeclaredDatabase:
        try:
            return self._databases[name]
        except KeyError:
            raise UnknownDatabase(name, tuple(self._databases)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._databases

    def __iter__(self) -> Iterator[str]:
        return iter(self._databases)

    def __len__(self) -> int:
        return len(self._databases)

    @property
    def records(self) -> tuple[DeclaredDatabase, ...]:
        """Those that have a table."""
        return tuple(each for each in self.values() if each.records)


def column_of(name: str) -> str:
    """Return the column of a property.

    >>> column_of("Related Product/Service"), column_of("Email")
    ('related_product_service', 'email')
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def alike(name: str) -> str:
    """Return what names have in common that people write differently.

    >>> alike("full_name") == alike("Full Name")
    True
    """
    return re.sub(r"[^0-9a-z]+", "", name.casefold())
