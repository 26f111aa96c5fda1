"""A log of requests and answers in a file, in the form that ``conformance`` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.requests import Request

from notion_emulator.errors import Json


class Recorder:
    """Adds a line of JSON to a file for every request; the form is that of the recordings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.index = 0

    def __call__(self, request: Request, raw: bytes, status: int, body: Json | None) -> None:
        """Write a line; the answer of a connection that was broken off is null."""
        query: dict[str, list[str]] = {}
        for key, value in request.query_params.multi_items():
            query.setdefault(key, []).append(value)
        line = {
            "recording": self.path.stem,
            "index": self.index,
            "version": request.headers.get("notion-version"),
            "method": request.method,
            "path": request.url.path,
            "query": query,
            "request": _parsed(raw),
            "status": status,
            "response": body,
        }
        self.index += 1
        with self.path.open("a") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _parsed(raw: bytes) -> Any:
    if not raw.strip():
        return None
    try:
        return json.loads(raw)
    except ValueError:
        return {"_text": raw.decode("latin-1")}
