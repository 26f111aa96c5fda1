"""Faults that change the workspace or the rules around one request, and answer it as usual.

``meanwhile`` lets people act just before or just after a request; ``settings`` changes switches
for one request; ``stale`` shows what was there some seconds ago.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from notion_emulator import human
from notion_emulator.errors import ApiError, Json
from notion_emulator.faults import page_in
from notion_emulator.ids import dashed
from notion_emulator.settings import Settings
from notion_emulator.store import Node, Store

if TYPE_CHECKING:
    from notion_emulator.app import Emulated
    from notion_emulator.faults import Fault


def act(app: Emulated, faults: Sequence[Fault], when: str, path: str) -> None:
    """Let people do what the faults say; ``page`` in what they do is the page of the request.

    What cannot be done is written to the event log as ``emulator.meanwhile_failed``.
    """
    for fault in faults:
        if fault.kind != "meanwhile" or fault.when != when:
            continue
        page = page_in(app.store, path)
        for action, given in _actions(app, fault, page):
            try:
                human.act(app, action, given)
            except (ApiError, KeyError) as error:
                app.store.record("emulator.meanwhile_failed", page or "", "", app.clock.now(), action=action, error=str(error))  # fmt: skip


def _actions(app: Emulated, fault: Fault, page: str | None) -> Iterator[tuple[str, Json]]:
    for step in fault.do:
        action = step["action"]
        if action == "random_edit":
            app.editor.edit(app, step.get("page") or page)
            continue
        given = {k: v for k, v in step.items() if k != "action"}
        given = {k: page if v == "page" and k in ("id", "parent") else v for k, v in given.items()}
        yield action, given


def settings_for(app: Emulated, faults: Sequence[Fault]) -> Settings:
    """Return the switches as they are for this request."""
    settings = app.settings
    for fault in faults:
        if fault.kind == "settings":
            settings = settings.changed(**fault.change)
    return settings


def store_for(app: Emulated, faults: Sequence[Fault], method: str) -> Store:
    """Return the workspace, or what a stale read sees of it."""
    for fault in faults:
        if fault.kind == "stale" and method == "GET":
            return app.history.seen_at(app, app.clock.now() - timedelta(seconds=fault.seconds))
    return app.store


@dataclass
class History:
    """What pages were before each write, kept while a ``stale`` fault is in force."""

    kept: list[tuple[datetime, dict[str, Node | None]]] = field(default_factory=list)

    def changing(self, app: Emulated, path: str) -> _Changing:
        """Return a context that keeps what is there before it and is changed within."""
        return _Changing(self, app, path)

    def seen_at(self, app: Emulated, instant: datetime) -> Store:
        """Return the workspace with what has changed since then put back."""
        store = copy.copy(app.store)
        store.nodes = dict(app.store.nodes)
        for at, before in reversed(self.kept):
            if at <= instant:
                break
            for node_id, node in before.items():
                if node is None:
                    store.nodes.pop(node_id, None)
                else:
                    store.nodes[node_id] = node
        for node in list(store.nodes.values()):
            if any(child not in store.nodes for child in node.children):
                store.nodes[node.id] = _copied(node)
                store.nodes[node.id].children = [c for c in node.children if c in store.nodes]
        return store


class _Changing:
    def __init__(self, history: History, app: Emulated, path: str) -> None:
        self.history, self.app, self.path = history, app, path
        self.before: dict[str, Node | None] = {}
        self.size = 0
        self.wanted = any(fault.kind == "stale" for fault in app.faults.items.values())

    def __enter__(self) -> None:
        if self.wanted:
            nodes = self.app.store.nodes
            self.size = len(nodes)
            self.before = {i: _copied(nodes[i]) for i in _around(self.app.store, self.path)}

    def __exit__(self, *_: object) -> None:
        if not self.wanted:
            self.history.kept.clear()
            return
        nodes = self.app.store.nodes
        for fresh in islice(reversed(nodes), max(0, len(nodes) - self.size)):
            self.before[fresh] = None
        if self.before:
            self.history.kept.append((self.app.clock.now(), self.before))


def _around(store: Store, path: str) -> list[str]:
    """Return the ids of the pages that a path names, of all on them and above them."""
    named = [store.nodes[i] for part in path.split("/") if (i := dashed(part)) in store.nodes]
    pages = [store.page_of(node) or node for node in named]
    found, waiting = [a.id for p in pages for a in store.ancestors(p)], [p.id for p in pages]
    while waiting:
        found.append(waiting.pop())
        waiting += [c for c in store.nodes[found[-1]].children if store.nodes[c].kind == "block"]
    return found


def _copied(node: Node) -> Node:
    fresh = copy.copy(node)
    fresh.children, fresh.data = list(node.children), copy.deepcopy(node.data)
    return fresh
