from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from notion_emulator import ui
from notion_emulator.app import create_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings
from notion_emulator.ui.diagram import NotDrawn, read
from notion_emulator.ui.drawing import drawn

Json = dict[str, Any]
UI = "/__emu/ui"


async def html(client: Any, path: str = "", status: int = 200) -> str:
    answer = await client.http.get(f"{UI}/{path}")
    assert answer.status_code == status
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"\sstyle=|<script(?! src=\"/__emu/ui/static/live.js\")|\son\w+=", answer.text)  # fmt: skip
    return str(answer.text)


def text(content: str) -> list[Json]:
    return [{"text": {"content": content}}]


MARKDOWN = """# Heading
<callout icon="⏳" color="blue_bg">
	Waiting ▓▓▓░░░
</callout>
<columns>
	<column>
		left
	</column>
	<column>
		right
	</column>
</columns>
## Toggle {toggle="true"}
	inside
<details>
<summary>More</summary>
	hidden
</details>
- [x] done
- [ ] open
1. one
	1. nested
- bullet
> quote
---
<table header-row="true">
	<tr>
		<td>Head</td>
	</tr>
</table>
$$
x^2
$$
```python
print("<b>")
```
```mermaid
flowchart LR
  a["from #60;here>"] -->|"go"| b{{to}}
```
```mermaid
gantt
  dateFormat X
```
<table_of_contents/>
![caption](https://a.example/picture.png)
a **bold** <span color="red">red</span> [link](https://a.example) `code` $`y`$"""


async def test_every_block_is_drawn(client: Any) -> None:
    page = await client.page("Status", icon={"type": "emoji", "emoji": "⚙"})
    insert = {"type": "insert_content", "insert_content": {"content": MARKDOWN}}
    await client.ask("PATCH", f"/v1/pages/{page}/markdown", insert)
    more: list[Json] = [
        {"tab": {"children": [{"paragraph": {"rich_text": text("First tab"), "children": [{"paragraph": {"rich_text": text("in it")}}]}}]}},
        {"bookmark": {"url": "javascript:alert(1)"}},
        {"breadcrumb": {}},
        {"link_to_page": {"type": "page_id", "page_id": page}},
        {"synced_block": {"synced_from": None, "children": [{"paragraph": {"rich_text": text("synced words")}}]}},
    ]  # fmt: skip
    await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": more})
    shown = await html(client, page)
    for part in (
        '<div class="b callout c-blue_background"', '<rect class="full" width="50.0"', "left",
        "<summary>More</summary>", 'class="b to-do done"', "<ol><li", "<blockquote", "<hr>", "<th>Head</th>", "x^2",
        "print(&#34;&lt;b&gt;&#34;)", "from &lt;here&gt;", 'class="diagram"', "dateFormat X", 'href="https://a.example"',
        "<strong>bold</strong>", 'class="c-red"', "First tab", "in it", "synced words", 'class="level-1"',
    ):  # fmt: skip
        assert part in shown, part
    assert 'href="javascript:' not in shown
    assert 'src="https:' not in shown


async def test_hostile_text_is_text(client: Any) -> None:
    evil = "<script>alert('x')</script><img src=x onerror=alert(1)>"
    page = await client.page(evil)
    await client.ask("PATCH", f"/v1/blocks/{page}/children", {"children": [{"paragraph": {"rich_text": text(evil)}}, {"code": {"rich_text": text(f'graph LR\n a["{evil}"] --> b'), "language": "mermaid"}}]})  # fmt: skip
    await client.ask("POST", "/v1/comments", {"parent": {"page_id": page}, "rich_text": text(evil)})
    for place in ("", page, "events", "requests"):
        shown = await client.http.get(f"{UI}/{place}")
        assert "<script>alert" not in shown.text
        assert "<img" not in shown.text


async def test_a_page_that_is_not_there(client: Any) -> None:
    assert "There is no page" in await html(client, "no-such-page", 404)


async def test_a_database_has_its_views(client: Any) -> None:
    page = await client.page("Home")
    properties = {"Name": {"title": {}}, "Status": {"status": {}}, "Progress": {"number": {"format": "percent"}}}  # fmt: skip
    base = await client.ask("POST", "/v1/databases", {"parent": {"page_id": page}, "title": text("Runs"), "initial_data_source": {"properties": properties}})  # fmt: skip
    source = base["data_sources"][0]["id"]
    row = {"Name": {"title": text("First run")}, "Status": {"status": {"name": "In progress"}}, "Progress": {"number": 0.25}}  # fmt: skip
    made = await client.ask("POST", "/v1/pages", {"parent": {"data_source_id": source}, "properties": row})  # fmt: skip
    board = {"database_id": base["id"], "data_source_id": source, "name": "Board", "type": "board", "configuration": {"type": "board", "group_by": {"property_id": "Status"}}}  # fmt: skip
    view = await client.ask("POST", "/v1/views", board)
    table = await html(client, base["id"])
    assert "<thead>" in table
    assert '<rect class="full" width="25.0"' in table
    shown = await html(client, f"{base['id']}?view={view['id']}")
    assert 'class="lane l-blue"' in shown
    assert "First run" in shown
    assert "25 %" in await html(client, made["id"])


