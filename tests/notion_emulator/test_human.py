from __future__ import annotations

from typing import Any

import pytest

from notion_emulator.app import virtual_app

Json = dict[str, Any]


def text(content: str) -> list[Json]:
    return [{"text": {"content": content}}]


def paragraph(content: str = "x") -> Json:
    return {"paragraph": {"rich_text": text(content)}}


async def does(client: Any, action: str, status: Any = 200, **given: Any) -> Json:
    found: Json = await client.ask("POST", f"/__emu/human/{action}", given, status)
    return found


async def blocks_of(client: Any, page: str) -> list[Json]:
    found: list[Json] = (await client.ask("GET", f"/v1/blocks/{page}/children"))["results"]
    return found


def shown(block: Json) -> str:
    return "".join(i["plain_text"] for i in block[block["type"]]["rich_text"])


@pytest.fixture
async def source(client: Any) -> str:
    page = await client.page()
    options = [{"name": "Sold"}, {"name": "Free"}]
    properties: Json = {"Name": {"title": {}}, "Stage": {"select": {"options": options}}, "Price": {"number": {}}, "Who": {"people": {}}, "Tags": {"multi_select": {}}, "On": {"date": {}}, "Note": {"rich_text": {}}}  # fmt: skip
    body = {"parent": {"page_id": page}, "title": text("Works"), "initial_data_source": {"properties": properties}}  # fmt: skip
    return str((await client.ask("POST", "/v1/databases", body))["data_sources"][0]["id"])


async def test_a_person_edits_text_under_a_name(client: Any) -> None:
    page = await client.page(children=[paragraph("one")])
    [block] = await blocks_of(client, page)
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 60})
    await does(client, "edit_text", id=block["id"], append=" two", **{"as": "Ada Person"})
    [block] = await blocks_of(client, page)
    assert shown(block) == "one two"
    assert block["last_edited_time"] == "2026-07-04T09:01:00.000Z"
    user = await client.ask("GET", f"/v1/users/{block['last_edited_by']['id']}")
    assert (user["name"], user["type"]) == ("Ada Person", "person")
    assert (await client.ask("GET", f"/v1/pages/{page}"))["last_edited_by"]["id"] == user["id"]
    await does(client, "edit_text", id=block["id"], text="three", **{"as": "Ada Person"})
    assert len([u for u in client.app.store.users.values() if u["name"] == "Ada Person"]) == 1


async def test_people_bump_the_page_whatever_the_api_does(client: Any) -> None:
    client.app.settings = client.app.settings.changed(bump_page_on_api_content_edit=False)
    page = await client.page(children=[paragraph("one")])
    [block] = await blocks_of(client, page)
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 60})
    await client.ask("PATCH", f"/v1/blocks/{block['id']}", paragraph("two"))
    edited = (await client.ask("GET", f"/v1/pages/{page}"))["last_edited_time"]
    assert edited == "2026-07-04T09:00:00.000Z"
    await does(client, "edit_text", id=block["id"], text="three")
    edited = (await client.ask("GET", f"/v1/pages/{page}"))["last_edited_time"]
    assert edited == "2026-07-04T09:01:00.000Z"


async def test_an_edit_may_leave_the_time_and_the_time_may_move_alone(client: Any) -> None:
    page = await client.page(children=[paragraph("one")])
    [block] = await blocks_of(client, page)
    before = await client.ask("GET", f"/v1/pages/{page}")
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 60})
    await does(client, "edit_text", id=block["id"], text="two", bump=False)
    after = await client.ask("GET", f"/v1/pages/{page}")
    assert after["last_edited_time"] == before["last_edited_time"]
    assert shown((await blocks_of(client, page))[0]) == "two"
    await does(client, "touch", id=page)
    touched = await client.ask("GET", f"/v1/pages/{page}")
    assert touched["last_edited_time"] == "2026-07-04T09:01:00.000Z"


async def test_blocks_are_added_moved_and_removed(client: Any) -> None:
    page = await client.page(children=[paragraph("a"), paragraph("b")])
    a, b = (block["id"] for block in await blocks_of(client, page))
    await does(client, "add_block", id=page, text="c", after=a)
    await does(client, "add_block", id=page, markdown="- d\n- e", first=True)
    assert [shown(x) for x in await blocks_of(client, page)] == ["d", "e", "a", "c", "b"]
    await does(client, "move_block", id=b, after=a)
    await does(client, "remove_block", id=a)
    assert [shown(x) for x in await blocks_of(client, page)] == ["d", "e", "b", "c"]
    await does(client, "restore", id=a)
    other = await client.page()
    await does(client, "move_block", id=b, parent=other)
    assert [shown(x) for x in await blocks_of(client, other)] == ["b"]
    await does(client, "move_block", 400, id=page)


async def test_properties_are_set_plainly(client: Any, source: str) -> None:
    row = await does(client, "create_page", parent={"data_source_id": source}, title="Row", markdown="Text", properties={"Price": 4})  # fmt: skip
    values: Json = {"Stage": "Sold", "Who": ["Ada Person"], "Tags": ["x", "y"], "On": "2026-07-04", "Note": "said"}  # fmt: skip
    for name, value in values.items():
        await does(client, "set_property", id=row["id"], property=name, value=value)
    found = (await client.ask("GET", f"/v1/pages/{row['id']}"))["properties"]
    assert found["Name"]["title"][0]["plain_text"] == "Row"
    assert (found["Price"]["number"], found["Stage"]["select"]["name"]) == (4, "Sold")
    assert [t["name"] for t in found["Tags"]["multi_select"]] == ["x", "y"]
    assert found["Who"]["people"][0]["name"] == "Ada Person"
    assert found["On"]["date"]["start"] == "2026-07-04"
    assert shown((await blocks_of(client, row["id"]))[0]) == "Text"


