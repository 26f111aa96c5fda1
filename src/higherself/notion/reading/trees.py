"""The blocks of a page, nested."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from higherself.notion.errors import PageNotFound
from higherself.notion.ports import JsonObject

Children = Callable[[str], AsyncIterator[JsonObject]]
ELSEWHERE = frozenset({"child_page", "child_database"})
"""Blocks whose content is another page's."""


@dataclass(slots=True)
class Tree:
    """Blocks as Notion gives them, each with those inside it under ``children``.

    ``truncated`` if some are missing: beyond the limits, or not shared; ``unread`` has the ids of
    the blocks whose content that is. What a synced block shows is read once; a copy of it, or of
    one that it stands in, has no ``children``.
    """

    blocks: list[JsonObject] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    count: int = 0

    @property
    def truncated(self) -> bool:
        """Whether something is missing."""
        return bool(self.unread)


async def tree_of(children: Children, root: str, *, blocks: int, depth: int) -> Tree:
    """Read the blocks inside ``root``, in the order in which they stand.

    Raises
        PageNotFound: ``root`` is not there, or not shared.
    """
    reading = _Reading(children, blocks, root)
    # Breadth first: of a page that is too large, the beginning of every part is there.
    level: list[_Place] = [(root, reading.tree.blocks)]
    for _ in range(depth):
        level = [place for above in level for place in await reading.inside(*above)]
        if not level:
            break
    reading.tree.unread += [parent for parent, _ in level]
    return reading.tree


_Place = tuple[str, list[JsonObject]]


class _Reading:
    """What was read so far of a page."""

    def __init__(self, children: Children, blocks: int, root: str) -> None:
        self.tree = Tree()
        self._children, self._most, self._root = children, blocks, root
        self._synced = {root}

    async def inside(self, parent: str, into: list[JsonObject]) -> list[_Place]:
        """Read the blocks directly inside ``parent``; return where more are."""
        if self.tree.count >= self._most:
            self.tree.unread.append(parent)
            return []
        try:
            async for block in self._children(parent):
                into.append(dict(block))
                self.tree.count += 1
                if self.tree.count >= self._most:
                    self.tree.unread.append(parent)
                    break
        except PageNotFound:
            if parent == self._root:
                raise
            self.tree.unread.append(parent)
        return [place for block in into if (place := self._place(block)) is not None]

    def _place(self, block: JsonObject) -> _Place | None:
        if not block.get("has_children") or block.get("type") in ELSEWHERE:
            return None
        if (origin := _origin(block)) is not None:
            if origin in self._synced:
                return None
            self._synced.add(origin)
        block["children"] = []
        return block["id"], block["children"]


def _origin(block: JsonObject) -> str | None:
    """Return which synced block ``block`` is or shows; None if it is none."""
    if block.get("type") != "synced_block":
        return None
    source = (block.get("synced_block") or {}).get("synced_from") or {}
    return str(source.get("block_id") or block["id"])
