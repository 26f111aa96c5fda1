"""The blocks endpoints."""

from __future__ import annotations

from notion_emulator import blocks, journal, present, writing
from notion_emulator.call import Call, bad_cursor, listing, page_size, path_id
from notion_emulator.errors import Json, invalid, invalid_body
from notion_emulator.ids import dashed
from notion_emulator.store import Node


def one(call: Call, block_id: str) -> Json:
    """Answer GET /blocks/{id}."""
    return present.block(call, _block(call, block_id))


def update(call: Call, block_id: str) -> Json:
    """Answer PATCH /blocks/{id}."""
    call.may("update_content")
    node = _block(call, block_id)
    wanted = writing.trash_wanted(call)
    if wanted is not None:
        writing.set_trash(call, node, wanted)
    rest = {k: v for k, v in call.body.items() if k not in ("in_trash", "archived", "type", "object")}  # fmt: skip
    if not rest:
        return present.block(call, node)
    call.editable(node)
    if node.kind != "block":
        raise invalid(f"Use the {node.kind}s endpoint to change a child_{node.kind}.")
    kind = node.data["type"]
    for key in rest:
        if key != kind:
            raise invalid(f"Block type cannot be changed: {kind} block cannot be updated with {key}.")  # fmt: skip
    node.data["payload"] = blocks.merged(kind, node.data["payload"], rest[kind], "body", call.title_of)  # fmt: skip
    writing.touch(call, node, content=True)
    journal.content(call, node, [node.id])
    return present.block(call, node)


def delete(call: Call, block_id: str) -> Json:
    """Answer DELETE /blocks/{id}: into the trash, pages and databases too."""
    call.may("update_content")
    node = _block(call, block_id)
    writing.set_trash(call, node, True)
    return present.block(call, node)


def children(call: Call, block_id: str) -> Json:
    """Answer GET /blocks/{id}/children; the cursor is the id of the next block."""
    node = _block(call, block_id)
    origin = ((node.data.get("payload") or {}).get("synced_from") or {}).get("block_id")
    if origin and origin in call.store.nodes:
        node = call.store.nodes[origin]
    size = call.shortened(page_size(call.query.get("page_size", [None])[0], "query"))
    living = call.seen(call.store.living_children(node)) if node.kind != "database" else []
    start = 0
    cursor = call.query.get("start_cursor", [None])[0]
    if cursor:
        places = {c.id: n for n, c in enumerate(living)}
        found = dashed(cursor)
        if found not in places:
            raise bad_cursor(cursor)
        start = places[found]
    following = living[start + size].id if start + size < len(living) else None
    shown = [present.block(call, child) for child in living[start : start + size]]
    return listing(shown, "block", following)


def append(call: Call, block_id: str) -> Json:
    """Answer PATCH /blocks/{id}/children with the new blocks of the first level."""
    call.may("insert_content")
    call.known("children", "after", "position")
    if "children" not in call.body:
        raise invalid_body("children", "defined", None)
    items = blocks.drafts(call.body["children"], "children", call.title_of)
    node = call.editable(_block(call, block_id))
    _check_parent(node, items)
    after, first = writing.place(call, node)
    made = writing.add_blocks(call, node, items, after=after, first=first)
    if made:
        writing.touch(call, node, content=True)
        journal.content(call, node, [m.id for m in made])
    shown = made
    if after is not None and made:
        living = call.store.living_children(node)
        place = next(n for n, c in enumerate(living) if c.id == made[0].id)
        shown = living[place : place + 100]  # recorded: with the siblings that follow
    return listing([present.block(call, m) for m in shown], "block")


def _check_parent(node: Node, items: list[blocks.Draft]) -> None:
    kind = node.data.get("type")
    if node.kind == "database" or (node.kind == "block" and kind not in blocks.NESTING):
        raise invalid("Block does not support children.")
    if kind == "table" and any(
        i.type != "table_row" or len(i.payload["cells"]) != node.data["payload"]["table_width"]
        for i in items
    ):
        raise invalid("Number of cells in table row must match the table width of the parent table")
    if kind == "column_list" and any(i.type != "column" for i in items):
        raise invalid("A column_list holds columns only.")


def _block(call: Call, block_id: str) -> Node:
    return call.find(path_id("block_id", block_id), "block", "page", "database")
