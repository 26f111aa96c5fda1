"""Faults that tests ask for: refusals, server errors, delays, and writes answered as failed."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from notion_emulator.clock import Clock
from notion_emulator.errors import ApiError, Json, invalid
from notion_emulator.ids import dashed
from notion_emulator.limits import rate_limited
from notion_emulator.store import Store

KINDS = frozenset({"rate_limited", "blocked", "overloaded", "error", "html", "empty", "truncated", "wrong_type", "committed", "timeout", "latency", "reset", "conflict", "hang", "bad_cursor", "meanwhile", "settings", "stale"})  # fmt: skip
ASIDE = frozenset({"meanwhile", "settings", "stale"})  # the answer is as usual
_READS = re.compile(r"/v1/(search|data_sources/[^/]+/query|databases/[^/]+/query|blocks/meeting_notes/query)/?$")  # fmt: skip
_STEP = timedelta(milliseconds=50)
_CODES = {500: "internal_server_error", 502: "bad_gateway", 503: "service_unavailable", 504: "gateway_timeout", 529: "service_overload"}  # fmt: skip


@dataclass
class Fault:
    """What goes wrong, where and when.

    ``nth`` hits that request of the route only (from 1), ``times`` limits how often,
    ``probability`` throws a seeded die, ``until`` ends the window. ``page`` restricts it to what
    concerns a page and the blocks on it, ``writes`` to writes or to reads, ``token`` to one
    connection.
    """

    id: str
    kind: str
    route: str = ".*"
    method: str | None = None
    status: int = 503
    nth: int | None = None
    times: int | None = None
    probability: float = 1.0
    until: datetime | None = None
    retry_after: int | None = 1
    max_page_size: int = 10
    seconds: float = 0.0
    after_commit: bool = False
    reason: str = "public_api_request_rate_limit"
    page: str | None = None
    writes: bool | None = None
    token: str | None = None
    do: list[Json] = field(default_factory=list)  # meanwhile: actions of people
    when: str = "before"  # or after
    change: Json = field(default_factory=dict)  # settings
    seen: int = 0
    hits: int = 0

    @property
    def cuts(self) -> bool:
        """Whether the connection is broken off."""
        return self.kind in ("reset", "hang")

    @property
    def changes_answer(self) -> bool:
        """Whether the answer is another than usual."""
        return self.kind != "latency"

    @property
    def before(self) -> bool:
        """Whether the request is not carried out at all."""
        return self.kind not in ("latency", "committed", "truncated", "wrong_type") and not self.after_commit  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What faults need to know about a request."""

    method: str
    path: str
    now: datetime
    token: str
    page: str | None
    page_size: int
    has_cursor: bool

    @classmethod
    def of(cls, request: Request, raw: bytes, now: datetime, store: Store) -> Asked:
        """Read it off a request."""
        given = request.query_params
        body = _parsed(raw) if b"page_size" in raw or b"start_cursor" in raw else {}
        size = str(given.get("page_size") or body.get("page_size") or 100)
        cursor = given.get("start_cursor") or body.get("start_cursor")
        token = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        page = page_in(store, request.url.path)
        return cls(request.method, request.url.path, now, token, page, int(size) if size.isdigit() else 100, bool(cursor))  # fmt: skip

    @property
    def writes(self) -> bool:
        """Whether it is a write."""
        return self.method != "GET" and not _READS.match(self.path)


def page_in(store: Store, path: str) -> str | None:
    """Return the page that a path names, or that the block it names is on."""
    node = next((store.nodes[i] for part in path.split("/") if (i := dashed(part)) in store.nodes), None)  # fmt: skip
    page = store.page_of(node) if node is not None else None
    return page.id if page is not None else None


@dataclass
class Faults:
    """The faults in force."""

    items: dict[str, Fault] = field(default_factory=dict)
    taken: int = 0

    def add(self, given: Json) -> Fault:
        """Put a fault in force.

        Raises
            ApiError: no such kind, or a fact it does not have.
        """
        if given.get("kind") not in KINDS:
            raise invalid(f"unknown fault; choose one of {', '.join(sorted(KINDS))}")
        self.taken += 1
        facts = {k: v for k, v in given.items() if k in Fault.__dataclass_fields__}
        facts["id"] = f"fault-{self.taken}"
        fixed = {"conflict": 409, "bad_cursor": 400, "rate_limited": 429, "blocked": 429, "overloaded": 529}  # fmt: skip
        facts["status"] = fixed.get(facts["kind"], facts.get("status", 503))
        if facts["kind"] == "hang":
            facts.setdefault("seconds", 120.0)
        facts["page"] = dashed(facts.get("page"))
        if isinstance(facts.get("until"), str):
            facts["until"] = datetime.fromisoformat(facts["until"])
        fault = Fault(**facts)
        self.items[fault.id] = fault
        return fault

    def pick(self, asked: Asked) -> Fault | None:
        """Return the fault this request meets, if any."""
        for fault in self.items.values():
            if fault.kind not in ASIDE and _meets(fault, asked):
                fault.hits += 1
                return fault
        return None

    def aside(self, asked: Asked) -> list[Fault]:
        """Return the faults this request meets that leave its answer as usual."""
        met = [f for f in self.items.values() if f.kind in ASIDE and _meets(f, asked)]
        for fault in met:
            fault.hits += 1
        return met


