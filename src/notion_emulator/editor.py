"""A random editor: people who edit pages at a pace, the same way in every run of the same seed.

Every text it writes holds a mark of its own, ``⟦7⟧``. Marks that nobody but the editor removed
must still be there in the end: ``lost`` tells which are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from notion_emulator import human, present
from notion_emulator.call import title
from notion_emulator.dice import Dice
from notion_emulator.errors import ApiError, Json, invalid
from notion_emulator.richtext import plain
from notion_emulator.store import Node, Store

if TYPE_CHECKING:
    from notion_emulator.app import Emulated

MIX: Mapping[str, float] = {"edit_text": 5, "add_block": 3, "remove_block": 1, "move_block": 1, "set_property": 2, "rename": 1, "check": 1, "comment": 1}  # fmt: skip
KINDS = frozenset({*MIX, "create_page", "trash", "restore", "move"})
PEOPLE = ("Ada Person", "Ben Person", "Cy Person")
_MARK = re.compile(r"⟦\d+⟧")


@dataclass
class Editor:
    """Who edits what how often, and what was done."""

    per_minute: float = 0.0
    dice: Dice = field(default_factory=lambda: Dice("editor"))
    mix: Mapping[str, float] = field(default_factory=lambda: dict(MIX))
    pages: Sequence[str] | None = None  # None: every page; else these and what is inside
    people: Sequence[str] = PEOPLE
    left: int | None = None  # edits still to come; None: no end
    next_at: datetime | None = None
    done: list[Json] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)  # mark: the page it was written on

    def start(self, app: Emulated, given: Json) -> None:
        """Begin, at a pace above nought, or get ready for edits asked for one by one.

        Raises
            ApiError: the mix has a kind of edit that is not known.
        """
        mix = given.get("mix") or dict(MIX)
        if mix.keys() - KINDS:
            raise invalid(f"unknown edits; choose from {', '.join(sorted(KINDS))}")
        self.mix, self.dice = mix, Dice(f"editor:{given.get('seed', '')}")
        self.pages, self.people = given.get("pages"), given.get("people") or PEOPLE
        self.per_minute, self.left = float(given.get("per_minute", 0)), given.get("edits")
        self.next_at = app.clock.now() + self._wait() if self.per_minute > 0 else None

    def stop(self) -> None:
        """End, and keep what was done."""
        self.next_at = None

    def next_due(self) -> datetime | None:
        """Return when the next edit is due."""
        return self.next_at

    def act(self, app: Emulated) -> None:
        """Make the edits that are due."""
        while self.next_at is not None and self.next_at <= app.clock.now():
            self.edit(app)
            if self.left is not None:
                self.left -= 1
            self.next_at = None if self.left == 0 else self.next_at + self._wait()

    def edit(self, app: Emulated, page: str | None = None) -> Json | None:
        """Make one edit, of this page or of any; None if nothing there can be edited."""
        chosen = app.store.nodes.get(page or "")
        pages = [chosen] if chosen is not None else list(self._pages(app.store))
        for _ in range(8):  # another kind, where the first does not fit the page
            if not pages:
                return None
            kind, node = self.dice.weighted(self.mix), self.dice.among(pages)
            plan = self._plan(app, kind, node)
            if plan is None:
                continue
            action, given = plan
            who = self.dice.among(self.people)
            gone = self._marks_under(app.store, given) if action in ("trash", "remove_block") else []  # fmt: skip
            try:
                human.act(app, action, {**given, "as": who})
            except ApiError:
                continue  # what the API's rules forbid, a person cannot do here either
            for mark in gone:
                self.marks.pop(mark, None)
            return self._noted(app, kind, node, who, given)
        return None

    def lost(self, store: Store) -> list[str]:
        """Return the marks that should be there and are nowhere in the living pages."""
        found: set[str] = set()
        for node in store.nodes.values():
            if not store.trashed(node):
                found.update(_marks(node))
        for comment in store.comments.values():
            found.update(_MARK.findall(plain(comment["rich_text"])))
        return [mark for mark in self.marks if mark not in found]

    def _wait(self) -> timedelta:
        return timedelta(seconds=60 / self.per_minute * (0.5 + self.dice.throw()))

    def _pages(self, store: Store) -> Iterator[Node]:
        roots = None if self.pages is None else set(self.pages)
        for node in store.nodes.values():
            if node.kind != "page" or store.trashed(node):
                continue
            if roots is None or node.id in roots or any(a.id in roots for a in store.ancestors(node)):  # fmt: skip
                yield node

    def _mark(self) -> str:
        return f"⟦{len(self.done) + 1}⟧"

    def _noted(self, app: Emulated, kind: str, page: Node, who: str, given: Json) -> Json:
        mark = self._mark()
        line = {"number": len(self.done) + 1, "at": app.clock.now().isoformat(), "kind": kind, "page": page.id, "as": who, "given": given}  # fmt: skip
        if mark in str(given):
            self.marks[mark] = page.id
            if kind == "rename":  # a new name takes the place of the old one
                older = [d for d in self.done if d["kind"] == "rename" and d["page"] == page.id]
                for one in older:
                    self.marks.pop(f"⟦{one['number']}⟧", None)
            if kind == "set_property":
                older = [d for d in self.done if d["kind"] == kind and d["page"] == page.id and d["given"]["property"] == given["property"]]  # fmt: skip
                for one in older:
                    self.marks.pop(f"⟦{one['number']}⟧", None)
        self.done.append(line)
        return line

    def _marks_under(self, store: Store, given: Json) -> list[str]:
        waiting, found = [store.nodes[given["id"]]], []
        while waiting:
            node = waiting.pop()
            found += _marks(node)
            found += [m for c in store.comments.values() if node.id in c["parent"].values() for m in _MARK.findall(plain(c["rich_text"]))]  # fmt: skip
            waiting += [store.nodes[i] for i in node.children]
        return found

    def _plan(self, app: Emulated, kind: str, page: Node) -> tuple[str, Json] | None:
        """Return the action and what it is given, or None if the page has nothing for it."""
        text = f"{self.dice.among(_WORDS)} {self._mark()}"
        match kind:
            case "rename":
                return "rename", {"id": page.id, "title": f"{_unmarked(title(page))} {self._mark()}".strip()}  # fmt: skip
            case "comment":
                return "comment", {"id": page.id, "text": text}
            case "create_page":
                return "create_page", {"parent": {"page_id": page.id}, "title": text, "markdown": f"Made by the editor {self._mark()}"}  # fmt: skip
            case "trash":
                return "trash", {"id": page.id}
            case "restore" | "move":
                return self._plan_page(app.store, kind, page)
            case "set_property":
                return self._plan_property(app, page, text)
            case _:
                return self._plan_block(app.store, kind, page, text)

    def _plan_page(self, store: Store, kind: str, page: Node) -> tuple[str, Json] | None:
        if kind == "restore":
            gone = [n for n in store.nodes.values() if n.kind == "page" and n.in_trash]
            return ("restore", {"id": self.dice.among(gone).id}) if gone else None
        if page.parent[0] == "data_source_id":
            return None
        others = [n for n in self._pages(store) if n.id != page.id and n.parent[0] != "data_source_id"]  # fmt: skip
        return ("move", {"id": page.id, "parent": {"page_id": self.dice.among(others).id}}) if others else None  # fmt: skip

    def _plan_block(self, store: Store, kind: str, page: Node, text: str) -> tuple[str, Json] | None:  # fmt: skip
        blocks = list(_blocks(store, page))
        if kind == "add_block":
            after = self.dice.among([None, *(b.id for b in blocks if b.parent[1] == page.id)])
            return kind, {"id": page.id, "text": text, "after": after} if after else {"id": page.id, "text": text}  # fmt: skip
        fitting = [b for b in blocks if _fits(kind, b)]
        if not fitting:
            return None
        block = self.dice.among(fitting)
        if kind == "check":
            checked = not block.data["payload"].get("checked")
            return "edit_block", {"id": block.id, "body": {"to_do": {"checked": checked}}}
        if kind == "move_block":
            beside = [c.id for c in store.living_children(store.nodes[block.parent[1]]) if c.id != block.id]  # fmt: skip
            return (kind, {"id": block.id, "after": self.dice.among(beside)}) if beside else None
        if kind == "edit_text":
            return kind, {"id": block.id, "append": f" {text}"}
        return kind, {"id": block.id}

    def _plan_property(self, app: Emulated, page: Node, text: str) -> tuple[str, Json] | None:
        schema = present.schema_of(human.call_of(app), page).values()
        usable = [p for p in schema if p["type"] in _SETTABLE]
        if not usable:
            return None
        prop = self.dice.among(usable)
        value: object = text
        match prop["type"]:
            case "number":
                value = int(self.dice.throw() * 1000)
            case "checkbox":
                value = self.dice.throw() < 0.5
            case "date":
                value = f"2026-08-{1 + int(self.dice.throw() * 28):02}"
            case "select" | "status":
                options = prop[prop["type"]]["options"]
                if not options:
                    return None
                value = self.dice.among(options)["name"]
            case _:
                pass
        return "set_property", {"id": page.id, "property": prop["id"], "value": value}


_SETTABLE = frozenset({"rich_text", "number", "checkbox", "date", "select", "status"})
_WORDS = ("Ask the framer", "Price on request", "Wall by the window", "Thursday at nine", "Called, no answer", "Both sides agree")  # fmt: skip


def _fits(kind: str, block: Node) -> bool:
    if kind == "check":
        return bool(block.data["type"] == "to_do")
    if kind == "edit_text":
        return "rich_text" in (block.data["payload"] or {}) and block.data["type"] != "code"
    return block.data["type"] not in ("column", "table_row", "column_list")


def _blocks(store: Store, node: Node) -> Iterator[Node]:
    for child in store.living_children(node):
        if child.kind == "block":
            yield child
            yield from _blocks(store, child)


def _unmarked(text: str) -> str:
    return _MARK.sub("", text).strip()


def _marks(node: Node) -> list[str]:
    """Return the marks in the text or the values of a node."""
    payload = node.data.get("payload") or {}
    texts = [payload.get("rich_text") or [], *(payload.get("cells") or [])]
    if node.kind == "page":
        texts += [v for v in node.data["values"].values() if isinstance(v, list)]
    return [m for items in texts for m in _MARK.findall("".join(str(i.get("plain_text", "")) for i in items))]  # fmt: skip
