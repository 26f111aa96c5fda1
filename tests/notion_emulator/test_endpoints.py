from __future__ import annotations

from typing import Any

import pytest

Json = dict[str, Any]


def text(content: str) -> list[Json]:
    return [{"text": {"content": content}}]


def paragraph(content: str = "x") -> Json:
    return {"paragraph": {"rich_text": text(content)}}


@pytest.mark.parametrize(
    ("children", "status"),
    [
        pytest.param([paragraph()] * 100, 200, id="100 blocks"),
        pytest.param([paragraph()] * 101, 400, id="101 blocks"),
        pytest.param([paragraph("x" * 2000)], 200, id="2000 letters"),
        pytest.param([paragraph("x" * 2001)], 400, id="2001 letters"),
        pytest.param([paragraph("😀" * 1000)], 200, id="1000 pairs"),
        pytest.param([paragraph("😀" * 1001)], 400, id="1001 pairs"),
        pytest.param([{"paragraph": {"rich_text": text("x") * 100}}], 200, id="100 texts"),
        pytest.param([{"paragraph": {"rich_text": text("x") * 101}}], 400, id="101 texts"),
        pytest.param([{"equation": {"expression": "x" * 1000}}], 200, id="1000 of equation"),
        pytest.param([{"equation": {"expression": "x" * 1001}}], 400, id="1001 of equation"),
        pytest.param([{"code": {"rich_text": [], "language": "mermaid"}}], 200, id="mermaid"),
        pytest.param([{"code": {"rich_text": [], "language": "klingon"}}], 400, id="no language"),
        pytest.param([{"nonsense": {}}], 400, id="no type"),
    ],
)
async def test_limits_of_children(client: Any, children: list[Json], status: int) -> None:
    page = await client.page()
    await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": children}, status)


async def test_children_are_paged_by_the_id_of_the_next_block(client: Any) -> None:
    page = await client.page(children=[paragraph(str(n)) for n in range(5)])
    first = await client.ask("GET", f"/v1/blocks/{page}/children?page_size=2")
    rest = await client.ask("GET", f"/v1/blocks/{page}/children?start_cursor={first['next_cursor']}")  # fmt: skip
    assert rest["results"][0]["id"] == first["next_cursor"]
    assert [len(first["results"]), len(rest["results"]), rest["has_more"]] == [2, 3, False]


async def test_a_block_is_changed_trashed_and_restored(client: Any) -> None:
    page = await client.page(children=[paragraph("a")])
    block = (await client.ask("GET", f"/v1/blocks/{page}/children"))["results"][0]["id"]
    changed = await client.ask("PATCH", f"/v1/blocks/{block}", paragraph("b"))
    assert changed["paragraph"]["rich_text"][0]["plain_text"] == "b"
    await client.ask("PATCH", f"/v1/blocks/{block}", {"quote": {"rich_text": []}}, 400)
    assert (await client.ask("DELETE", f"/v1/blocks/{block}"))["in_trash"] is True
    await client.ask("PATCH", f"/v1/blocks/{block}", paragraph("c"), 400)
    assert (await client.ask("GET", f"/v1/blocks/{page}/children"))["results"] == []
    await client.ask("PATCH", f"/v1/blocks/{block}", {"in_trash": False})
    assert len((await client.ask("GET", f"/v1/blocks/{page}/children"))["results"]) == 1


@pytest.fixture
async def source(client: Any) -> str:
    page = await client.page()
    properties = {
        "Name": {"title": {}},
        "Price": {"number": {"format": "euro"}},
        "Stage": {"select": {"options": [{"name": "Sold"}]}},
        "Due": {"date": {}},
        "Done": {"checkbox": {}},
        "Twice": {"formula": {"expression": 'prop("Price") * 2'}},
        "No": {"unique_id": {"prefix": "A"}},
        "State": {"status": {}},
    }
    body = {"parent": {"page_id": page}, "title": text("Works"), "initial_data_source": {"properties": properties}}  # fmt: skip
    made = await client.ask("POST", "/v1/databases", body)
    found = made["data_sources"][0]["id"]
    for number in range(3):
        row = {"Name": {"title": text(f"Work {number}")}, "Price": {"number": number * 10}, "Due": {"date": {"start": f"2026-07-0{number + 4}"}}}  # fmt: skip
        await client.ask("POST", "/v1/pages", {"parent": {"data_source_id": found}, "properties": row})  # fmt: skip
    return str(found)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"property": "Price", "number": {"greater_than": 5}}, {"Work 1", "Work 2"}),
        ({"property": "Name", "title": {"ends_with": "0"}}, {"Work 0"}),
        ({"property": "Due", "date": {"on_or_after": "2026-07-05"}}, {"Work 1", "Work 2"}),
        ({"property": "Due", "date": {"equals": "today"}}, {"Work 0"}),
        ({"property": "Twice", "formula": {"number": {"equals": 40}}}, {"Work 2"}),
        ({"property": "No", "unique_id": {"equals": 1}}, {"Work 0"}),
        ({"property": "State", "status": {"equals": ["Not started"]}}, {"Work 0", "Work 1", "Work 2"}),
        ({"or": [{"property": "Price", "number": {"equals": 0}}, {"and": [{"property": "Done", "checkbox": {"equals": True}}]}]}, {"Work 0"}),
    ],
)  # fmt: skip
async def test_filters(client: Any, source: str, given: Json, expected: set[str]) -> None:
    answer = await client.ask("POST", f"/v1/data_sources/{source}/query", {"filter": given})
    names = {p["properties"]["Name"]["title"][0]["plain_text"] for p in answer["results"]}
    assert names == expected


