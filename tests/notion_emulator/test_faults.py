from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from notion_emulator.app import create_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings

Json = dict[str, Any]


def text(content: str) -> list[Json]:
    return [{"text": {"content": content}}]


def paragraph(content: str = "x") -> Json:
    return {"paragraph": {"rich_text": text(content)}}


async def fault(client: Any, kind: str, **facts: Any) -> None:
    await client.ask("POST", "/__emu/faults", {"kind": kind, **facts})


async def titles(client: Any, source: str, size: int) -> list[str]:
    """Walk a query page by page."""
    found: list[str] = []
    cursor = None
    while True:
        body: Json = {"page_size": size} | ({"start_cursor": cursor} if cursor else {})
        answer = await client.ask("POST", f"/v1/data_sources/{source}/query", body)
        found += [p["properties"]["Name"]["title"][0]["plain_text"] for p in answer["results"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            return found


@pytest.fixture
async def source(client: Any) -> str:
    page = await client.page()
    properties: Json = {"Name": {"title": {}}, "Price": {"number": {}}}
    body = {"parent": {"page_id": page}, "title": text("Works"), "initial_data_source": {"properties": properties}}  # fmt: skip
    source = str((await client.ask("POST", "/v1/databases", body))["data_sources"][0]["id"])
    for number in range(6):
        row = {"parent": {"data_source_id": source}, "properties": {"Name": {"title": text(str(number))}}}  # fmt: skip
        await client.ask("POST", "/v1/pages", row)
    return source


async def test_f1_a_burst_names_its_reason_and_its_wait(client: Any) -> None:
    await fault(client, "rate_limited", retry_after=90, times=3, reason="public_api_space_request_rate_limit")  # fmt: skip
    for _ in range(3):
        answer = await client.http.get("/v1/users/me")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "90")
        reason = answer.json()["additional_data"]["rate_limit_reason"]
        assert reason == "public_api_space_request_rate_limit"
    await client.ask("GET", "/v1/users/me")


async def test_an_endpoint_and_the_workspace_have_limits_of_their_own(client: Any) -> None:
    client.app.settings = client.app.settings.changed(rate_mode="window", endpoint_rate_limits={"POST /v1/search": 2}, workspace_rate_limit=5, workspace_window_s=90)  # fmt: skip
    for _ in range(2):
        await client.ask("POST", "/v1/search", {})
    answer = await client.ask("POST", "/v1/search", {}, 429)
    assert answer["additional_data"]["rate_limit_reason"] == "public_api_endpoint_rate_limit"
    for _ in range(3):
        await client.ask("GET", "/v1/users/me")
    answer = await client.ask("GET", "/v1/users/me", status=429)
    assert answer["additional_data"] == {"rate_limit_reason": "public_api_space_request_rate_limit", "retry_after": "90"}  # fmt: skip


async def test_f6_a_query_times_out_until_it_asks_for_less(client: Any, source: str) -> None:
    await fault(client, "timeout", route="/query$|/children$", max_page_size=3)
    path = f"/v1/data_sources/{source}/query"
    answer = await client.ask("POST", path, {"page_size": 4}, 503)
    assert "retry_guidance" in answer["additional_data"]
    await client.ask("POST", path, {"page_size": 3})
    await client.ask("GET", f"/v1/blocks/{source}/children?page_size=4", status=503)


@pytest.mark.parametrize("kind", ["hang", "reset"])
@pytest.mark.parametrize("committed", [False, True])
async def test_f7_over_tcp_a_request_hangs_or_breaks_off_before_or_after_it_is_done(kind: str, committed: bool) -> None:  # fmt: skip
    settings = Settings(rate_mode="off")
    with Emulator(create_app(seed_name="empty", settings=settings)) as emulator:
        headers = {"Authorization": f"Bearer {emulator.token}", "Notion-Version": "2026-03-11"}
        async with httpx.AsyncClient(base_url=emulator.base_url, headers=headers, timeout=0.5) as http:  # fmt: skip
            await http.post("/__emu/faults", json={"kind": kind, "after_commit": committed, "nth": 1})  # fmt: skip
            expected = httpx.ReadTimeout if kind == "hang" else httpx.RemoteProtocolError
            with pytest.raises(expected):
                await http.post("/v1/pages", json={"parent": {"workspace": True}})
            for _ in range(20):
                if (await http.get("/__emu/requests")).json()["requests"]:
                    break
                await asyncio.sleep(0.05)
            pages = [n for n in emulator.app.store.nodes.values() if n.kind == "page"]
            assert len(pages) == committed


async def test_f9_a_stale_read_shows_what_was_there_some_seconds_ago(client: Any) -> None:
    page = await client.page("Old", children=[paragraph("one")])
    await fault(client, "stale", seconds=30, method="GET")
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 60})
    await client.ask("POST", "/__emu/human/rename", {"id": page, "title": "New"})
    made = await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": [paragraph("two")]})  # fmt: skip
    fresh = await client.ask("POST", "/v1/pages", {"parent": {"page_id": page}})
    assert (await client.ask("GET", f"/v1/pages/{page}"))["properties"]["title"]["title"][0]["plain_text"] == "Old"  # fmt: skip
    assert len((await client.ask("GET", f"/v1/blocks/{page}/children"))["results"]) == 1
    await client.ask("GET", f"/v1/blocks/{made['results'][0]['id']}", status=404)
    await client.ask("GET", f"/v1/pages/{fresh['id']}", status=404)
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 31})
    assert len((await client.ask("GET", f"/v1/blocks/{page}/children"))["results"]) == 3
    await client.ask("GET", f"/v1/pages/{fresh['id']}")


