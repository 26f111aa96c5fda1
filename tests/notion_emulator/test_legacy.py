"""Version 2022-06-28, which older readers of Notion still send."""

from __future__ import annotations

from typing import Any

import pytest

from notion_emulator.app import Emulated

OLD = "2022-06-28"


@pytest.fixture
def old(client: Any) -> Any:
    client.http.headers["Notion-Version"] = OLD
    return client


def text(content: str) -> list[dict[str, Any]]:
    return [{"text": {"content": content}}]


async def test_a_database_is_its_table(app: Emulated, old: Any) -> None:
    page = await old.page("Home")
    properties: dict[str, Any] = {"Name": {"title": {}}, "Price": {"number": {}}}
    base = await old.ask("POST", "/v1/databases", {"parent": {"page_id": page}, "title": text("Works"), "properties": properties})  # fmt: skip
    assert base["properties"].keys() == properties.keys()
    assert "data_sources" not in base
    row = {"Name": {"title": text("A")}, "Price": {"number": 3}}
    made = await old.ask("POST", "/v1/pages", {"parent": {"database_id": base["id"]}, "properties": row})  # fmt: skip
    assert made["parent"] == {"type": "database_id", "database_id": base["id"]}
    more: dict[str, Any] = {"properties": {"Sold": {"checkbox": {}}}}
    assert "Sold" in (await old.ask("PATCH", f"/v1/databases/{base['id']}", more))["properties"]
    wanted = {"filter": {"property": "Price", "number": {"equals": 3}}}
    found = await old.ask("POST", f"/v1/databases/{base['id']}/query", wanted)
    assert [p["id"] for p in found["results"]] == [made["id"]]
    await old.ask("POST", "/__emu/clock/advance", {"seconds": 60})
    tables = {"filter": {"property": "object", "value": "database"}}
    search = await old.ask("POST", "/v1/search", tables)
    assert [item["id"] for item in search["results"]] == [base["id"]]
    source = next(n for n in app.store.nodes.values() if n.kind == "data_source")
    old.http.headers["Notion-Version"] = "2025-09-03"
    second = {"parent": {"database_id": base["id"]}, "properties": {"Name": {"title": {}}}}
    await old.ask("POST", "/v1/data_sources", second)
    await old.ask("POST", f"/v1/databases/{base['id']}/query", {}, 400)
    old.http.headers["Notion-Version"] = OLD
    refused = await old.ask("POST", f"/v1/databases/{base['id']}/query", {}, 400)
    assert source.id in refused["additional_data"]["child_data_source_ids"]
