"""Assistants over HTTP: the SDK's own client asks the real server, at both generations of MCP."""

import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent
from tests.mcp import seen

from higherself.db.embedded import EmbeddedPostgres
from higherself.mcp import calls, http
from higherself.mcp.calls import ENTITY, IDEMPOTENCY_KEY, PROBLEM
from higherself.mcp.edge import McpEdge
from higherself.testing.http import Site, running

MODERN = "2026-07-28"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

both = pytest.mark.parametrize("mode", ["legacy", MODERN])


@asynccontextmanager
async def assistant(site: Site, mode: str = MODERN) -> AsyncIterator[Client]:
    async with Client(f"http://127.0.0.1:{site.port}/mcp", mode=mode) as client:
        yield client


def edge(site: Site) -> McpEdge:
    found: McpEdge = site.app.state.mcp
    return found


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not holds():  # noqa: ASYNC110  the other thread has no event of ours
            await anyio.sleep(0.01)


def said(result: Any) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@both
async def test_tools_have_schemas_and_hints(site: Site, mode: str) -> None:
    async with assistant(site, mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert {"search_knowledge", "score_lead", "send_letter"} <= tools.keys()
    assert "whisper" not in tools
    score = tools["score_lead"]
    assert score.description == "Score a lead"
    assert score.input_schema["required"] == ["name"]
    assert score.output_schema is not None
    assert set(score.output_schema["properties"]) == {"name", "score"}
    assert score.annotations is not None
    assert score.annotations.read_only_hint
    final = tools["send_letter"].annotations
    assert final is not None
    assert final.destructive_hint


@both
async def test_results_are_structured(site: Site, mode: str) -> None:
    async with assistant(site, mode) as client:
        scored = await client.call_tool("score_lead", {"name": "Ana"})
        counted = await client.call_tool("count_letters", {"text": "four"})
    assert scored.structured_content == {"name": "Ana", "score": None}
    assert json.loads(said(scored)) == scored.structured_content
    assert counted.structured_content == {"result": 4}
    assert said(counted) == "4"


@both
async def test_wrong_input_names_the_field(site: Site, mode: str) -> None:
    async with assistant(site, mode) as client:
        result = await client.call_tool("score_lead", {"visits": -1, "colour": "red"})
    assert result.is_error
    for field in ("name", "visits", "colour"):
        assert f"{field}: " in said(result)
    assert result.meta is not None
    problem = result.meta[PROBLEM]
    assert {each["field"] for each in problem["errors"]} == {"name", "visits", "colour"}
    assert problem["retryable"] is False


async def test_what_fails_is_told_without_what_only_the_log_may_know(site: Site) -> None:
    async with assistant(site) as client:
        broken = await client.call_tool("break_down", {})
        lied = await client.call_tool("lie", {})
    assert broken.is_error
    assert "KeyError" in said(broken)
    assert "1234" not in said(broken)
    assert lied.is_error
    assert "name" in said(lied)


async def test_an_unknown_tool_is_an_error_of_the_protocol(site: Site) -> None:
    async with assistant(site) as client:
        with pytest.raises(MCPError, match="did you mean 'score_lead'"):
            await client.call_tool("score_laed", {})


@both
async def test_key_business_and_trace_reach_the_skill(site: Site, mode: str) -> None:
    meta: Any = {IDEMPOTENCY_KEY: "order-17", ENTITY: "gallery", "traceparent": TRACE}
    wrong: Any = {"traceparent": "nonsense"}
    async with assistant(site, mode) as client:
        for _ in range(2):
            await client.call_tool("remember_call", {}, meta=meta)
        await client.call_tool("remember_call", {}, meta=wrong)
    first, second, third = seen.CALLS
    assert (first.key, first.entity, first.traceparent) == ("mcp order-17", "gallery", TRACE)
    assert first.correlation == TRACE[3:35]
    assert second.key == first.key
    assert third.key != first.key
    assert third.traceparent is None


@pytest.mark.parametrize("wrong", [{IDEMPOTENCY_KEY: ""}, {IDEMPOTENCY_KEY: 7}, {ENTITY: "No"}])
async def test_what_comes_along_is_checked(site: Site, wrong: Any) -> None:
    async with assistant(site) as client:
        with pytest.raises(MCPError) as refused:
            await client.call_tool("remember_call", {}, meta=wrong)
    assert next(iter(wrong)) in str(refused.value)
    assert seen.CALLS == []


@both
async def test_who_waits_hears_that_it_still_runs(
    site: Site, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "BEAT", calls.BEAT / 100)
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)
        if len(heard) > 1:
            seen.RELEASED.set()

    async with assistant(site, mode) as client:
        result = await client.call_tool("wait_for_it", {}, progress_callback=hear)
    assert said(result) == "it has come"
    assert heard[0] < heard[1]


