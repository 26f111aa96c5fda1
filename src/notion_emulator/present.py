"""The JSON of pages, blocks, databases, data sources and users."""

from __future__ import annotations

import re
from typing import Any

from notion_emulator import files, props, values
from notion_emulator.blocks import MEDIA
from notion_emulator.call import Call, title
from notion_emulator.clock import millisecond, minute
from notion_emulator.errors import Json
from notion_emulator.ids import same_property
from notion_emulator.richtext import plain, text_items
from notion_emulator.store import Node


def parent(call: Call, node: Node) -> Json:
    """Return the parent as answered."""
    kind, object_id = node.parent
    if kind == "workspace":
        return {"type": "workspace", "workspace": True}
    answer = {"type": kind, kind: object_id}
    if kind == "data_source_id":
        answer["database_id"] = call.store.nodes[object_id].parent[1]
    return answer


def user_ref(user_id: str) -> Json:
    """Return the short form of a user."""
    return {"object": "user", "id": user_id}


def url(node: Node, object_id: str | None = None) -> str:
    """Return the address of a page or table."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", title(node)).strip("-") if node.kind == "page" else ""
    ending = (object_id or node.id).replace("-", "")
    return f"https://app.notion.com/p/{name}-{ending}" if name else f"https://app.notion.com/p/{ending}"  # fmt: skip


def stamped(node: Node) -> Json:
    """Return when a node was made and edited, and by whom."""
    return {
        "created_time": minute(node.created_at),
        "last_edited_time": minute(node.edited_at),
        "created_by": user_ref(node.created_by),
        "last_edited_by": user_ref(node.edited_by),
    }


def _trash(call: Call, node: Node) -> Json:
    in_trash = call.store.trashed(node)
    return {"in_trash": in_trash, "archived": in_trash} if call.old else {"in_trash": in_trash}


def page(call: Call, node: Node, only: list[str] | None = None) -> Json:
    """Return a page, with all its properties or those named."""
    return {
        "object": "page",
        "id": node.id,
        **stamped(node),
        "cover": files.signed(call, node.data.get("cover")),
        "icon": files.signed(call, node.data.get("icon")),
        "parent": parent(call, node),
        **_trash(call, node),
        "is_archived": node.is_archived,
        "is_locked": node.is_locked,
        "properties": properties(call, node, only),
        "url": url(node),
        "public_url": None,
    }


def schema_of(call: Call, node: Node) -> dict[str, Json]:
    """Return the schema of a page's properties; a page outside tables has a title only."""
    source = call.store.nodes.get(node.parent[1])
    if source is not None and source.kind == "data_source":
        schema: dict[str, Json] = source.data["schema"]
        return schema
    return {"title": {"id": "title", "name": "title", "type": "title", "title": {}}}


def properties(call: Call, node: Node, only: list[str] | None = None) -> Json:
    """Return the properties of a page by name."""
    schema = schema_of(call, node)
    wanted = list(schema.values())
    if only:
        wanted = [p for p in wanted if any(same_property(p["id"], key) or p["name"] == key for key in only)]  # fmt: skip
    return {p["name"]: shown_property(call, node, p) for p in wanted}


def shown_property(call: Call, node: Node, prop: Json) -> Json:
    """Return one property value as answered in a page."""
    kind = prop["type"]
    found = values.value_of(call, node, prop)
    answer: Json = {"id": prop["id"], "type": kind, kind: found}
    if kind == "relation":
        answer[kind] = found[:25]
        answer["has_more"] = len(found) > 25
    if kind == "files":
        answer[kind] = files.signed(call, found)
    if kind in ("people", "created_by", "last_edited_by"):
        answer[kind] = _people(call, found)
    return answer


def _people(call: Call, found: Any) -> Any:
    if isinstance(found, list):
        return [user(call, item["id"]) for item in found]
    return user(call, found["id"])


def user(call: Call, user_id: str, *, whole: bool = False) -> Json:
    """Return a user. A bot shows its owner only when ``whole``."""
    known = call.store.users.get(user_id)
    if known is None:
        return user_ref(user_id)
    if known["type"] == "bot" and not whole:
        return known | {"bot": {}}
    return known


def block(call: Call, node: Node) -> Json:
    """Return a block, or the block a child page or database appears as."""
    kind, payload = node.data.get("type", ""), node.data.get("payload")
    if node.kind != "block":
        kind = f"child_{node.kind}"
        payload = {"title": plain(_database_title(call, node)) if node.kind == "database" else title(node)}  # fmt: skip
    has_children = bool(call.store.living_children(node)) and node.kind != "database"
    if payload and payload.get("synced_from"):
        origin = call.store.nodes.get(payload["synced_from"]["block_id"])
        has_children = origin is not None and bool(call.store.living_children(origin))
    return {
        "object": "block",
        "id": node.id,
        "parent": parent(call, node),
        **stamped(node),
        "has_children": has_children,
        **_trash(call, node),
        "type": kind,
        kind: files.signed(call, payload) if kind in MEDIA or kind == "callout" else payload,
    }


def database(call: Call, node: Node) -> Json:
    """Return a database: a container of data sources."""
    return {
        "object": "database",
        "id": node.id,
        "title": _database_title(call, node),
        "description": node.data.get("description", []),
        "parent": parent(call, node),
        "is_inline": node.data.get("is_inline", False),
        **_trash(call, node),
        "is_locked": node.is_locked,
        "created_time": millisecond(node.created_at),
        "last_edited_time": millisecond(node.edited_at),
        "data_sources": [
            {"id": c.id, "name": title(c) or "New database"}
            for c in call.store.living_children(node)
            if c.kind == "data_source"
        ],
        "icon": node.data.get("icon"),
        "cover": node.data.get("cover"),
        "url": url(node),
        "public_url": None,
    }


def _database_title(call: Call, node: Node) -> list[Json]:
    """Return the title of a database: of its only data source, as recorded, if it has one."""
    sources = [c for c in call.store.living_children(node) if c.kind == "data_source"]
    found: list[Json] = sources[0].data["title"] if len(sources) == 1 else node.data["title"]
    return found or text_items("New database")


def data_source(call: Call, node: Node) -> Json:
    """Return a data source with its schema."""
    above = call.store.nodes[node.parent[1]]
    return {
        "object": "data_source",
        "id": node.id,
        "cover": node.data.get("cover"),
        "icon": node.data.get("icon"),
        **stamped(node),
        "title": node.data["title"],
        "description": above.data.get("description", []),
        "is_inline": above.data.get("is_inline", False),
        "properties": {p["name"]: p for p in node.data["schema"].values()},
        "parent": {"type": "database_id", "database_id": above.id},
        "database_parent": parent(call, above),
        "url": url(above),
        "public_url": None,
        **_trash(call, node),
    }


def blank(prop: Json) -> Any:
    """Return the value of an unset property."""
    return props.empty(prop)
