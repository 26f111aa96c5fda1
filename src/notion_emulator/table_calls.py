"""The databases and data sources endpoints."""

from __future__ import annotations

import copy
import gc
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from notion_emulator import journal, present, props, query, values, writing
from notion_emulator.blocks import file_value, icon
from notion_emulator.call import Call, bad_cursor, body_id, listing, page_size, path_id, title
from notion_emulator.clock import minute
from notion_emulator.errors import Json, invalid, invalid_body
from notion_emulator.ids import same_property
from notion_emulator.richtext import completed
from notion_emulator.store import Node


def create_database(call: Call, *, on_created: Callable[[str, str], None] | None = None) -> Json:  # fmt: skip
    """Answer POST /databases: with one data source."""
    call.may("insert_content")
    call.known("parent", "title", "description", "is_inline", "initial_data_source", "icon", "cover")  # fmt: skip
    parent = call.body.get("parent")
    if not isinstance(parent, dict):
        raise invalid_body("parent", "defined", None)
    place = ("workspace", "")
    if "page_id" in parent:
        above = call.editable(call.find(body_id(parent, "page_id", "parent"), "page"))
        place = ("page_id", above.id)
        writing.touch(call, above)
    data: Json = {"title": [], "description": [], "is_inline": bool(call.body.get("is_inline")), "icon": None, "cover": None}  # fmt: skip
    base = writing.new_node(call, "database", place, data)
    _appearance(call, base)
    initial = call.body.get("initial_data_source") or {}
    source = _source(call, base, base.data["title"])
    call.store.add(base)
    if place[0] == "workspace":
        call.connection.roots.add(base.id)
    _install(call, source, initial.get("properties") or {})
    if on_created is not None:
        on_created(base.id, source.id)
    journal.note(call, "database.created", base.id)
    journal.note(call, "data_source.created", source.id)
    journal.inside(call, base)
    return present.database(call, base)


def _appearance(call: Call, node: Node) -> None:
    for key in ("title", "description"):
        if key in call.body:
            node.data[key] = completed(call.body[key], key, call.title_of)
    if "icon" in call.body:
        node.data["icon"] = icon(call.body["icon"], "icon")
    if call.body.get("cover") is not None:
        node.data["cover"] = file_value(call.body["cover"], "cover")
    elif "cover" in call.body:
        node.data["cover"] = None


def _source(call: Call, base: Node, name: list[Json]) -> Node:
    data: Json = {"title": name, "schema": {}, "icon": None, "cover": None}
    return writing.new_node(call, "data_source", ("database_id", base.id), data)


def _install(call: Call, source: Node, given: Json) -> None:
    """Put a data source into the tree and give it its properties."""
    call.store.add(source)
    if not any(_kind(p) == "title" for p in given.values()):
        given = {"Name": {"type": "title", "title": {}}, **given}
    for name, sent in given.items():
        _add_property(call, source, name, sent)


def _kind(given: Any) -> Any:
    if not isinstance(given, dict):
        return None
    return given.get("type") or next((k for k in given if k in props.TYPES), None)


def _add_property(call: Call, source: Node, name: str, given: Any) -> Json:
    prop = props.new_property(name, given, call.store.ids, "properties")
    schema = source.data["schema"]
    if prop["type"] == "title" and any(p["type"] == "title" for p in schema.values()):
        raise invalid("Cannot create new title property, there is one already.")
    if prop["type"] == "relation":
        _relate(call, source, prop)
    if prop["type"] == "rollup":
        _complete_rollup(call, schema, prop)
    if prop["type"] == "formula":
        _point_formula(call, source, prop)
    schema[prop["id"]] = prop
    if prop["type"] == "unique_id":
        _number_all(call, source, prop)
    return prop