async def test_a_person_edits_in_the_page(client: Any) -> None:
    page = await client.page("Before", children=[{"paragraph": {"rich_text": text("old")}}])
    form = {"title": "After", "markdown": "old\r\n## new"}
    answer = await client.http.post(f"{UI}/{page}/edit", data=form)
    assert answer.status_code == 303
    await client.http.post(f"{UI}/{page}/comment", data={"comment": "Go on"})
    shown = await client.ask("GET", f"/v1/pages/{page}")
    assert shown["properties"]["title"]["title"][0]["plain_text"] == "After"
    person = await client.ask("GET", f"/v1/users/{shown['last_edited_by']['id']}")
    assert person["type"] == "person"
    assert (await client.ask("GET", f"/v1/pages/{page}/markdown"))["markdown"] == "old\n## new"
    assert len((await client.ask("GET", f"/v1/comments?block_id={page}"))["results"]) == 1
    stranger = {"origin": "https://elsewhere.example"}
    answer = await client.http.post(f"{UI}/{page}/edit", data=form, headers=stranger)
    assert answer.status_code == 403


async def test_a_person_changes_properties(client: Any) -> None:
    page = await client.page("Home")
    properties = {"Name": {"title": {}}, "Action": {"select": {"options": [{"name": "Approve"}]}}, "Done": {"checkbox": {}}, "Price": {"number": {}}}  # fmt: skip
    base = await client.ask("POST", "/v1/databases", {"parent": {"page_id": page}, "initial_data_source": {"properties": properties}})  # fmt: skip
    made = await client.ask("POST", "/v1/pages", {"parent": {"data_source_id": base["data_sources"][0]["id"]}})  # fmt: skip
    ids = {name: p["id"] for name, p in made["properties"].items()}
    form = {f"p:{ids['Action']}": "Approve", f"p:{ids['Done']}": "yes", f"p:{ids['Price']}": "12.5"}
    await client.http.post(f"{UI}/{made['id']}/edit", data=form)
    after = (await client.ask("GET", f"/v1/pages/{made['id']}"))["properties"]
    found = [after["Action"]["select"]["name"], after["Done"]["checkbox"], after["Price"]["number"]]
    assert found == ["Approve", True, 12.5]


def test_a_change_arrives_by_itself() -> None:
    app = create_app(seed_name="empty", settings=Settings(rate_mode="off"))
    with Emulator(app) as running, httpx.Client(base_url=running.base_url) as http:
        headers = {"Authorization": f"Bearer {running.token}", "Notion-Version": "2026-03-11"}
        body = {"parent": {"workspace": True}, "properties": {"title": text("Live")}}
        page = http.post("/v1/pages", json=body, headers=headers).json()["id"]
        live = re.search(r'data-live="([^"]*)"', http.get(f"{UI}/{page}").text)
        assert live
        with http.stream("GET", live[1], timeout=5) as stream:
            children = {"children": [{"paragraph": {"rich_text": text("just now")}}]}
            http.patch(f"/v1/blocks/{page}/children", json=children, headers=headers)
            lines = stream.iter_lines()
            assert next(lines) == "event: content"
            assert next(lines).startswith("id: ")
            assert "just now" in json.loads(next(lines).removeprefix("data: "))


def test_nothing_is_loaded_from_elsewhere() -> None:
    for path in (Path(ui.__file__).parent / "static").iterdir():
        assert not re.search(r"https?://|@import|url\(", path.read_text()), path


@pytest.mark.parametrize(
    ("source", "shapes", "arrows"),
    [
        ("graph LR\nA --> B --> C", 3, 2),
        ("flowchart TD\nA[x] & B(y) -->|go| C{z}; C -.-> A\nC -- words --> D((d))", 4, 4),
        ("flowchart TB\nsubgraph one[One]\nA-->B\nend\none --> C\nC --> C", 3, 3),
        ("stateDiagram-v2\n[*] --> Open\nOpen --> Done : go\nstate \"All done\" as Done\nDone --> [*]", 4, 3),
        ("stateDiagram-v2\nstate Outer {\n[*] --> In\n}\nOuter --> End\nnote right of End : said", 3, 2),
        ("%% words\nflowchart LR\nA:::hot ==> B\nclassDef hot fill:#f00,stroke:url(x)\nlinkStyle 0 stroke:#123", 2, 1),
    ],
)  # fmt: skip
def test_diagrams(source: str, shapes: int, arrows: int) -> None:
    graph = read(source)
    assert [len(graph.shapes), len(graph.arrows)] == [shapes, arrows]
    picture = str(drawn(graph))
    assert not re.search(r"\bnan\b", picture)
    assert "url(" not in picture


@pytest.mark.parametrize("source", ["", "gantt\n a", "graph LR\nA -->", "sequenceDiagram\nA->>B: x"])  # fmt: skip
def test_what_is_not_drawn(source: str) -> None:
    with pytest.raises(NotDrawn):
        read(source)
