"""Pages of the declared databases, for the skills on Notion: values in plain form, one business at a time.

A row belongs to the businesses that its database's relation names. A row that names none, and a
page outside of the databases, belong to the business of NOTION_ENTITY. To every other business they
are not there.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from higherself.business.skills.notion import Page
from higherself.kernel.errors import NotFound, Rejected
from higherself.notion import properties
from higherself.notion.databases.declaration import Declaration, DeclaredDatabase
from higherself.notion.databases.lookup import DataSource
from higherself.notion.gateway.connection import NotionConnection
from higherself.notion.ids import notion_id
from higherself.notion.ports import JsonObject

BUSINESSES = "business_entities"


class Places(Protocol):
    """Where the declared databases are (`notion.databases.Databases`)."""

    async def load(self) -> Mapping[str, DataSource]:
        """Read what is known."""
        ...

    def data_source(self, name: str) -> DataSource | None:
        """Return where a declared database is."""
        ...

    def by_source(self, data_source_id: str | None) -> DataSource | None:
        """Return the declared database that a data source is."""
        ...


class NotionDatabasePages:
    """The port `NotionPages`, on a workspace."""

    def __init__(
        self,
        notion: NotionConnection,
        places: Places,
        declared: Callable[[], Declaration],
        *,
        loose_belong_to: str,
    ) -> None:
        self._notion, self._places, self._declared = notion, places, declared
        self._loose = loose_belong_to

    async def find(
        self, database: str, *, entity: str, where: dict[str, Any], text: str | None, limit: int
    ) -> list[Page]:
        """Return pages of a database whose properties are as in ``where``, and that have the text."""
        source = await self._source(database)
        schema = await self._schema(source)
        conditions = [
            _condition(_named(source, name), value, schema) for name, value in where.items()
        ]
        if text is not None:
            title = next(name for name, prop in schema.items() if prop["type"] == "title")
            conditions.append({"property": title, "title": {"contains": text}})
        ours = await self._ours(source, entity)
        if ours is None:
            return []
        chosen = [*conditions, *ours]
        found: list[Page] = []
        rows = self._notion.api.query(
            source.data_source_id, filter={"and": chosen} if chosen else None
        )
        async for row in rows:
            found.append(_page(row))
            if len(found) >= limit:
                break
        return found

    async def create(
        self, database: str, *, entity: str, properties: dict[str, Any], markdown: str, key: str
    ) -> Page:
        """Make a page in a database, and return it."""
        source = await self._source(database)
        sent = await self._written(source, properties)
        relation = self._relation(source)
        business = await self._business(entity)
        if relation is not None and business is not None:
            sent[relation] = {"relation": [{"id": business}]}
        elif entity != self._loose:
            raise self._unknown(entity)
        made = await self._notion.writes.create_page(
            {"type": "data_source_id", "data_source_id": source.data_source_id},
            sent,
            markdown=markdown,
            key=f"skill {key}",
        )
        return _page(made)

    async def update(self, page: str, *, entity: str, properties: dict[str, Any], key: str) -> Page:
        """Change properties of a page, and return it."""
        there, source = await self._of(page, entity)
        if source is None:
            raise Rejected(f"{page} is not in a database: it has a title and text alone")
        sent = await self._written(source, properties)
        if self._relation(source) in sent:
            raise Rejected("to which business a page belongs is not changed by a skill")
        return _page(
            await self._notion.writes.update_page(there["id"], properties=sent, key=f"skill {key}")
        )

    async def append(self, page: str, *, entity: str, markdown: str, key: str) -> Page:
        """Add text at the end of a page, and return it."""
        there, _ = await self._of(page, entity)
        await self._notion.writes.insert_markdown(there["id"], markdown, key=f"skill {key}")
        return _page(there)

    async def link(self, page: str, *, entity: str, relation: str, to: list[str], key: str) -> Page:
        """Add pages to a relation of a page, and return it."""
        there, source = await self._of(page, entity)
        name = relation if source is None else _named(source, relation)
        if source is not None and name == self._relation(source):
            raise Rejected("to which business a page belongs is not changed by a skill")
        others = [(await self._of(each, entity))[0]["id"] for each in to]
        made = await self._notion.writes.link(there["id"], name, others, key=f"skill {key}")
        return _page(made)

    async def comment(self, page: str, *, entity: str, markdown: str, key: str) -> str:
        """Comment on a page, and return the comment's id."""
        there, _ = await self._of(page, entity)
        made = await self._notion.writes.comment(there["id"], markdown, key=f"skill {key}")
        return str(made["id"])

    # --- Databases.

    async def _source(self, database: str) -> DataSource:
        declared = self._declared()[database]
        if (source := self._places.data_source(declared.name)) is None:
            await self._places.load()
            source = self._places.data_source(declared.name)
        if source is None:
            raise NotFound(
                f"the database {database} is not set up in Notion; `higherself notion setup` does it"
            )
        return source

    async def _schema(self, source: DataSource) -> dict[str, JsonObject]:
        answer = await self._notion.api.data_source(source.data_source_id)
        schema: dict[str, JsonObject] = answer["properties"]
        return schema

    async def _written(self, source: DataSource, values: Mapping[str, Any]) -> JsonObject:
        named = {_named(source, name): value for name, value in values.items()}
        return dict(properties.write(named, await self._schema(source)))

    # --- Businesses.

    async def _of(self, page: str, entity: str) -> tuple[JsonObject, DataSource | None]:
        """Return a page of a business, and the declared database that it is in.

        Raises
            NotFound: it is not there, or another business's.
        """
        there = await self._notion.api.page(notion_id(page))
        await self._places.load()
        source = self._places.by_source(there["parent"].get("data_source_id"))
        if entity not in await self._owners(there, source):
            raise NotFound(f"there is no page {page} of the business {entity}")
        return there, source

    async def _owners(self, page: JsonObject, source: DataSource | None) -> Sequence[str]:
        if source is None:
            return (self._loose,)
        if source.name == BUSINESSES:
            return (self._slug(page, source),)
        relation = self._relation(source)
        if relation is None or relation not in page["properties"]:
            return (self._loose,)
        businesses = self._places.data_source(BUSINESSES)
        related = await self._notion.api.related(page, relation)
        if not related or businesses is None:
            return (self._loose,)
        return [self._slug(await self._notion.api.page(each), businesses) for each in related]

    async def _ours(self, source: DataSource, entity: str) -> list[JsonObject] | None:
        """Return conditions for the rows of a business; None if it has none for certain."""
        if source.name == BUSINESSES:
            return [{"property": _named(source, "Slug"), "rich_text": {"equals": entity}}]
        relation, business = self._relation(source), await self._business(entity)
        if relation is None:
            return [] if entity == self._loose else None
        named = [{"property": relation, "relation": {"contains": business}}] if business else []
        if entity == self._loose:
            return [{"or": [*named, {"property": relation, "relation": {"is_empty": True}}]}]
        return named or None

    async def _business(self, entity: str) -> str | None:
        """Return the page that stands for a business, if there is one."""
        await self._places.load()
        source = self._places.data_source(BUSINESSES)
        if source is None:
            return None
        slug = {"property": _named(source, "Slug"), "rich_text": {"equals": entity}}
        async for row in self._notion.api.query(source.data_source_id, filter=slug):
            return str(row["id"])
        return None

    def _relation(self, source: DataSource) -> str | None:
        declared: DeclaredDatabase = self._declared()[source.name]
        return None if declared.entity is None else _named(source, declared.entity)

    def _slug(self, page: JsonObject, source: DataSource) -> str:
        value = properties.read(page).get(_named(source, "Slug"))
        return "" if value is None else str(properties.plain(value) or "")

    def _unknown(self, entity: str) -> NotFound:
        title = self._declared()[BUSINESSES].title
        return NotFound(
            f"the business {entity} has no row in {title!r}; add one with its Slug, or set "
            f"NOTION_ENTITY={entity}"
        )