async def test_f10_a_cursor_is_good_no_more(client: Any, source: str) -> None:
    await fault(client, "bad_cursor", nth=1)
    path = f"/v1/data_sources/{source}/query"
    first = await client.ask("POST", path, {"page_size": 2})
    follow = {"page_size": 2, "start_cursor": first["next_cursor"]}
    assert "start_cursor" in (await client.ask("POST", path, follow, 400))["message"]
    await client.ask("POST", path, follow)


async def test_f10_what_moves_during_the_walk_is_missed_or_seen_twice(client: Any, source: str) -> None:  # fmt: skip
    assert await titles(client, source, 2) == ["5", "4", "3", "2", "1", "0"]
    rows = {n.data["values"]["title"][0]["plain_text"]: n.id for n in client.app.store.nodes.values() if n.parent[1] == source}  # fmt: skip
    steps = [{"action": "trash", "id": rows["1"]}, {"action": "create_page", "parent": {"data_source_id": source}, "title": "6"}]  # fmt: skip
    await fault(client, "meanwhile", route="/query$", nth=2, do=steps)
    found = await titles(client, source, 2)
    assert "6" not in found
    assert "1" not in found


async def test_f11_pages_are_short(client: Any, source: str) -> None:
    await fault(client, "settings", change={"short_pages": True}, nth=1)
    path = f"/v1/data_sources/{source}/query"
    first = await client.ask("POST", path, {"page_size": 6})
    assert (len(first["results"]), first["has_more"]) == (4, True)
    assert len((await client.ask("POST", path, {"page_size": 6}))["results"]) == 6


async def test_f12_the_index_lags_or_misses_for_some_requests(client: Any) -> None:
    outer = await client.page("Outer")
    await client.ask("POST", "/v1/pages", {"parent": {"page_id": outer}, "properties": {"title": text("Inner")}})  # fmt: skip
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 60})
    await fault(client, "settings", route="/search$", change={"search_miss_rate": 1.0}, nth=1)
    assert (await client.ask("POST", "/v1/search", {}))["results"] == []
    assert len((await client.ask("POST", "/v1/search", {}))["results"]) == 2


