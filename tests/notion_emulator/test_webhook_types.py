"""Events of every type, judged by the official client: their form by its types, the signature by its helper."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.notion_emulator.receiving import Receiver
from tests.notion_emulator.test_webhooks import advanced, flushed, subscribed, text
from tests.npm import NODE, installed

HERE = Path(__file__).parent / "clients"
Json = dict[str, Any]
CHECK = """
import { verifyWebhookSignature } from "@notionhq/client"
for (const [signature, body, token] of JSON.parse(await new Response(process.stdin).text()))
  console.log(await verifyWebhookSignature({ body, signature, verificationToken: token }))
"""
NOT_MADE = {"page.transcription_block.transcript_deleted", "database.content_updated", "database.schema_updated"}  # fmt: skip


def ran(folder: Path, *command: str, given: str = "") -> str:
    done = subprocess.run([NODE, *command], cwd=folder, input=given, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return done.stdout


async def everything_happens(client: Any) -> None:
    """Do something of every kind, each in a window of its own."""

    async def human(action: str, **given: Any) -> Json:
        found: Json = await client.ask("POST", f"/__emu/human/{action}", given | {"as": "Ada"})
        await flushed(client)
        return found

    outer, other = await client.page("Outer"), await client.page("Other")
    body = {"parent": {"page_id": outer}, "title": text("Works"), "initial_data_source": {"properties": {"Name": {"title": {}}}}}  # fmt: skip
    base = await client.ask("POST", "/v1/databases", body)
    source = base["data_sources"][0]["id"]
    await flushed(client)
    row = (await human("create_page", parent={"data_source_id": source}, title="Row"))["id"]
    await human("add_block", id=row, text="text")
    for action in ("lock", "unlock", "trash", "restore"):
        await human(action, id=row)
    await human("move", id=row, parent={"page_id": other})
    await human("change_schema", id=source, properties={"Price": {"number": {}}})
    for thing in (base["id"], source):
        await human("trash", id=thing)
        await human("restore", id=thing)
    await human("move", id=base["id"], parent={"page_id": other})
    view = await client.ask("POST", "/v1/views", {"database_id": base["id"], "data_source_id": source, "type": "table", "name": "A"})  # fmt: skip
    await flushed(client)
    await client.ask("PATCH", f"/v1/views/{view['id']}", {"name": "B"})
    await flushed(client)
    await client.ask("DELETE", f"/v1/views/{view['id']}")
    second = await client.ask("POST", "/v1/databases", {"parent": {"page_id": other}})
    await client.ask("PATCH", f"/v1/data_sources/{source}", {"parent": {"database_id": second["id"]}})  # fmt: skip
    await flushed(client)
    said = await human("comment", id=row, text="Said")
    await client.ask("PATCH", f"/v1/comments/{said['id']}", {"rich_text": text("Again")})
    await client.ask("DELETE", f"/v1/comments/{said['id']}")
    upload = await client.ask("POST", "/v1/file_uploads", {})
    await client.http.post(f"/v1/file_uploads/{upload['id']}/send", files={"file": ("a", b"a")})
    client.app.settings = client.app.settings.changed(import_succeeds=False)
    await client.ask("POST", "/v1/file_uploads", {"mode": "external_url", "external_url": "https://example.com/a"})  # fmt: skip
    await advanced(client, 3600)
    await flushed(client)


async def test_events_have_the_types_and_signatures_of_the_official_client(client: Any) -> None:
    folder = installed("notion-clients", HERE, beside=("official.mjs", "tsconfig.json"))
    types = folder / "node_modules/@notionhq/client/build/src/api-endpoints/webhooks.d.ts"
    published = {line.split('"')[1] for line in types.read_text().splitlines() if line.startswith('    type: "') and "." in line}  # fmt: skip
    with Receiver() as receiver:
        await subscribed(client, receiver)
        await everything_happens(client)
    assert published - set(receiver.types) == NOT_MADE
    source = 'import type * as notion from "@notionhq/client/build/src/api-endpoints/webhooks.js"\n'
    for number, event in enumerate(receiver.events):
        name = "".join(word.capitalize() for word in event["type"].replace(".", "_").split("_"))
        literal = json.dumps(event, ensure_ascii=False)
        source += f"export const event{number}: notion.{name}WebhookPayload = {literal}\n"
    (folder / "events.ts").write_text(source)
    config = json.loads((folder / "tsconfig.json").read_text()) | {"files": ["events.ts"]}
    (folder / "tsconfig.events.json").write_text(json.dumps(config))
    ran(folder, "node_modules/typescript/bin/tsc", "--project", "tsconfig.events.json", "--pretty", "false")  # fmt: skip
    given = [(signature, body.decode(), receiver.secret) for signature, body in receiver.got]
    forged = [(given[-1][0], given[-1][1] + " ", receiver.secret)]
    found = ran(folder, "--input-type=module", "-e", CHECK, given=json.dumps(given + forged))
    assert found.split() == ["true"] * len(given) + ["false"]
