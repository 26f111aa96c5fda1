"""The pages endpoints."""

from __future__ import annotations

from typing import Any

from notion_emulator import blocks, journal, markdown_parse, present, props, values, writing
from notion_emulator.blocks import Draft, icon
from notion_emulator.call import Call, body_id, page_size, path_id
from notion_emulator.errors import Json, invalid, invalid_body
from notion_emulator.ids import same_property
from notion_emulator.store import Node

_KEYS = ("parent", "properties", "children", "content", "markdown", "icon", "cover", "position", "template", "allow_async")  # fmt: skip


def create(call: Call) -> Json:
    """Answer POST /pages."""
    call.may("insert_content")
    call.known(*_KEYS)
    content = _content(call)
    node = _new_page(call)
    given = dict(call.body.get("properties") or {})
    heading = content and content[0].type == "heading_1" and "markdown" in call.body
    _set_properties(call, node, given)
    if heading and not node.data["values"].get("title"):
        node.data["values"]["title"] = content.pop(0).payload["rich_text"]
    _set_appearance(call, node)
    parent = call.store.nodes.get(node.parent[1])
    after, first = writing.place(call, parent) if parent and parent.kind == "page" else (None, False)  # fmt: skip
    call.store.add(node, after=after, first=first)
    if parent is not None and parent.kind == "data_source":
        _number(call, node, parent)
    elif parent is not None:
        writing.touch(call, parent)
    writing.add_blocks(call, node, content)
    journal.note(call, "page.created", node.id)
    journal.inside(call, node)
    return present.page(call, node)


def _content(call: Call) -> list[Draft]:
    sent = [k for k in ("markdown", "children", "content") if call.body.get(k) is not None]
    if len(sent) > 1 and "markdown" in sent:
        raise invalid("markdown cannot be given together with children or content.")
    if "allow_async" in call.body and "markdown" not in sent:
        raise invalid_body("allow_async", "not present", call.body["allow_async"])
    if "markdown" in sent:
        if not isinstance(call.body["markdown"], str):
            raise invalid_body("markdown", "a string", call.body["markdown"])
        return markdown_parse.parse(call.body["markdown"])
    name = sent[0] if sent else "children"
    return blocks.drafts(call.body.get(name) or [], name, call.title_of)


def _new_page(call: Call) -> Node:
    parent = call.body.get("parent")
    if not isinstance(parent, dict):
        raise invalid_body("parent", "defined", None)
    data: Json = {"values": {}, "icon": None, "cover": None}
    if "data_source_id" in parent:
        source = call.find(body_id(parent, "data_source_id", "parent"), "data_source")
        call.editable(source)
        return writing.new_node(call, "page", ("data_source_id", source.id), data)
    if "database_id" in parent:
        base = call.find(body_id(parent, "database_id", "parent"), "database")
        sources = [c for c in call.store.living_children(call.editable(base)) if c.kind == "data_source"]  # fmt: skip
        if len(sources) != 1:
            raise invalid("Databases with multiple data sources are not supported in this API version.")  # fmt: skip
        return writing.new_node(call, "page", ("data_source_id", sources[0].id), data)
    if "page_id" in parent:
        above = call.editable(call.find(body_id(parent, "page_id", "parent"), "page"))
        return writing.new_node(call, "page", ("page_id", above.id), data)
    if parent.get("workspace") is True or parent.get("type") == "workspace":
        node = writing.new_node(call, "page", ("workspace", ""), data)
        if "*" not in call.connection.roots:
            call.connection.roots.add(node.id)
        return node
    raise invalid_body("parent.page_id", "defined", None)


def _number(call: Call, node: Node, source: Node) -> None:
    for prop in source.data["schema"].values():
        if prop["type"] == "unique_id":
            key = f"{source.id}:{prop['id']}"
            call.store.counters[key] = call.store.counters.get(key, 0) + 1
            node.data["values"][prop["id"]] = call.store.counters[key]


def _set_properties(call: Call, node: Node, given: Json) -> None:
    schema = present.schema_of(call, node)
    parsed = {}
    for name, sent in given.items():
        prop = props.find(schema, name)
        if prop is None and name == "title":
            prop = next((p for p in schema.values() if p["type"] == "title"), None)
        if prop is None:
            raise invalid(f"{name} is not a property that exists.")
        strict = call.settings.unknown_status_is_error
        parsed[prop["id"]] = (prop, props.value(prop, sent, f"properties.{name}", call.store.ids, call.title_of, strict_status=strict))  # fmt: skip
    for property_id, (prop, new) in parsed.items():
        old = node.data["values"].get(property_id)
        node.data["values"][property_id] = new
        if prop["type"] == "relation":
            _mirror(call, node, prop, old or [], new)


def _mirror(call: Call, node: Node, prop: Json, old: list[Json], new: list[Json]) -> None:
    """Keep the other side of a two-way relation in step."""
    synced = (prop["relation"].get("dual_property") or {}).get("synced_property_id")
    if not synced:
        return
    before, after = {r["id"] for r in old}, {r["id"] for r in new}
    for other_id in [r["id"] for r in [*old, *new] if (r["id"] in before) != (r["id"] in after)]:
        other = call.store.nodes.get(other_id)
        if other is None or other.kind != "page":
            continue
        key = next((p["id"] for p in present.schema_of(call, other).values() if same_property(p["id"], synced)), synced)  # fmt: skip
        links = [r for r in other.data["values"].get(key, []) if r["id"] != node.id]
        other.data["values"][key] = [*links, {"id": node.id}] if other_id in after else links