@both
async def test_a_call_that_is_cancelled_ends(site: Site, mode: str) -> None:
    async with assistant(site, mode) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "wait_for_it", {})
            await until(seen.STARTED.is_set)
            group.cancel_scope.cancel()
        await until(seen.CANCELLED.is_set)
        await until(lambda: edge(site).calls.running == 0)
        assert not (await client.call_tool("count_letters", {"text": "a"})).is_error


@pytest.mark.parametrize("tool", ["wait_for_it", "block"])
@both
async def test_nothing_leaks_when_the_client_is_gone(site: Site, mode: str, tool: str) -> None:
    connection = socket.create_connection(("127.0.0.1", site.port))
    request: dict[str, Any] = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": {}},
    }
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    if mode == "legacy":
        headers |= {"Mcp-Session-Id": session_of(site), "MCP-Protocol-Version": "2025-11-25"}
    else:
        headers |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": tool}
        request["params"]["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    body = json.dumps(request).encode()
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = ["POST /mcp HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *lines]
    connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
    await until(seen.STARTED.is_set)
    connection.close()
    if mode == MODERN:
        await until(lambda: edge(site).calls.running == 0)  # the call ends with its connection
    seen.RELEASED.set()
    await until(lambda: edge(site).calls.running == 0)
    assert not seen.CANCELLED.is_set() or tool == "wait_for_it"
    async with assistant(site) as client:
        assert not (await client.call_tool("count_letters", {"text": "a"})).is_error


def session_of(site: Site) -> str:
    started = {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        },
    }
    answer = site.ask(
        "POST", "/mcp", started, headers={"Accept": "application/json, text/event-stream"}
    )
    session = answer.headers["Mcp-Session-Id"]
    site.ask(
        "POST",
        "/mcp",
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        headers={"Accept": "application/json, text/event-stream", "Mcp-Session-Id": session},
    )
    return str(session)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Host": "evil.example"}, 421, id="name of another"),
        pytest.param({"Origin": "https://evil.example"}, 403, id="page of another"),
        pytest.param({"Sec-Fetch-Site": "cross-site"}, 403, id="request across sites"),
    ],
)
def test_strangers_are_refused(site: Site, headers: dict[str, str], status: int) -> None:
    accepted = {"Accept": "application/json, text/event-stream"}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert site.ask("POST", "/mcp", asked, headers={**accepted, **headers}).status == status


def test_only_what_looks_is_offered_by_default(server: EmbeddedPostgres, tmp_path: Any) -> None:
    folder = seen.skills_in(tmp_path)
    with running(server, HIGHERSELF_EXTENSIONS=(folder,)) as site:
        anyio.run(check_reads_only, site)
        with socket.create_connection(("127.0.0.1", site.port)) as listening:
            head = ["GET /mcp HTTP/1.1", "Host: 127.0.0.1", "Accept: text/event-stream"]
            head += ["MCP-Protocol-Version: 2025-11-25", f"Mcp-Session-Id: {session_of(site)}"]
            listening.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
            assert b"text/event-stream" in listening.recv(4000)
            began = time.monotonic()
            site.stop.set()
            while listening.recv(4000):
                pass
            assert time.monotonic() - began < 5  # it ends, and nothing waits for it


async def check_reads_only(site: Site) -> None:
    async with assistant(site) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        assert {"score_lead", "count_letters"} <= tools
        assert tools.isdisjoint({"rename_lead", "send_letter"})
        with pytest.raises(MCPError, match="writes allowed"):
            await client.call_tool("send_letter", {"to": "Ana"})


def test_without_the_sdk_the_address_says_what_to_install(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "is_installed", lambda: False)
    with running(server) as site:
        answer = site.ask("POST", "/mcp", {})
    assert answer.status == 501
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "pip install 'higherself-network-server[mcp]'" in answer.json()["detail"]


def test_it_can_be_off(server: EmbeddedPostgres) -> None:
    with running(server, HIGHERSELF_MCP="off") as site:
        assert site.ask("POST", "/mcp", {}).status == 404
