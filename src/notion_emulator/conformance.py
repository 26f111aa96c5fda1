"""Compare the emulator with recorded traffic of the real API.

Every recording gets a workspace of its own, holding what existed before it began: the objects its
answers show and that none of its requests made. Then each request is sent in order, with the
ids of things made on the way put in, and the answer is compared. Not compared: the values of
ids (they must correspond one to one), times (their form is), addresses, request ids, and the
colours of options.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from starlette.requests import Request

from notion_emulator.app import Emulated, virtual_app
from notion_emulator.clock import VirtualClock, parsed
from notion_emulator.errors import Json
from notion_emulator.ids import dashed
from notion_emulator.importing import import_objects

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:(\d\d)\.(\d{3})(Z|\+00:00)$")
_PACE = timedelta(milliseconds=250)  # a request about every quarter of a second
_SKIPPED = frozenset({"request_id"})


async def run(directory: Path) -> Json:
    """Return ``total``, ``identical``, ``by_endpoint`` and ``differences`` for a folder.

    Requests to other services than Notion's are left out.
    """
    report: Json = {"total": 0, "identical": 0, "by_endpoint": {}, "differences": []}
    for name, rows in of_folder(directory):
        await _play(name, rows, report)
    report["by_endpoint"] = dict(sorted(report["by_endpoint"].items()))
    return report


def of_folder(directory: Path) -> Iterator[tuple[str, list[Json]]]:
    """Yield every recording of a folder."""
    for path in sorted(directory.glob("*.jsonl")):
        yield from recordings(path).items()


def recordings(path: Path) -> dict[str, list[Json]]:
    """Return the rows of a file by recording, in order."""
    found: dict[str, list[Json]] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if row["path"].startswith("/v1/"):
            found.setdefault(row["recording"], []).append(row)
    for rows in found.values():
        rows.sort(key=lambda row: row["index"])
    return found


async def _play(name: str, rows: list[Json], report: Json) -> None:
    app = virtual_app("empty")
    if isinstance(app.clock, VirtualClock):
        app.clock.instant = datetime(2020, 1, 1, tzinfo=UTC)
    import_objects(app.store, rows)
    player = Player(app)
    for row in rows:
        endpoint = f"{row['method']} {_UUID.sub('{id}', row['path'])}"
        endpoint = re.sub(r"/properties/.*", "/properties/{id}", endpoint)
        score = report["by_endpoint"].setdefault(endpoint, {"total": 0, "identical": 0})
        differences = await player.play(row)
        for counted in (report, score):
            counted["total"] += 1
            counted["identical"] += not differences
        if differences:
            report["differences"].append({"recording": name, "index": row["index"], "endpoint": endpoint, "status": row["status"], "differences": differences[:10]})  # fmt: skip


class Player:
    """Sends recorded requests, and remembers which id stands for which."""

    def __init__(self, app: Emulated) -> None:
        self.app = app
        self.ids: dict[str, str] = {}
        self.taken: dict[str, str] = {}

    async def play(self, row: Json) -> list[str]:
        """Send one request and return how the answer differs."""
        self._set_clock(row["response"])
        query = {k: [self.mapped(v) for v in values] for k, values in row["query"].items()}
        path = self.mapped(row["path"])
        raw = b"" if row["request"] is None else json.dumps(self.mapped(row["request"])).encode()
        known = next(iter(self.app.store.connections))
        token = "unknown" if row["status"] == 401 else known
        headers = {"authorization": f"Bearer {token}", "notion-version": row["version"] or ""}
        request = _request(row["method"], path, query, headers)
        status, body = self.app.handle(request, raw, "request")
        found = list(self.compare(row["response"], body, ""))
        if status != row["status"]:
            found.insert(0, f"status: {row['status']} recorded, {status} here: {body.get('message')}")  # fmt: skip
        return found

    def _set_clock(self, response: Any) -> None:
        latest = max((t for t in _times(response)), default=None)
        clock = self.app.clock
        if isinstance(clock, VirtualClock):
            clock.advance(_PACE)
        if latest is not None and isinstance(clock, VirtualClock) and latest > clock.now():
            clock.instant = latest

    def mapped(self, part: Any) -> Any:
        """Return a part of a request with recorded ids replaced by those of here."""
        if isinstance(part, dict):
            return {self._name(k): self.mapped(v) for k, v in part.items()}
        if isinstance(part, list):
            return [self.mapped(v) for v in part]
        if not isinstance(part, str):
            return part
        if part in self.ids:
            return self.ids[part]
        part = _UUID.sub(lambda m: self.ids.get(dashed(m[0]) or "", m[0]), part)
        head, slash, tail = part.rpartition("/properties/")
        return f"{head}{slash}{self.ids.get(tail, tail)}" if slash else part

    def _name(self, key: str) -> str:
        return self.ids.get(key, key)

    def compare(self, there: Any, here: Any, path: str) -> Iterator[str]:
        """Yield every place where the answers differ."""
        if isinstance(there, dict) and isinstance(here, dict):
            yield from self._compare_objects(there, here, path)
        elif isinstance(there, list) and isinstance(here, list):
            if len(there) != len(here):
                yield f"{path}: {len(there)} recorded, {len(here)} here"
            for number, (left, right) in enumerate(zip(there, here, strict=False)):
                yield from self.compare(left, right, f"{path}[{number}]")
        elif not self.same(there, here, path):
            yield f"{path}: {_short(there)} recorded, {_short(here)} here"

    def _compare_objects(self, there: Json, here: Json, path: str) -> Iterator[str]:
        for key in there.keys() | here.keys():
            place = f"{path}.{key}"
            if key in _SKIPPED or (key == "color" and "name" in there):
                continue
            if key not in here:
                yield f"{place}: missing here, {_short(there[key])} recorded"
            elif key not in there:
                yield f"{place}: not recorded, {_short(here[key])} here"
            elif key == "options" and isinstance(there[key], list):
                yield from self._compare_options(there[key], here[key], place)
            else:
                yield from self.compare(there[key], here[key], place)

    def _compare_options(self, there: list[Json], here: list[Json], path: str) -> Iterator[str]:
        yield from self.compare(there, here, path)

    def same(self, there: Any, here: Any, path: str) -> bool:
        """Tell whether two plain values are the same or stand for the same."""
        if not isinstance(there, str) or not isinstance(here, str):
            return there == here and isinstance(there, bool) == isinstance(here, bool)
        if there == here:
            return True
        left, right = _TIME.match(there), _TIME.match(here)
        if left and right and re.search(r"(created|last_edited|expiry)_time$|expires_at$", path):
            return left[3] == right[3] and (left[3] == "+00:00" or left[1] == right[1] == "00")
        if path.endswith((".url", "_url", ".href", ".message")) and _is_address(there, here, path):
            return True
        if path.endswith(".expression"):  # a formula names properties by ids
            pairs = zip(_UUID.findall(there), _UUID.findall(here), strict=False)
            alike = all(left == right or self._bind(left, right) for left, right in pairs)
            return alike and _UUID.sub("", there) == _UUID.sub("", here)
        if path.endswith("next_cursor") or _is_id(path, there):
            return self._bind(there, here)
        return False

    def _bind(self, there: str, here: str) -> bool:
        if there in self.ids:
            return self.ids[there] == here
        if here in self.taken or "title" in (there, here):
            return False
        if dashed(there) is not None and dashed(here) is None:
            return False
        self.ids[there], self.taken[here] = here, there
        self.ids.setdefault(unquote(there), unquote(here))
        return True


def _is_id(path: str, there: str) -> bool:
    if dashed(there) is not None:
        return True
    return path.endswith(("id", "_ids]")) or re.search(r"_ids\[\d+\]$", path) is not None


def _is_address(there: str, here: str, path: str) -> bool:
    if path.endswith(".message"):
        return _UUID.sub("id", there) == _UUID.sub("id", here)
    own = re.compile(r"https://(www\.notion\.so|app\.notion\.com/p|api\.notion\.com)/")
    return bool(own.match(there) and own.match(here))


def _times(part: Any) -> Iterator[datetime]:
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("created_time", "last_edited_time") and isinstance(value, str):
                yield parsed(value).astimezone(UTC)
            else:
                yield from _times(value)
    elif isinstance(part, list):
        for value in part:
            yield from _times(value)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else text[:160] + "…"


def _request(method: str, path: str, query: Any, headers: dict[str, str]) -> Request:
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path) if "/properties/" not in path else path,
        "query_string": urlencode(query, doseq=True).encode(),
        "headers": [(k.encode(), v.encode()) for k, v in headers.items() if v],
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "root_path": "",
    }
    return Request(scope)
