"""The ASGI application: checks every request in the order Notion does, then answers it."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from notion_emulator import (
    block_calls,
    comment_calls,
    faults,
    files,
    legacy,
    limits,
    markdown_calls,
    meanwhile,
    other_calls,
    page_calls,
    passing,
    persistence,
    richtext,
    search,
    seed,
    table_calls,
    tasks,
    upload_calls,
    users,
    view_calls,
)
from notion_emulator.call import NO_BASE, Call
from notion_emulator.clock import Clock, RealClock, VirtualClock
from notion_emulator.editor import Editor
from notion_emulator.errors import ApiError, Json, invalid
from notion_emulator.faults import Fault
from notion_emulator.limits import RateLimiter
from notion_emulator.recording import Recorder
from notion_emulator.settings import VERSIONS, Settings
from notion_emulator.store import Connection, Store
from notion_emulator.webhooks import Webhooks

Endpoint = Callable[..., Json]
_ID = r"([^/]+)"
ROUTES: tuple[tuple[str, str, Endpoint], ...] = (
    ("GET", "users/me", users.me),
    ("GET", "users", users.all_users),
    ("GET", f"users/{_ID}", users.one),
    ("POST", "pages", page_calls.create),
    ("GET", f"pages/{_ID}", page_calls.one),
    ("PATCH", f"pages/{_ID}", page_calls.update),
    ("POST", f"pages/{_ID}/move", page_calls.move),
    ("GET", f"pages/{_ID}/markdown", markdown_calls.read),
    ("PATCH", f"pages/{_ID}/markdown", markdown_calls.update),
    ("GET", f"pages/{_ID}/properties/(.+)", page_calls.property_item),
    ("GET", f"blocks/{_ID}", block_calls.one),
    ("PATCH", f"blocks/{_ID}", block_calls.update),
    ("DELETE", f"blocks/{_ID}", block_calls.delete),
    ("GET", f"blocks/{_ID}/children", block_calls.children),
    ("PATCH", f"blocks/{_ID}/children", block_calls.append),
    ("POST", "databases", view_calls.create_database),
    ("GET", f"databases/{_ID}", table_calls.one_database),
    ("PATCH", f"databases/{_ID}", table_calls.update_database),
    ("POST", "data_sources", table_calls.create_source),
    ("GET", f"data_sources/{_ID}", table_calls.one_source),
    ("PATCH", f"data_sources/{_ID}", table_calls.update_source),
    ("POST", f"data_sources/{_ID}/query", table_calls.run_query),
    ("GET", f"data_sources/{_ID}/templates", table_calls.templates),
    ("POST", "search", search.search),
    ("POST", "file_uploads", upload_calls.create),
    ("GET", "file_uploads", upload_calls.several),
    ("GET", f"file_uploads/{_ID}", upload_calls.one),
    ("POST", f"file_uploads/{_ID}/send", upload_calls.send),
    ("POST", f"file_uploads/{_ID}/complete", upload_calls.complete),
    ("GET", f"async_tasks/{_ID}", tasks.one),
    ("POST", "comments", comment_calls.create),
    ("GET", "comments", comment_calls.several),
    ("GET", f"comments/{_ID}", comment_calls.one),
    ("PATCH", f"comments/{_ID}", comment_calls.update),
    ("DELETE", f"comments/{_ID}", comment_calls.delete),
    ("POST", "views", view_calls.create),
    ("GET", "views", view_calls.several),
    ("GET", f"views/{_ID}", view_calls.one),
    ("PATCH", f"views/{_ID}", view_calls.update),
    ("DELETE", f"views/{_ID}", view_calls.delete),
    ("POST", f"views/{_ID}/queries", view_calls.create_query),
    ("GET", f"views/{_ID}/queries/{_ID}", view_calls.query_results),
    ("DELETE", f"views/{_ID}/queries/{_ID}", other_calls.delete_view_query),
    ("GET", "custom_emojis", other_calls.custom_emojis),
    ("POST", "blocks/meeting_notes/query", other_calls.meeting_notes),
    ("POST", "oauth/token", other_calls.token),
    ("POST", "oauth/introspect", other_calls.introspect),
    ("POST", "oauth/revoke", other_calls.revoke),
)
_COMPILED = [(m, re.compile(f"/v1/{p}/?"), e) for m, p, e in ROUTES]
_OLDER = [(m, re.compile(f"/v1/{p.replace('{id}', _ID)}/?"), e) for (m, p), e in legacy.ROUTES.items()]  # fmt: skip
HEADERS = {"content-type": "application/json; charset=utf-8"}


@dataclass
class Emulated:
    """One emulated workspace: what it holds, how it behaves, what was asked of it."""

    store: Store
    clock: Clock
    settings: Settings
    limiter: RateLimiter = field(default_factory=RateLimiter)
    faults: faults.Faults = field(default_factory=faults.Faults)
    snapshots: dict[str, Store] = field(default_factory=dict)
    webhooks: Webhooks = field(default_factory=Webhooks)
    editor: Editor = field(default_factory=Editor)
    history: meanwhile.History = field(default_factory=meanwhile.History)
    recorder: Recorder | None = None
    store_file: Path | None = None
    revision: int = 0  # grows with every request that may have changed something
    log: deque[Json] = field(default_factory=lambda: deque(maxlen=20_000))
    stats: Json = field(default_factory=lambda: {"requests": 0, "errors": 0, "writes": 0, "bytes": 0, "by_route": {}})  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection, as ASGI asks."""
        if scope["type"] == "lifespan":
            await _lifespan(self, receive, send)
            return
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            raw = await request.body()
        except ClientDisconnect:
            return
        self.revision += request.method != "GET"
        if request.url.path.startswith("/__emu/ui"):
            from notion_emulator.ui import app as ui_app

            response: Response | None = await ui_app.answer(self, request, raw)
        elif request.url.path.startswith(files.PATH):
            response = files.answer(self, request)
        elif request.url.path.startswith("/__emu"):
            from notion_emulator import admin

            response = await admin.answer(self, request, raw)
        else:
            response = await self.answer(request, raw)
        if response is not None:
            await response(scope, receive, send)
        else:
            await faults.cut(send)

    async def answer(self, request: Request, raw: bytes) -> Response | None:
        """Answer an API request; None means to cut the connection."""
        request_id = self.store.ids.uuid()
        path, asked = request.url.path, faults.Asked.of(request, raw, self.clock.now(), self.store)
        asides = self.faults.aside(asked)
        fault = self.faults.pick(asked)
        meanwhile.act(self, asides, "before", path)
        if fault is not None and not fault.after_commit:
            await faults.wait(fault, self.clock, request)
        if fault is not None and fault.before:
            status, body = 0, faults.body(fault, request_id, None)
        else:
            status, body = self.handle(request, raw, request_id, asides)
            if fault is not None and fault.changes_answer:
                body = faults.body(fault, request_id, body if status < 300 else None)
        if fault is not None and fault.after_commit:
            await faults.wait(fault, self.clock, request)
        meanwhile.act(self, asides, "after", path)
        if fault is not None and fault.changes_answer:
            self._note(request, raw, fault.status, request_id, body)
            return None if fault.cuts else faults.response(fault, body, request_id)
        self._note(request, raw, status, request_id, body)
        return _response(status, body, request_id, request.headers.get("accept-encoding", ""))

    def handle(
        self, request: Request, raw: bytes, request_id: str, asides: Sequence[Fault] = ()
    ) -> tuple[int, Json]:
        """Return status and body of an API request."""
        try:
            body = self._dispatch(request, raw, asides)
            accepted = body.get("object") == "async_task" and request.method != "GET"
            if "templates" not in body:
                body = body | {"request_id": request_id}
            return 202 if accepted else 200, body
        except ApiError as error:
            self.stats["errors"] += 1
            return error.status, error.body(request_id)

    def _dispatch(self, request: Request, raw: bytes, asides: Sequence[Fault]) -> Json:
        path, settings = request.url.path, meanwhile.settings_for(self, asides)
        connection = self._connection(request.headers.get("authorization", ""))
        if path.startswith(other_calls.OAUTH):  # these know the application, not a token
            connection = next(iter(self.store.connections.values()))
        if connection is None:
            raise ApiError(401, "unauthorized", "API token is invalid.")
        given = request.headers.get("notion-version")
        endpoint, groups = _route(request.method, path, old=given == legacy.VERSION)
        version = self._version(given)
        route = f"{request.method} {_pattern(path)}"
        self.limiter.check(connection.token, self.clock.now(), settings, route)
        if raw.startswith(b"--"):  # multipart form data: a file
            body: Json = {"_text": raw.decode("latin-1")}
        else:
            body = _json(raw, settings)
        query: dict[str, list[str]] = {}
        for key, value in request.query_params.multi_items():
            query.setdefault(key, []).append(value)
        richtext.in_utf16.set(settings.utf16_limits)
        store = meanwhile.store_for(self, asides, request.method)
        host = request.headers.get("host")
        base = f"{request.url.scheme}://{host}" if host else NO_BASE
        call = Call(store, self.clock, settings, connection, version, query, body, base)
        call.may("read_content")
        tasks.work(self)
        if tasks.wanted(call, endpoint):
            return tasks.accept(call, endpoint, groups)
        attached = upload_calls.attached(call) if b"file_upload" in raw else []
        limits.check_blocks(call, request.method, path)
        with self.history.changing(self, path):
            answer = endpoint(call, *groups)
        upload_calls.settle(attached)
        return answer if version != legacy.VERSION else legacy.as_then(answer)

    def _connection(self, header: str) -> Connection | None:
        token = header.removeprefix("Bearer ").strip()
        connection = self.store.connections.get(token)
        return None if connection is None or connection.revoked else connection

    def _version(self, given: str | None) -> str:
        version = given or self.settings.default_version
        if version is None:
            raise ApiError(400, "missing_version", "Notion-Version header failed validation: Notion-Version header should be defined, instead was `undefined`.")  # fmt: skip
        if version not in VERSIONS:
            raise ApiError(400, self.settings.unsupported_version_code, f"Notion-Version header failed validation: {version} is not supported.")  # fmt: skip
        return version

    def _note(self, request: Request, raw: bytes, status: int, request_id: str, body: Json) -> None:
        """Write the request into the log and the figures."""
        route = f"{request.method} {_pattern(request.url.path)}"
        self.stats["requests"] += 1
        self.stats["bytes"] += len(raw)
        self.stats["writes"] += request.method != "GET" and status in (200, 202)
        self.stats["by_route"][route] = self.stats["by_route"].get(route, 0) + 1
        if self.recorder is not None:
            self.recorder(request, raw, status, body)
        self.log.append(
            {
                "at": self.clock.now().isoformat(),
                "method": request.method,
                "path": request.url.path,
                "query": request.url.query,
                "version": request.headers.get("notion-version"),
                "body": raw.decode("utf-8", "replace"),
                "status": status,
                "request_id": request_id,
            }
        )


