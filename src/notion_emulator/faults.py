"""Faults that tests ask for: refusals, server errors, delays, and writes answered as failed."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response
from starlette.types import Send

from notion_emulator.errors import ApiError, Json, invalid
from notion_emulator.limits import rate_limited

KINDS = frozenset({"rate_limited", "blocked", "overloaded", "error", "html", "empty", "truncated", "wrong_type", "committed", "timeout", "latency", "reset", "conflict"})  # fmt: skip
_CODES = {500: "internal_server_error", 502: "bad_gateway", 503: "service_unavailable", 504: "gateway_timeout", 529: "service_overload"}  # fmt: skip


@dataclass
class Fault:
    """What goes wrong, where and when.

    ``nth`` hits that request of the route only (from 1), ``times`` limits how often,
    ``probability`` throws a seeded die, ``until`` ends the window.
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
    seen: int = 0
    hits: int = 0

    @property
    def latency(self) -> timedelta | None:
        """How long to wait before answering."""
        return timedelta(seconds=self.seconds) if self.seconds else None

    @property
    def changes_answer(self) -> bool:
        """Whether the answer is another than usual."""
        return self.kind != "latency"

    @property
    def before(self) -> bool:
        """Whether the request is not carried out at all."""
        return self.kind not in ("latency", "committed", "truncated", "wrong_type") and not self.after_commit  # fmt: skip


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
        if facts["kind"] == "conflict":
            facts["status"] = 409
        if isinstance(facts.get("until"), str):
            facts["until"] = datetime.fromisoformat(facts["until"])
        fault = Fault(**facts)
        self.items[fault.id] = fault
        return fault

    def pick(self, method: str, path: str, raw: bytes, now: datetime) -> Fault | None:
        """Return the fault this request meets, if any."""
        for fault in self.items.values():
            if _meets(fault, method, path, raw, now):
                fault.hits += 1
                return fault
        return None


def _meets(fault: Fault, method: str, path: str, raw: bytes, now: datetime) -> bool:
    if fault.method not in (None, method) or not re.search(fault.route, path):
        return False
    if fault.until is not None and now >= fault.until:
        return False
    if fault.times is not None and fault.hits >= fault.times:
        return False
    fault.seen += 1
    if fault.nth is not None and fault.seen != fault.nth:
        return False
    if fault.kind == "timeout" and _size(raw) <= fault.max_page_size:
        return False
    die = hashlib.sha256(f"{fault.id}:{fault.seen}".encode()).digest()[0] / 256
    return die < fault.probability


def _size(raw: bytes) -> int:
    try:
        return int(json.loads(raw or b"{}").get("page_size", 100))
    except (ValueError, AttributeError):
        return 100


def body(fault: Fault, request_id: str, done: Json | None) -> Json:
    """Return the body of a failed request; ``done`` is the answer of what was carried out."""
    match fault.kind:
        case "rate_limited":
            return rate_limited(fault.retry_after, "public_api_request_rate_limit").body(request_id)
        case "blocked":
            return rate_limited(None, "public_api_request_blocked").body(request_id)
        case "conflict":
            return ApiError(409, "conflict_error", "Conflict occurred while saving. Please try again.").body(request_id)  # fmt: skip
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
