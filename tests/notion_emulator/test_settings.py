"""What Notion does not document is a switch; here every such switch does something."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from notion_emulator.settings import Settings

Json = dict[str, Any]
PAGE = Path(__file__).parents[2] / "docs" / "notion-emulator.md"


def text(content: str) -> list[Json]:
    return [{"text": {"content": content}}]


def paragraph(content: str = "x") -> Json:
    return {"paragraph": {"rich_text": text(content)}}


def switched(client: Any, **changes: Any) -> None:
    client.app.settings = client.app.settings.changed(**changes)


async def edited(client: Any, page: str) -> str:
    return str((await client.ask("GET", f"/v1/pages/{page}"))["last_edited_time"])[11:16]


async def a_table(client: Any, rows: int = 0) -> str:
    page = await client.page()
    properties: Json = {"Name": {"title": {}}, "State": {"status": {}}}
    body = {"parent": {"page_id": page}, "initial_data_source": {"properties": properties}}
    source = str((await client.ask("POST", "/v1/databases", body))["data_sources"][0]["id"])
    for number in range(rows):
        row = {"parent": {"data_source_id": source}, "properties": {"Name": {"title": text(str(number))}}}  # fmt: skip
        await client.ask("POST", "/v1/pages", row)
    return source


def test_every_switch_is_in_the_documentation() -> None:
    page = PAGE.read_text()
    missing = [f.name for f in fields(Settings) if f"`{f.name}`" not in page]
    assert missing == []


@pytest.mark.parametrize(("value", "status"), [(False, 400), (True, 200)])
async def test_unknown_keys_of_a_body(client: Any, value: bool, status: int) -> None:
    switched(client, lenient=value)
    await client.ask("POST", "/v1/search", {"nonsense": 1}, status)


@pytest.mark.parametrize(("value", "status"), [(True, 400), (False, 200)])
async def test_limits_count_code_units_or_letters(client: Any, value: bool, status: int) -> None:
    switched(client, utf16_limits=value)
    page = await client.page()
    body = {"children": [paragraph("😀" * 1001)]}
    await client.ask("PATCH", f"/v1/blocks/{page}/children", body, status)


@pytest.mark.parametrize(("value", "count"), [(True, 1), (False, 0)])
async def test_search_finds_any_word_or_the_text(client: Any, value: bool, count: int) -> None:
    switched(client, search_words=value, index_lag_s=0)
    await client.page("Blue Interval")
    found = await client.ask("POST", "/v1/search", {"query": "interval green"})
    assert len(found["results"]) == count


@pytest.mark.parametrize("value", [False, True])
async def test_unsorted_rows_come_in_an_order_or_in_none(client: Any, value: bool) -> None:
    switched(client, shuffle_unsorted=value)
    source = await a_table(client, 12)
    found = (await client.ask("POST", f"/v1/data_sources/{source}/query", {}))["results"]
    names = [int(p["properties"]["Name"]["title"][0]["plain_text"]) for p in found]
    assert sorted(names) == list(range(12))
    assert (names == list(range(11, -1, -1))) is not value


@pytest.mark.parametrize(("value", "status"), [(True, 400), (False, 200)])
async def test_an_unknown_status_is_refused_or_made(client: Any, value: bool, status: int) -> None:
    switched(client, unknown_status_is_error=value)
    body = {"parent": {"data_source_id": await a_table(client)}, "properties": {"State": {"status": {"name": "Odd"}}}}  # fmt: skip
    await client.ask("POST", "/v1/pages", body, status)


@pytest.mark.parametrize(("value", "status"), [(True, 413), (False, 400)])
async def test_a_huge_body(client: Any, value: bool, status: int) -> None:
    switched(client, large_body_is_413=value)
    await client.ask("POST", "/v1/search", {"query": "x" * 5_000_001}, status)


@pytest.mark.parametrize(("value", "used"), [(False, 2), (True, 5)])
async def test_refused_requests_count_or_not(client: Any, value: bool, used: int) -> None:
    switched(client, rate_mode="window", rate_limit=2, refused_requests_count=value)
    for _ in range(5):
        await client.http.get("/v1/users/me")
    assert client.app.limiter.buckets["ntn_emulator"].used == used


async def test_three_requests_a_second_with_a_burst_of_ten(client: Any) -> None:
    switched(client, rate_mode="legacy_3rps")
    for _ in range(10):
        await client.ask("GET", "/v1/users/me")
    answer = await client.http.get("/v1/users/me")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 1})
    for _ in range(3):
        await client.ask("GET", "/v1/users/me")
    await client.ask("GET", "/v1/users/me", status=429)


@pytest.mark.parametrize(("value", "time"), [(False, "09:00"), (True, "09:01")])
async def test_a_rollup_edits_the_page_that_shows_it_or_not(client: Any, value: bool, time: str) -> None:  # fmt: skip
    switched(client, computed_changes_bump=value)
    shown, shows = await a_table(client, 1), await a_table(client, 1)
    change: Json = {"properties": {"To": {"relation": {"data_source_id": shown, "single_property": {}}}}}  # fmt: skip
    await client.ask("PATCH", f"/v1/data_sources/{shows}", change)
    [one], [other] = [(await client.ask("POST", f"/v1/data_sources/{s}/query", {}))["results"] for s in (shown, shows)]  # fmt: skip
    await client.ask("PATCH", f"/v1/pages/{other['id']}", {"properties": {"To": {"relation": [{"id": one["id"]}]}}})  # fmt: skip
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 60})
    await client.ask("PATCH", f"/v1/pages/{one['id']}", {"properties": {"Name": {"title": text("new")}}})  # fmt: skip
    assert await edited(client, other["id"]) == time


@pytest.mark.parametrize(("value", "time"), [(False, "09:00"), (True, "09:01")])
async def test_a_comment_edits_the_page_or_not(client: Any, value: bool, time: str) -> None:
    switched(client, comment_bumps_page=value)
    page = await client.page()
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 60})
    await client.ask("POST", "/v1/comments", {"parent": {"page_id": page}, "rich_text": text("a")})
    assert await edited(client, page) == time


@pytest.mark.parametrize(("value", "left"), [(True, "one"), (False, "uno")])
async def test_edits_before_the_one_that_does_not_fit(client: Any, value: bool, left: str) -> None:
    switched(client, update_content_is_atomic=value)
    page = await client.page(children=[paragraph("one")])
    edits = [{"old_str": "one", "new_str": "uno"}, {"old_str": "two", "new_str": "due"}]
    change = {"type": "update_content", "update_content": {"content_updates": edits}}
    await client.ask("PATCH", f"/v1/pages/{page}/markdown", change, 400)
    assert (await client.ask("GET", f"/v1/pages/{page}/markdown"))["markdown"] == left


@pytest.mark.parametrize("value", [True, False])
async def test_a_markdown_edit_keeps_ids_or_makes_all_anew(client: Any, value: bool) -> None:
    switched(client, markdown_keeps_ids=value)
    page = await client.page(children=[paragraph("one"), paragraph("two")])

    async def ids() -> set[str]:
        found = (await client.ask("GET", f"/v1/blocks/{page}/children"))["results"]
        return {b["id"] for b in found}

    before = await ids()
    edit = {"content_updates": [{"old_str": "one", "new_str": "uno"}]}
    await client.ask("PATCH", f"/v1/pages/{page}/markdown", {"type": "update_content", "update_content": edit})  # fmt: skip
    after = await ids()
    assert len(after) == 2
    assert (after == before) is value
    assert bool(after & before) is value


async def test_messages_and_codes_that_are_not_documented(client: Any) -> None:
    switched(client, archived_edit_message="{noun} is gone", unsupported_version_code="invalid_request")  # fmt: skip
    page = await client.page()
    await client.ask("PATCH", f"/v1/pages/{page}", {"in_trash": True})
    answer = await client.ask("PATCH", f"/v1/pages/{page}", {"icon": {"emoji": "🎨"}}, 400)
    assert answer["message"] == "page is gone"
    client.http.headers["Notion-Version"] = "2021-05-13"
    assert (await client.ask("GET", "/v1/users/me", status=400))["code"] == "invalid_request"
    switched(client, default_version="2026-03-11")
    del client.http.headers["Notion-Version"]
    await client.ask("GET", "/v1/users/me")


@pytest.mark.parametrize("value", [True, False])
async def test_a_child_page_is_content_of_its_parent_or_not(client: Any, value: bool) -> None:
    switched(client, child_page_changes_parent=value)
    page = await client.page()
    await client.ask("POST", "/v1/pages", {"parent": {"page_id": page}})
    types = [e["type"] for e in client.app.store.events if e["entity"] == page]
    assert ("page.content_updated" in types) is value


@pytest.mark.parametrize(("value", "count"), [(False, 6), (True, 5)])
async def test_the_order_of_a_search_shifts_between_its_pages(client: Any, value: bool, count: int) -> None:  # fmt: skip
    switched(client, search_order_shifts=value, index_lag_s=0)
    for number in range(6):
        await client.page(str(number))
    found, cursor = [], None
    while True:
        body: Json = {"page_size": 4} | ({"start_cursor": cursor} if cursor else {})
        answer = await client.ask("POST", "/v1/search", body)
        found += [p["id"] for p in answer["results"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert len(set(found)) == count


async def test_a_hidden_row_or_child_is_in_no_list_and_unknown_in_text(client: Any) -> None:
    source = await a_table(client, 2)
    rows = (await client.ask("POST", f"/v1/data_sources/{source}/query", {}))["results"]
    outer = await client.page()
    inner = (await client.ask("POST", "/v1/pages", {"parent": {"page_id": outer}}))["id"]
    for hidden in (rows[0]["id"], inner):
        await client.ask("POST", "/__emu/human/unshare", {"id": hidden})
    left = (await client.ask("POST", f"/v1/data_sources/{source}/query", {}))["results"]
    assert [r["id"] for r in left] == [rows[1]["id"]]
    assert (await client.ask("GET", f"/v1/blocks/{outer}/children"))["results"] == []
    found = await client.ask("GET", f"/v1/pages/{outer}/markdown")
    assert (found["truncated"], found["unknown_block_ids"]) == (True, [inner])
    await client.ask("GET", f"/v1/pages/{inner}/markdown", status=404)
