"""The comments endpoints."""

from __future__ import annotations

from typing import Any

from notion_emulator import journal, markdown_inline, writing
from notion_emulator.call import Call, bad_cursor, body_id, listing, page_size, path_id
from notion_emulator.clock import minute
from notion_emulator.errors import Json, invalid, invalid_body
from notion_emulator.ids import dashed
from notion_emulator.richtext import completed


def create(call: Call) -> Json:
    """Answer POST /comments: on a page, a block, or in a discussion."""
    call.may("insert_comments")
    call.known("parent", "discussion_id", "rich_text", "markdown", "attachments", "display_name")
    if ("parent" in call.body) == ("discussion_id" in call.body):
        raise invalid("Give either parent or discussion_id.")
    parent, discussion = _place(call)
    made: Json = {
        "object": "comment",
        "id": call.store.ids.object_id(),
        "parent": parent,
        "discussion_id": discussion,
        "created_time": minute(call.now),
        "last_edited_time": minute(call.now),
        "created_by": {"object": "user", "id": call.actor},
        "rich_text": _text(call),
        "display_name": {"type": _kind(call), "resolved_name": call.connection.name},
    }
    call.store.comments[made["id"]] = made
    _note(call, "comment.created", made)
    if call.settings.comment_bumps_page:
        writing.touch(call, call.store.nodes[parent[parent["type"]]], content=True)
    return dict(made)


def _place(call: Call) -> tuple[Json, str]:
    if "discussion_id" in call.body:
        wanted = body_id(call.body, "discussion_id", "")
        found = next((c for c in call.store.comments.values() if c["discussion_id"] == wanted), None)  # fmt: skip
        if found is None:
            raise call.missing("discussion", wanted)
        return found["parent"], wanted
    given = call.body["parent"]
    key, kind = ("page_id", "page") if "page_id" in given else ("block_id", "block")
    node = call.find(body_id(given, key, "parent"), kind, "page")
    parent = {"type": key, key: node.id}
    known = next((c["discussion_id"] for c in call.store.comments.values() if c["parent"] == parent), None)  # fmt: skip
    return parent, known or call.store.ids.object_id()  # recorded: a page has one discussion


def _kind(call: Call) -> str:
    return "user" if call.store.users.get(call.actor, {}).get("type") == "person" else "integration"


def _note(call: Call, kind: str, comment: Json) -> None:
    above = comment["parent"]["type"]
    node = call.store.nodes[comment["parent"][above]]
    page = call.store.page_of(node)
    parent = {"id": node.id, "type": above.removesuffix("_id")}
    journal.note(call, kind, comment["id"], parent=parent, page_id=(page or node).id)


def _text(call: Call) -> list[Json]:
    if isinstance(call.body.get("markdown"), str):
        return markdown_inline.items_of(call.body["markdown"])
    if "rich_text" not in call.body:
        raise invalid_body("rich_text", "defined", None)
    return completed(call.body["rich_text"], "rich_text", call.title_of)


def several(call: Call) -> Json:
    """Answer GET /comments?block_id=…."""
    call.may("read_comments")
    given = call.query.get("block_id", [None])[0]
    wanted = dashed(given)
    if wanted is None:
        raise invalid_body("block_id", "a valid uuid", given)
    call.find(wanted, "block", "page")
    size = page_size(call.query.get("page_size", [None])[0], "query")
    found = [c for c in call.store.comments.values() if wanted in c["parent"].values()]
    cursor: Any = call.query.get("start_cursor", [None])[0]
    ids = [c["id"] for c in found]
    if cursor and cursor not in ids:
        raise bad_cursor(cursor)
    start = ids.index(cursor) if cursor else 0
    following = ids[start + size] if start + size < len(ids) else None
    return listing(found[start : start + size], "comment", following)


def one(call: Call, comment_id: str) -> Json:
    """Answer GET /comments/{id}."""
    call.may("read_comments")
    return dict(_found(call, comment_id))


def update(call: Call, comment_id: str) -> Json:
    """Answer PATCH /comments/{id}."""
    call.may("insert_comments")
    call.known("rich_text", "markdown")
    comment = _found(call, comment_id)
    comment["rich_text"] = _text(call)
    comment["last_edited_time"] = minute(call.now)
    _note(call, "comment.updated", comment)
    return dict(comment)


def delete(call: Call, comment_id: str) -> Json:
    """Answer DELETE /comments/{id} with what it was."""
    call.may("insert_comments")
    comment = _found(call, comment_id)
    del call.store.comments[comment["id"]]
    _note(call, "comment.deleted", comment)
    return dict(comment)


def _found(call: Call, comment_id: str) -> Json:
    wanted = path_id("comment_id", comment_id)
    if wanted not in call.store.comments:
        raise call.missing("comment", wanted)
    return call.store.comments[wanted]
