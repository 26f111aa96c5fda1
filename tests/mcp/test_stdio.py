"""The command that an assistant starts, asked by the SDK's own client over its standard streams."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from tests.mcp import seen
from tests.mcp.test_http import said

from higherself.cli.main import run
from higherself.mcp import http

ROOT = Path(__file__).parents[2]
HIGHERSELF = str(Path(sys.executable).parent / "higherself")


def environment(url: str, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": url,
        "HIGHERSELF_EXTENSIONS": str(seen.skills_in(folder)),
        "HIGHERSELF_EMBEDDING_TIERS": "local",
        "PYTHONPATH": str(ROOT),
    }


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_it_serves_until_the_assistant_leaves(
    database_url: str, tmp_path: Path, mode: str
) -> None:
    command = StdioServerParameters(
        command=HIGHERSELF,
        args=["mcp"],
        env=environment(database_url, tmp_path),
    )
    async with Client(command, mode=mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert "search_knowledge" in tools
        assert "send_letter" not in tools
        assert said(await client.call_tool("count_letters", {"text": "four"})) == "4"
        # It prints: on the stream of the protocol, that would break it.
        assert not (await client.call_tool("remember_call", {})).is_error
        assert said(await client.call_tool("count_letters", {"text": "five!"})) == "5"


async def test_for_one_business_alone(database_url: str, tmp_path: Path) -> None:
    command = StdioServerParameters(
        command=HIGHERSELF,
        args=["mcp", "--allow-writes", "--entity", "gallery"],
        env=environment(database_url, tmp_path),
    )
    async with Client(command) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert "send_letter" in tools
        result = await client.call_tool("remember_call", {})
        assert result.structured_content is not None
        assert result.structured_content["entity"] == "gallery"
        asked = {"query": "deposits", "entity": "studio"}
        refused = await client.call_tool("search_knowledge", asked)
        assert refused.is_error
        assert "for gallery alone" in said(refused)


def test_without_the_sdk_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http, "is_installed", lambda: False)
    assert run(["mcp"]) == 2
    assert "pip install 'higherself-network-server[mcp]'" in capsys.readouterr().err


def test_it_stops_when_it_is_told(database_url: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        [HIGHERSELF, "mcp"],
        env=environment(database_url, tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        process.stdin.flush()
        assert b'"id":1' in process.stdout.readline()
        process.send_signal(signal.SIGTERM)  # while it waits for the next line
        assert process.wait(timeout=20) == 0
        assert process.stdout.read() == b""
