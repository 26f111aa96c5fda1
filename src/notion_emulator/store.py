"""The workspace in memory: users, connections, and one tree of pages, blocks and tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from notion_emulator.errors import Json
from notion_emulator.ids import IdSource

CAPABILITIES = frozenset({"read_content", "update_content", "insert_content", "read_comments", "insert_comments", "read_user"})  # fmt: skip


@dataclass
class Node:
    """A page, block, database or data source.

    ``parent`` is the type and id as answers show them. ``data`` holds what belongs to the kind:
    properties of a page, type and payload of a block, schema of a data source.
    """

    id: str
    kind: str
    parent: tuple[str, str]
    created_at: datetime
    edited_at: datetime
    created_by: str
    edited_by: str
    data: Json
    children: list[str] = field(default_factory=list)
    in_trash: bool = False
    is_archived: bool = False
    is_locked: bool = False


@dataclass
class Connection:
    """A token and what it may do."""

    token: str
    bot_id: str
    integration_id: str
    name: str
    capabilities: frozenset[str] = CAPABILITIES
    roots: set[str] = field(default_factory=set)  # "*" shares all
    hidden: set[str] = field(default_factory=set)  # taken out of what is shared, with all inside
    revoked: bool = False


class Store:
    """Everything the workspace holds. Methods keep both ends of the parent relation in step."""

    def __init__(self, seed: str = "emulator") -> None:
        self.ids = IdSource(seed)
        self.workspace_id = self.ids.uuid()
        self.workspace_name = "Workspace"
        self.users: dict[str, Json] = {}
        self.connections: dict[str, Connection] = {}
        self.nodes: dict[str, Node] = {}
        self.comments: dict[str, Json] = {}
        self.uploads: dict[str, Json] = {}
        self.views: dict[str, Json] = {}
        self.cursors: dict[str, Json] = {}
        self.events: list[Json] = []
        self.counters: dict[str, int] = {}
        self.tasks: dict[str, Json] = {}
        self.blobs: dict[str, dict[int, bytes]] = {}  # what was sent, by upload and part
        self.moments: dict[str, str] = {}

    def add(self, node: Node, *, after: str | None = None, first: bool = False) -> Node:
        """Put a node under its parent: last, first, or after a sibling."""
        new = node.id not in self.nodes  # then no list needs to be searched
        self.nodes[node.id] = node
        parent = self.nodes.get(node.parent[1])
        if parent is not None and (new or node.id not in parent.children):
            place = len(parent.children)
            if first:
                place = 0
            elif after is not None and after in parent.children:
                place = parent.children.index(after) + 1
            parent.children.insert(place, node.id)
        return node

    def remove_child(self, node: Node) -> None:
        """Take a node off its parent's list."""
        parent = self.nodes.get(node.parent[1])
        if parent is not None and node.id in parent.children:
            parent.children.remove(node.id)

    def ancestors(self, node: Node) -> Iterator[Node]:
        """Yield the parent, its parent, and so on."""
        seen = {node.id}
        above = self.nodes.get(node.parent[1])
        while above is not None and above.id not in seen:
            yield above
            seen.add(above.id)
            above = self.nodes.get(above.parent[1])

    def visible(self, node: Node, connection: Connection) -> bool:
        """Tell whether the node or something above it is shared with the connection."""
        roots, hidden = connection.roots, connection.hidden
        if not hidden and ("*" in roots or node.id in roots):
            return True
        for one in (node, *self.ancestors(node)):
            if one.id in hidden:
                return False
            if one.id in roots:
                return True
        return "*" in roots

    def trashed(self, node: Node) -> bool:
        """Tell whether the node or something above it is in the trash."""
        return node.in_trash or any(above.in_trash for above in self.ancestors(node))

    def living_children(self, node: Node) -> list[Node]:
        """Return the children that are not in the trash, in order."""
        return [c for i in node.children if not (c := self.nodes[i]).in_trash]

    def page_of(self, node: Node) -> Node | None:
        """Return the page a node is on, itself if it is one."""
        if node.kind == "page":
            return node
        return next((above for above in self.ancestors(node) if above.kind == "page"), None)

    def record(self, kind: str, entity: str, actor: str, at: datetime, **facts: Any) -> None:
        """Add a line to the event log."""
        self.events.append({"type": kind, "entity": entity, "actor": actor, "at": at.isoformat(), **facts})  # fmt: skip
