"""Announcements: signed, stored once, only a hint; lost and late ones do no harm."""

import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from tests.notion.following.workspace import Workspace, workspace

from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.following.postgres import FollowStore
from higherself.notion.following.webhooks import (
    BadSignature,
    EventRefused,
    TokenKept,
    Webhooks,
    signature_of,
)

TOKEN = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"


def event(page: str, kind: str = "page.content_updated", **changes: Any) -> bytes:
    value = {
        "id": str(uuid4()),
        "timestamp": SYSTEM_CLOCK.now().isoformat(),
        "type": kind,
        "entity": {"id": page, "type": kind.partition(".")[0]},
        "data": {},
        **changes,
    }
    return json.dumps(value).encode()


@pytest.fixture
async def webhooks(database: Database) -> Webhooks:
    return Webhooks(FollowStore(database, SYSTEM_CLOCK), SYSTEM_CLOCK, TOKEN)


def test_the_signature_is_that_of_notions_documentation() -> None:
    body = json.dumps({"verification_token": TOKEN}, separators=(",", ":")).encode()
    expected = "sha256=461e8cbcba8a75c3edd866f0e71280f5a85cbf21eff040ebd10fe266df38a735"
    assert signature_of(body, TOKEN) == expected


async def test_an_event_counts_once(webhooks: Webhooks) -> None:
    body = event(str(uuid4()))
    assert await webhooks.receive(body, signature_of(body, TOKEN)) == "stored"
    assert await webhooks.receive(body, signature_of(body, TOKEN)) == "known"
    assert (await webhooks.subscription()).verified


@pytest.mark.parametrize("signature", [None, "", "sha256=00", signature_of(b"other", TOKEN)])
async def test_what_is_not_signed_is_refused(webhooks: Webhooks, signature: str | None) -> None:
    with pytest.raises(BadSignature):
        await webhooks.receive(event(str(uuid4())), signature)


async def test_yesterdays_event_is_refused(webhooks: Webhooks) -> None:
    old = (SYSTEM_CLOCK.now() - timedelta(hours=25)).isoformat()
    body = event(str(uuid4()), timestamp=old)
    with pytest.raises(EventRefused, match="older than a day"):
        await webhooks.receive(body, signature_of(body, TOKEN))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"id": 1}', b'{"id":"a","type":"b","entity":{}}', b"\xff"]
)
async def test_what_is_no_event_is_refused(webhooks: Webhooks, body: bytes) -> None:
    with pytest.raises(EventRefused):
        await webhooks.receive(body, signature_of(body, TOKEN))


async def test_the_first_token_is_kept_until_an_event_was_signed_with_it(
    database: Database,
) -> None:
    webhooks = Webhooks(FollowStore(database, SYSTEM_CLOCK), SYSTEM_CLOCK)
    body = event(str(uuid4()))
    with pytest.raises(BadSignature):
        await webhooks.receive(body, signature_of(body, TOKEN))
    for token in ("secret_other", TOKEN):
        sent = json.dumps({"verification_token": token}).encode()
        assert await webhooks.receive(sent, signature_of(sent, token)) == "token"
    assert (await webhooks.subscription()).token == TOKEN
    await webhooks.receive(body, signature_of(body, TOKEN))
    with pytest.raises(TokenKept):
        await webhooks.receive(b'{"verification_token":"secret_third"}', None)
    await webhooks.forget()
    assert await webhooks.receive(b'{"verification_token":"secret_third"}', None) == "token"


@pytest.fixture
async def ours(database: Database) -> AsyncIterator[Workspace]:
    async with workspace(database) as ours:
        yield ours


async def announce(ours: Workspace, page: str, kind: str) -> None:
    webhooks = Webhooks(ours.follower.store, ours.shared, TOKEN)
    body = event(page, kind, timestamp=ours.clock.now().isoformat())
    await webhooks.receive(body, signature_of(body, TOKEN))


async def test_a_page_that_no_search_shows_yet_is_found_by_its_event(database: Database) -> None:
    async with workspace(database, index_lag_s=3600.0) as ours:
        root = ours.page("Root")
        ours.share(root)
        ours.wait(minutes=5)
        await ours.cycle()
        ours.wait(minutes=5)
        page = ours.page("New", "Announced.")
        ours.share(root, page)
        ours.share(root)
        other = ours.page("Inside", "Announced.", root)
        ours.wait(minutes=2)
        await announce(ours, other, "page.created")
        await announce(ours, page, "page.created")  # it is not shared: nothing comes of it
        await ours.cycle()
        assert other in await ours.texts()
        assert page not in await ours.texts()


async def test_an_event_of_a_deletion_needs_a_proof(ours: Workspace) -> None:
    page = ours.page("Page", "Text.")
    ours.wait(minutes=5)
    await ours.cycle()
    await announce(ours, page, "page.deleted")
    report, _ = await ours.cycle()
    assert report.deleted == 0
    ours.fault("error", status=500, route="/search", probability=0.0)
    ours.update(page, in_trash=True)
    await announce(ours, page, "page.deleted")
    report, _ = await ours.cycle()
    assert report.deleted == 1


async def test_lost_and_shuffled_events_come_to_the_same(ours: Workspace) -> None:
    chance = random.Random(7)
    root = ours.page("Root")
    source = ours.table("Table", root)
    wanted = {ours.row(source, f"Row {i}", f"Start {i}"): f"Start {i}" for i in range(20)}
    ours.wait(minutes=5)
    await ours.cycle()
    late: list[tuple[str, str]] = []
    for turn in range(8):
        for page in chance.sample(sorted(wanted), 4):
            wanted[page] = f"Turn {turn}"
            ours.write(page, wanted[page])
            if chance.random() > 0.2:
                late.append((page, "page.content_updated"))
        chance.shuffle(late)
        for page, kind in late[: len(late) // 2]:
            await announce(ours, page, kind)
        late = late[len(late) // 2 :]
        ours.wait(seconds=40)
        await ours.cycle()
    ours.wait(minutes=3)
    await ours.cycle()
    texts = await ours.texts()
    assert all(words in texts[page] for page, words in wanted.items())


async def test_the_route_answers_with_status_codes(ours: Workspace) -> None:
    from fastapi import FastAPI

    from higherself.api.problems import add_problems
    from higherself.api.webhooks import webhook_routes

    class Settings:
        notion_webhook_token = None
        webhook_rate = 60_000

    class Server:
        settings, database, clock = Settings(), ours.database, SYSTEM_CLOCK

    app = FastAPI()
    add_problems(app)
    app.include_router(webhook_routes(Server()))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        token = json.dumps({"verification_token": TOKEN}).encode()
        assert (await client.post("/webhooks/notion", content=token)).status_code == 200
        body = event(str(uuid4()))
        signed = {"X-Notion-Signature": signature_of(body, TOKEN)}
        started = SYSTEM_CLOCK.monotonic()
        answer = await client.post("/webhooks/notion", content=body, headers=signed)
        assert answer.json() == {"ok": True, "received": "stored"}
        assert SYSTEM_CLOCK.monotonic() - started < 1
        again = await client.post("/webhooks/notion", content=body, headers=signed)
        assert again.json()["received"] == "known"
        assert (await client.post("/webhooks/notion", content=body)).status_code == 401
        other = await client.post("/webhooks/notion", content=b'{"verification_token":"x"}')
        assert other.status_code == 409
        junk = {"X-Notion-Signature": signature_of(b"{", TOKEN)}
        assert (
            await client.post("/webhooks/notion", content=b"{", headers=junk)
        ).status_code == 400