async def test_pages_are_renamed_trashed_restored_and_moved(client: Any, source: str) -> None:
    page, other = await client.page("One"), await client.page("Two")
    await does(client, "rename", id=page, title="Uno")
    await does(client, "trash", id=page)
    found = await client.ask("GET", f"/v1/pages/{page}")
    assert (found["in_trash"], found["properties"]["title"]["title"][0]["plain_text"]) == (True, "Uno")  # fmt: skip
    await does(client, "restore", id=page)
    await does(client, "move", id=page, parent={"page_id": other})
    assert (await client.ask("GET", f"/v1/pages/{page}"))["parent"]["page_id"] == other
    await does(client, "move", id=page, parent={"workspace": True})
    assert (await client.ask("GET", f"/v1/pages/{page}"))["parent"]["type"] == "workspace"
    await does(client, "rename", id=source, title="Paintings")
    await does(client, "archive", id=page)
    assert (await client.ask("GET", f"/v1/pages/{page}"))["is_archived"] is True


async def test_a_page_is_taken_from_a_connection_with_all_that_is_in_it(client: Any) -> None:
    page = await client.page()
    inner = await client.ask("POST", "/v1/pages", {"parent": {"page_id": page}})
    await does(client, "unshare", id=page)
    for lost in (page, inner["id"]):
        await client.ask("GET", f"/v1/pages/{lost}", status=404)
    await does(client, "share", id=inner["id"])
    await client.ask("GET", f"/v1/pages/{inner['id']}", status=200)
    await client.ask("GET", f"/v1/pages/{page}", status=404)
    await does(client, "share", id=page)
    await client.ask("GET", f"/v1/pages/{page}")
    await does(client, "revoke")
    await client.ask("GET", f"/v1/pages/{page}", status=401)


async def test_a_lock_is_for_the_app_only_or_for_all(client: Any) -> None:
    page = await client.page()
    await does(client, "lock", id=page)
    await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": [paragraph()]})
    client.app.settings = client.app.settings.changed(locked_refuses_api=True)
    await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": [paragraph()]}, 400)
    await does(client, "unlock", id=page)
    await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": [paragraph()]})


async def test_a_schema_changes_and_an_option_goes(client: Any, source: str) -> None:
    row = await does(client, "create_page", parent={"data_source_id": source}, title="Row", properties={"Stage": "Sold"})  # fmt: skip
    await does(client, "rename_option", id=source, property="Stage", option="Sold", name="Gone")
    found = await client.ask("GET", f"/v1/pages/{row['id']}")
    assert found["properties"]["Stage"]["select"]["name"] == "Gone"
    await does(client, "delete_option", id=source, property="Stage", option="Gone")
    found = await client.ask("GET", f"/v1/pages/{row['id']}")
    assert found["properties"]["Stage"]["select"] is None
    change: Json = {"Stage": {"name": "State"}, "Price": None, "On": {"rich_text": {}}}
    made = await does(client, "change_schema", id=source, properties=change)
    assert made["properties"]["On"]["type"] == "rich_text"
    assert "Price" not in made["properties"]
    await does(client, "rename_option", 400, id=source, property="State", option="No", name="N")
    await does(client, "nonsense", 400)


async def test_the_random_editor_does_the_same_every_time(client: Any) -> None:
    async def run() -> tuple[list[Json], str]:
        app = virtual_app(seed_name="demo")
        other = type(client)(app)
        await other.ask("POST", "/__emu/editor", {"per_minute": 30, "seed": "one", "people": ["Ada", "Ben"]})  # fmt: skip
        await other.ask("POST", "/__emu/clock/advance", {"seconds": 600})
        done = (await other.ask("GET", "/__emu/editor/done"))["done"]
        found = await other.ask("GET", "/__emu/editor")
        assert found["lost"] == []
        assert found["done"] == len(done)
        return done, str(sorted((n.id, str(n.data), n.in_trash) for n in app.store.nodes.values()))

    (done, state), again = await run(), await run()
    assert (done, state) == again
    assert 200 < len(done) < 420
    assert {d["as"] for d in done} == {"Ada", "Ben"}
    assert {d["kind"] for d in done} >= {"edit_text", "add_block", "remove_block", "move_block", "set_property", "rename", "comment"}  # fmt: skip


async def test_what_somebody_else_overwrites_is_lost(client: Any) -> None:
    page = await client.page(children=[paragraph("a"), paragraph("b")])
    await client.ask("POST", "/__emu/editor", {"mix": {"edit_text": 1}, "pages": [page]})
    await client.ask("POST", "/__emu/editor/edit", {"times": 3})
    assert (await client.ask("GET", "/__emu/editor"))["lost"] == []
    replace: Json = {"type": "replace_content", "replace_content": {"new_str": "mine"}}
    await client.ask("PATCH", f"/v1/pages/{page}/markdown", replace)
    assert (await client.ask("GET", "/__emu/editor"))["lost"] == ["⟦1⟧", "⟦2⟧", "⟦3⟧"]


async def test_the_editor_ends_after_so_many_edits_or_when_told(client: Any) -> None:
    await client.page(children=[paragraph("a")])
    await client.ask("POST", "/__emu/editor", {"per_minute": 60, "edits": 5})
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 600})
    assert (await client.ask("GET", "/__emu/editor"))["done"] == 5
    await client.ask("POST", "/__emu/editor", {"per_minute": 60})
    assert (await client.ask("DELETE", "/__emu/editor"))["running"] is False
    await client.ask("POST", "/__emu/editor", {"mix": {"explode": 1}}, 400)
