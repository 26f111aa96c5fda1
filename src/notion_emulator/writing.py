"""Changes to the tree: making, moving to the trash, and what an edit bumps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from notion_emulator import journal, limits
from notion_emulator.blocks import Draft
from notion_emulator.call import Call
from notion_emulator.errors import Json, invalid, invalid_body
from notion_emulator.ids import dashed
from notion_emulator.store import Node


def new_node(call: Call, kind: str, parent: tuple[str, str], data: Json) -> Node:
    """Return a node made now by who asks; it is in no list yet."""
    limits.count_block(call)
    return Node(
        id=call.store.ids.object_id(),
        kind=kind,
        parent=parent,
        created_at=call.now,
        edited_at=call.now,
        created_by=call.actor,
        edited_by=call.actor,
        data=data,
    )


def touch(call: Call, node: Node, *, content: bool = False) -> None:
    """Set who edited when, on the node and, for content, on its page."""
    node.edited_at, node.edited_by = call.now, call.actor
    if content and call.settings.bump_page_on_api_content_edit:
        page = call.store.page_of(node)
        if page is not None:
            page.edited_at, page.edited_by = call.now, call.actor


def add_blocks(
    call: Call, parent: Node, items: Sequence[Draft], *, after: str | None = None, first: bool = False
) -> list[Node]:  # fmt: skip
    """Make blocks under a parent and return those of the first level."""
    made: list[Node] = []
    kind = "page_id" if parent.kind == "page" else "block_id"
    for item in items:
        previous = made[-1].id if made else after
        if "id" in item.payload:  # markdown that names what exists already
            made.append(_moved(call, item, (kind, parent.id), previous))
            continue
        node = new_node(call, "block", (kind, parent.id), {"type": item.type, "payload": item.payload})  # fmt: skip
        call.store.add(node, after=previous, first=first and not made)
        add_blocks(call, node, item.children)
        made.append(node)
    return made


def _moved(call: Call, item: Draft, parent: tuple[str, str], after: str | None) -> Node:
    """Move a page, database or block to where markdown names it.

    Raises
        ApiError: it is not there, or not shared.
    """
    node = call.find(item.payload["id"], "page", "database", "block")
    if node.id == parent[1] or any(a.id == node.id for a in call.store.ancestors(call.store.nodes[parent[1]])):  # fmt: skip
        raise invalid("A page cannot be moved into itself.")
    call.store.remove_child(node)
    node.parent = parent
    return call.store.add(node, after=after)


def place(call: Call, parent: Node) -> tuple[str | None, bool]:
    """Return after which child, or whether first, the body wants new children.

    Raises
        ApiError: the position is unknown, or given twice.
    """
    after, position = call.body.get("after"), call.body.get("position")
    if after is not None:
        if not call.old:
            raise invalid_body("after", "not present", after)
        return _sibling(call, parent, after, "after"), False
    if position is None:
        return None, False
    kind = position.get("type") if isinstance(position, dict) else None
    match kind:
        case "after_block":
            wanted = (position.get("after_block") or {}).get("id")
            return _sibling(call, parent, wanted, "position.after_block.id"), False
        case "start" | "page_start":
            return None, True
        case "end" | "page_end":
            return None, False
        case _:
            raise invalid_body("position.type", "a known position", kind)


def _sibling(call: Call, parent: Node, wanted: Any, path: str) -> str:
    sibling = dashed(wanted)
    if sibling is None:
        raise invalid_body(path, "a valid uuid", wanted)
    if sibling not in parent.children:
        raise invalid(f"Block to append after is not a child of the parent: {sibling}")
    return sibling


def set_trash(call: Call, node: Node, in_trash: bool) -> None:
    """Put a node into the trash or take it out."""
    if node.in_trash == in_trash:
        return
    node.in_trash = in_trash
    touch(call, node, content=node.kind == "block")
    if node.kind == "block":
        journal.content(call, node, [node.id])
        return
    journal.note(call, f"{node.kind}.{'deleted' if in_trash else 'undeleted'}", node.id)
    journal.inside(call, node)


def trash_wanted(call: Call) -> bool | None:
    """Return what the body says about the trash, under the name its version has.

    Raises
        ApiError: the name is not of this version.
    """
    if "archived" in call.body and not call.old:
        raise invalid_body("archived", "not present", call.body["archived"])
    wanted = call.body.get("in_trash", call.body.get("archived"))
    return None if wanted is None else bool(wanted)
