"""Which blocks keep their ids when a page's markdown changes."""

from __future__ import annotations

from typing import Any

import pytest

Json = dict[str, Any]
TEXT = "# One\nfirst\n- a\n\t- inner\n- b\n```mermaid\ngraph LR\n```\n<callout icon=\"💡\">\n\tnote\n\tmore\n</callout>"  # fmt: skip


async def tree(client: Any, block: str) -> list[Json]:
    found = (await client.ask("GET", f"/v1/blocks/{block}/children"))["results"]
    for item in found:
        if item["has_children"]:
            item["inside"] = await tree(client, item["id"])
    return list(found)


async def patch(client: Any, page: str, old: str, new: str) -> str:
    change = {"content_updates": [{"old_str": old, "new_str": new}]}
    body = {"type": "update_content", "update_content": change}
    return str((await client.ask("PATCH", f"/v1/pages/{page}/markdown", body))["markdown"])


@pytest.fixture
async def page(client: Any) -> str:
    made = await client.ask("POST", "/v1/pages", {"parent": {"workspace": True}, "properties": {}})
    insert = {"type": "insert_content", "insert_content": {"content": TEXT}}
    answer = await client.ask("PATCH", f"/v1/pages/{made['id']}/markdown", insert)
    assert answer["markdown"] == TEXT
    return str(made["id"])


async def test_a_changed_text_keeps_every_id(client: Any, page: str) -> None:
    before = await tree(client, page)
    assert "inner changed" in await patch(client, page, "inner", "inner changed")
    after = await tree(client, page)
    assert [b["id"] for b in after] == [b["id"] for b in before]
    assert after[2]["inside"][0]["id"] == before[2]["inside"][0]["id"]


async def test_what_is_put_between_moves_nothing(client: Any, page: str) -> None:
    before = await tree(client, page)
    await patch(client, page, "first", "zeroth\nfirst\nsecond")
    after = await tree(client, page)
    assert [b["id"] for b in before] == [b["id"] for b in after if b["id"] in {x["id"] for x in before}]  # fmt: skip
    assert len(after) == len(before) + 2


async def test_a_moved_block_keeps_its_id(client: Any, page: str) -> None:
    before = await tree(client, page)
    await patch(client, page, "# One\nfirst", "first\n# One")
    after = await tree(client, page)
    assert [b["id"] for b in after[:2]] == [before[1]["id"], before[0]["id"]]


async def test_another_type_is_another_block(client: Any, page: str) -> None:
    before = await tree(client, page)
    await patch(client, page, "first", "> first")
    after = await tree(client, page)
    assert after[1]["id"] != before[1]["id"]
    assert (await client.ask("GET", f"/v1/blocks/{before[1]['id']}"))["in_trash"] is True


async def test_what_markdown_cannot_show_stays(client: Any, page: str) -> None:
    """A bookmark, a captioned code and a child page are kept when something else changes."""
    caption = [{"text": {"content": "caption"}}]
    more: list[Json] = [
        {"bookmark": {"url": "https://a.example"}},
        {"code": {"rich_text": [], "language": "mermaid", "caption": caption}},
    ]
    await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": more})
    child = await client.ask("POST", "/v1/pages", {"parent": {"page_id": page}, "properties": {}})
    before = await tree(client, page)
    await patch(client, page, "first", "1st")
    after = await tree(client, page)
    assert [b["id"] for b in after] == [b["id"] for b in before]
    assert after[-2]["code"]["caption"][0]["plain_text"] == "caption"
    assert after[-1]["id"] == child["id"]


async def test_a_child_page_is_moved_by_its_tag(client: Any, page: str) -> None:
    child = await client.ask("POST", "/v1/pages", {"parent": {"page_id": page}, "properties": {}})
    url = "https://app.notion.com/p/" + child["id"].replace("-", "")
    text = (await client.ask("GET", f"/v1/pages/{page}/markdown"))["markdown"]
    assert text.endswith(f'<page url="{url}"></page>')
    tag = text.rsplit("\n", 1)[1]
    change = {"content_updates": [{"old_str": "\n" + tag, "new_str": ""}, {"old_str": "\tnote", "new_str": f"\tnote\n\t{tag}"}]}  # fmt: skip
    await client.ask("PATCH", f"/v1/pages/{page}/markdown", {"type": "update_content", "update_content": change})  # fmt: skip
    after = await tree(client, page)
    assert after[-1]["inside"][0]["id"] == child["id"]
    assert (await client.ask("GET", f"/v1/pages/{child['id']}"))["in_trash"] is False


async def test_a_page_named_twice_is_there_once(client: Any, page: str) -> None:
    child = await client.ask("POST", "/v1/pages", {"parent": {"page_id": page}, "properties": {}})
    tag = (await client.ask("GET", f"/v1/pages/{page}/markdown"))["markdown"].rsplit("\n", 1)[1]
    await patch(client, page, tag, f"{tag}\nbetween\n{tag}")
    found = [b["id"] for b in await tree(client, page)]
    assert found.count(child["id"]) == 1


async def test_another_version_of_markdown_is_refused(client: Any, page: str) -> None:
    path = f"/v1/pages/{page}/markdown"
    same = await client.ask("GET", f"{path}?markdown_version=v1")
    assert same["markdown"] == TEXT
    await client.ask("GET", f"{path}?markdown_version=v2", status=400)
