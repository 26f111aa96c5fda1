"""The pages of the viewer: a page, a database, the logs."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup

from notion_emulator import markdown_apply
from notion_emulator.call import Call
from notion_emulator.errors import Json
from notion_emulator.markdown_render import Rendering, render
from notion_emulator.store import Node
from notion_emulator.ui import databases, properties
from notion_emulator.ui.blocks import Page
from notion_emulator.ui.html import joined, tag
from notion_emulator.ui.properties import moment, person
from notion_emulator.ui.rich import icon, rich
from notion_emulator.ui.shell import ROOT, name_of

_LINES = 200


def home(call: Call) -> Markup:
    """Return the list of what the workspace holds."""
    roots = [n for n in call.store.nodes.values() if n.parent[0] == "workspace" and not n.in_trash and n.kind != "block"]  # fmt: skip
    cards = [
        tag("a", icon(n.data.get("icon"), "▢"), tag("strong", name_of(call, n)), tag("small", "edited ", moment(n.edited_at.isoformat())), href=f"{ROOT}/{n.id}", class_="card root")
        for n in roots
    ]  # fmt: skip
    empty = tag("p", "Nothing here yet. Pages made through the API appear by themselves.", class_="faint")  # fmt: skip
    return joined([tag("h1", call.store.workspace_name), tag("div", *cards, class_="gallery") if cards else empty])  # fmt: skip


def page(call: Call, node: Node) -> Markup:
    """Return a page with its title, properties, content and comments."""
    return joined([
        _flags(call, node),
        tag("div", icon(node.data.get("icon")), class_="page-icon") if node.data.get("icon") else None,
        tag("h1", name_of(call, node)),
        properties.table(call, node),
        tag("article", Page(call).children(node)),
        _comments(call, node),
    ])  # fmt: skip


def editing(call: Call, node: Node) -> Markup:
    """Return the box in which a person edits a page."""
    pieces = [markdown_apply.piece_of(call, c) for c in call.store.living_children(node)]
    text = render(pieces, Rendering(call.settings.max_markdown_blocks))
    rows = min(28, max(6, text.count("\n") + 2))
    who = next((u["name"] for u in call.store.users.values() if u["type"] == "person"), "a person")
    form = tag(
        "form",
        tag("label", tag("span", "Title"), tag("input", name="title", value=name_of(call, node))),
        properties.fields(call, node),
        tag("label", tag("span", "Content"), tag("textarea", "\n" + text, name="markdown", rows=rows, spellcheck="false")),
        tag("button", "Save"),
        method="post",
        action=f"{ROOT}/{node.id}/edit",
    )  # fmt: skip
    comment = tag(
        "form",
        tag("label", tag("span", "Comment"), tag("input", name="comment", required=True)),
        tag("button", "Send"),
        method="post",
        action=f"{ROOT}/{node.id}/comment",
    )
    return tag("details", tag("summary", f"Edit as {who}"), form, comment, class_="editing")


def database(call: Call, node: Node, view: str | None) -> Markup:
    """Return a database in one of its views."""
    about = node.data.get("description") or []
    return joined([
        _flags(call, node),
        tag("h1", icon(node.data.get("icon")), " ", name_of(call, node)),
        tag("p", rich(call, about), class_="about") if about else None,
        databases.view(call, node, view),
    ])  # fmt: skip


def _flags(call: Call, node: Node) -> Markup | None:
    if call.store.trashed(node):
        return tag("p", "This is in the trash.", class_="notice")
    said = "archived" if node.is_archived else "locked" if node.is_locked else None
    return tag("p", f"This is {said}.", class_="notice") if said else None


def _comments(call: Call, node: Node) -> Markup | None:
    on = {node.id, *_blocks_in(call, node)}
    found = [c for c in call.store.comments.values() if set((c.get("parent") or {}).values()) & on]
    if not found:
        return None
    listed = [
        tag("li", tag("div", person(call, c["created_by"]["id"]), " ", moment(c["created_time"]), class_="who"), tag("p", rich(call, c["rich_text"])))
        for c in found
    ]  # fmt: skip
    return tag("section", tag("h3", "Comments"), tag("ul", *listed), class_="comments")


def _blocks_in(call: Call, node: Node) -> Iterable[str]:
    for child in call.store.living_children(node):
        if child.kind == "block":
            yield child.id
            yield from _blocks_in(call, child)


def events(call: Call) -> Markup:
    """Return the last events, the newest first."""
    rows = [
        tag("tr", tag("td", _time(e["at"])), tag("td", tag("code", e["type"])), tag("td", _entity(call, e)), tag("td", person(call, e["actor"])))
        for e in call.store.events[: -_LINES - 1 : -1]
    ]  # fmt: skip
    return _log("Events", ("When", "What", "Where", "Who"), rows)


def _entity(call: Call, event: Json) -> Markup:
    node = call.store.nodes.get(event["entity"])
    if node is None:
        return tag("code", event["entity"])
    shown = node if node.kind in ("page", "database") else next((n for n in call.store.ancestors(node) if n.kind in ("page", "database")), None)  # fmt: skip
    return tag("a", name_of(call, shown), href=f"{ROOT}/{shown.id}") if shown else tag("code", node.id)  # fmt: skip


def requests(log: list[Json]) -> Markup:
    """Return the last requests, the newest first, with what was sent."""
    rows = [
        tag("tr",
            tag("td", _time(r["at"])),
            tag("td", tag("code", r["method"], class_=f"m-{r['method'].lower()}")),
            tag("td", tag("details", tag("summary", tag("code", r["path"])), tag("pre", r["body"][:20_000])) if r["body"] else tag("code", r["path"])),
            tag("td", tag("code", str(r["status"]), class_="ok" if r["status"] == 200 else "bad")))
        for r in log[: -_LINES - 1 : -1]
    ]  # fmt: skip
    return _log("Requests", ("When", "Method", "Path and body", "Status"), rows)


def _time(at: str) -> Markup:
    return tag("time", at[:19].replace("T", " "), datetime=at)


def _log(name: str, heads: tuple[str, ...], rows: list[Markup]) -> Markup:
    head = tag("tr", *(tag("th", h) for h in heads))
    body = rows or [tag("tr", tag("td", "Nothing yet.", colspan=len(heads), class_="faint"))]
    table = tag("table", tag("thead", head), tag("tbody", *body))
    return joined([tag("h1", name), tag("div", table, class_="scroll data log")])
