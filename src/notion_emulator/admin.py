"""The admin and human API under ``/__emu``: state, clock, faults, log, and edits as a person."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from notion_emulator import admin_moving, human, persistence, seed
from notion_emulator.errors import ApiError, Json, invalid

if TYPE_CHECKING:
    from notion_emulator.app import Emulated


async def answer(app: Emulated, request: Request, raw: bytes) -> Response:
    """Answer an admin request."""
    name = request.url.path.removeprefix("/__emu/").strip("/")
    try:
        given = json.loads(raw) if raw.strip() else {}
        first, _, rest = name.partition("/")
        if first in admin_moving.PARTS:
            return JSONResponse(await admin_moving.answer(app, request.method, first, rest, given))
        return JSONResponse(_answer(app, request, name, given))
    except ApiError as error:
        return JSONResponse(error.body("admin"), error.status)
    except (ValueError, TypeError, KeyError) as error:
        return JSONResponse(invalid(f"cannot read the request: {error}").body("admin"), 400)


def _answer(app: Emulated, request: Request, name: str, given: Json) -> Json:
    first, _, rest = name.partition("/")
    match first, request.method:
        case "stats", "GET":
            return app.stats | {"refused": app.limiter.refused, "nodes": len(app.store.nodes)}
        case "requests", "GET":
            return {"requests": list(app.log)}
        case "events", "GET":
            return {"events": app.store.events}
        case "faults", _:
            return _faults(app, request.method, rest, given)
        case "settings" | "limits", "GET":
            return asdict(app.settings)
        case "settings" | "limits", _:
            app.settings = app.settings.changed(**given)
            return asdict(app.settings)
        case "human", "POST":
            return human.act(app, rest, given)
        case _:
            return _state(app, first, rest, given)


def _state(app: Emulated, first: str, rest: str, given: Json) -> Json:
    match first:
        case "reset" | "seed":
            token = next(iter(app.store.connections))
            app.store = seed.load(given.get("seed", "empty"), app.clock, token)
            app.limiter.buckets.clear()
            app.faults.items.clear()
            app.log.clear()
            return {"ok": True}
        case "snapshot":
            app.snapshots[given.get("name", "last")] = copy.deepcopy(app.store)
            return {"ok": True}
        case "restore":
            app.store = copy.deepcopy(app.snapshots[given.get("name", "last")])
            return {"ok": True}
        case "save":
            persistence.save(app, Path(given["file"]))
            return {"ok": True}
        case "load":
            persistence.load(app, Path(given["file"]))
            return {"nodes": len(app.store.nodes)}
        case "connections":
            made = seed.connect(app.store, given["token"], given.get("name", "Connection"), app.store.ids.uuid())  # fmt: skip
            made.roots = set(given.get("roots", ["*"]))
            if "capabilities" in given:
                made.capabilities = frozenset(given["capabilities"])
            return {"bot_id": made.bot_id, "integration_id": made.integration_id}
        case "shares":
            connection = app.store.connections[given["token"]]
            connection.roots = set(given["roots"])
            return {"roots": sorted(connection.roots)}
        case "revoke":
            app.store.connections[given["token"]].revoked = given.get("revoked", True)
            return {"ok": True}
        case _:
            raise ApiError(404, "object_not_found", f"no such admin endpoint: {first}")


def _faults(app: Emulated, method: str, rest: str, given: Json) -> Json:
    if method == "POST":
        return {"id": app.faults.add(given).id}
    if method == "DELETE":
        if rest:
            app.faults.items.pop(rest, None)
        else:
            app.faults.items.clear()
    shown = [{"id": f.id, "kind": f.kind, "route": f.route, "hits": f.hits} for f in app.faults.items.values()]  # fmt: skip
    return {"faults": shown}
