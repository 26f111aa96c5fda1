"""Reading a page of Notion whole: one request, and more only for what that does not show."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

from higherself.kernel.errors import Rejected
from higherself.notion.content import filled, from_blocks, parse, unknown_ids
from higherself.notion.content.tree import Content
from higherself.notion.errors import PageNotFound
from higherself.notion.ports import JsonObject
from higherself.notion.reading.api import PageMarkdown
from higherself.notion.reading.trees import Tree

ASKED_ONE_BY_ONE = 20
"""Blocks that markdown does not show; with more of them, the blocks of the whole page are read."""


class PartlyRead(Rejected):
    """A page could not be read whole: what is known of it stays as it is."""


class Reading(Protocol):
    """What is asked of Notion; see `higherself.notion.reading.api.Notion`."""

    async def markdown(self, block: str) -> PageMarkdown:
        """Return what stands on a page."""
        ...

    async def block(self, block: str) -> JsonObject:
        """Return a block."""
        ...

    async def tree(self, block: str) -> Tree:
        """Return the blocks inside a page or block."""
        ...

    def children(self, block: str) -> AsyncIterator[JsonObject]:
        """Yield the blocks directly inside."""
        ...


async def whole_page(notion: Reading, page: str) -> Content:
    """Return everything that the connection may see of a page.

    Raises
        PageNotFound: the page is not there, or not shared.
        PartlyRead: a part of it could not be read.
    """
    found = await notion.markdown(page)
    content = parse(found.markdown)
    missing = [*dict.fromkeys([*found.unknown, *unknown_ids(content)])]
    if not missing:
        if found.truncated:
            return await _from_blocks(notion, page)
        return content
    if found.truncated and len(missing) > ASKED_ONE_BY_ONE:
        return await _from_blocks(notion, page)
    blocks: dict[str, Any] = {}
    for block in missing:
        try:
            blocks[block] = await _nested(notion, block)
        except PageNotFound:
            continue  # not shared with us: nobody who asks us may see it
    return filled(content, blocks)


async def _nested(notion: Reading, block: str) -> JsonObject:
    found = dict(await notion.block(block))
    if found.get("has_children") and found.get("type") not in ("child_page", "child_database"):
        tree = await notion.tree(block)
        if tree.truncated:
            raise PartlyRead(f"a part of the page (block {block}) is too large to be read")
        found["children"] = tree.blocks
    return found


async def _from_blocks(notion: Reading, page: str) -> Content:
    tree = await notion.tree(page)
    if tree.truncated:
        raise PartlyRead("the page is too large to be read whole: split it into several")
    return from_blocks(tree.blocks)