def create_app(
    *,
    seed_name: str = "demo",
    settings: Settings | None = None,
    clock: Clock | None = None,
    token: str = "ntn_emulator",  # noqa: S107 - a token of the emulator only
) -> Emulated:
    """Return the application with a workspace in it.

    ``seed_name`` is ``demo``, ``empty`` or the path of a JSON file.
    """
    clock = clock or RealClock()
    store = seed.load(seed_name, clock, token)
    return Emulated(store, clock, settings or Settings())


def virtual_app(seed_name: str = "empty", **settings: Any) -> Emulated:
    """Return an application for tests: virtual clock, no rate limit unless asked for."""
    chosen = Settings(rate_mode="off").changed(**settings)
    return create_app(seed_name=seed_name, settings=chosen, clock=VirtualClock())


async def _lifespan(app: Emulated, receive: Receive, send: Send) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            await receive()
            moving = group.create_task(passing.run(app))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            moving.cancel()
    finally:
        if app.store_file is not None:
            persistence.save(app, app.store_file)
    await send({"type": "lifespan.shutdown.complete"})


def _route(method: str, path: str, *, old: bool = False) -> tuple[Endpoint, tuple[str, ...]]:
    for wanted, pattern, endpoint in (*_OLDER, *_COMPILED) if old else _COMPILED:
        if wanted == method and (match := pattern.fullmatch(path)):
            return endpoint, match.groups()
    raise ApiError(400, "invalid_request_url", "Invalid request URL.")