def _point_formula(call: Call, source: Node, prop: Json) -> None:
    """Store properties in a formula by id, as Notion answers them."""

    def pointed(match: re.Match[str]) -> str:
        found = props.find(source.data["schema"], match[1])
        place = f"{source.id}:{call.store.workspace_id}"
        return f"{{{{notion:block_property:{found['id']}:{place}}}}}" if found else match[0]

    expression = prop["formula"]["expression"]
    prop["formula"]["expression"] = re.sub(r'prop\("([^"]*)"\)', pointed, expression)


def _number_all(call: Call, source: Node, prop: Json) -> None:
    for number, child in enumerate(source.children, 1):
        call.store.nodes[child].data["values"][prop["id"]] = number
        call.store.counters[f"{source.id}:{prop['id']}"] = number


def _relate(call: Call, source: Node, prop: Json) -> None:
    """Complete a relation; a two-way one gets its property on the other side."""
    given = prop["relation"]
    target = call.find(body_id(given, "data_source_id", "properties.relation"), "data_source")
    dual = given.get("type") == "dual_property" or "dual_property" in given
    config: Json = {"database_id": target.parent[1], "data_source_id": target.id}
    prop["relation"] = config
    if not dual:
        config |= {"type": "single_property", "single_property": {}}
        return
    wish = (given.get("dual_property") or {}).get("synced_property_name")
    name = wish or f"Related to {title(source) or 'Untitled'} ({prop['name']})"
    schema = target.data["schema"]
    other = {
        "id": call.store.ids.property_id(),
        "name": name,
        "description": None,
        "type": "relation",
        "relation": {
            "database_id": source.parent[1],
            "data_source_id": source.id,
            "type": "dual_property",
            "dual_property": {
                "synced_property_name": prop["name"],
                "synced_property_id": prop["id"],
            },
        },
    }
    schema[other["id"]] = other
    config |= {
        "type": "dual_property",
        "dual_property": {"synced_property_name": name, "synced_property_id": other["id"]},
    }


def _complete_rollup(call: Call, schema: dict[str, Json], prop: Json) -> None:
    config = prop["rollup"]
    wanted = config.get("relation_property_name") or config.get("relation_property_id", "")
    relation = props.need(schema, wanted)
    target = call.store.nodes.get(relation.get("relation", {}).get("data_source_id", ""))
    if target is None:
        raise invalid(f"{wanted} is not a relation.")
    shown = props.need(target.data["schema"], config.get("rollup_property_name") or config.get("rollup_property_id", ""))  # fmt: skip
    prop["rollup"] = {
        "rollup_property_name": shown["name"],
        "relation_property_name": relation["name"],
        "rollup_property_id": shown["id"],
        "relation_property_id": relation["id"],
        "function": config.get("function", "show_original"),
    }


def one_database(call: Call, database_id: str) -> Json:
    """Answer GET /databases/{id}."""
    return present.database(call, call.find(path_id("database_id", database_id), "database"))


def update_database(call: Call, database_id: str) -> Json:
    """Answer PATCH /databases/{id}."""
    call.may("update_content")
    call.known("title", "description", "is_inline", "icon", "cover", "in_trash", "archived", "is_locked", "parent")  # fmt: skip
    base = call.find(path_id("database_id", database_id), "database")
    wanted = writing.trash_wanted(call)
    if wanted is not None:
        writing.set_trash(call, base, wanted)
    if set(call.body) - {"in_trash", "archived"}:
        call.editable(base)
    _appearance(call, base)
    sources = [c for c in call.store.living_children(base) if c.kind == "data_source"]
    if "title" in call.body and len(sources) == 1:
        sources[0].data["title"] = base.data["title"]
    base.data["is_inline"] = bool(call.body.get("is_inline", base.data.get("is_inline")))
    base.is_locked = bool(call.body.get("is_locked", base.is_locked))
    if "parent" in call.body:
        above = call.find(body_id(call.body["parent"], "page_id", "parent"), "page")
        call.store.remove_child(base)
        base.parent = ("page_id", above.id)
        call.store.add(base)
        journal.note(call, "database.moved", base.id)
    writing.touch(call, base)
    return present.database(call, base)


