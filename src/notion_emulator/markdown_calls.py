"""The page markdown endpoints."""

from __future__ import annotations

from notion_emulator import journal, markdown_apply, markdown_parse, writing
from notion_emulator.call import Call, path_id
from notion_emulator.errors import ApiError, Json, invalid, invalid_body
from notion_emulator.markdown_apply import piece_of
from notion_emulator.markdown_render import Rendering, render
from notion_emulator.store import Node


def read(call: Call, page_id: str) -> Json:
    """Answer GET /pages/{id}/markdown; the id of a block is fine too."""
    _check_version(call.query.get("markdown_version", ["v1"])[0])
    return _answer(call, call.find(path_id("page_id", page_id), "page", "block"))


def _check_version(given: object) -> None:
    """Refuse what is not emulated, rather than answer it in another form."""
    if given != "v1":
        raise invalid_body("markdown_version", '`"v1"`: the emulator has no other', given)


def _answer(call: Call, node: Node) -> Json:
    rendering = Rendering(call.settings.max_markdown_blocks, hidden=call.connection.hidden)
    pieces = [piece_of(call, c) for c in call.store.living_children(node)]
    if node.kind == "block":
        pieces = [piece_of(call, node)]
    return {
        "object": "page_markdown",
        "id": node.id,
        "markdown": render(pieces, rendering),
        "truncated": bool(rendering.unknown),
        "unknown_block_ids": rendering.unknown,
    }


def update(call: Call, page_id: str) -> Json:
    """Answer PATCH /pages/{id}/markdown with the whole text after the change."""
    call.may("update_content")
    node = call.editable(call.find(path_id("page_id", page_id), "page"))
    kind = call.body.get("type")
    call.known("type", str(kind), "allow_async", "markdown_version")
    _check_version(call.body.get("markdown_version", "v1"))
    given = call.body.get(kind) if isinstance(kind, str) else None
    if not isinstance(given, dict):
        raise invalid_body(str(kind) if kind in _CHANGES else "type", "defined", None)
    before = journal.state(call, node)
    if kind == "insert_content":
        _insert(call, node, given)
    elif kind in _CHANGES:
        text, refused = _changed(str(kind), _answer(call, node)["markdown"], given)
        if refused is not None and call.settings.update_content_is_atomic:
            raise refused
        may_delete = bool(given.get("allow_deleting_content"))
        markdown_apply.replace(call, node, markdown_parse.parse(text), may_delete=may_delete)
        if refused is not None:
            raise refused
    else:
        raise invalid_body("type", "a known change", kind)
    writing.touch(call, node, content=True)
    journal.content(call, node, journal.differences(before, journal.state(call, node)))
    return _answer(call, node)


_CHANGES = frozenset({"insert_content", "replace_content", "update_content", "replace_content_range"})  # fmt: skip


def _changed(kind: str, text: str, given: Json) -> tuple[str, ApiError | None]:
    """Return the text after the change, and why the rest of it could not be done."""
    if kind == "replace_content":
        return _string(given, "new_str", kind), None
    if kind == "replace_content_range":
        start, end = _range(text, _string(given, "content_range", kind), "replace_content_range.content_range")  # fmt: skip
        return text[:start] + _string(given, "content", kind) + text[end:], None
    edits = given.get("content_updates")
    if not isinstance(edits, list):
        raise invalid_body("update_content.content_updates", "an array", edits)
    if len(edits) > 100:
        raise invalid_body("update_content.content_updates.length", "≤ `100`", len(edits))
    for edit in edits:
        old, new = _string(edit, "old_str", kind), _string(edit, "new_str", kind)
        found = text.count(old) if old else 0
        if found == 0:
            return text, invalid(f"Could not find old_str in the page content: {old}")
        if found > 1 and not edit.get("replace_all_matches"):
            return text, invalid(f"old_str occurs {found} times; make it unique or set replace_all_matches: {old}")  # fmt: skip
        text = text.replace(old, new)
    return text, None


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
        seen += ("\n" if seen else "") + render([piece_of(call, child)], Rendering())
        if len(seen) >= end:
            writing.add_blocks(call, node, items, after=child.id)
            return