def _named(source: DataSource, name: str) -> str:
    """Return what a declared property is called in Notion; any other name as it is."""
    mapped = source.mapping.get(name)
    return mapped.name if mapped is not None else name


def _page(found: JsonObject) -> Page:
    values = {name: properties.plain(value) for name, value in properties.read(found).items()}
    title = next((n for n, p in found["properties"].items() if p.get("type") == "title"), None)
    return Page(
        id=found["id"],
        url=found.get("url") or "",
        title=str(values.get(title) or "") if title else "",
        properties=values,
    )


_OPERATOR = {
    "multi_select": "contains",
    "people": "contains",
    "relation": "contains",
    "files": "is_not_empty",
}
_ALIKE = {"email": "rich_text", "phone_number": "rich_text", "url": "rich_text"}


def _condition(name: str, value: Any, schema: Mapping[str, JsonObject]) -> JsonObject:
    """Return the filter for a property that is to have a value; a list: all of them; None: none."""
    if name not in schema:
        raise Rejected(f"{name!r} is no property of the database; there are {', '.join(schema)}")
    kind = str(schema[name]["type"])
    shown = _ALIKE.get(kind, kind)
    if value is None:
        return {"property": name, shown: {"is_empty": True}}
    operator = _OPERATOR.get(kind, "equals")
    if isinstance(value, list):
        return {"and": [_condition(name, each, schema) for each in value]}
    if kind in ("relation", "people"):
        value = notion_id(str(value))
    return {"property": name, shown: {operator: value}}