def create_source(call: Call) -> Json:
    """Answer POST /data_sources."""
    call.may("insert_content")
    call.known("parent", "title", "properties", "icon")
    parent = call.body.get("parent") or {}
    base = call.editable(call.find(body_id(parent, "database_id", "parent"), "database"))
    name = completed(call.body.get("title") or [], "title", call.title_of)
    source = _source(call, base, name)
    if "icon" in call.body:
        source.data["icon"] = icon(call.body["icon"], "icon")
    _install(call, source, call.body.get("properties") or {})
    journal.note(call, "data_source.created", source.id)
    return present.data_source(call, source)


def one_source(call: Call, source_id: str) -> Json:
    """Answer GET /data_sources/{id}."""
    return present.data_source(call, call.find(path_id("data_source_id", source_id), "data_source"))


def update_source(call: Call, source_id: str) -> Json:
    """Answer PATCH /data_sources/{id}: title, trash, properties added, renamed, removed."""
    call.may("update_content")
    call.known("title", "properties", "icon", "in_trash", "archived", "parent")
    source = call.find(path_id("data_source_id", source_id), "data_source")
    wanted = writing.trash_wanted(call)
    if wanted is not None:
        writing.set_trash(call, source, wanted)
    if set(call.body) - {"in_trash", "archived"}:
        call.editable(source)
    _appearance(call, source)
    before = copy.deepcopy(source.data["schema"])
    for key, given in (call.body.get("properties") or {}).items():
        _change_property(call, source, key, given)
    changes = journal.schema_changes(before, source.data["schema"])
    if changes:
        journal.note(call, "data_source.schema_updated", source.id, properties=changes)
    if "parent" in call.body:
        base = call.editable(call.find(body_id(call.body["parent"], "database_id", "parent"), "database"))  # fmt: skip
        call.store.remove_child(source)
        source.parent = ("database_id", base.id)
        call.store.add(source)
        journal.note(call, "data_source.moved", source.id)
    writing.touch(call, source)
    return present.data_source(call, source)


def _change_property(call: Call, source: Node, key: str, given: Any) -> None:
    schema = source.data["schema"]
    prop = props.find(schema, key)
    if prop is None:
        if given is None or _kind(given) is None:
            raise invalid(f"Could not find property with name or id: {key}")
        _add_property(call, source, given.get("name", key), given)
        return
    if given is None:
        if prop["type"] == "title":
            raise invalid("Cannot delete title property")
        del schema[prop["id"]]
        return
    kind = _kind(given) or prop["type"]
    if kind != prop["type"]:
        _retype(call, source, prop, kind, given)
    elif given.get(kind) and kind not in ("relation", "rollup"):
        prop[kind] = props.configuration(kind, given[kind], call.store.ids, prop[kind])
    if "name" in given and given["name"] != prop["name"]:
        if any(p["name"] == given["name"] for p in schema.values()):
            raise invalid(f"A property with the name {given['name']} exists already.")
        prop["name"] = given["name"]
        _rename_other_side(call, prop)
    if "description" in given:
        prop["description"] = given["description"]


def _rename_other_side(call: Call, prop: Json) -> None:
    dual = (prop.get("relation") or {}).get("dual_property")
    other = call.store.nodes.get((prop.get("relation") or {}).get("data_source_id", ""))
    if not dual or other is None:
        return
    for mirror in other.data["schema"].values():
        if same_property(mirror["id"], dual["synced_property_id"]):
            mirror["relation"]["dual_property"]["synced_property_name"] = prop["name"]


def _retype(call: Call, source: Node, prop: Json, kind: str, given: Json) -> None:
    if prop["type"] == "title" or kind == "title":
        raise invalid("The title property cannot change its type.")
    fresh = props.new_property(prop["name"], {**given, "type": kind}, call.store.ids, "properties")
    if kind == "relation":
        _relate(call, source, fresh)
    if kind == "rollup":
        _complete_rollup(call, source.data["schema"], fresh)
    del prop[prop["type"]]
    prop |= {"type": kind, kind: fresh[kind]}
    for child in source.children:
        call.store.nodes[child].data["values"].pop(prop["id"], None)


