from __future__ import annotations

from typing import Any

import pytest

Json = dict[str, Any]


async def advanced(client: Any, seconds: float) -> None:
    await client.ask("POST", "/__emu/clock/advance", {"seconds": seconds})


async def accepted(client: Any) -> Json:
    body = {"parent": {"workspace": True}, "markdown": "# Later\n\nText", "allow_async": True}
    task: Json = await client.ask("POST", "/v1/pages", body, 202)
    return task


async def state(client: Any, task: Json, status: int = 200) -> Json:
    found: Json = await client.ask("GET", f"/v1/async_tasks/{task['id']}", status=status)
    return found


async def test_a_page_is_made_when_the_task_ends(client: Any) -> None:
    task = await accepted(client)
    assert (task["object"], task["status"], task["poll_after_seconds"]) == ("async_task", "queued", 2)  # fmt: skip
    assert len(task["id"]) == len("task_") + 32
    assert (await state(client, task))["status"] == "queued"
    await advanced(client, 1)
    assert (await state(client, task))["status"] == "running"
    assert (await client.ask("POST", "/v1/search", {}))["results"] == []
    await advanced(client, 2)
    done = await state(client, task)
    assert done["status"] == "succeeded"
    assert "poll_after_seconds" not in done
    text = await client.ask("GET", f"/v1/pages/{done['result']['id']}/markdown")
    assert text["markdown"] == "Text"
    await advanced(client, 3600)
    await state(client, task, 404)


async def test_a_text_is_changed_when_the_task_ends(client: Any) -> None:
    page = await client.page()
    path = f"/v1/pages/{page}/markdown"
    insert = {"type": "insert_content", "insert_content": {"content": "new"}, "allow_async": True}
    task = await client.ask("PATCH", path, insert, 202)
    assert (await client.ask("GET", path))["markdown"] == ""
    await advanced(client, 3)
    assert (await client.ask("GET", path))["markdown"] == "new"
    assert (await state(client, task))["result"]["markdown"] == "new"


async def test_what_would_be_refused_is_refused_at_once(client: Any) -> None:
    nowhere = "00000000-0000-4000-8000-000000000099"
    body = {"parent": {"page_id": nowhere}, "markdown": "x", "allow_async": True}
    await client.ask("POST", "/v1/pages", body, 404)
    await client.ask("POST", "/v1/pages", {"parent": {"workspace": True}, "allow_async": True}, 400)
    body = {"parent": {"workspace": True}, "markdown": "x", "allow_async": False}
    assert (await client.ask("POST", "/v1/pages", body))["object"] == "page"


async def test_an_edit_that_does_not_fit_any_more_fails_later(client: Any) -> None:
    page = await client.page()
    edit = {"type": "update_content", "update_content": {"content_updates": [{"old_str": "a", "new_str": "b"}]}, "allow_async": True}  # fmt: skip
    task = await client.ask("PATCH", f"/v1/pages/{page}/markdown", edit, 202)
    await advanced(client, 3)
    failed = await state(client, task)
    assert (failed["status"], failed["error"]["code"]) == ("failed", "validation_error")


@pytest.mark.parametrize(
    ("outcome", "states", "pages"),
    [
        ("failed", ["failed", "failed"], 0),
        ("failed_after", ["failed", "failed"], 1),
        ("retrying", ["retrying", "succeeded"], 1),
    ],
)
async def test_f24_tasks_fail_or_take_another_run(client: Any, outcome: str, states: list[str], pages: int) -> None:  # fmt: skip
    await client.ask("POST", "/__emu/faults", {"kind": "settings", "change": {"async_outcome": outcome}, "nth": 1})  # fmt: skip
    task = await accepted(client)
    seen = []
    for _ in range(2):
        await advanced(client, 3)
        seen.append((await state(client, task))["status"])
    assert seen == states
    assert len([n for n in client.app.store.nodes.values() if n.kind == "page"]) == pages


async def test_a_task_is_known_to_its_own_connection_only(client: Any) -> None:
    task = await accepted(client)
    await client.ask("POST", "/__emu/connections", {"token": "ntn_other"})
    client.http.headers["Authorization"] = "Bearer ntn_other"
    await state(client, task, 404)
