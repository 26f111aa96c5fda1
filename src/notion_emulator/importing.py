"""Bring objects as answers show them into a workspace: what existed before a recording began."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

from notion_emulator.clock import parsed
from notion_emulator.errors import Json
from notion_emulator.store import Node, Store

_ANYONE = "00000000-0000-4000-8000-0000000000ff"


def import_objects(store: Store, rows: list[Json]) -> None:
    """Add every object that the rows show and that no request of theirs made."""
    made: set[str] = set()
    shown: dict[str, Json] = {}
    for row in rows:
        creating = row["status"] == 200 and _creates(row)
        for item in _objects(row["response"]):
            object_id = item["id"]
            above = _parent_id(item)
            first = object_id not in shown and object_id not in made
            if first and ((above in made and item["object"] != "page") or (creating and _is_result(row, item))):  # fmt: skip
                made.add(object_id)
            elif first:
                shown[object_id] = item
            if object_id in made:
                made.update(s["id"] for s in item.get("data_sources", []))
            elif object_id in shown and item["object"] == "data_source":
                shown[object_id] = shown[object_id] | {"properties": shown[object_id]["properties"]}
    _import_users(store, rows)
    _import_comments(store, rows)
    for item in shown.values():
        _add(store, item)
    _join(store)
    _add_named(store, rows, made)
    for node in store.nodes.values():
        node.data["indexed"] = True


def _import_comments(store: Store, rows: list[Json]) -> None:
    """Take the comments that are listed and that no request made, and what they are on."""
    made = {row["response"].get("id") for row in rows if row["method"] == "POST"}
    for row in rows:
        if row["method"] != "GET" or not row["path"].startswith("/v1/comments"):
            continue
        for item in row["response"].get("results", []):
            if item["id"] in made or item["id"] in store.comments:
                continue
            store.comments[item["id"]] = {k: v for k, v in item.items() if k != "request_id"}
            above = item["parent"][item["parent"]["type"]]
            at = parsed(item["created_time"])
            if above not in store.nodes:
                child = Node("", "comment", ("", ""), at, at, _ANYONE, _ANYONE, {})
                store.nodes[above] = _stand_in(item["parent"]["type"], above, child)


def _add_named(store: Store, rows: list[Json], made: set[str]) -> None:
    """Add the parents that requests name and no answer shows, as untitled pages or tables."""
    for row in rows:
        for item in _objects(row["response"]):
            parent = item["parent"]
            above = parent.get(parent["type"])
            if isinstance(above, str) and above not in store.nodes and above not in made:
                child = Node("", item["object"], ("", ""), parsed(item["created_time"]), parsed(item["created_time"]), _ANYONE, _ANYONE, {"title": item.get("title", [])})  # fmt: skip
                store.nodes[above] = _stand_in(parent["type"], above, child)


def _creates(row: Json) -> bool:
    path: str = row["path"].rstrip("/")
    if row["method"] == "POST":
        return path.endswith(("/pages", "/databases", "/data_sources", "/views", "/comments"))
    return bool(row["method"] == "PATCH" and path.endswith("/children"))


def _is_result(row: Json, item: Json) -> bool:
    response = row["response"]
    return item is response or item in response.get("results", [])


def _parent_id(item: Json) -> str:
    parent = item.get("parent") or {}
    return str(parent.get(parent.get("type", ""), ""))


def _objects(part: Any) -> Iterator[Json]:
    if isinstance(part, dict):
        if part.get("object") in ("page", "block", "database", "data_source") and "parent" in part:
            yield part
        for value in part.values():
            yield from _objects(value)
    elif isinstance(part, list):
        for value in part:
            yield from _objects(value)


def _import_users(store: Store, rows: list[Json]) -> None:
    """Take the users as listed, and the connection's bot for ours."""
    bot = None
    for user in _users(rows):
        known = store.users.get(user["id"])
        if known is None or len(str(known)) < len(str(user)):
            store.users[user["id"]] = user
        if user["type"] == "bot" and user["bot"].get("owner"):
            bot = user
    connection = next(iter(store.connections.values()))
    found = json.dumps(rows)
    if match := re.search(r'"resolved_name": "(.*?)"', found):
        connection.name = match[1]
    if match := re.search(r'shared with your integration \\"(.*?)\\"', found):
        connection.name = match[1]
    if bot is None:
        authors = [row["response"]["created_by"]["id"] for row in rows if row["status"] == 200 and _creates(row) and "created_by" in row["response"]]  # fmt: skip
        if not authors:
            return
        bot = store.users.get(authors[0])
        if bot is None:
            bot = store.users[connection.bot_id] | {"id": authors[0]}
    own = {connection.bot_id}
    own |= {u for u, item in store.users.items() if item["type"] == "person" and item["name"] == "Robin Ash"}  # fmt: skip
    store.users = {k: v for k, v in store.users.items() if k not in own} | {bot["id"]: bot}
    connection.bot_id = bot["id"]
    if connection.name == "HigherSelf":
        connection.name = bot["name"]