def _concerns(fault: Fault, asked: Asked) -> bool:
    if fault.method not in (None, asked.method) or not re.search(fault.route, asked.path):
        return False
    if fault.page not in (None, asked.page) or fault.token not in (None, asked.token):
        return False
    return fault.writes in (None, asked.writes)


def _meets(fault: Fault, asked: Asked) -> bool:
    if not _concerns(fault, asked):
        return False
    if fault.until is not None and asked.now >= fault.until:
        return False
    if fault.kind == "bad_cursor" and not asked.has_cursor:
        return False
    if fault.times is not None and fault.hits >= fault.times:
        return False
    fault.seen += 1
    if fault.nth is not None and fault.seen != fault.nth:
        return False
    if fault.kind == "timeout" and asked.page_size <= fault.max_page_size:
        return False
    die = hashlib.sha256(f"{fault.id}:{fault.seen}".encode()).digest()[0] / 256
    return die < fault.probability


def _parsed(raw: bytes) -> Json:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def wait(fault: Fault, clock: Clock, request: Request) -> None:
    """Wait as long as the fault says; a hanging request ends when its client goes away."""
    if fault.kind != "hang":
        if fault.seconds:
            await clock.sleep(timedelta(seconds=fault.seconds))
        return
    end = clock.now() + timedelta(seconds=fault.seconds)
    while clock.now() < end and not await request.is_disconnected():
        await clock.sleep(_STEP)


def body(fault: Fault, request_id: str, done: Json | None) -> Json:
    """Return the body of a failed request; ``done`` is the answer of what was carried out."""
    match fault.kind:
        case "rate_limited":
            return rate_limited(fault.retry_after, fault.reason).body(request_id)
        case "blocked":
            return rate_limited(None, "public_api_request_blocked").body(request_id)
        case "conflict":
            return ApiError(409, "conflict_error", "Conflict occurred while saving. Please try again.").body(request_id)  # fmt: skip
        case "bad_cursor":
            return invalid("The start_cursor provided is invalid: it has expired.").body(request_id)
        case "overloaded":
            return ApiError(529, "service_overload", "Service overload.").body(request_id)
        case "timeout":
            guidance = {"retry_guidance": "Reduce page_size and try again."}
            return ApiError(503, "service_unavailable", "The query timed out.", additional=guidance).body(request_id)  # fmt: skip
        case "committed" if done is not None:
            return ApiError(503, "service_unavailable", "The write was saved, but its answer failed.", additional=_committed(done)).body(request_id)  # fmt: skip
        case "truncated" | "wrong_type" if done is not None:
            return done
        case _:
            code = _CODES.get(fault.status, "internal_server_error")
            return ApiError(fault.status, code, "Unexpected error occurred.").body(request_id)


def _committed(done: Json) -> Json:
    guidance: Json = {"retry_guidance": "The write was committed. Read it instead of repeating it."}
    if done.get("object") != "list":
        return guidance | {"committed_resource_id": done.get("id")}
    made = done["results"]
    parent = made[0]["parent"] if made else {}
    return guidance | {
        "committed_resource_id": parent.get(parent.get("type", ""), None),
        "committed_child_ids": [child["id"] for child in made],
    }


def response(fault: Fault, answer: Json, request_id: str) -> Response:
    """Return what goes over the wire."""
    raw = json.dumps(answer, ensure_ascii=False).encode()
    headers: dict[str, str] = {"content-type": "application/json; charset=utf-8", "x-notion-request-id": request_id}  # fmt: skip
    status: Any = answer.get("status", 200) if answer.get("object") == "error" else 200
    match fault.kind:
        case "html":
            return Response(b"<html><body><h1>502 Bad Gateway</h1></body></html>", fault.status, {"content-type": "text/html"})  # fmt: skip
        case "empty":
            return Response(b"", fault.status, headers)
        case "truncated":
            return Response(raw[: len(raw) // 2], status, headers)
        case "wrong_type":
            return Response(raw, status, {"content-type": "text/plain"})
        case "rate_limited" if fault.retry_after is not None:
            headers["retry-after"] = str(fault.retry_after)
    return Response(raw, status, headers)


async def cut(send: Send) -> None:
    """Break the connection off in the middle of an answer."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})  # fmt: skip
    await send({"type": "http.response.body", "body": b"{", "more_body": True})
    raise ConnectionResetError("a fault that was asked for")
