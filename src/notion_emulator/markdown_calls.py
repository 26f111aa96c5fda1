"""The page markdown endpoints."""

from __future__ import annotations

from notion_emulator import markdown_parse, writing
from notion_emulator.blocks import Draft
from notion_emulator.call import Call, path_id, title
from notion_emulator.errors import Json, invalid, invalid_body
from notion_emulator.markdown_render import Piece, Rendering, render
from notion_emulator.store import Node


def read(call: Call, page_id: str) -> Json:
    """Answer GET /pages/{id}/markdown; the id of a block is fine too."""
    return _answer(call, call.find(path_id("page_id", page_id), "page", "block"))


def _answer(call: Call, node: Node) -> Json:
    rendering = Rendering(call.settings.max_markdown_blocks)
    pieces = [_piece(call, c) for c in call.store.living_children(node)]
    if node.kind == "block":
        pieces = [_piece(call, node)]
    return {
        "object": "page_markdown",
        "id": node.id,
        "markdown": render(pieces, rendering),
        "truncated": bool(rendering.unknown),
        "unknown_block_ids": rendering.unknown,
    }


def _piece(call: Call, node: Node) -> Piece:
    if node.kind != "block":
        payload: Json = {"title": title(node), "inline": node.data.get("is_inline")}
        sources = [c.id for c in call.store.living_children(node) if c.kind == "data_source"]
        if sources:
            payload["data_source"] = sources[0]
        return Piece(f"child_{node.kind}", payload, node.id)
    children = tuple(_piece(call, c) for c in call.store.living_children(node))
    return Piece(node.data["type"], node.data["payload"] or {}, node.id, children)


def update(call: Call, page_id: str) -> Json:
    """Answer PATCH /pages/{id}/markdown with the whole text after the change."""
    call.may("update_content")
    node = call.editable(call.find(path_id("page_id", page_id), "page"))
    kind = call.body.get("type")
    call.known("type", str(kind), "allow_async", "markdown_version")
    given = call.body.get(kind) if isinstance(kind, str) else None
    if not isinstance(given, dict):
        raise invalid_body(str(kind) if kind in _CHANGES else "type", "defined", None)
    if kind == "insert_content":
        _insert(call, node, given)
    elif kind in _CHANGES:
        _replace(call, node, _changed(str(kind), _answer(call, node)["markdown"], given), given)
    else:
        raise invalid_body("type", "a known change", kind)
    writing.touch(call, node, content=True)
    call.store.record("page.content_updated", node.id, call.actor, call.now)
    return _answer(call, node)


_CHANGES = frozenset({"insert_content", "replace_content", "update_content", "replace_content_range"})  # fmt: skip


def _changed(kind: str, text: str, given: Json) -> str:
    if kind == "replace_content":
        return _string(given, "new_str", kind)
    if kind == "replace_content_range":
        start, end = _range(text, _string(given, "content_range", kind), "replace_content_range.content_range")  # fmt: skip
        return text[:start] + _string(given, "content", kind) + text[end:]
    edits = given.get("content_updates")
    if not isinstance(edits, list):
        raise invalid_body("update_content.content_updates", "an array", edits)
    if len(edits) > 100:
        raise invalid_body("update_content.content_updates.length", "≤ `100`", len(edits))
    for edit in edits:
        old, new = _string(edit, "old_str", kind), _string(edit, "new_str", kind)
        found = text.count(old) if old else 0
        if found == 0:
            raise invalid(f"Could not find old_str in the page content: {old}")
        if found > 1 and not edit.get("replace_all_matches"):
            raise invalid(f"old_str occurs {found} times; make it unique or set replace_all_matches: {old}")  # fmt: skip
        text = text.replace(old, new)
    return text


def _string(given: Json, key: str, kind: str) -> str:
    found = given.get(key)
    if not isinstance(found, str):
        raise invalid_body(f"{kind}.{key}", "a string", found)
    return found


def _range(text: str, wanted: str, path: str) -> tuple[int, int]:
    first, dots, last = wanted.partition("...")
    start = text.find(first)
    end = text.find(last, start + len(first)) if dots and last else start
    if start < 0 or end < 0:
        raise invalid(f"Could not find the range in the page content: {wanted}")
    return start, end + len(last if dots else first)


def _insert(call: Call, node: Node, given: Json) -> None:
    items = markdown_parse.parse(_string(given, "content", "insert_content"))
    after, position = given.get("after"), given.get("position")
    if after is not None and position is not None:
        raise invalid("Give either after or position, not both.")
    if position is not None and position.get("type") not in ("start", "end"):
        raise invalid_body("insert_content.position.type", "a known position", position.get("type"))
    if after is None:
        first = position is not None and position["type"] == "start"
        writing.add_blocks(call, node, items, first=first)
        return
    text = _answer(call, node)["markdown"]
    _, end = _range(text, after, "insert_content.after")
    seen = ""
    for child in call.store.living_children(node):
        seen += ("\n" if seen else "") + render([_piece(call, child)], Rendering())
        if len(seen) >= end:
            writing.add_blocks(call, node, items, after=child.id)
            return


def _replace(call: Call, node: Node, text: str, given: Json) -> None:
    """Put new content in place; blocks that read the same keep their ids."""
    items = markdown_parse.parse(text)
    old = call.store.living_children(node)
    pool: dict[str, list[Node]] = {}
    for child in old:
        pool.setdefault(render([_piece(call, child)], Rendering()), []).append(child)
    plan = [(item, _kept(item, pool)) for item in items]
    kept = {keeper.id for _, keeper in plan if keeper is not None}
    gone = [c for c in old if c.id not in kept]
    lost = [c for c in gone if c.kind != "block"]
    if lost and not given.get("allow_deleting_content"):
        names = ", ".join(f"{c.kind} {c.id}" for c in lost)
        raise invalid(f"This would delete child pages or databases: {names}. Set allow_deleting_content to do so.")  # fmt: skip
    for child in gone:
        child.in_trash = True
    order = []
    for item, keeper in plan:
        made = keeper or writing.add_blocks(call, node, [item])[0]
        order.append(made.id)
    rest = [i for i in node.children if i not in set(order)]
    node.children[:] = order + rest


def _kept(item: Draft, pool: dict[str, list[Node]]) -> Node | None:
    text = render([_drafted(item)], Rendering())
    if not pool.get(text) and item.type == "paragraph":
        text = "".join(i["plain_text"] for i in item.payload["rich_text"])
    found = pool.get(text)
    return found.pop(0) if found else None


def _drafted(item: Draft) -> Piece:
    return Piece(item.type, item.payload, "", tuple(_drafted(c) for c in item.children))
