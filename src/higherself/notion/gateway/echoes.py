"""What we wrote ourselves, so that nobody takes it for a change of somebody's."""

import re
from typing import Any

from higherself.kernel.jsonvalue import canonical, content_hash
from higherself.notion.ids import notion_id
from higherself.notion.ports import EchoBook, Intents, JsonObject

CONTENT, PROPERTIES = "content", "properties"
"""The kinds of echoes."""

NOT_WRITTEN = frozenset({"created_time", "created_by", "last_edited_time", "last_edited_by", "formula", "rollup", "unique_id", "button", "verification"})  # fmt: skip
"""Types of properties that nobody writes: they change of themselves."""


class Echoes:
    """Knows what pages were like after we wrote them, for some days."""

    def __init__(self, book: EchoBook, intents: Intents) -> None:
        self._book, self._intents = book, intents

    async def seen(self, page_id: str, kind: str, hash: str) -> bool:
        """Return whether ``page_id`` is so because we wrote it."""
        return await self._book.seen(notion_id(page_id), kind, hash)

    async def remember(self, page_id: str, kind: str, hash: str) -> None:
        """Remember that it is so because we wrote it."""
        await self._book.remember(notion_id(page_id), kind, hash)

    async def under_way(self, page_id: str) -> bool:
        """Return whether a write of ours to it has not ended: what it is like now tells little."""
        return await self._intents.under_way(notion_id(page_id))

    async def wrote_page(self, page: JsonObject) -> None:
        """Remember a page's properties, as a write answered them."""
        await self.remember(page["id"], PROPERTIES, properties_hash(page))

    async def wrote_markdown(self, page_id: str, markdown: str) -> None:
        """Remember what stands on a page, as a write answered it."""
        await self.remember(page_id, CONTENT, markdown_hash(markdown))


def markdown_hash(markdown: str) -> str:
    """Return the hash of what stands on a page: that of `notion.content`."""
    from higherself.notion import content

    return content.content_hash(markdown)


def properties_hash(page: JsonObject) -> str:
    """Return the hash of what a page's properties say, with its icon and whether it is in the trash."""
    said = {
        value["id"]: _said(value)
        for value in page["properties"].values()
        if value.get("type") not in NOT_WRITTEN
    }
    facts: Any = {
        "properties": said,
        "icon": _said(page.get("icon")),
        "in_trash": page.get("in_trash"),
    }
    return content_hash(canonical(facts)).hex()


def _said(value: Any) -> Any:
    """Return a value without what changes with every answer: signed addresses, and their ends."""
    match value:
        case dict():
            return {key: _said(item) for key, item in value.items() if key not in ("expiry_time", "request_id", "has_more")}  # fmt: skip
        case list():
            return [_said(item) for item in value]
        case str() if value.startswith("http"):
            return re.sub(r"\?.*X-Amz-.*$", "", value)
        case _:
            return value
