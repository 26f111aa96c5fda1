"""The frame around every page: the tree at the left, the way here at the top."""

from __future__ import annotations

from markupsafe import Markup

from notion_emulator.call import Call, title
from notion_emulator.store import Node
from notion_emulator.ui.html import joined, tag
from notion_emulator.ui.rich import icon

ROOT = "/__emu/ui"


def document(call: Call, heading: str, main: Markup, *, at: Node | None = None, live: str | None = None, wide: bool = False) -> str:  # fmt: skip
    """Return a whole page. ``live`` is the address that tells when ``main`` changes."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{heading} - emulator"),
        tag("link", rel="stylesheet", href=f"{ROOT}/static/style.css"),
        tag("link", rel="icon", href="data:,"),
        tag("script", src=f"{ROOT}/static/live.js", defer=True),
    )
    body = tag(
        "body",
        _sidebar(call, at, heading),
        tag(
            "div",
            _top(call, at, heading),
            tag("main", main, id="main", data_live=live, class_="wide" if wide else None),
            class_="side",
        ),
    )
    return Markup("<!doctype html>") + tag("html", head, body, lang="en")


def name_of(call: Call, node: Node) -> str:
    """Return the title of a page or database."""
    sources = [c for c in call.store.living_children(node) if c.kind == "data_source"]
    return title(node) or (title(sources[0]) if node.kind == "database" and sources else "") or "Untitled"  # fmt: skip


def _sidebar(call: Call, at: Node | None, heading: str) -> Markup:
    path = {at.id, *(n.id for n in call.store.ancestors(at))} if at else set()
    roots = [n for n in call.store.nodes.values() if n.parent[0] == "workspace" and n.kind in ("page", "database") and not n.in_trash]  # fmt: skip
    trash = [n for n in call.store.nodes.values() if n.in_trash and n.kind in ("page", "database")]
    logs = [
        tag("a", name, href=f"{ROOT}/{where}", aria_current="page" if heading == name else None)
        for where, name in (("events", "Events"), ("requests", "Requests"))
    ]
    bin_ = [
        tag("details",
            tag("summary", f"Trash ({len(trash)})"),
            tag("ul", *(tag("li", tag("a", name_of(call, n), href=f"{ROOT}/{n.id}")) for n in trash[:50])))
    ] if trash else []  # fmt: skip
    return tag(
        "aside",
        tag("p", tag("a", call.store.workspace_name, href=ROOT), class_="workspace"),
        tag("nav", *logs, class_="logs"),
        tag("nav", tag("ul", *(_branch(call, n, path, 0) for n in roots)), *bin_, class_="tree", aria_label="Pages"),
    )  # fmt: skip


def _branch(call: Call, node: Node, path: set[str], depth: int) -> Markup:
    inner = [c for c in _pages_in(call, node) if depth < 12]
    mark = icon(node.data.get("icon"), "▦" if node.kind == "database" else "▢")
    here = tag("a", mark, " ", name_of(call, node), href=f"{ROOT}/{node.id}", aria_current="page" if node.id in path and not any(c.id in path for c in inner) else None)  # fmt: skip
    if not inner:
        return tag("li", here)
    branches = tag("ul", *(_branch(call, c, path, depth + 1) for c in inner[:40]))
    is_open = node.id in path or depth == 0
    return tag("li", tag("details", tag("summary", here), branches, open=is_open))


def _pages_in(call: Call, node: Node) -> list[Node]:
    """Return the pages and databases inside a node; rows are found in their database."""
    found: list[Node] = []
    for child in call.store.living_children(node):
        if child.kind in ("page", "database"):
            found.append(child)
        elif child.kind == "block":
            found += _pages_in(call, child)
    return found


def _top(call: Call, at: Node | None, heading: str) -> Markup:
    if at is None:
        return tag("header", tag("span", heading), tag("span", "emulator", class_="mark"))
    above = [n for n in call.store.ancestors(at) if n.kind in ("page", "database")][::-1]
    way = [tag("a", icon(n.data.get("icon")), " ", name_of(call, n), href=f"{ROOT}/{n.id}") for n in above]  # fmt: skip
    way.append(tag("span", icon(at.data.get("icon")), " ", name_of(call, at)))
    return tag("header", tag("nav", joined(way, " / "), aria_label="Way here"), tag("span", "emulator", class_="mark", title="This is not Notion: the notion-emulator draws what its API was told."))  # fmt: skip