def _users(part: Any) -> Iterator[Json]:
    if isinstance(part, dict):
        if part.get("object") == "user" and "type" in part:
            yield {k: v for k, v in part.items() if k != "request_id"}
        for value in part.values():
            yield from _users(value)
    elif isinstance(part, list):
        for value in part:
            yield from _users(value)


def _add(store: Store, item: Json) -> None:
    kind = item["object"]
    data = _data(item)
    if kind == "block" and item["type"] in ("child_page", "child_database"):
        title = item[item["type"]]["title"]
        rich = [{"type": "text", "text": {"content": title, "link": None}, "plain_text": title}]
        kind = item["type"].removeprefix("child_")
        data = {"values": {"title": rich}, "title": rich, "icon": None, "cover": None}
        if item["id"] in store.nodes:
            return
    parent = item["parent"]
    node = Node(
        id=item["id"],
        kind=kind,
        parent=(parent["type"], parent[parent["type"]] if parent["type"] != "workspace" else ""),
        created_at=parsed(item["created_time"]),
        edited_at=parsed(item["last_edited_time"]),
        created_by=item.get("created_by", {}).get("id", _ANYONE),
        edited_by=item.get("last_edited_by", {}).get("id", _ANYONE),
        data=data,
        in_trash=item.get("in_trash", False),
        is_archived=item.get("is_archived", False),
        is_locked=item.get("is_locked", False),
    )
    store.nodes[node.id] = node


def _data(item: Json) -> Json:
    item = copy.deepcopy(item)
    match item["object"]:
        case "page":
            values = {p["id"]: p.get(p["type"]) for p in item["properties"].values()}
            names = {p["name"]: p for p in _named(item["properties"])}
            for prop in names.values():
                if prop["type"] == "unique_id":
                    values[prop["id"]] = (values[prop["id"]] or {}).get("number")
            return {"values": values, "icon": item["icon"], "cover": item["cover"], "computed": values, "names": names, "database_id": item["parent"].get("database_id")}  # fmt: skip
        case "block":
            return {"type": item["type"], "payload": item[item["type"]]}
        case "data_source":
            schema = {p["id"]: p for p in item["properties"].values()}
            return {"title": item["title"], "schema": schema, "icon": item["icon"], "cover": item["cover"], "above": item}  # fmt: skip
        case _:
            return {k: item[k] for k in ("title", "description", "is_inline", "icon", "cover")} | {"sources": item["data_sources"]}  # fmt: skip


def _named(properties: Json) -> Iterator[Json]:
    for name, prop in properties.items():
        yield {"id": prop["id"], "name": name, "type": prop["type"], "description": None}


def _join(store: Store) -> None:
    """Fill in containers nobody showed, and put children on their parents' lists."""
    waiting = list(store.nodes.values())
    while waiting:
        node = waiting.pop()
        kind, above = node.parent
        if kind != "workspace" and above not in store.nodes:
            store.nodes[above] = _stand_in(kind, above, node)
            waiting.append(store.nodes[above])
    for node in list(store.nodes.values()):
        for source in node.data.get("sources", []):
            if source["id"] not in store.nodes:
                rich = [{"type": "text", "text": {"content": source["name"], "link": None}, "plain_text": source["name"]}]  # fmt: skip
                store.nodes[source["id"]] = Node(source["id"], "data_source", ("database_id", node.id), node.created_at, node.edited_at, node.created_by, node.edited_by, {"title": rich, "schema": {}, "icon": None, "cover": None})  # fmt: skip
    for node in list(store.nodes.values()):
        parent = store.nodes.get(node.parent[1])
        if parent is not None and node.id not in parent.children:
            if parent.kind == "data_source":
                parent.children.insert(0, node.id)
            else:
                parent.children.append(node.id)


def _stand_in(kind: str, object_id: str, child: Node) -> Node:
    data: Json = {"values": {}, "title": [], "icon": None, "cover": None}
    what = {"page_id": "page", "block_id": "block", "database_id": "database", "data_source_id": "data_source"}[kind]  # fmt: skip
    if what == "block":
        data = {"type": "paragraph", "payload": {"rich_text": [], "color": "default"}}
    parent = ("workspace", "")
    if what == "database":
        above = child.data.get("above", {})
        shown = above.get("database_parent") or {}
        if shown.get("type") not in (None, "workspace"):
            parent = (shown["type"], shown[shown["type"]])
        data |= {"title": child.data["title"], "description": above.get("description", []), "is_inline": above.get("is_inline", False)}  # fmt: skip
    if what == "data_source":
        parent = ("database_id", child.data.get("database_id") or object_id[:-1] + "e")
        schema = {p["id"]: p | {p["type"]: {"options": [], "groups": []} if p["type"] in ("select", "multi_select", "status") else {}} for p in child.data.get("names", {}).values()}  # fmt: skip
        data["schema"] = schema
    return Node(object_id, what, parent, child.created_at, child.created_at, child.created_by, child.created_by, data)  # fmt: skip
