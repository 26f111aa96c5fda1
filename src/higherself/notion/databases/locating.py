"""Find the declared databases that are in Notion already: known, named by a person, or by their title."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from higherself.kernel.errors import Misconfigured
from higherself.notion.databases.declaration import Declaration, DeclaredDatabase
from higherself.notion.databases.lookup import Databases, DataSource
from higherself.notion.databases.schema import Drift, Extension, FoundSource, found_source
from higherself.notion.errors import NotionForbidden, NotionRejected, PageNotFound
from higherself.notion.ids import notion_id, same_id
from higherself.notion.ports import JsonObject

Action = Literal["created", "extended", "adopted", "unchanged", "missing"]


class SchemaReads(Protocol):
    """What is read of Notion here (`notion.api.Notion`)."""

    async def database(self, database: str) -> JsonObject:
        """Return a database: a container of data sources."""
        ...

    async def data_source(self, data_source: str) -> JsonObject:
        """Return a data source with its properties."""
        ...

    def children(self, block: str) -> AsyncIterator[JsonObject]:
        """Yield the blocks of a page."""
        ...


class AmbiguousDatabase(Misconfigured):
    """Several databases could be the declared one; a setting has to say which."""


class ParentMissing(Misconfigured):
    """Databases are to be made, and nobody said under which page."""

    def __init__(self) -> None:
        super().__init__(
            "say under which page the databases are to be: share a page with the connection and "
            "set NOTION_PARENT_PAGE to its address, or give it as --parent"
        )


@dataclass(slots=True)
class Located:
    """A declared database, where it is, what it is like, and what was done about it so far."""

    declared: DeclaredDatabase
    action: Action
    source: DataSource | None = None
    found: FoundSource | None = None
    looked: bool = True
    """Whether ``found`` is what Notion says; else it is what was sent, without ids."""
    plan: Extension | None = None
    drift: list[Drift] = field(default_factory=list)
    properties: list[str] = field(default_factory=list)
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    views: list[str] = field(default_factory=list)


class Locating:
    """Finds the databases. ``adopt`` gives those that a person has named, by name."""

    def __init__(
        self,
        declaration: Declaration,
        notion: SchemaReads,
        databases: Databases,
        adopt: Mapping[str, str],
        parent: str | None,
    ) -> None:
        self.declaration, self.notion, self.databases = declaration, notion, databases
        self.adopt = adopt
        self.parent = None if parent is None else notion_id(parent)
        self._titles: dict[str, list[str]] | None = None

    async def all(self, anew: Sequence[str] = ()) -> list[Located]:
        """Return each declared database; those that are nowhere are ``created`` without a source.

        Raises
            AmbiguousDatabase, ParentMissing, Misconfigured: a person has to say more.
        """
        for name in anew:
            self.declaration[name]
        await self.databases.load()
        return [await self._one(each, anew=each.name in anew) for each in self.declaration.values()]

    async def _one(self, declared: DeclaredDatabase, *, anew: bool) -> Located:
        before = self.databases.data_source(declared.name)
        if before is not None and not anew:
            return await self._known(declared, before)
        if given := self.adopt.get(declared.name):
            return await self._named(declared, given)
        if self._titles is None:
            self._titles = await self._titles_under()
        ids = [each for each in self._titles.get(declared.title, ()) if before is None or not same_id(each, before.database_id)]  # fmt: skip
        if not ids:
            return Located(declared, "created")
        if len(ids) > 1:
            raise AmbiguousDatabase(
                f"{len(ids)} databases under the page are called {declared.title!r} "
                f"({', '.join(ids)}); set {declared.env} to the id of the one to use"
            )
        database = await self.notion.database(ids[0])
        return await self._found(declared, only_source(declared, database))

    async def _known(self, declared: DeclaredDatabase, source: DataSource) -> Located:
        given = self.adopt.get(declared.name)
        if given and not any(same_id(_checked(declared, given), each) for each in (source.database_id, source.data_source_id)):  # fmt: skip
            raise Misconfigured(
                f"{declared.env} names another database than the one in use for {declared.name} "
                f"({source.database_id}); remove it, or switch with "
                f"`higherself notion setup --anew {declared.name}`"
            )
        located = Located(declared, "unchanged", source)
        try:
            located.found = found_source(await self.notion.data_source(source.data_source_id))
        except (PageNotFound, NotionForbidden):
            located.found = None
        if located.found is None or located.found.in_trash:
            where = "in the trash" if located.found else "deleted, or not shared with the connection"  # fmt: skip
            detail = (
                f"the database is {where}; restore it in Notion, or have another made with "
                f"`higherself notion setup --anew {declared.name}`"
            )
            located.drift.append(Drift("missing", declared.name, "", detail))
            located.action, located.found = "missing", None
        return located

    async def _named(self, declared: DeclaredDatabase, given: str) -> Located:
        identifier = _checked(declared, given)
        try:
            database = await self.notion.database(identifier)
        except PageNotFound:
            return await self._found(declared, identifier)  # maybe it is a data source's
        return await self._found(declared, only_source(declared, database))

    async def _found(self, declared: DeclaredDatabase, data_source: str) -> Located:
        try:
            found = found_source(await self.notion.data_source(data_source))
        except PageNotFound:
            raise Misconfigured(
                f"there is no database {data_source} for {declared.name}, or it is not shared with "
                f"the connection: share it, or correct {declared.env}"
            ) from None
        if found.in_trash:
            raise Misconfigured(
                f"the database {found.database_id} for {declared.name} is in the trash; "
                f"restore it, or set {declared.env} to another"
            )
        source = DataSource(
            declared.name, found.database_id, found.data_source_id, self.parent, adopted=True
        )
        return Located(declared, "adopted", source, found)

    async def _titles_under(self) -> dict[str, list[str]]:
        if self.parent is None:
            raise ParentMissing
        under: dict[str, list[str]] = {}
        async for block in self.notion.children(self.parent):
            if block["type"] == "child_database" and not block.get("in_trash"):
                under.setdefault(block["child_database"]["title"], []).append(block["id"])
        return under


def only_source(declared: DeclaredDatabase, database: JsonObject) -> str:
    """Return the data source of a database that has one.

    Raises
        AmbiguousDatabase: it has several.
    """
    sources = database.get("data_sources", [])
    if len(sources) != 1:
        names = ", ".join(f"{each['name']!r} {each['id']}" for each in sources) or "none"
        raise AmbiguousDatabase(
            f"the database {database['id']} has {len(sources)} data sources ({names}); "
            f"set {declared.env} to the id of the one to use"
        )
    return str(sources[0]["id"])


def _checked(declared: DeclaredDatabase, given: str) -> str:
    try:
        return notion_id(given)
    except NotionRejected:
        raise Misconfigured(
            f"{declared.env}={given!r} is no database: give the 32 hexadecimal digits in its address"
        ) from None
