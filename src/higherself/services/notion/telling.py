"""Telling pages what became of them: that they are indexed, in how many passages, and what is near.

Only databases that have a property of such a name are told, in the type that it has. One request
for a page, for its latest content; what was told already is not told again.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from higherself.db.pool import Database, Row
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Conflict, NotFound, Rejected
from higherself.knowledge.hub import KnowledgeHub
from higherself.notion.ports import JsonObject
from higherself.services.notion.knowledge import QUERIES
from higherself.services.notion.text import SOURCE

AT_ONCE = 50
RELATED = 3
INDEXED = "Indexed"


class PageWrites(Protocol):
    """What is written to Notion here. The same key is done once."""

    async def update_page(
        self, page: str, *, key: str, properties: JsonObject | None = None
    ) -> JsonObject:
        """Change properties."""
        ...


class Telling:
    """Writes back to pages that are documents."""

    def __init__(
        self, hub: KnowledgeHub, writes: PageWrites, database: Database, clock: Clock
    ) -> None:
        self._hub, self._writes, self._database, self._clock = hub, writes, database, clock

    async def push(self) -> int:
        """Tell pages that were indexed since they were told; return how many.

        Raises
            NotionUnavailable, NotAuthorised, ...: the next push goes on from there.
        """
        async with self._database.transaction() as tx:
            waiting = await tx.many(QUERIES["notion_documents_to_tell"], {"limit": AT_ONCE})
        for row in waiting:
            await self._tell(row)
        return len(waiting)

    async def _tell(self, row: Row) -> None:
        page, entity = row["page_id"], row["entity"]
        document = await self._hub.find(entity, SOURCE, page)
        chunks = 0
        if document is not None:
            shown = await self._hub.show(str(document), entity=entity)
            chunks = len(shown["chunks"])
            related = await self._related(row["tells"], entity, page, str(shown["title"]))
            properties = self._properties(row["tells"], chunks, related)
            key = f"tell/{page}/{row['content_hash'].hex()}"
            try:
                await self._writes.update_page(page, key=key, properties=properties)
            except (Rejected, NotFound, Conflict) as error:  # it has moved on: the next sync tells
                telemetry.warning("notion.telling.refused", page=page, error=str(error))
        values = {"page": page, "hash": row["content_hash"], "chunks": chunks}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["notion_document_told"], values)

    async def _related(
        self, tells: Mapping[str, str], entity: str, page: str, title: str
    ) -> list[str]:
        """Return the pages that are nearest to a page."""
        if "Related Pages" not in tells or not title.strip():
            return []
        answer = await self._hub.search(title, limit=10, entity=entity, sources=[SOURCE])
        found = dict.fromkeys(hit.document.external_id for hit in answer.hits)
        return [each for each in found if each != page][:RELATED]

    def _properties(self, tells: Mapping[str, str], chunks: int, related: list[str]) -> JsonObject:
        now = self._clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
        said: dict[str, Any] = {
            "Index Status": INDEXED,
            "Chunks": chunks,
            "Last Embedded": now,
            "Related Pages": related,
        }
        return {name: {kind: _AS[kind](said[name])} for name, kind in tells.items() if kind in _AS}


def _texts(value: object) -> list[JsonObject]:
    if isinstance(value, list):
        return [
            {"type": "mention", "mention": {"type": "page", "page": {"id": each}}} for each in value
        ]
    return [{"type": "text", "text": {"content": str(value)}}]


_AS: dict[str, Callable[[Any], Any]] = {
    "rich_text": _texts,
    "select": lambda value: {"name": str(value)},
    "number": lambda value: value if isinstance(value, int) else None,
    "date": lambda value: {"start": value},
    "checkbox": bool,
    "relation": lambda value: [{"id": each} for each in value] if isinstance(value, list) else [],
}
"""How a value is written in each type of property that can take one."""
