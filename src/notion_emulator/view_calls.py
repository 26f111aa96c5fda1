"""The views endpoints."""

from __future__ import annotations

from datetime import timedelta

from notion_emulator import journal, table_calls
from notion_emulator.call import Call, body_id, listing, page_size, path_id, window
from notion_emulator.clock import millisecond, parsed
from notion_emulator.errors import Json, invalid, invalid_body
from notion_emulator.ids import dashed

_TYPES = frozenset({"table", "board", "list", "gallery", "calendar", "timeline", "chart", "form", "feed", "map", "dashboard"})  # fmt: skip


def create(call: Call) -> Json:
    """Answer POST /views."""
    call.may("insert_content")
    places = [k for k in ("database_id", "view_id", "create_database") if k in call.body]
    if len(places) != 1:
        raise invalid("Give exactly one of database_id, view_id, create_database.")
    if call.body.get("type") not in _TYPES:
        raise invalid_body("type", "a view type", call.body.get("type"))
    source = call.find(body_id(call.body, "data_source_id", ""), "data_source")
    base = call.find(body_id(call.body, "database_id", ""), "database") if places == ["database_id"] else call.store.nodes[source.parent[1]]  # fmt: skip
    config = {"type": call.body["type"], **(call.body.get("configuration") or {})}
    for kind, needed in (("board", "group_by"), ("chart", "chart_type")):
        if config["type"] == kind and needed not in config:
            raise invalid_body(f"configuration.{needed}", "defined", None)
    made = _view(call, base.id, source.id, str(call.body.get("name", "New view")), config)
    made |= {k: call.body[k] for k in ("filter", "sorts", "quick_filters") if k in call.body}
    return dict(made)


def _view(call: Call, base: str, source: str, name: str, config: Json) -> Json:
    view_id = call.store.ids.object_id()
    now = millisecond(call.now)
    by = {"object": "user", "id": call.actor}
    made: Json = {
        "object": "view",
        "id": view_id,
        "parent": {"type": "database_id", "database_id": base},
        "data_source_id": source,
        "name": name,
        "type": config["type"],
        "created_time": now,
        "created_by": by,
        "last_edited_time": now,
        "last_edited_by": by,
        "url": f"https://app.notion.com/p/{base.replace('-', '')}?v={view_id.replace('-', '')}",
        "filter": None,
        "sorts": None,
        "quick_filters": None,
        "configuration": config,
    }
    call.store.views[view_id] = made
    _note(call, "view.created", made, view_type=made["type"])
    return made


def _note(call: Call, kind: str, view: Json, **facts: object) -> None:
    parent = {"id": view["parent"]["database_id"], "type": "database"}
    journal.note(call, kind, view["id"], parent=parent, **facts)


def add_default(call: Call, base: str, source: str) -> None:
    """Give a new database the view it starts with."""
    _view(call, base, source, "Default view", {"type": "table"})


def create_database(call: Call) -> Json:
    """Answer POST /databases, with the view it starts with."""
    return table_calls.create_database(
        call, on_created=lambda base, source: add_default(call, base, source)
    )


def several(call: Call) -> Json:
    """Answer GET /views?database_id=… or data_source_id=…."""
    wanted = {dashed(v[0]) for k, v in call.query.items() if k in ("database_id", "data_source_id")}
    size = page_size(call.query.get("page_size", [None])[0], "query")
    found = [v for v in call.store.views.values() if v["parent"]["database_id"] in wanted or v["data_source_id"] in wanted]  # fmt: skip
    some, more = window(found, 0, size)
    shown = [{"object": "view", "id": v["id"]} for v in some]
    return listing(shown, "view", found[size]["id"] if more else None)


def one(call: Call, view_id: str) -> Json:
    """Answer GET /views/{id}."""
    return dict(_found(call, view_id))


def update(call: Call, view_id: str) -> Json:
    """Answer PATCH /views/{id}."""
    call.may("update_content")
    call.known("name", "filter", "sorts", "quick_filters", "configuration")
    view = _found(call, view_id)
    fields = [k for k in ("name", "filter", "sorts", "configuration") if k in call.body]
    view |= call.body | {"last_edited_time": millisecond(call.now)}
    _note(call, "view.updated", view, fields=fields)
    return dict(view)


def delete(call: Call, view_id: str) -> Json:
    """Answer DELETE /views/{id} with a part of what it was."""
    call.may("update_content")
    view = _found(call, view_id)
    del call.store.views[view["id"]]
    _note(call, "view.deleted", view)
    return {k: view[k] for k in ("object", "id", "parent", "type")}


def create_query(call: Call, view_id: str) -> Json:
    """Answer POST /views/{id}/queries: the ids of the rows, kept for 15 minutes."""
    view = _found(call, view_id)
    body = {k: view[k] for k in ("filter", "sorts") if view[k]}
    size = page_size(call.body.get("page_size"), "body")
    asked = Call(call.store, call.clock, call.settings, call.connection, call.version, {}, body)
    source = call.find(view["data_source_id"], "data_source")
    rows = [{"object": "page", "id": n.id} for n in table_calls.found_pages(asked, source)]
    query_id = call.store.ids.uuid()
    until = call.now + timedelta(minutes=15)
    call.store.cursors[query_id] = {"view": view["id"], "rows": rows, "until": until.isoformat()}
    return {
        "object": "view_query",
        "id": query_id,
        "view_id": view["id"],
        "expires_at": millisecond(until),
        "total_count": len(rows),
        "results": rows[:size],
        "next_cursor": rows[size]["id"] if size < len(rows) else None,
        "has_more": size < len(rows),
    }


def query_results(call: Call, view_id: str, query_id: str) -> Json:
    """Answer GET /views/{id}/queries/{query}."""
    _found(call, view_id)
    kept = call.store.cursors.get(path_id("query_id", query_id))
    if kept is None or parsed(kept["until"]) <= call.now:
        raise call.missing("view query", query_id)
    rows = kept["rows"]
    size = page_size(call.query.get("page_size", [None])[0], "query")
    cursor = call.query.get("start_cursor", [None])[0]
    start = next((n for n, row in enumerate(rows) if row["id"] == cursor), 0)
    some, more = window(rows, start, size)
    return listing(some, "page", rows[start + size]["id"] if more else None)


def _found(call: Call, view_id: str) -> Json:
    wanted = path_id("view_id", view_id)
    if wanted not in call.store.views:
        raise call.missing("view", wanted)
    return call.store.views[wanted]
