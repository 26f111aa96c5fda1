"""Finding what a write has made, when nobody knows whether it has.

What is looked for was made by this connection, not before the write was begun, with the same title
or text, and is not known to be another write's. Notion rounds times down to the minute.
"""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from higherself.notion.errors import PageNotFound
from higherself.notion.ports import Intent, Intents, JsonObject
from higherself.notion.reading.api import Notion
from higherself.notion.writing.limits import kind_of
from higherself.notion.writing.once import Made

SKEW = timedelta(minutes=2)
"""By how much Notion's clock may be behind ours."""


class Readback:
    """Looks for what was made."""

    def __init__(self, notion: Notion, intents: Intents) -> None:
        self._notion, self._intents = notion, intents
        self._me: str | None = None

    async def page(
        self, intent: Intent, parent: JsonObject, title: str, markdown: str
    ) -> Made | None:
        """Find a page in a data source, under a page, or in the workspace."""
        candidates = [item async for item in self._pages(intent, parent) if title_of(item) == title]
        free = await self._free(intent, candidates)
        if len(free) > 1 and markdown:
            wanted = letters(markdown)
            alike = [
                one
                for one in free
                if letters((await self._notion.markdown(one)).markdown) == wanted
            ]
            free = alike or free
        return Made(result=free[0]) if free else None

    async def database(self, intent: Intent, parent: JsonObject, title: str) -> Made | None:
        """Find a database under a page."""
        if "page_id" not in parent:
            return None
        candidates = [
            block
            async for block in self._new_blocks(intent, parent["page_id"])
            if block["type"] == "child_database" and block["child_database"]["title"] == title
        ]
        free = await self._free(intent, candidates)
        return Made(result=free[0]) if free else None

    async def blocks(self, intent: Intent, sent: Sequence[JsonObject]) -> Made | None:
        """Find blocks that were appended: a run of new ones of the same kinds and texts."""
        new = [block async for block in self._new_blocks(intent, intent.target)]
        claimed = await self._intents.claimed([block["id"] for block in new], _since(intent))
        free = [block for block in new if block["id"] not in claimed]
        wanted = [(kind_of(block), letters(text_of(block))) for block in sent]
        found = [(block["type"], letters(text_of(block))) for block in free]
        for start in range(len(found) - len(wanted) + 1):
            if found[start : start + len(wanted)] == wanted:
                ids = tuple(block["id"] for block in free[start : start + len(wanted)])
                return Made(children=ids)
        return None

    async def inserted(self, intent: Intent, markdown: str) -> Made | None:
        """Find blocks that were made of markdown: new ones whose text it has, from end to end."""
        new = [block async for block in self._new_blocks(intent, intent.target)]
        claimed = await self._intents.claimed([block["id"] for block in new], _since(intent))
        free = [block for block in new if block["id"] not in claimed]
        wanted = letters(markdown)
        ids: list[str] = []
        for block in free:
            text = letters((await self._notion.markdown(block["id"])).markdown)
            if text and text in wanted:
                ids.append(block["id"])
        return Made(children=tuple(ids)) if ids else None

    async def comment(self, intent: Intent, markdown: str) -> Made | None:
        """Find a comment."""
        wanted, me = letters(markdown), await self.me()
        candidates = [
            item
            async for item in self._notion.comments(intent.target)
            if made_since(item, intent)
            and (item.get("created_by") or {}).get("id") == me
            and letters(plain(item["rich_text"])) == wanted
        ]
        free = await self._free(intent, candidates)
        return Made(result=free[0]) if free else None

    async def view(self, intent: Intent, name: str) -> Made | None:
        """Find a view of a database by its name."""
        async for item in self._notion.views(intent.target):
            view = await self._notion.view(item["id"])
            if view.get("name") == name and await self._free(intent, [view]):
                return Made(result=view["id"])
        return None

    async def gone(self, block: str) -> Made | None:
        """Find that a block is in the trash, or nowhere."""
        try:
            found = await self._notion.block(block)
        except PageNotFound:
            return Made(result=block)
        return Made(result=block) if found.get("in_trash") else None

    async def me(self) -> str:
        """Return the id of our own user."""
        if self._me is None:
            self._me = str((await self._notion.me())["id"])
        return self._me

    async def _pages(self, intent: Intent, parent: JsonObject) -> AsyncIterator[JsonObject]:
        me = await self.me()
        if "data_source_id" in parent or "database_id" in parent:
            source = parent.get("data_source_id") or await self._only_source(parent["database_id"])
            since = _since(intent).isoformat()
            window = {"timestamp": "created_time", "created_time": {"on_or_after": since}}
            found = self._notion.query(source, filter=window)
        elif "page_id" in parent:
            async for block in self._new_blocks(intent, parent["page_id"]):
                if block["type"] == "child_page":
                    yield block
            return
        else:
            found = self._notion.search(object="page")
        async for page in found:
            if made_since(page, intent) and (page.get("created_by") or {}).get("id") == me:
                yield page

    async def _only_source(self, database: str) -> str:
        return str((await self._notion.database(database))["data_sources"][0]["id"])

    async def _new_blocks(self, intent: Intent, parent: str) -> AsyncIterator[JsonObject]:
        me = await self.me()
        async for block in self._notion.children(parent):
            ours = (block.get("created_by") or {}).get("id") == me
            if ours and made_since(block, intent) and not block.get("in_trash"):
                yield block

    async def _free(self, intent: Intent, candidates: Sequence[JsonObject]) -> list[str]:
        """Return the ids of those that are not known to be another write's, the oldest first."""
        claimed = await self._intents.claimed([item["id"] for item in candidates], _since(intent))
        ordered = sorted(candidates, key=lambda item: str(item.get("created_time", "")))
        return [item["id"] for item in ordered if item["id"] not in claimed]