def templates(call: Call, source_id: str) -> Json:
    """Answer GET /data_sources/{id}/templates."""
    call.find(path_id("data_source_id", source_id), "data_source")
    return {"templates": [], "has_more": False, "next_cursor": None}


def run_query(call: Call, source_id: str) -> Json:
    """Answer POST /data_sources/{id}/query."""
    call.known("filter", "sorts", "page_size", "start_cursor", "in_trash", "archived", "is_archived", "result_type", "filter_properties")  # fmt: skip
    source = call.find(path_id("data_source_id", source_id), "data_source")
    size = page_size(call.body.get("page_size"), "body")
    pages = found_pages(call, source)
    cap = call.settings.query_cap
    capped, pages = len(pages) > cap, pages[:cap]
    start = _start(call, pages)
    size = call.shortened(size)
    only = call.query.get("filter_properties", []) + call.query.get("filter_properties[]", [])
    shown = [present.page(call, n, only) for n in pages[start : start + size]]
    cursor = None
    if start + size < len(pages):
        cursor = f"s:{call.store.ids.uuid()}:{pages[start + size].id}"
    answer = listing(shown, "page_or_data_source", cursor)
    if capped:
        answer["request_status"] = {"type": "incomplete", "incomplete_reason": "query_result_limit_reached"}  # fmt: skip
    return answer


def _start(call: Call, pages: list[Node]) -> int:
    cursor = call.body.get("start_cursor")
    if cursor is None:
        return 0
    wanted = str(cursor).rsplit(":", 1)[-1]
    place = next((n for n, page in enumerate(pages) if page.id == wanted), None)
    if place is None:
        raise bad_cursor(str(cursor))
    return place


def found_pages(call: Call, source: Node) -> list[Node]:
    """Return the pages a query finds, all of them, in order."""
    archived = bool(call.body.get("is_archived", False))
    living = [n for n in call.seen(call.store.living_children(source)) if n.kind == "page" and n.is_archived == archived]  # fmt: skip
    if call.store.trashed(source):
        living = []
    schema = source.data["schema"]
    asking = query.Asking(schema, lambda key: props.need(schema, key), call.now, call.actor)
    given, sorts = call.body.get("filter"), call.body.get("sorts")
    living.reverse()
    if not sorts and call.settings.shuffle_unsorted:
        living.sort(key=lambda n: hashlib.sha256(n.id.encode()).digest())
    if not given and not sorts:
        return living
    needed = _needed(given, sorts, schema)
    with _uncollected():
        rows = [_row(call, n, needed) for n in living]
        if given:
            test = query.matcher(given, asking)
            rows = [row for row in rows if test(row)]
        rows = query.sort_rows(rows, sorts or [], asking)
        return [call.store.nodes[row.page_id] for row in rows]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Hold the garbage collector back while many small objects live for a moment.

    They take it through the whole workspace, which costs more than the query itself.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _needed(given: Any, sorts: Any, schema: dict[str, Json]) -> list[Json]:
    """Return the properties that a filter or sort names."""
    named: set[str] = set()

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("property"), str):
                named.add(part["property"])
            for inner in part.values():
                walk(inner)
        elif isinstance(part, list):
            for inner in part:
                walk(inner)

    walk([given, sorts])
    return [p for p in (props.find(schema, key) for key in named) if p is not None]


_NOTHING: dict[str, Json] = {}  # shared: many small objects make the garbage collector slow


def _row(call: Call, node: Node, needed: list[Json]) -> query.Row:
    shown = {p["id"]: {"type": p["type"], p["type"]: values.value_of(call, node, p)} for p in needed} if needed else _NOTHING  # fmt: skip
    return query.Row(node.id, shown, minute(node.created_at), minute(node.edited_at))