async def test_f14_permission_goes_and_comes_during_a_walk(client: Any) -> None:
    page = await client.page(children=[paragraph()])
    await fault(client, "meanwhile", page=page, nth=2, do=[{"action": "unshare", "id": "page"}])
    await client.ask("GET", f"/v1/pages/{page}")
    await client.ask("GET", f"/v1/blocks/{page}/children", status=404)
    await fault(client, "meanwhile", page=page, nth=1, do=[{"action": "share", "id": "page"}])
    await client.ask("GET", f"/v1/pages/{page}")


async def test_f15_a_page_is_trashed_and_restored_between_two_reads(client: Any) -> None:
    page = await client.page(children=[paragraph()])
    await fault(client, "meanwhile", page=page, nth=1, when="after", do=[{"action": "trash", "id": "page"}])  # fmt: skip
    assert (await client.ask("GET", f"/v1/pages/{page}"))["in_trash"] is False
    await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": [paragraph()]}, 400)


async def test_f16_a_page_is_locked(client: Any) -> None:
    page = await client.page()
    await fault(client, "settings", change={"locked_refuses_api": True})
    await fault(client, "meanwhile", page=page, writes=True, nth=1, do=[{"action": "lock", "id": "page"}])  # fmt: skip
    await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": [paragraph()]}, 400)
    await client.ask("GET", f"/v1/pages/{page}")


async def test_f17_a_person_edits_between_the_read_and_the_write(client: Any) -> None:
    page = await client.page(children=[paragraph("the machine's"), paragraph("the person's")])
    blocks = (await client.ask("GET", f"/v1/blocks/{page}/children"))["results"]
    step = {"action": "edit_text", "id": blocks[0]["id"], "text": "changed by hand", "as": "Ada"}
    await fault(client, "meanwhile", page=page, writes=True, nth=2, do=[step])
    edit: Json = {"type": "update_content", "update_content": {"content_updates": [{"old_str": "the machine's", "new_str": "the machine's"}]}}  # fmt: skip
    path = f"/v1/pages/{page}/markdown"
    await client.ask("PATCH", path, edit)
    assert "old_str" in (await client.ask("PATCH", path, edit, 400))["message"]
    assert (await client.ask("GET", path))["markdown"] == "changed by hand\nthe person's"


async def test_f17_random_edits_before_writes_are_kept_or_told_as_lost(client: Any) -> None:
    page = await client.page(children=[paragraph("a"), paragraph("b")])
    await client.ask("POST", "/__emu/editor", {"mix": {"edit_text": 2, "add_block": 1}})
    await fault(client, "meanwhile", page=page, writes=True, do=[{"action": "random_edit"}])
    for _ in range(10):
        await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": [paragraph("mine")]})
    found = await client.ask("GET", "/__emu/editor")
    assert (found["done"], found["marks"], found["lost"]) == (10, 10, [])


async def test_f18_the_clock_of_the_server_is_another(client: Any) -> None:
    client.app.settings = client.app.settings.changed(clock_skew_s=-90.0)
    page = await client.page()
    assert (await client.ask("GET", f"/v1/pages/{page}"))["created_time"] == "2026-07-04T08:58:00.000Z"  # fmt: skip


async def test_f19_and_f20_the_schema_changes_during_a_walk(client: Any, source: str) -> None:
    change = {"action": "change_schema", "id": source, "properties": {"Price": {"name": "Cost"}, "Name": {"name": "Work"}}}  # fmt: skip
    await fault(client, "meanwhile", route="/query$", nth=2, do=[change])
    path = f"/v1/data_sources/{source}/query"
    first = await client.ask("POST", path, {"page_size": 3})
    second = await client.ask("POST", path, {"page_size": 3, "start_cursor": first["next_cursor"]})
    assert {"Price", "Name"} <= first["results"][0]["properties"].keys()
    assert {"Cost", "Work"} <= second["results"][0]["properties"].keys()