async def test_sorts_and_cursors(client: Any, source: str) -> None:
    path = f"/v1/data_sources/{source}/query"
    body = {"sorts": [{"property": "Price", "direction": "descending"}], "page_size": 2}
    first = await client.ask("POST", path, body)
    second = await client.ask("POST", path, body | {"start_cursor": first["next_cursor"]})
    prices = [p["properties"]["Price"]["number"] for p in first["results"] + second["results"]]
    assert prices == [20, 10, 0]
    await client.ask("POST", path, {"start_cursor": "s:x:y"}, 400)


async def test_the_cap_of_a_query_is_told(client: Any, source: str) -> None:
    client.app.settings = client.app.settings.changed(query_cap=2)
    answer = await client.ask("POST", f"/v1/data_sources/{source}/query", {})
    assert len(answer["results"]) == 2
    assert answer["request_status"]["incomplete_reason"] == "query_result_limit_reached"


async def test_properties_are_renamed_and_removed(client: Any, source: str) -> None:
    change: Json = {"properties": {"Price": {"name": "Cost"}, "Due": None, "New": {"url": {}}}}
    answer = await client.ask("PATCH", f"/v1/data_sources/{source}", change)
    assert {"Cost", "New"} <= answer["properties"].keys()
    assert not {"Price", "Due"} & answer["properties"].keys()


@pytest.mark.parametrize(
    "properties",
    [
        {"Nowhere": {"number": 1}},
        {"Price": {"number": "dear"}},
        {"State": {"status": {"name": "Nobody knows"}}},
        {"No": {"unique_id": {"number": 4}}},
    ],
    ids=str,
)
async def test_values_that_do_not_fit(client: Any, source: str, properties: Json) -> None:
    body = {"parent": {"data_source_id": source}, "properties": properties}
    answer = await client.ask("POST", "/v1/pages", body, 400)
    assert answer["code"] == "validation_error"


async def test_a_two_way_relation_shows_on_both_sides(client: Any, source: str) -> None:
    relation = {"relation": {"data_source_id": source, "dual_property": {"synced_property_name": "Back"}}}  # fmt: skip
    answer = await client.ask("PATCH", f"/v1/data_sources/{source}", {"properties": {"To": relation}})  # fmt: skip
    assert {"To", "Back"} <= answer["properties"].keys()
    pages = (await client.ask("POST", f"/v1/data_sources/{source}/query", {}))["results"]
    link = {"properties": {"To": {"relation": [{"id": pages[1]["id"]}]}}}
    await client.ask("PATCH", f"/v1/pages/{pages[0]['id']}", link)
    other = await client.ask("GET", f"/v1/pages/{pages[1]['id']}")
    assert other["properties"]["Back"]["relation"] == [{"id": pages[0]["id"]}]


async def test_search_finds_after_its_lag(client: Any) -> None:
    outer = await client.page("Outer")
    await client.ask("POST", "/__emu/shares", {"token": "ntn_emulator", "roots": [outer]})
    client.app.settings = client.app.settings.changed(index_lag_s=30)
    inner = {"parent": {"page_id": outer}, "properties": {"title": text("Inner")}}
    await client.ask("POST", "/v1/pages", inner)
    assert (await client.ask("POST", "/v1/search", {"query": "inner"}))["results"] == []
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 30})
    assert len((await client.ask("POST", "/v1/search", {"query": "inner"}))["results"]) == 1


async def test_markdown_is_written_read_and_changed(client: Any) -> None:
    made = await client.ask("POST", "/v1/pages", {"parent": {"workspace": True}, "markdown": "# Title\n\nHello **you**"})  # fmt: skip
    path = f"/v1/pages/{made['id']}/markdown"
    assert (await client.ask("GET", path))["markdown"] == "Hello **you**"
    insert = {"type": "insert_content", "insert_content": {"content": "## New Section\n\nHello from markdown."}}  # fmt: skip
    answer = await client.ask("PATCH", path, insert)
    assert answer["markdown"].endswith("## New Section\nHello from markdown.")
    before = await client.ask("GET", f"/v1/blocks/{made['id']}/children")
    edit = {"content_updates": [{"old_str": "**you**", "new_str": "world"}]}
    await client.ask("PATCH", path, {"type": "update_content", "update_content": edit})
    after = await client.ask("GET", f"/v1/blocks/{made['id']}/children")
    kept = [b["id"] for b in before["results"]][1:]
    assert [b["id"] for b in after["results"]][1:] == kept
    await client.ask("PATCH", path, {"type": "update_content", "update_content": edit}, 400)


async def test_a_long_page_is_cut_and_says_so(client: Any) -> None:
    client.app.settings = client.app.settings.changed(max_markdown_blocks=2)
    page = await client.page(children=[paragraph("x")] * 3)
    answer = await client.ask("GET", f"/v1/pages/{page}/markdown")
    assert answer["truncated"] is True
    assert len(answer["unknown_block_ids"]) == 1


async def test_a_child_page_is_not_deleted_by_accident(client: Any) -> None:
    page = await client.page()
    await client.ask("POST", "/v1/pages", {"parent": {"page_id": page}})
    replace: Json = {"type": "replace_content", "replace_content": {"new_str": "gone"}}
    await client.ask("PATCH", f"/v1/pages/{page}/markdown", replace, 400)
    replace["replace_content"]["allow_deleting_content"] = True
    await client.ask("PATCH", f"/v1/pages/{page}/markdown", replace)
