from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.notion_emulator.receiving import Receiver

from notion_emulator.app import create_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings
from notion_emulator.webhooks import signature

Json = dict[str, Any]


def text(content: str) -> list[Json]:
    return [{"text": {"content": content}}]


def paragraph(content: str = "x") -> Json:
    return {"paragraph": {"rich_text": text(content)}}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


async def subscribed(client: Any, receiver: Receiver, **more: Any) -> str:
    made = await client.ask("POST", "/__emu/webhooks", {"url": receiver.url, **more})
    proof = {"verification_token": receiver.secret}
    answer = await client.ask("POST", f"/__emu/webhooks/{made['id']}/verify", proof)
    assert answer["state"] == "active"
    return str(made["id"])


async def flushed(client: Any) -> list[Json]:
    sent: list[Json] = (await client.ask("POST", "/__emu/webhooks/flush", {}))["sent"]
    return sent


async def advanced(client: Any, seconds: float) -> None:
    await client.ask("POST", "/__emu/clock/advance", {"seconds": seconds})


def test_the_published_signature() -> None:
    token = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"
    body = f'{{"verification_token":"{token}"}}'.encode()
    assert signature(token, body) == "sha256=461e8cbcba8a75c3edd866f0e71280f5a85cbf21eff040ebd10fe266df38a735"  # fmt: skip


async def test_a_subscription_is_proved_with_the_token_it_was_sent(client: Any, receiver: Receiver) -> None:  # fmt: skip
    made = await client.ask("POST", "/__emu/webhooks", {"url": receiver.url})
    sent, body = receiver.got[0]
    assert sent == signature(receiver.secret, body)
    assert (made["state"], made["challenge_status"]) == ("unverified", 200)
    await client.page()
    assert await flushed(client) == []
    path = f"/__emu/webhooks/{made['id']}"
    await client.ask("POST", f"{path}/verify", {"verification_token": "guessed"}, 400)
    await client.ask("POST", f"{path}/resend")
    assert len(receiver.got) == 2
    await client.ask("POST", f"{path}/verify", {"verification_token": receiver.secret})
    await client.page()
    await flushed(client)
    assert receiver.types == ["page.created"]


async def test_the_envelope_is_the_published_one(client: Any, receiver: Receiver) -> None:
    subscription = await subscribed(client, receiver)
    page = await client.page()
    await flushed(client)
    [event] = receiver.events
    assert receiver.signed_well(receiver.secret) == [True]
    store = client.app.store
    connection = store.connections["ntn_emulator"]
    assert event.pop("id")
    assert event == {
        "timestamp": "2026-07-04T09:00:00.000Z",
        "workspace_id": store.workspace_id,
        "workspace_name": "Workspace",
        "subscription_id": subscription,
        "integration_id": connection.integration_id,
        "authors": [{"id": connection.bot_id, "type": "bot"}],
        "attempt_number": 1,
        "api_version": "2026-03-11",
        "entity": {"id": page, "type": "page"},
        "type": "page.created",
        "data": {"parent": {"id": store.workspace_id, "type": "space"}},
    }


async def test_many_edits_are_one_event_and_name_every_author(client: Any, receiver: Receiver) -> None:  # fmt: skip
    page = await client.page(children=[paragraph("a"), paragraph("b")])
    blocks = (await client.ask("GET", f"/v1/blocks/{page}/children"))["results"]
    await subscribed(client, receiver)
    await client.ask("PATCH", f"/v1/blocks/{blocks[0]['id']}", paragraph("c"))
    for word in ("d", "e"):
        await client.ask("POST", "/__emu/human/edit_text", {"id": blocks[1]["id"], "append": word, "as": "Ada"})  # fmt: skip
    await advanced(client, 29)
    assert receiver.events == []
    await advanced(client, 1)
    [event] = receiver.events
    assert event["type"] == "page.content_updated"
    assert event["data"]["updated_blocks"] == [{"id": b["id"], "type": "block"} for b in blocks]
    assert [a["type"] for a in event["authors"]] == ["bot", "person"]


async def test_made_and_deleted_is_nothing_and_so_is_deleted_and_restored(client: Any, receiver: Receiver) -> None:  # fmt: skip
    kept = await client.page()
    await subscribed(client, receiver)
    short_lived = await client.page()
    await client.ask("PATCH", f"/v1/pages/{short_lived}", {"in_trash": True})
    await client.ask("PATCH", f"/v1/pages/{kept}", {"in_trash": True})
    await client.ask("PATCH", f"/v1/pages/{kept}", {"in_trash": False})
    await flushed(client)
    assert receiver.types == []
    await client.ask("PATCH", f"/v1/pages/{kept}", {"in_trash": True})
    await flushed(client)
    await client.ask("PATCH", f"/v1/pages/{kept}", {"in_trash": False})
    await flushed(client)
    assert receiver.types == ["page.deleted", "page.undeleted"]