async def test_f22_a_text_is_cut_once(client: Any) -> None:
    page = await client.page(children=[paragraph(str(n)) for n in range(5)])
    await fault(client, "settings", route="/markdown$", change={"max_markdown_blocks": 2}, nth=1)
    assert (await client.ask("GET", f"/v1/pages/{page}/markdown"))["truncated"] is True
    assert (await client.ask("GET", f"/v1/pages/{page}/markdown"))["truncated"] is False


async def test_f23_a_token_is_revoked_between_two_requests(client: Any) -> None:
    await fault(client, "meanwhile", nth=2, do=[{"action": "revoke"}])
    await client.ask("GET", "/v1/users/me")
    answer = await client.ask("GET", "/v1/users/me", status=401)
    assert answer["message"] == "API token is invalid."


async def test_what_cannot_be_done_meanwhile_is_told_in_the_events(client: Any) -> None:
    await fault(client, "meanwhile", nth=1, do=[{"action": "trash", "id": "nothing"}])
    await client.ask("GET", "/v1/users/me")
    events = (await client.ask("GET", "/__emu/events"))["events"]
    assert events[-1]["type"] == "emulator.meanwhile_failed"


async def test_f11_every_list_is_short(client: Any) -> None:
    client.app.settings = client.app.settings.changed(short_pages=True, index_lag_s=0)
    page = await client.page(children=[paragraph(str(n)) for n in range(9)])
    for _ in range(8):
        await client.page()
    first = await client.ask("GET", f"/v1/blocks/{page}/children?page_size=9")
    assert (len(first["results"]), first["has_more"]) == (6, True)
    rest = await client.ask("GET", f"/v1/blocks/{page}/children?page_size=9&start_cursor={first['next_cursor']}")  # fmt: skip
    assert (len(rest["results"]), rest["has_more"]) == (3, False)
    found = await client.ask("POST", "/v1/search", {"page_size": 9})
    assert (len(found["results"]), found["has_more"]) == (6, True)


async def test_a_fault_is_for_one_token_or_ends_at_a_time(client: Any) -> None:
    await client.ask("POST", "/__emu/connections", {"token": "ntn_other"})
    await fault(client, "overloaded", token="ntn_other")
    await fault(client, "conflict", until="2026-07-04T09:01:00+00:00")
    await client.ask("GET", "/v1/users/me", status=409)
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 60})
    await client.ask("GET", "/v1/users/me")
    client.http.headers["Authorization"] = "Bearer ntn_other"
    await client.ask("GET", "/v1/users/me", status=529)


async def test_f20_an_option_goes_between_the_read_and_the_write(client: Any, source: str) -> None:
    change: Json = {"properties": {"State": {"status": {"options": [{"name": "Open"}, {"name": "Shut"}]}}}}  # fmt: skip
    await client.ask("PATCH", f"/v1/data_sources/{source}", change)
    row = (await client.ask("POST", f"/v1/data_sources/{source}/query", {}))["results"][0]
    gone = {"action": "delete_option", "id": source, "property": "State", "option": "Shut"}
    await fault(client, "meanwhile", page=row["id"], writes=True, nth=1, do=[gone])
    body = {"properties": {"State": {"status": {"name": "Shut"}}}}
    assert "Shut" in (await client.ask("PATCH", f"/v1/pages/{row['id']}", body, 400))["message"]


async def test_f9_a_stale_read_does_not_see_what_people_did(client: Any) -> None:  # fmt: skip
    page = await client.page(children=[paragraph("one")])
    await fault(client, "stale", seconds=30)
    await client.ask("POST", "/__emu/editor", {"mix": {"add_block": 1}, "pages": [page]})
    await client.ask("POST", "/__emu/editor/edit", {"page": page})
    await client.ask("POST", "/__emu/human/edit_text", {"id": page, "text": "x"}, 400)
    assert len((await client.ask("GET", f"/v1/blocks/{page}/children"))["results"]) == 1
