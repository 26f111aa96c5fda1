"""The admin and human API under ``/__emu``: state, clock, faults, log, and edits as a person."""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from notion_emulator import block_calls, page_calls, seed
from notion_emulator.call import Call
from notion_emulator.clock import VirtualClock
from notion_emulator.errors import ApiError, Json, invalid
from notion_emulator.settings import VERSIONS
from notion_emulator.store import Connection

if TYPE_CHECKING:
    from notion_emulator.app import Emulated


async def answer(app: Emulated, request: Request, raw: bytes) -> Response:
    """Answer an admin request."""
    name = request.url.path.removeprefix("/__emu/").strip("/")
    try:
        given = json.loads(raw) if raw.strip() else {}
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
        case "clock", _:
            return _clock(app, rest, given)
        case "faults", _:
            return _faults(app, request.method, rest, given)
        case "settings" | "limits", "GET":
            return asdict(app.settings)
        case "settings" | "limits", _:
            app.settings = app.settings.changed(**given)
            return asdict(app.settings)
        case "human", "POST":
            return _human(app, rest, given)
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


def _clock(app: Emulated, rest: str, given: Json) -> Json:
    if rest == "advance":
        if not isinstance(app.clock, VirtualClock):
            raise invalid("the clock is real; start with --clock virtual")
        app.clock.advance(timedelta(seconds=given["seconds"]))
    return {"now": app.clock.now().isoformat()}


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


_HUMAN = {
    "add_blocks": (block_calls.append, "block_id"),
    "edit_block": (block_calls.update, "block_id"),
    "remove_block": (block_calls.delete, "block_id"),
    "update_page": (page_calls.update, "page_id"),
    "move_page": (page_calls.move, "page_id"),
}


def _human(app: Emulated, action: str, given: Json) -> Json:
    """Do as a person what the API can: ``{"id": …, "body": …}``."""
    person = next(u["id"] for u in app.store.users.values() if u["type"] == "person")
    actor = Connection("human", person, "", "Person", roots={"*"})
    call = Call(app.store, app.clock, app.settings, actor, VERSIONS[-1], {}, given.get("body", {}))
    if action == "create_page":
        return page_calls.create(call)
    if action not in _HUMAN:
        raise invalid(f"unknown action; choose one of {', '.join([*_HUMAN, 'create_page'])}")
    endpoint, _ = _HUMAN[action]
    return endpoint(call, given["id"])
