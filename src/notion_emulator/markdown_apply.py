"""Put a text in place of what a page holds: what stays the same keeps its id.

Which ids Notion keeps is not documented. Here a block that reads the same keeps its own, wherever
it is moved to; one whose text alone changed keeps its own as well; the rest is made or trashed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from notion_emulator import files, writing
from notion_emulator.blocks import MEDIA, Draft
from notion_emulator.call import Call, title
from notion_emulator.errors import Json, invalid
from notion_emulator.markdown_marks import inline
from notion_emulator.markdown_parse import KEPT
from notion_emulator.markdown_render import Piece, Rendering, render
from notion_emulator.store import Node

_SIGNED = re.compile(r'(https?://[^\s"()?]*)\?[^\s"()]*X-Amz[^\s"()]*')


def piece_of(call: Call, node: Node, within: frozenset[str] = frozenset()) -> Piece:
    """Return a node as the renderer takes it; a synced copy shows the children of its original."""
    if node.kind != "block":
        payload: Json = {"title": title(node), "inline": node.data.get("is_inline")}
        sources = [c.id for c in call.store.living_children(node) if c.kind == "data_source"]
        if sources:
            payload["data_source"] = sources[0]
        return Piece(f"child_{node.kind}", payload, node.id)
    payload = node.data["payload"] or {}
    if node.data["type"] in MEDIA:
        payload = files.signed(call, payload)
    origin = call.store.nodes.get((payload.get("synced_from") or {}).get("block_id", ""))
    shown = call.store.living_children(origin or node)
    above = within | {node.id}
    if origin is not None and (origin.id in above or any(a.id == origin.id for a in call.store.ancestors(node))):  # fmt: skip
        shown = []  # a copy inside its own original, or in a circle of copies
    above |= {origin.id} if origin is not None else frozenset()
    return Piece(node.data["type"], payload, node.id, tuple(piece_of(call, c, above) for c in shown))  # fmt: skip


def drafted(item: Draft) -> Piece:
    """Return a draft as the renderer takes it."""
    if item.type in KEPT:
        kind = item.payload.get("alt", "") if item.type == "unknown" else item.type
        return Piece(kind, item.payload, item.payload["id"])
    return Piece(item.type, item.payload, "", tuple(drafted(c) for c in item.children))


def replace(call: Call, page: Node, items: list[Draft], *, may_delete: bool) -> None:
    """Make a page hold these blocks.

    Raises
        ApiError: a child page or database would go and may not.
    """
    named = {item.payload["id"] for item in _all(items) if item.type in KEPT}
    lost = [n for n in _nested(call, page) if n.kind != "block" and n.id not in named and not _under(call, n, named)]  # fmt: skip
    if lost and not may_delete:
        names = ", ".join(f"{n.kind} {n.id}" for n in lost)
        raise invalid(f"This would delete child pages or databases: {names}. Set allow_deleting_content to do so.")  # fmt: skip
    _replace(call, page, items, named)
    for node in lost:
        node.in_trash = True


def _all(items: Sequence[Draft]) -> Iterator[Draft]:
    for item in items:
        yield item
        yield from _all(item.children)


def _nested(call: Call, node: Node) -> Iterator[Node]:
    for child in call.store.living_children(node):
        yield child
        if child.kind == "block":
            yield from _nested(call, child)


def _under(call: Call, node: Node, named: set[str]) -> bool:
    return any(above.id in named for above in call.store.ancestors(node))


def _replace(call: Call, parent: Node, items: Sequence[Draft], named: set[str]) -> None:
    old = call.store.living_children(parent)
    by_id = {n.id: n for n in old}
    named_here = [by_id.get(i.payload["id"]) if i.type in KEPT else None for i in items]
    plan, changed = _matched(call, old, items, named_here) if call.settings.markdown_keeps_ids else (named_here, set())  # fmt: skip
    order: dict[str, None] = {}  # a page that is named twice is there once
    for place, (item, keeper) in enumerate(zip(items, plan, strict=True)):
        if keeper is None:
            keeper = writing.add_blocks(call, parent, [item])[0]
        elif place in changed:
            _rewrite(call, keeper, item, named)
        order[keeper.id] = None
    stay = order.keys()
    for child in old:
        if child.id not in stay and child.id not in named and child.kind == "block":
            child.in_trash = True
    rest = [i for i in parent.children if i not in stay]
    parent.children[:] = [*order, *rest]


def _matched(call: Call, old: list[Node], items: Sequence[Draft], here_already: list[Node | None]) -> tuple[list[Node | None], set[int]]:  # fmt: skip
    """Return for every draft the node that it is, if there is one, and which of them differ."""
    plan = list(here_already)
    taken = {n.id for n in plan if n is not None}
    there = [n.id if n.id in taken else _key(piece_of(call, n)) for n in old]
    here = [n.id if n is not None else _key(drafted(i)) for i, n in zip(items, plan, strict=True)]
    steps = SequenceMatcher(None, there, here, autojunk=False).get_opcodes()
    for kind, low, high, start, _ in steps:
        if kind == "equal":
            for step in range(high - low):
                plan[start + step] = old[low + step]
    taken = {n.id for n in plan if n is not None}
    pool: dict[str, list[Node]] = {}
    for node, key in zip(old, there, strict=True):
        if node.id not in taken:
            pool.setdefault(key, []).append(node)
    for place, key in enumerate(here):
        if plan[place] is None and pool.get(key):
            plan[place] = pool[key].pop(0)
    taken = {n.id for n in plan if n is not None}
    same = {place for place, node in enumerate(plan) if node is not None}
    for kind, low, high, start, end in steps:
        if kind == "replace":
            _pair(old[low:high], items, range(start, end), plan, taken)
    return plan, {place for place, node in enumerate(plan) if node is not None} - same


def _pair(old: list[Node], items: Sequence[Draft], places: range, plan: list[Node | None], taken: set[str]) -> None:  # fmt: skip
    """Match what is left with what stood there before, in order, where the type is the same."""
    left = [n for n in old if n.id not in taken]
    for place in places:
        if plan[place] is None:
            found = next((n for n in left if _fits(n, items[place])), None)
            if found is not None:
                plan[place] = found
                left = left[left.index(found) + 1 :]
                taken.add(found.id)


def _fits(node: Node, item: Draft) -> bool:
    if node.kind != "block" or node.data["type"] != item.type:
        return False
    width = (node.data["payload"] or {}).get("table_width")
    return width is None or width == item.payload.get("table_width")


def _rewrite(call: Call, node: Node, item: Draft, named: set[str]) -> None:
    old = node.data["payload"] or {}
    new = {**old, **{k: v for k, v in item.payload.items() if k != "caption" or v}}
    if new.get("icon") is None and (old.get("icon") or {}).get("type") not in (None, "emoji"):
        new["icon"] = old["icon"]  # markdown shows emoji only
    if "external" in item.payload:
        new.pop("file", None)
        new.pop("file_upload", None)
    if new != old:
        node.data["payload"] = new
        writing.touch(call, node)
    if not new.get("synced_from"):
        _replace(call, node, item.children, named)


def _key(piece: Piece) -> str:
    """Return what a block reads like; signatures of addresses change with every reading."""
    if piece.type == "table_row":
        return "\0".join(inline(cell).strip() for cell in piece.payload.get("cells", []))
    plain = {k: v for k, v in piece.payload.items() if k != "data_source"}
    unnamed = Piece(piece.type, plain, "" if piece.type == "synced_block" else piece.id, piece.children)  # fmt: skip
    text = render([unnamed], Rendering())
    if piece.payload.get("synced_from"):
        text = text.split("\n")[0]
    unsigned = _SIGNED.sub(r"\1", text)
    return f"{piece.type}:{unsigned}"