async def test_locks_and_comments_do_not_wait(client: Any, receiver: Receiver) -> None:
    page = await client.page()
    await subscribed(client, receiver)
    await client.ask("POST", "/__emu/human/lock", {"id": page})
    await client.ask("POST", "/__emu/human/unlock", {"id": page})
    await client.ask("POST", "/__emu/human/comment", {"id": page, "text": "Approve", "as": "Ada"})
    await advanced(client, 0)
    assert receiver.types == ["page.locked", "page.unlocked", "comment.created"]
    said = receiver.events[-1]
    assert said["data"] == {"parent": {"id": page, "type": "page"}, "page_id": page}
    found = await client.ask("GET", f"/v1/comments/{said['entity']['id']}")
    assert found["rich_text"][0]["plain_text"] == "Approve"


async def test_a_table_tells_of_rows_and_of_its_schema(client: Any, receiver: Receiver) -> None:
    page = await client.page()
    await subscribed(client, receiver)
    body = {"parent": {"page_id": page}, "title": text("Works"), "initial_data_source": {"properties": {"Name": {"title": {}}, "Price": {"number": {}}}}}  # fmt: skip
    base = await client.ask("POST", "/v1/databases", body)
    await flushed(client)
    assert set(receiver.types) == {"database.created", "data_source.created", "view.created", "page.content_updated"}  # fmt: skip
    source = base["data_sources"][0]["id"]
    receiver.got.clear()
    change = {"properties": {"Price": {"name": "Cost"}, "Due": {"date": {}}}}
    made = await client.ask("PATCH", f"/v1/data_sources/{source}", change)
    row = {"parent": {"data_source_id": source}, "properties": {"Name": {"title": text("Row")}}}
    row_id = (await client.ask("POST", "/v1/pages", row))["id"]
    await flushed(client)
    events = {e["type"]: e for e in receiver.events}
    ids = {name: prop["id"] for name, prop in made["properties"].items()}
    assert events["data_source.schema_updated"]["data"]["updated_properties"] == [
        {"id": ids["Cost"], "name": "Cost", "action": "updated"},
        {"id": ids["Due"], "name": "Due", "action": "created"},
    ]
    assert events["data_source.content_updated"]["data"]["updated_blocks"] == [{"id": row_id, "type": "page"}]  # fmt: skip
    parent = {"id": base["id"], "type": "database", "data_source_id": source}
    assert events["page.created"]["data"]["parent"] == parent
    receiver.got.clear()
    await client.ask("PATCH", f"/v1/pages/{row_id}", {"properties": {"Cost": {"number": 4}}})
    await flushed(client)
    [event] = receiver.events
    assert event["data"] == {"parent": parent, "updated_properties": [ids["Cost"]]}


@pytest.mark.parametrize(("both", "types"), [(True, ["page.properties_updated", "page.content_updated"]), (False, ["page.properties_updated"])])  # fmt: skip
async def test_a_title_raises_one_event_or_both(client: Any, receiver: Receiver, both: bool, types: list[str]) -> None:  # fmt: skip
    client.app.settings = client.app.settings.changed(title_changes_content=both)
    page = await client.page()
    await subscribed(client, receiver)
    await client.ask("POST", "/__emu/human/rename", {"id": page, "title": "Other"})
    await flushed(client)
    assert receiver.types == types
    assert receiver.events[0]["data"]["updated_properties"] == ["title"]


@pytest.mark.parametrize(("told", "count"), [(True, 2), (False, 1)])
async def test_own_writes_raise_events_or_not(client: Any, receiver: Receiver, told: bool, count: int) -> None:  # fmt: skip
    client.app.settings = client.app.settings.changed(own_writes_raise_events=told)
    await subscribed(client, receiver)
    await client.page()
    await client.ask("POST", "/__emu/human/create_page", {"title": "Theirs"})
    await flushed(client)
    assert receiver.types.count("page.created") == count


@pytest.mark.parametrize(("integration", "absorbs"), [(True, True), (False, False)])
async def test_guesses_about_authors_and_about_what_follows_the_making(client: Any, receiver: Receiver, integration: bool, absorbs: bool) -> None:  # fmt: skip
    client.app.settings = client.app.settings.changed(authors_are_integrations=integration, created_absorbs_updates=absorbs)  # fmt: skip
    await subscribed(client, receiver)
    page = await client.page()
    await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": [paragraph()]})
    await flushed(client)
    assert receiver.types == (["page.created"] if absorbs else ["page.created", "page.content_updated"])  # fmt: skip
    connection = client.app.store.connections["ntn_emulator"]
    expected = connection.integration_id if integration else connection.bot_id
    assert receiver.events[0]["authors"] == [{"id": expected, "type": "bot"}]


async def test_what_is_not_shared_is_not_told(client: Any, receiver: Receiver) -> None:
    seen, hidden = await client.page("seen"), await client.page("hidden")
    await subscribed(client, receiver)
    await client.ask("POST", "/__emu/human/unshare", {"id": hidden})
    for page in (seen, hidden):
        await client.ask("POST", "/__emu/human/add_block", {"id": page, "text": "new"})
        await client.ask("POST", "/__emu/human/comment", {"id": page, "text": "well?"})
    await flushed(client)
    assert {e["entity"]["id"] for e in receiver.events if e["entity"]["type"] == "page"} == {seen}
    assert receiver.types.count("comment.created") == 1


