"""What can be read of Notion: typed arguments in, Notion's own objects out.

Listings walk every page of a list. They bear short pages, and begin again where a cursor is not
valid any more; what they have given out they do not give out again.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from higherself.notion.gateway.gateway import Gateway
from higherself.notion.gateway.lanes import Lane
from higherself.notion.ids import notion_id
from higherself.notion.ports import JsonObject, Query
from higherself.notion.reading.listing import listed
from higherself.notion.reading.rows import every_row
from higherself.notion.reading.trees import Tree, tree_of

Kind = Literal["page", "data_source"]


@dataclass(frozen=True, slots=True)
class PageMarkdown:
    """A page as markdown. ``unknown`` are the blocks that it does not show, by their ids.

    If it is ``truncated``, it must not be written back, and nothing may be deleted after it.
    """

    markdown: str
    truncated: bool
    unknown: tuple[str, ...]


def page_markdown(answer: JsonObject) -> PageMarkdown:
    """Return what Notion answers about markdown."""
    unknown = tuple(answer.get("unknown_block_ids") or ())
    return PageMarkdown(str(answer["markdown"]), bool(answer.get("truncated")), unknown)


class Notion:
    """Reads. Each method tells in its errors what `Gateway.request` tells."""

    def __init__(self, gateway: Gateway, lane: Lane = "live") -> None:
        self.gateway, self.lane = gateway, lane

    def in_lane(self, lane: Lane) -> "Notion":
        """Return the same, with its requests in another lane."""
        return Notion(self.gateway, lane)

    async def me(self) -> JsonObject:
        """Return the connection itself: a user of type bot."""
        return await self._get("users/me")

    async def page(self, page: str, *, only: Sequence[str] = ()) -> JsonObject:
        """Return a page with its properties; with ``only``, those of these ids."""
        query = {"filter_properties": list(only)} if only else None
        return await self._get(f"pages/{notion_id(page)}", query)

    async def markdown(self, block: str) -> PageMarkdown:
        """Return what stands on a page, or in a block, as markdown."""
        return page_markdown(await self._get(f"pages/{notion_id(block)}/markdown"))

    async def block(self, block: str) -> JsonObject:
        """Return a block."""
        return await self._get(f"blocks/{notion_id(block)}")

    def query(
        self,
        data_source: str,
        *,
        filter: Mapping[str, Any] | None = None,
        sorts: Sequence[Mapping[str, Any]] = (),
        archived: bool = False,
    ) -> AsyncIterator[JsonObject]:
        """Yield every row of a data source once, also beyond the 10,000 that a query gives.

        With more rows than that they come in the order in which they were made, without ``sorts``.
        """
        return every_row(
            self._post, notion_id(data_source), filter=filter, sorts=sorts, archived=archived
        )

    def search(
        self, text: str = "", *, object: Kind | None = None, in_trash: bool = False
    ) -> AsyncIterator[JsonObject]:
        """Yield what is found by title, the last edited first. Notion may know more than it finds."""
        body: JsonObject = {"sort": {"timestamp": "last_edited_time", "direction": "descending"}}
        if text:
            body["query"] = text
        chosen: JsonObject = {"property": "object", "value": object} if object else {}
        if in_trash:
            chosen["in_trash"] = True
        if chosen:
            body["filter"] = chosen
        return listed(lambda more: self._post("search", {**body, **more}))

    def children(self, block: str) -> AsyncIterator[JsonObject]:
        """Yield the blocks directly inside a page or block."""
        path = f"blocks/{notion_id(block)}/children"
        return listed(lambda more: self._get(path, more))

    async def tree(self, block: str, *, blocks: int = 20_000, depth: int = 100) -> Tree:
        """Return the blocks inside a page or block, nested; see `Tree` for what is left out."""
        return await tree_of(self.children, notion_id(block), blocks=blocks, depth=depth)

    async def property_values(self, page: str, property_id: str) -> list[JsonObject]:
        """Return all values of a property, also those beyond the 25 that a page object has.

        A property with one value (a number, say) is a list with one item.
        """
        path = f"pages/{notion_id(page)}/properties/{property_id}"
        first = await self._get(path, {"page_size": 100})
        if first.get("object") != "list":
            return [first]
        values: list[JsonObject] = list(first["results"])
        while first.get("has_more") and first.get("next_cursor"):
            more = {"page_size": 100, "start_cursor": first["next_cursor"]}
            first = await self._get(path, more)
            values += first["results"]
        return values

    async def related(self, page: JsonObject, name: str) -> list[str]:
        """Return the ids of all pages that a relation of a page has, however many."""
        value = page["properties"][name]
        if not value.get("has_more"):
            return [one["id"] for one in value["relation"]]
        items = await self.property_values(page["id"], value["id"])
        return [item["relation"]["id"] for item in items]

    async def database(self, database: str) -> JsonObject:
        """Return a database: what its data sources are, among others."""
        return await self._get(f"databases/{notion_id(database)}")

    async def data_source(self, data_source: str) -> JsonObject:
        """Return a data source with its properties."""
        return await self._get(f"data_sources/{notion_id(data_source)}")

    def views(
        self, database: str | None = None, *, data_source: str | None = None
    ) -> AsyncIterator[JsonObject]:
        """Yield the views of a database or a data source: their ids alone, see `view`."""
        query: dict[str, str] = {}
        if database is not None:
            query["database_id"] = notion_id(database)
        if data_source is not None:
            query["data_source_id"] = notion_id(data_source)
        return listed(lambda more: self._get("views", {**query, **more}))

    async def view(self, view: str) -> JsonObject:
        """Return a view."""
        return await self._get(f"views/{notion_id(view)}")

    def users(self) -> AsyncIterator[JsonObject]:
        """Yield the people and bots of the workspace."""
        return listed(lambda more: self._get("users", more))

    async def user(self, user: str) -> JsonObject:
        """Return a person or a bot."""
        return await self._get(f"users/{notion_id(user)}")

    def comments(self, block: str) -> AsyncIterator[JsonObject]:
        """Yield the open comments on a page or block, the oldest first."""
        query = {"block_id": notion_id(block)}
        return listed(lambda more: self._get("comments", {**query, **more}))

    async def file_upload(self, upload: str) -> JsonObject:
        """Return what has become of a file."""
        return await self._get(f"file_uploads/{notion_id(upload)}")

    async def _get(self, path: str, query: Query | None = None) -> JsonObject:
        return await self.gateway.request("GET", path, query=query, lane=self.lane)

    async def _post(self, path: str, body: JsonObject) -> JsonObject:
        """Send a request that reads, though it is a POST."""
        return await self.gateway.request("POST", path, body=body, lane=self.lane)
