"""A workspace in an SQLite file: written whole, in one transaction, and read back."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from notion_emulator.clock import VirtualClock
from notion_emulator.errors import Json
from notion_emulator.store import Connection, Node, Store
from notion_emulator.webhooks import Subscription

if TYPE_CHECKING:
    from notion_emulator.app import Emulated

_PARTS = ("users", "comments", "uploads", "views", "cursors", "tasks")
_PLAIN = ("workspace_id", "workspace_name", "events", "counters", "moments")


def save(app: Emulated, path: Path) -> None:
    """Write everything the workspace holds.

    Raises
        sqlite3.Error: the file cannot be written.
    """
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS part (kind TEXT, number INTEGER, id TEXT, body TEXT, PRIMARY KEY (kind, id))")  # fmt: skip
        database.execute("DELETE FROM part")
        rows = ((kind, n, key, json.dumps(body)) for n, (kind, key, body) in enumerate(_rows(app)))
        database.executemany("INSERT INTO part VALUES (?, ?, ?, ?)", rows)


def _rows(app: Emulated) -> Iterator[tuple[str, str, object]]:
    store = app.store
    yield "plain", "seed", {"seed": store.ids.seed, "taken": store.ids.taken}
    if isinstance(app.clock, VirtualClock):
        yield "plain", "clock", app.clock.now().isoformat()
    for name in _PLAIN:
        yield "plain", name, getattr(store, name)
    for name in _PARTS:
        for key, body in getattr(store, name).items():
            yield name, key, body
    for connection in store.connections.values():
        sets = {k: sorted(getattr(connection, k)) for k in ("capabilities", "roots", "hidden")}
        yield "connection", connection.token, asdict(connection) | sets
    for node in store.nodes.values():
        times = {k: getattr(node, k).isoformat() for k in ("created_at", "edited_at")}
        yield "node", node.id, vars(node) | times
    for key, parts in store.blobs.items():
        yield "blob", key, {str(n): base64.b64encode(data).decode() for n, data in parts.items()}
    for subscription in app.webhooks.subscriptions.values():
        types = None if subscription.types is None else sorted(subscription.types)
        yield "subscription", subscription.id, vars(subscription) | {"types": types}


def load(app: Emulated, path: Path) -> None:
    """Put what a file holds in place of the workspace.

    Raises
        sqlite3.Error: it is no such file.
    """
    store = Store()
    with closing(sqlite3.connect(path)) as database:
        for kind, key, raw in database.execute("SELECT kind, id, body FROM part ORDER BY number"):
            _take(app, store, kind, key, json.loads(raw))
    app.store = store
    app.revision += 1


def _take(app: Emulated, store: Store, kind: str, key: str, body: Json) -> None:
    match kind, key:
        case "plain", "seed":
            store.ids.seed, store.ids.taken = body["seed"], body["taken"]
        case "plain", "clock":
            if isinstance(app.clock, VirtualClock):
                app.clock.instant = datetime.fromisoformat(str(body))
        case "plain", _:
            setattr(store, key, body)
        case "connection", _:
            sets = {k: set(body[k]) for k in ("roots", "hidden")}
            store.connections[key] = Connection(**(body | sets | {"capabilities": frozenset(body["capabilities"])}))  # fmt: skip
        case "node", _:
            times = {k: datetime.fromisoformat(body[k]) for k in ("created_at", "edited_at")}
            store.nodes[key] = Node(**(body | times | {"parent": tuple(body["parent"])}))
        case "blob", _:
            store.blobs[key] = {int(n): base64.b64decode(data) for n, data in body.items()}
        case "subscription", _:
            types = None if body["types"] is None else frozenset(body["types"])
            app.webhooks.subscriptions[key] = Subscription(**(body | {"types": types}))
        case _:
            getattr(store, kind)[key] = body