async def test_only_the_types_subscribed_to_and_nothing_while_paused(client: Any, receiver: Receiver) -> None:  # fmt: skip
    made = await subscribed(client, receiver, event_types=["page.created"])
    page = await client.page()
    await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": [paragraph()]})
    await flushed(client)
    assert receiver.types == ["page.created"]
    await client.ask("POST", f"/__emu/webhooks/{made}/pause")
    await client.page()
    await client.ask("POST", f"/__emu/webhooks/{made}/resume")
    await flushed(client)
    assert receiver.types == ["page.created"]


async def test_refused_events_come_again_eight_times_in_all(client: Any, receiver: Receiver) -> None:  # fmt: skip
    await subscribed(client, receiver)
    await client.page()
    receiver.refuse = [500] * 20
    await advanced(client, 86_400)
    assert [e["attempt_number"] for e in receiver.events] == list(range(1, 9))
    assert len({e["id"] for e in receiver.events}) == 1
    log = (await client.ask("GET", "/__emu/webhooks/deliveries"))["deliveries"]
    assert [line["status"] for line in log] == [500] * 8
    assert log[1]["at"] == "2026-07-04T09:00:45+00:00"
    await advanced(client, 86_400)
    assert len(receiver.events) == 8


async def test_an_event_that_is_accepted_does_not_come_again(client: Any, receiver: Receiver) -> None:  # fmt: skip
    await subscribed(client, receiver)
    receiver.refuse = [503]
    await client.page()
    await advanced(client, 86_400)
    assert [e["attempt_number"] for e in receiver.events] == [1, 2]


@pytest.mark.parametrize(
    ("trouble", "count"),
    [({"drop": 1}, 0), ({"duplicate": 1}, 2), ({"delay": 1}, 1)],
    ids=["dropped", "doubled", "late"],
)
async def test_events_get_lost_doubled_and_late(client: Any, receiver: Receiver, trouble: Json, count: int) -> None:  # fmt: skip
    await subscribed(client, receiver)
    await client.ask("POST", "/__emu/webhooks/faults", trouble)
    await client.page()
    await advanced(client, 30)
    if "delay" in trouble:
        assert receiver.events == []
    await advanced(client, 300)
    assert [e["type"] for e in receiver.events] == ["page.created"] * count
    assert len({e["id"] for e in receiver.events}) <= 1


async def test_events_come_out_of_order(client: Any, receiver: Receiver) -> None:
    await subscribed(client, receiver)
    await client.ask("POST", "/__emu/webhooks/faults", {"reorder": 0.5})
    pages = [await client.page(str(n)) for n in range(20)]
    await advanced(client, 200)
    order = [e["entity"]["id"] for e in receiver.events]
    assert sorted(order) == sorted(pages)
    assert order != pages


async def test_bad_and_old_signatures_and_unknown_types(client: Any, receiver: Receiver) -> None:
    made = await subscribed(client, receiver)
    before = receiver.secret
    await client.ask("POST", f"/__emu/webhooks/{made}/rotate")
    await client.ask("POST", f"/__emu/webhooks/{made}/resend")
    after = receiver.secret
    assert before != after
    for name in ("bad_signature", "old_token", "unknown_type"):
        await client.ask("POST", "/__emu/webhooks/faults", {name: 1})
        await client.page()
        await flushed(client)
    assert receiver.signed_well(after) == [False, False, True]
    assert receiver.signed_well(before) == [False, True, False]
    assert receiver.types[2] == "page.not_known_yet"


async def test_they_are_delivered_over_tcp_on_the_real_clock(receiver: Receiver) -> None:
    settings = Settings(rate_mode="off", webhook_window_s=0.1)
    with Emulator(create_app(seed_name="empty", settings=settings)) as emulator:
        async with httpx.AsyncClient(base_url=emulator.base_url) as http:
            made = (await http.post("/__emu/webhooks", json={"url": receiver.url})).json()
            await http.post(f"/__emu/webhooks/{made['id']}/verify", json={"verification_token": receiver.secret})  # fmt: skip
            await http.post("/__emu/human/create_page", json={"title": "Theirs", "as": "Ada"})
            for _ in range(100):
                if receiver.events:
                    break
                await asyncio.sleep(0.05)
    assert receiver.types[0] == "page.created"
    assert receiver.signed_well(receiver.secret)[0]


async def test_a_receiver_can_be_an_application_in_this_process(client: Any) -> None:
    got: list[Json] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        got.append(json.loads((await receive())["body"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    client.app.webhooks.transport = httpx.ASGITransport(application)
    made = await client.ask("POST", "/__emu/webhooks", {"url": "http://server/webhooks/notion"})
    assert got == [{"verification_token": made["verification_token"]}]
