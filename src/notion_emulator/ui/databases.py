"""Databases as HTML: their views as tables, boards and charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from notion_emulator import props, table_calls, values
from notion_emulator.call import Call, title
from notion_emulator.errors import ApiError, Json
from notion_emulator.query import scalar
from notion_emulator.store import Node
from notion_emulator.ui.html import joined, tag
from notion_emulator.ui.properties import SIGNS, option, shown, value
from notion_emulator.ui.rich import icon

_MOST = 200
_GROUPED = ("status", "select", "multi_select", "checkbox", "relation", "people")


def views_of(call: Call, base: Node) -> list[Json]:
    """Return the views of a database; it has one at least."""
    found = [v for v in call.store.views.values() if (v.get("parent") or {}).get("database_id") == base.id]  # fmt: skip
    sources = [c.id for c in call.store.living_children(base) if c.kind == "data_source"]
    for source in sources:
        if not any(v.get("data_source_id") == source for v in found):
            found.append({"id": source, "name": "Table", "type": "table", "data_source_id": source})
    return found


def inline(call: Call, base: Node) -> Markup:
    """Return a database inside a page: its first view, or a link if it is a page of its own."""
    name = joined([icon(base.data.get("icon"), "▦"), " ", _name(call, base)])
    if not base.data.get("is_inline"):
        return tag("p", tag("a", name, href=f"/__emu/ui/{base.id}", class_="reference"), class_="child")  # fmt: skip
    return tag("section", tag("h3", tag("a", name, href=f"/__emu/ui/{base.id}")), view(call, base, None), class_="b inline")  # fmt: skip


def _name(call: Call, base: Node) -> str:
    sources = [c for c in call.store.living_children(base) if c.kind == "data_source"]
    return title(base) or (title(sources[0]) if sources else "") or "Untitled"


def view(call: Call, base: Node, wanted: str | None) -> Markup:
    """Return one view of a database, with a tab for each."""
    all_views = views_of(call, base)
    if not all_views:
        return tag("p", "No data source.", class_="faint")
    chosen = next((v for v in all_views if v["id"] == wanted), all_views[0])
    tabs = [
        tag("a", _sign(v["type"]), " ", v.get("name") or v["type"], href=f"/__emu/ui/{base.id}?view={v['id']}", aria_current="page" if v is chosen else None)
        for v in all_views
    ]  # fmt: skip
    return joined([tag("nav", *tabs, class_="views"), _drawn(call, chosen)])


def _sign(kind: str) -> str:
    return {"board": "▥", "chart": "◔", "list": "≡", "gallery": "▦", "timeline": "▬", "calendar": "▤"}.get(kind, "▦")  # fmt: skip


def _drawn(call: Call, chosen: Json) -> Markup:
    source = call.store.nodes.get(chosen.get("data_source_id", ""))
    if source is None:
        return tag("p", "The data source of this view is gone.", class_="faint")
    rows, problem = _rows(call, source, chosen)
    warning = tag("p", problem, class_="notice") if problem else None
    config = chosen.get("configuration") or {}
    match chosen["type"]:
        case "board":
            body = _board(call, source, rows, _group(source, config, "group_by"))
        case "chart":
            body = _chart(call, source, rows, _group(source, config, "x_axis", "group_by"))
        case "gallery":
            body = tag("div", *(_card(call, source, row, None) for row in rows[:_MOST]), class_="gallery")  # fmt: skip
        case _:
            body = _table(call, source, rows)
    more = tag("p", f"{len(rows) - _MOST} more rows are not drawn.", class_="faint") if len(rows) > _MOST else None  # fmt: skip
    return joined([warning, body, more])


def _rows(call: Call, source: Node, chosen: Json) -> tuple[list[Node], str]:
    body = {k: chosen[k] for k in ("filter", "sorts") if chosen.get(k)}
    try:
        return table_calls.found_pages(replace(call, body=body), source), ""
    except (ApiError, KeyError, TypeError, AttributeError) as error:
        everything = table_calls.found_pages(replace(call, body={}), source)
        return everything, f"This view's filter cannot be applied here: {error}"


def _columns(source: Node) -> list[Json]:
    schema = list(source.data["schema"].values())
    return sorted(schema, key=lambda p: p["type"] != "title")


def _table(call: Call, source: Node, rows: Sequence[Node]) -> Markup:
    columns = _columns(source)
    head = tag("tr", *(tag("th", tag("span", SIGNS.get(p["type"], "·"), class_="sign"), p["name"]) for p in columns))  # fmt: skip
    body = [tag("tr", *(tag("td", _cell(call, row, p), class_=f"t-{p['type']}") for p in columns)) for row in rows[:_MOST]]  # fmt: skip
    count = tag("p", f"{len(rows)} rows" if len(rows) != 1 else "1 row", class_="faint count")
    return joined([tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="scroll data"), count])  # fmt: skip


def _cell(call: Call, row: Node, prop: Json) -> Markup:
    if prop["type"] != "title":
        return shown(call, row, prop)
    return tag("a", icon(row.data.get("icon")), " ", title(row) or "Untitled", href=f"/__emu/ui/{row.id}")  # fmt: skip


def _group(source: Node, config: Json, *keys: str) -> Json | None:
    """Return the property a view groups by, however its configuration names it."""
    schema = source.data["schema"]
    for key in keys:
        given: Any = config.get(key)
        named = given.get("property_id") or given.get("property") or given.get("property_name") if isinstance(given, dict) else given  # fmt: skip
        if isinstance(named, str) and (found := props.find(schema, named)):
            return found
    return next((p for kind in _GROUPED for p in schema.values() if p["type"] == kind), None)


def _grouped(call: Call, rows: Sequence[Node], prop: Json) -> list[tuple[Json | None, list[Node]]]:
    """Return the rows under each option, in the order of the options; those without come last."""
    config = prop.get(prop["type"]) or {}
    options: dict[str, Json] = {o["name"]: o for o in config.get("options", [])}
    found: dict[str, list[Node]] = {name: [] for name in options}
    rest: list[Node] = []
    for row in rows:
        given = scalar({"type": prop["type"], prop["type"]: values.value_of(call, row, prop)})
        names = given if isinstance(given, list) else [given]
        names = [_named(call, name) for name in names if name is not None]
        for name in names:
            options.setdefault(name, {"name": name, "color": "default"})
            found.setdefault(name, []).append(row)
        if not names:
            rest.append(row)
    groups: list[tuple[Json | None, list[Node]]] = [(options[n], found[n]) for n in found]
    return [*groups, (None, rest)] if rest else groups


def _named(call: Call, given: Any) -> str:
    if isinstance(given, bool):
        return "Yes" if given else "No"
    node = call.store.nodes.get(str(given))
    user = call.store.users.get(str(given))
    return (title(node) or "Untitled") if node else str(user["name"]) if user else str(given)


def _board(call: Call, source: Node, rows: Sequence[Node], prop: Json | None) -> Markup:
    if prop is None:
        return _table(call, source, rows)
    lanes = []
    for chosen, members in _grouped(call, rows, prop):
        name = option(chosen, dot=prop["type"] == "status") if chosen else tag("span", f"No {prop['name']}", class_="option")  # fmt: skip
        head = tag("h4", name, tag("small", str(len(members))))
        color = (chosen or {}).get("color") or "default"
        lanes.append(tag("div", head, *(_card(call, source, row, prop) for row in members[:50]), class_=f"lane l-{color}"))  # fmt: skip
    return tag("div", *lanes, class_="board")


def _card(call: Call, source: Node, row: Node, grouped: Json | None) -> Markup:
    lines: list[Markup] = []
    for prop in _columns(source):
        if prop["type"] in ("title", "created_time", "last_edited_time", "created_by", "last_edited_by") or prop is grouped:  # fmt: skip
            continue
        found = values.value_of(call, row, prop)
        if found not in (None, "", [], False, {}) and len(lines) < 4:
            lines.append(tag("div", value(call, prop, found), title=prop["name"]))
    name = tag("strong", icon(row.data.get("icon")), " ", title(row) or "Untitled")
    return tag("a", name, *lines, href=f"/__emu/ui/{row.id}", class_="card row")


def _chart(call: Call, source: Node, rows: Sequence[Node], prop: Json | None) -> Markup:
    """Return how many rows each option has, as bars."""
    if prop is None:
        return _table(call, source, rows)
    groups = [(chosen["name"] if chosen else "None", (chosen or {}).get("color") or "default", len(members)) for chosen, members in _grouped(call, rows, prop)]  # fmt: skip
    most = max((count for _, _, count in groups), default=1) or 1
    lines = [
        tag("g",
            tag("text", name, x=0, y=n * 34 + 20),
            tag("rect", class_=f"f-{color}", x=150, y=n * 34 + 6, width=round(count / most * 380, 1), height=20, rx=4),
            tag("text", str(count), x=158 + count / most * 380, y=n * 34 + 20))
        for n, (name, color, count) in enumerate(groups)
    ]  # fmt: skip
    return tag("svg", tag("title", f"Rows by {prop['name']}"), *lines, class_="chart", role="img", viewBox=f"0 0 580 {len(groups) * 34 + 8}", width=580, height=len(groups) * 34 + 8)  # fmt: skip