def _set_appearance(call: Call, node: Node) -> None:
    if "icon" in call.body:
        node.data["icon"] = icon(call.body["icon"], "icon")
    if "cover" in call.body:
        cover = call.body["cover"]
        node.data["cover"] = None if cover is None else blocks.file_value(cover, "cover")


def one(call: Call, page_id: str) -> Json:
    """Answer GET /pages/{id}."""
    node = call.find(path_id("page_id", page_id), "page")
    only = [*call.query.get("filter_properties", []), *call.query.get("filter_properties[]", [])]
    for key in only:
        props.need(present.schema_of(call, node), key)
    return present.page(call, node, only)


def update(call: Call, page_id: str) -> Json:
    """Answer PATCH /pages/{id}."""
    call.may("update_content")
    call.known("properties", "icon", "cover", "in_trash", "archived", "is_archived", "is_locked", "erase_content", "template", "allow_async")  # fmt: skip
    node = call.find(path_id("page_id", page_id), "page")
    wanted = writing.trash_wanted(call)
    if wanted is not None:
        writing.set_trash(call, node, wanted)
    if set(call.body) - {"in_trash", "archived"}:
        call.editable(node)
    _set_properties(call, node, dict(call.body.get("properties") or {}))
    _set_appearance(call, node)
    _note_update(call, node)
    node.is_locked = bool(call.body.get("is_locked", node.is_locked))
    node.is_archived = bool(call.body.get("is_archived", node.is_archived))
    if call.body.get("erase_content"):
        for child in call.store.living_children(node):
            child.in_trash = True
    if set(call.body) - {"is_locked"}:
        writing.touch(call, node)
    if call.settings.computed_changes_bump and "properties" in call.body:
        _bump_related(call, node)
    return present.page(call, node)


def _bump_related(call: Call, node: Node) -> None:
    """Set the time of what may show a rollup of this page."""
    for other in call.store.nodes.values():
        if other.kind == "page" and any(
            isinstance(value, list) and {"id": node.id} in value
            for value in other.data["values"].values()
        ):
            writing.touch(call, other)


def _note_update(call: Call, node: Node) -> None:
    """Write down what an update is about to be or has been."""
    sent = call.body.get("properties") or {}
    if sent or {"icon", "cover"} & call.body.keys():
        schema = present.schema_of(call, node)
        found = [props.find(schema, key) or {"id": "title"} for key in sent]
        journal.properties(call, node, [p["id"] for p in found])
    locked = call.body.get("is_locked")
    if locked is not None and bool(locked) != node.is_locked:
        journal.note(call, "page.locked" if locked else "page.unlocked", node.id)
    if call.body.get("erase_content"):
        journal.content(call, node, node.children)


def move(call: Call, page_id: str) -> Json:
    """Answer POST /pages/{id}/move."""
    call.may("update_content")
    call.known("parent")
    node = call.editable(call.find(path_id("page_id", page_id), "page"))
    parent = call.body.get("parent") or {}
    key, kind = ("data_source_id", "data_source") if "data_source_id" in parent else ("page_id", "page")  # fmt: skip
    target = call.editable(call.find(body_id(parent, key, "parent"), kind))
    if target.id == node.id or any(a.id == node.id for a in call.store.ancestors(target)):
        raise invalid("A page cannot be moved into itself.")
    call.store.remove_child(node)
    node.parent = (key, target.id)
    call.store.add(node)
    journal.note(call, "page.moved", node.id)
    return present.page(call, node)


def property_item(call: Call, page_id: str, property_id: str) -> Json:
    """Answer GET /pages/{id}/properties/{property}: one item, or a list of items."""
    node = call.find(path_id("page_id", page_id), "page")
    prop = props.need(present.schema_of(call, node), property_id)
    kind = prop["type"]
    found = values.value_of(call, node, prop)
    base = {"object": "property_item", "type": kind, "id": prop["id"]}
    if kind not in ("title", "rich_text", "people", "relation", "rollup"):
        shown = present.shown_property(call, node, prop)
        return base | {kind: shown[kind]}
    size = page_size(call.query.get("page_size", [None])[0], "query")
    items: list[Any] = found.get("array", []) if kind == "rollup" else found
    start = int(call.query.get("start_cursor", ["0"])[0] or 0)
    more = start + size < len(items)
    cursor = str(start + size) if more else None
    address = f"https://api.notion.com/v1/pages/{node.id}/properties/{prop['id']}?start_cursor={cursor}"  # fmt: skip
    some = items[start : start + size]
    shown_items = [present.user(call, i["id"]) for i in some] if kind == "people" else some
    summary: Json = {"id": prop["id"], "next_url": address if more else None, "type": kind, kind: {}}  # fmt: skip
    if kind == "rollup":
        summary["rollup"] = found
        results = [{"object": "property_item", "id": prop["id"], **i} for i in some]
    else:
        results = [base | {kind: i} for i in shown_items]
    return {
        "object": "list",
        "results": results,
        "next_cursor": cursor,
        "has_more": more,
        "type": "property_item",
        "property_item": summary,
    }
