"""The official JavaScript client and the official MCP server, unchanged, against the emulator.

They come from npm in the versions of `clients/package-lock.json`. Whatever the emulator answers
the JavaScript client is also given to TypeScript, as a value of the type the client has for it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp.client.stdio import stdio_client
from tests.npm import NODE, installed

from mcp import ClientSession, StdioServerParameters
from notion_emulator.app import create_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings

HERE = Path(__file__).parent / "clients"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def folder() -> Path:
    return installed("notion-clients", HERE, beside=("official.mjs", "tsconfig.json"))


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    app = create_app(seed_name="demo", settings=Settings(rate_mode="off"))
    with Emulator(app) as running:
        yield running


def node(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [NODE, *command], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return done.stdout


def as_typed(part: Any) -> Any:
    """Take away where recorded answers of the real API differ from the client's types.

    A relation has ``has_more``, and since 2026-03-11 a file upload has no ``archived``.
    """
    if isinstance(part, list):
        return [as_typed(item) for item in part]
    if not isinstance(part, dict):
        return part
    if part.get("object") == "file_upload":
        part = {"archived": False} | part
    return {k: as_typed(v) for k, v in part.items() if k != "has_more" or "relation" not in part}


def test_the_official_client_gets_answers_of_its_own_types(
    folder: Path, emulator: Emulator
) -> None:
    printed = node(folder, "official.mjs", emulator.base_url, emulator.token)
    rows = [json.loads(line) for line in printed.splitlines()]
    assert {row["type"] for row in rows} >= {"CreatePageResponse", "QueryDataSourceResponse", "SearchResponse", "CreateCommentResponse", "SendFileUploadResponse", "CreateViewResponse"}  # fmt: skip
    source = 'import type * as notion from "@notionhq/client/build/src/api-endpoints.js"\n'
    for number, row in enumerate(rows):
        answer = as_typed({k: v for k, v in row["answer"].items() if k != "request_id"})
        literal = json.dumps(answer, indent=1, ensure_ascii=False)
        source += f"export const answer{number}: notion.{row['type']} = {literal}\n"
    (folder / "answers.ts").write_text(source)
    node(folder, "node_modules/typescript/bin/tsc", "--project", "tsconfig.json", "--pretty", "false")  # fmt: skip


async def test_the_official_mcp_server_works_on_it(folder: Path, emulator: Emulator) -> None:
    server = StdioServerParameters(
        command=str(NODE),
        args=[str(folder / "node_modules/@notionhq/notion-mcp-server/bin/cli.mjs")],
        env={**os.environ, "BASE_URL": emulator.base_url, "NOTION_TOKEN": emulator.token},
    )
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = {tool.name for tool in (await session.list_tools()).tools}
        assert len(tools) == 24

        async def call(tool: str, **given: Any) -> Json:
            answer = await session.call_tool(tool, given)
            found: Json = json.loads(answer.content[0].text)  # type: ignore[union-attr]
            assert found.get("object") != "error", found
            return found

        page = {"property": "object", "value": "page"}
        found = await call("API-post-search", query="Gallery Lumen", filter=page)
        gallery = found["results"][0]
        same = await call("API-retrieve-a-page", page_id=gallery["id"])
        assert same["properties"] == gallery["properties"]
        title = {"title": [{"text": {"content": "From MCP"}}]}
        made = await call("API-post-page", parent={"page_id": gallery["id"]}, properties=title)
        line = {"type": "paragraph", "paragraph": {"rich_text": [{"type": "text", "text": {"content": "Hello"}}]}}  # fmt: skip
        await call("API-patch-block-children", block_id=made["id"], children=[line])
        text = await call("API-retrieve-page-markdown", page_id=made["id"])
        assert text["markdown"] == "Hello"
        tables = {"property": "object", "value": "data_source"}
        found = await call("API-post-search", query="Artworks", filter=tables)
        rows = await call(
            "API-query-data-source",
            data_source_id=found["results"][0]["id"],
            filter={"property": "Price", "number": {"greater_than": 3000}},
        )
        assert len(rows["results"]) == 2
