from __future__ import annotations

from typing import Any


async def test_a_comment_is_made_listed_changed_and_deleted(client: Any) -> None:
    page = await client.page()
    said = [{"text": {"content": "Hello"}}]
    made = await client.ask("POST", "/v1/comments", {"parent": {"page_id": page}, "rich_text": said})  # fmt: skip
    reply = {"discussion_id": made["discussion_id"], "markdown": "**Yes**"}
    await client.ask("POST", "/v1/comments", reply)
    listed = await client.ask("GET", f"/v1/comments?block_id={page}")
    assert [len(listed["results"]), listed["type"]] == [2, "comment"]
    await client.ask("PATCH", f"/v1/comments/{made['id']}", {"markdown": "Hi"})
    await client.ask("DELETE", f"/v1/comments/{made['id']}")
    await client.ask("GET", f"/v1/comments/{made['id']}", status=404)


async def test_a_view_answers_its_rows_for_a_quarter_of_an_hour(client: Any) -> None:
    page = await client.page()
    base = await client.ask("POST", "/v1/databases", {"parent": {"page_id": page}})
    source = base["data_sources"][0]["id"]
    assert len((await client.ask("GET", f"/v1/views?database_id={base['id']}"))["results"]) == 1
    await client.ask("POST", "/v1/pages", {"parent": {"data_source_id": source}})
    body = {"data_source_id": source, "database_id": base["id"], "name": "All", "type": "table"}
    view = await client.ask("POST", "/v1/views", body)
    await client.ask("POST", "/v1/views", body | {"type": "board"}, 400)
    found = await client.ask("POST", f"/v1/views/{view['id']}/queries", {})
    assert found["total_count"] == 1
    path = f"/v1/views/{view['id']}/queries/{found['id']}"
    assert len((await client.ask("GET", path))["results"]) == 1
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 900})
    await client.ask("GET", path, status=404)
