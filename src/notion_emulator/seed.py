"""What a workspace holds when it starts: nothing, the demo, or a JSON file."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from notion_emulator import (
    markdown_parse,
    page_calls,
    seed_hostile,
    seed_many,
    table_calls,
    writing,
)
from notion_emulator.call import Call
from notion_emulator.clock import Clock
from notion_emulator.errors import Json
from notion_emulator.settings import VERSIONS, Settings
from notion_emulator.store import Connection, Store

ROOT_ID = "00000000-0000-4000-8000-000000000001"


def load(name: str, clock: Clock, token: str) -> Store:
    """Return a workspace with one person, one connection, and what the seed names.

    Raises
        OSError, ValueError: the file cannot be read.
    """
    store = Store(f"seed:{name}")
    person, bot = store.ids.uuid(), store.ids.uuid()
    store.users[person] = {"object": "user", "id": person, "name": "Robin Ash", "avatar_url": None, "type": "person", "person": {"email": "robin@example.com"}}  # fmt: skip
    connect(store, token, "HigherSelf", bot)
    if name == "empty":
        return store
    call = Call(store, clock, Settings(), store.connections[token], VERSIONS[-1])
    if name == "hostile":
        seed_hostile.fill(call)
    elif name.startswith("pages:"):
        seed_many.fill(call, int(name.removeprefix("pages:")))
    else:
        spec = DEMO if name == "demo" else json.loads(Path(name).read_text())
        for page in spec["pages"]:
            add_page(call, page, {"type": "workspace", "workspace": True})
    for node in store.nodes.values():  # yesterday, so that the search index knows them
        node.created_at -= timedelta(days=1)
        node.edited_at -= timedelta(days=1)
    store.events.clear()  # nobody saw it being made
    return store


def connect(store: Store, token: str, name: str, bot_id: str) -> Connection:
    """Make a connection that sees everything, and its bot."""
    connection = Connection(token, bot_id, store.ids.uuid(), name, roots={"*"})
    store.connections[token] = connection
    bot = {
        "owner": {"type": "workspace", "workspace": True},
        "workspace_name": store.workspace_name,
        "workspace_id": store.workspace_id,
        "workspace_limits": {"max_file_upload_size_in_bytes": 5_242_880},
    }
    store.users[bot_id] = {"object": "user", "id": bot_id, "name": name, "avatar_url": None, "type": "bot", "bot": bot}  # fmt: skip
    return connection


def add_page(call: Call, page: Json, parent: Json) -> str:
    """Make a page of a seed: title, icon, markdown, pages and tables inside."""
    title = [{"text": {"content": page["title"]}}]
    body: Json = {"parent": parent, "properties": {"title": title}}
    if "icon" in page:
        body["icon"] = {"type": "emoji", "emoji": page["icon"]}
    made = page_calls.create(_with(call, body))
    node = call.store.nodes[made["id"]]
    writing.add_blocks(call, node, markdown_parse.parse(page.get("markdown", "")))
    for inner in page.get("pages", []):
        add_page(call, inner, {"page_id": node.id})
    for table in page.get("databases", []):
        _add_table(call, table, node.id)
    return node.id


def _add_table(call: Call, table: Json, page_id: str) -> None:
    body = {
        "parent": {"page_id": page_id},
        "title": [{"text": {"content": table["title"]}}],
        "initial_data_source": {"properties": table["properties"]},
        "is_inline": bool(table.get("is_inline")),
    }
    made = table_calls.create_database(_with(call, body))
    source = made["data_sources"][0]["id"]
    for row in table.get("rows", []):
        add_row(call, row, source)


def add_row(call: Call, row: Json, source: str) -> None:
    """Make a row of a table: its properties, or these with markdown and an icon."""
    whole = row if "properties" in row else {"properties": row}
    body: Json = {"parent": {"data_source_id": source}, "properties": whole["properties"]}
    if "icon" in whole:
        body["icon"] = {"type": "emoji", "emoji": whole["icon"]}
    made = page_calls.create(_with(call, body))
    content = markdown_parse.parse(str(whole.get("markdown", "")))
    writing.add_blocks(call, call.store.nodes[made["id"]], content)


def _with(call: Call, body: Json) -> Call:
    return Call(call.store, call.clock, call.settings, call.connection, call.version, {}, body)


def _row(name: str, **more: Any) -> Json:
    return {"Name": {"title": [{"text": {"content": name}}]}, **more}


def _stage(name: str, on: str) -> Json:
    return {"Stage": {"select": {"name": name}}, "Date": {"date": {"start": on}}}


DEMO: Json = {
    "pages": [
        {
            "title": "Gallery Lumen",
            "icon": "🎨",
            "markdown": """# About us
We show **contemporary** painting and *sculpture* in a former tram depot.
<callout icon="💡" color="blue_bg">
	Opening hours: Wednesday to Sunday, 11:00 to 18:00
</callout>
## Before an opening
- [x] Send the invitations
- [ ] Hang the works
- [ ] Insure the loans
	- ask for the list of values
---
> A gallery is a conversation with walls.
<details>
<summary>Transport</summary>
	1. Pack
	2. Photograph
	3. Collect
</details>
<table header-row="true">
	<tr>
		<td>Room</td>
		<td>Height</td>
	</tr>
	<tr>
		<td>Hall</td>
		<td>6.2 m</td>
	</tr>
</table>
```mermaid
graph LR
  Enquiry --> Visit --> Sale
```""",
            "pages": [{"title": "Hanging guide", "markdown": "# Heights\nThe middle of a work hangs at **152 cm**.\n$$h = 152 - d/2$$"}],
            "databases": [
                {
                    "title": "Artworks",
                    "properties": {
                        "Name": {"title": {}},
                        "Stage": {"select": {"options": [{"name": "Available", "color": "green"}, {"name": "Reserved", "color": "yellow"}, {"name": "Sold", "color": "red"}]}},
                        "Price": {"number": {"format": "euro"}},
                        "Date": {"date": {}},
                    },
                    "rows": [
                        _row("Blue Interval", Price={"number": 4200}, **_stage("Available", "2026-05-02")),
                        _row("Night Ferry", Price={"number": 7800}, **_stage("Reserved", "2026-06-11")),
                        _row("Small Bronze", Price={"number": 2600}, **_stage("Sold", "2026-06-20")),
                    ],
                }
            ],
        },
        {
            "title": "Harbour Wellness",
            "icon": "🌿",
            "markdown": "# Treatments\n- Massage, 60 minutes\n- Sound bath\n## Intake\nAsk about **allergies** before every first visit.\n<callout icon=\"⚠️\">\n\tNever book two rooms for one therapist.\n</callout>",
            "databases": [
                {
                    "title": "Appointments",
                    "properties": {"Name": {"title": {}}, "Stage": {"select": {}}, "Date": {"date": {}}},
                    "rows": [
                        _row("First visit, A. Moreau", **_stage("Confirmed", "2026-07-06")),
                        _row("Sound bath, group", **_stage("Waiting", "2026-07-08")),
                    ],
                }
            ],
        },
        {
            "title": "Northgate Consulting",
            "icon": "📈",
            "markdown": "# How we work\n1. Listen\n2. Map\n3. Try\n4. Hand over\n<columns>\n\t<column>\n\t\t**Fixed price** for the map\n\t</column>\n\t<column>\n\t\t**Day rate** for the rest\n\t</column>\n</columns>",
            "pages": [{"title": "Proposal template", "markdown": "## Aim\n<empty-block/>\n## Price\n<empty-block/>"}],
        },
    ]
}  # fmt: skip
