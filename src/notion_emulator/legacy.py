"""Version 2022-06-28, before data sources: a database is its one table.

Only as much as older readers ask: databases with properties, their rows, search for databases. A
database with several data sources is refused, as Notion does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from notion_emulator import present, search, table_calls, view_calls
from notion_emulator.call import Call, path_id
from notion_emulator.errors import ApiError, Json
from notion_emulator.store import Node

VERSION = "2022-06-28"


def source_of(call: Call, database_id: str) -> Node:
    """Return the only data source of a database.

    Raises
        ApiError: it has several, or is not there.
    """
    base = call.find(path_id("database_id", database_id), "database")
    sources = [c for c in call.store.living_children(base) if c.kind == "data_source"]
    if len(sources) == 1:
        return sources[0]
    additional = {"error_type": "multiple_data_sources_for_database", "database_id": base.id, "child_data_source_ids": [s.id for s in sources], "minimum_api_version": "2025-09-03"}  # fmt: skip
    raise ApiError(400, "validation_error", "Databases with multiple data sources are not supported in this API version.", additional=additional)  # fmt: skip


def query(call: Call, database_id: str) -> Json:
    """Answer POST /databases/{id}/query."""
    return table_calls.run_query(call, source_of(call, database_id).id)


def one(call: Call, database_id: str) -> Json:
    """Answer GET /databases/{id}, with its properties."""
    return database(call, source_of(call, database_id))


def create(call: Call) -> Json:
    """Answer POST /databases: the properties are the database's own."""
    body = {k: v for k, v in call.body.items() if k != "properties"}
    body["initial_data_source"] = {"properties": call.body.get("properties") or {}}
    made = view_calls.create_database(replace(call, body=body))
    return database(call, source_of(call, made["id"]))


def update(call: Call, database_id: str) -> Json:
    """Answer PATCH /databases/{id}."""
    source = source_of(call, database_id)
    rest = {k: v for k, v in call.body.items() if k != "properties"}
    if rest:
        table_calls.update_database(replace(call, body=rest), database_id)
    if "properties" in call.body:
        table_calls.update_source(replace(call, body={"properties": call.body["properties"]}), source.id)  # fmt: skip
    return database(call, source)


def find(call: Call) -> Json:
    """Answer POST /search, where a table is a database."""
    given = dict(call.body.get("filter") or {})
    if given.get("value") == "database":
        given["value"] = "data_source"
    body = call.body | ({"filter": given} if given else {})
    answer = search.search(replace(call, body=body))
    shown = [
        database(call, call.store.nodes[i["id"]]) if i["object"] == "data_source" else i
        for i in answer["results"]
    ]
    return answer | {"results": shown, "type": "page_or_database", "page_or_database": {}}


def database(call: Call, source: Node) -> Json:
    """Return a database with the schema of its only data source."""
    base = call.store.nodes[source.parent[1]]
    shown = present.database(call, base)
    del shown["data_sources"]
    stamped = present.stamped(base)
    return shown | stamped | {"properties": present.data_source(call, source)["properties"]}


def as_then(part: Any) -> Any:
    """Return an answer with the parents that pages had then: their database."""
    if isinstance(part, list):
        return [as_then(item) for item in part]
    if not isinstance(part, dict):
        return part
    if part.get("type") == "data_source_id" and "database_id" in part:
        return {"type": "database_id", "database_id": part["database_id"]}
    return {k: as_then(v) for k, v in part.items()}


ROUTES: dict[tuple[str, str], Callable[..., Json]] = {
    ("POST", "databases/{id}/query"): query,
    ("GET", "databases/{id}"): one,
    ("POST", "databases"): create,
    ("PATCH", "databases/{id}"): update,
    ("POST", "search"): find,
}