def made_since(item: JsonObject, intent: Intent) -> bool:
    """Return whether something may have been made by a write that began at its time."""
    return datetime.fromisoformat(item["created_time"]) >= _since(intent)


def _since(intent: Intent) -> datetime:
    return (intent.intended_at.astimezone(UTC) - SKEW).replace(second=0, microsecond=0)


def title_of(item: JsonObject) -> str:
    """Return the title of a page, or of a block that stands for one."""
    if "child_page" in item:
        return str(item["child_page"]["title"])
    for value in item.get("properties", {}).values():
        if isinstance(value, dict) and value.get("type") == "title":
            return plain(value["title"])
    return ""


def sent_title(properties: JsonObject) -> str:
    """Return the title in properties to be sent, whatever form they have."""
    for name, value in properties.items():
        if isinstance(value, dict) and "title" in value:
            return plain(value["title"])
        if name == "title" and isinstance(value, list):
            return plain(value)
    return ""


def plain(rich_text: Sequence[JsonObject]) -> str:
    """Return the text of rich text, of an answer or to be sent."""
    return "".join(
        str(item["plain_text"] if "plain_text" in item else _content(item)) for item in rich_text
    )


def _content(item: JsonObject) -> Any:
    if "text" in item:
        return item["text"].get("content", "")
    return (item.get("equation") or {}).get("expression", "")


def text_of(block: JsonObject) -> str:
    """Return the text that a block itself has."""
    content = block.get(kind_of(block)) or {}
    texts = [plain(content.get("rich_text") or []), plain(content.get("caption") or [])]
    texts += [plain(cell) for cell in content.get("cells") or []]
    texts += [str(content[key]) for key in ("expression", "url", "title") if key in content]
    return "".join(texts)


def letters(text: str) -> str:
    """Return letters and digits alone: how markdown is written does not matter then.

    >>> letters("# The *plan*: 2") == letters("The plan — 2")
    True
    """
    return re.sub(r"[\W_]+", "", re.sub(r"</?[a-z_]+[^>]*>", "", text)).casefold()
