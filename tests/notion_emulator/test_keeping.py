from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from notion_emulator import conformance, persistence
from notion_emulator.app import create_app, virtual_app
from notion_emulator.cli import main
from notion_emulator.recording import Recorder
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings

Json = dict[str, Any]


async def test_a_workspace_is_the_same_after_a_save_and_a_load(client: Any, tmp_path: Path) -> None:
    kind = type(client)
    first = kind(virtual_app("demo"))
    await first.ask("POST", "/__emu/editor", {"per_minute": 60})
    await first.ask("POST", "/__emu/clock/advance", {"seconds": 120})
    await first.ask("POST", "/__emu/save", {"file": str(tmp_path / "a.db")})
    second = kind(virtual_app("empty"))
    await second.ask("POST", "/__emu/load", {"file": str(tmp_path / "a.db")})
    pages = [n.id for n in first.app.store.nodes.values() if n.kind == "page"]
    for path in ["/v1/users", *(f"/v1/pages/{p}" for p in pages), *(f"/v1/pages/{p}/markdown" for p in pages)]:  # fmt: skip
        here, there = await first.ask("GET", path), await second.ask("GET", path)
        assert here | {"request_id": ""} == there | {"request_id": ""}
    made = [await c.page("New") for c in (first, second)]
    assert made[0] == made[1]


async def test_files_and_subscriptions_are_kept(client: Any, tmp_path: Path) -> None:
    upload = await client.ask("POST", "/v1/file_uploads", {})
    await client.http.post(f"/v1/file_uploads/{upload['id']}/send", files={"file": ("a", b"data")})
    subscription = client.app.webhooks.subscribe(client.app, {"url": "http://127.0.0.1:9/x"})
    persistence.save(client.app, tmp_path / "a.db")
    other = virtual_app("demo")
    persistence.load(other, tmp_path / "a.db")
    assert other.store.blobs[upload["id"]] == {1: b"data"}
    assert other.webhooks.subscriptions[subscription.id].secret == subscription.secret


def test_the_command_keeps_and_records(tmp_path: Path) -> None:
    store, log = tmp_path / "a.db", tmp_path / "log.jsonl"
    command = [sys.executable, "-m", "notion_emulator.cli", "serve", "--seed", "empty", "--store", str(store), "--record", str(log)]  # fmt: skip
    headers = {"Authorization": "Bearer ntn_emulator", "Notion-Version": "2026-03-11"}
    made = ""
    for _ in range(2):
        with Emulator() as free:
            port = free.port
        with subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.PIPE) as process:
            transport = httpx.HTTPTransport(retries=8)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, transport=transport) as http:  # fmt: skip
                if made:
                    assert http.get(f"/v1/pages/{made}").status_code == 200
                made = http.post("/v1/pages", json={"parent": {"workspace": True}}).json()["id"]
            process.send_signal(signal.SIGTERM)
    assert len(log.read_text().splitlines()) == 3


def test_a_file_that_is_no_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("this is no database, nor was it ever meant to be one" * 20)
    result = CliRunner().invoke(main, ["serve", "--store", str(tmp_path / "a.db")])
    assert result.exit_code == 1
    assert "cannot read the workspace" in result.output


async def test_what_is_recorded_can_be_compared(tmp_path: Path) -> None:
    app = create_app(seed_name="empty", settings=Settings(rate_mode="off"))
    app.recorder = Recorder(tmp_path / "log.jsonl")
    with Emulator(app) as emulator:
        headers = {"Authorization": f"Bearer {emulator.token}", "Notion-Version": "2026-03-11"}
        async with httpx.AsyncClient(base_url=emulator.base_url, headers=headers) as http:
            body = {"parent": {"workspace": True}, "properties": {"title": [{"text": {"content": "A"}}]}}  # fmt: skip
            page = (await http.post("/v1/pages", json=body)).json()["id"]
            block = {"paragraph": {"rich_text": [{"text": {"content": "text"}}]}}
            await http.patch(f"/v1/blocks/{page}/children", json={"children": [block]})
            await http.get(f"/v1/blocks/{page}/children", params={"page_size": 5})
            await http.patch(f"/v1/blocks/{page}/children", json={"children": 3})
            await http.get(f"/v1/pages/{page}/markdown")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["index"], line["status"]) for line in lines] == [(0, 200), (1, 200), (2, 200), (3, 400), (4, 200)]  # fmt: skip
    assert lines[2]["query"] == {"page_size": ["5"]}
    report = await conformance.run(tmp_path)
    assert (report["total"], report["identical"]) == (5, 5)


@pytest.mark.parametrize("name", ["hostile", "pages:50"])
async def test_seeds_can_be_read_whole(client: Any, name: str) -> None:
    reader = type(client)(virtual_app(name))
    nodes = list(reader.app.store.nodes.values())
    if name == "hostile":
        depths = [len(list(reader.app.store.ancestors(n))) for n in nodes]
        assert max(depths) > 100
        assert max(len(n.children) for n in nodes) == 5_000
    for node in [n for n in nodes if n.kind == "page"]:
        found = await reader.ask("GET", f"/v1/pages/{node.id}/markdown")
        assert not found["truncated"]
        await reader.ask("GET", f"/v1/pages/{node.id}")
        await reader.ask("GET", f"/v1/blocks/{node.id}/children")
    circle = [n for n in nodes if n.data.get("type") == "synced_block"]
    for node in circle:
        await reader.ask("GET", f"/v1/blocks/{node.id}/children")


async def test_f25_a_free_workspace_is_full_after_its_days_of_grace(client: Any) -> None:
    client.app.settings = client.app.settings.changed(plan="free", free_block_limit=3)
    page = await client.page()
    children: Json = {"children": [{"divider": {}}]}
    path = f"/v1/blocks/{page}/children"
    for _ in range(2):
        await client.ask("PATCH", path, children)
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 259_200})
    await client.ask("PATCH", path, children)  # one member: no limit
    await client.ask("POST", "/__emu/human/touch", {"id": page, "as": "A second member"})
    refused = await client.ask("PATCH", path, children, 403)
    assert refused["code"] == "restricted_resource"
    await client.ask("POST", "/v1/pages", {"parent": {"workspace": True}}, 403)
    await client.ask("PATCH", f"/v1/pages/{page}", {"icon": {"emoji": "🎨"}})
    client.app.settings = client.app.settings.changed(plan="plus")
    await client.ask("PATCH", path, children)


def test_a_killed_emulator_loses_a_second_at_most(tmp_path: Path) -> None:
    store = tmp_path / "a.db"
    command = [sys.executable, "-m", "notion_emulator.cli", "serve", "--seed", "empty", "--store", str(store)]  # fmt: skip
    headers = {"Authorization": "Bearer ntn_emulator", "Notion-Version": "2026-03-11"}
    with Emulator() as free:
        port = free.port
    with subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.PIPE) as process:
        transport = httpx.HTTPTransport(retries=8)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, transport=transport) as http:  # fmt: skip
            made = http.post("/v1/pages", json={"parent": {"workspace": True}}).json()["id"]
        for _ in range(100):
            if store.exists() and made in _ids(store):
                break
            time.sleep(0.05)
        process.kill()
    app = virtual_app("empty")
    persistence.load(app, store)
    assert made in app.store.nodes


def _ids(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as database:
        tables = database.execute("SELECT name FROM sqlite_master").fetchall()
        return {i for (i,) in database.execute("SELECT id FROM part")} if tables else set()