def _pattern(path: str) -> str:
    return re.sub(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}", "{id}", path)


def _json(raw: bytes, settings: Settings) -> Json:
    if not raw.strip():
        return {}
    if len(raw) > 5_000_000 and settings.large_body_is_413:
        raise ApiError(413, "validation_error", "Request body too large.")
    try:
        body = json.loads(raw)
    except ValueError:
        raise ApiError(400, "invalid_json", "Error parsing JSON body.") from None
    if len(raw) > 500_000:
        raise invalid(f"body failed validation: body should be ≤ `500000` bytes, instead was `{len(raw)}`.")  # fmt: skip
    if not isinstance(body, dict):
        raise invalid("body failed validation: body should be an object.")
    if _blocks_in(body) > 1000:
        raise invalid(f"body failed validation: body should have ≤ `1000` blocks, instead was `{_blocks_in(body)}`.")  # fmt: skip
    return body


def _blocks_in(part: Any) -> int:
    if isinstance(part, dict):
        own = len(part["children"]) if isinstance(part.get("children"), list) else 0
        return own + sum(_blocks_in(v) for v in part.values() if isinstance(v, dict | list))
    return sum(_blocks_in(v) for v in part if isinstance(v, dict | list)) if isinstance(part, list) else 0  # fmt: skip


def _response(status: int, body: Json, request_id: str, accepted: str) -> Response:
    raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = HEADERS | {"x-notion-request-id": request_id}
    if status == 429 and "retry_after" in (body.get("additional_data") or {}):
        headers["retry-after"] = body["additional_data"]["retry_after"]
    if "gzip" in accepted and len(raw) > 1000:
        raw = gzip.compress(raw, 1)
        headers["content-encoding"] = "gzip"
    return Response(raw, status, headers)


__all__ = ["Emulated", "create_app", "virtual_app"]
