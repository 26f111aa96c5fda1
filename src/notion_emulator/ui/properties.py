"""Property values as HTML, and the fields in which a person changes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from markupsafe import Markup

from notion_emulator import present, values
from notion_emulator.call import Call
from notion_emulator.clock import parsed
from notion_emulator.errors import Json
from notion_emulator.richtext import plain
from notion_emulator.store import Node
from notion_emulator.ui.html import joined, tag
from notion_emulator.ui.rich import bar, link, reference, rich, words

SIGNS = {"title": "Aa", "rich_text": "≡", "number": "#", "select": "◉", "multi_select": "☰", "status": "◔", "date": "▤", "people": "◍", "files": "⎘", "checkbox": "☑", "url": "⌁", "email": "@", "phone_number": "✆", "formula": "Σ", "relation": "↗", "rollup": "⌕", "unique_id": "№"}  # fmt: skip
_CURRENCY = {"euro": "€", "dollar": "$", "pound": "£", "yen": "¥", "franc": "CHF "}
_EDITED = frozenset({"rich_text", "number", "select", "status", "checkbox", "date", "url", "email", "phone_number"})  # fmt: skip


def shown(call: Call, node: Node, prop: Json) -> Markup:
    """Return the value of a property of a page."""
    return value(call, prop, values.value_of(call, node, prop))


def value(call: Call, prop: Json, found: Any) -> Markup:  # noqa: C901 - one case per type
    """Return a value as it is answered under its type."""
    match prop["type"]:
        case "title" | "rich_text":
            return rich(call, found or [])
        case "number":
            return number(found, (prop.get("number") or {}).get("format", "number"))
        case "select" | "status":
            return option(found, dot=prop["type"] == "status") if found else Markup("")
        case "multi_select":
            return joined((option(o) for o in (found or [])), " ")
        case "date":
            return dates(found)
        case "created_time" | "last_edited_time":
            return moment(found)
        case "checkbox":
            return tag("span", "✓" if found else "", class_="box on" if found else "box")
        case "people":
            return joined((person(call, p["id"]) for p in found or []), " ")
        case "created_by" | "last_edited_by":
            return person(call, found["id"])
        case "relation":
            return joined((reference(call, r["id"]) for r in found or []), " ")
        case "url":
            return link(found, found.removeprefix("https://")) if found else Markup("")
        case "email":
            return link(f"mailto:{found}", found) if found else Markup("")
        case "files":
            return joined((tag("span", "⎘ ", f.get("name") or "file", class_="file") for f in found or []), " ")  # fmt: skip
        case "unique_id":
            prefix = (found or {}).get("prefix")
            return tag("code", f"{prefix}-" if prefix else "", str((found or {}).get("number") or ""))  # fmt: skip
        case "formula" | "rollup":
            return _computed(call, found or {})
        case _:
            return tag("span", "" if found in (None, {}) else str(found))


def number(found: Any, form: str = "number") -> Markup:
    """Return a number; a percentage with its bar."""
    if found is None:
        return Markup("")
    if form == "percent":
        return tag("span", f"{found * 100:g} % ", bar(found), class_="number percent")
    text = f"{found:,.2f}".rstrip("0").rstrip(".") if isinstance(found, float) else f"{found:,}"
    return tag("span", _CURRENCY.get(form, "") + text, class_="number")


def option(found: Json, *, dot: bool = False) -> Markup:
    """Return an option in its colour."""
    return tag("span", found["name"], class_=f"option o-{found.get('color') or 'default'}" + " status" * dot)  # fmt: skip


def dates(found: Json | None) -> Markup:
    """Return a date or a span of two."""
    if not found:
        return Markup("")
    ends = [moment(found[edge]) for edge in ("start", "end") if found.get(edge)]
    return joined(ends, " → ")


def moment(text: str) -> Markup:
    """Return a date, or a date and time, for people."""
    at: datetime = parsed(text)
    shown = f"{at.day} {at:%b %Y}" + ("" if len(text) == 10 else f" {at:%H:%M}")
    return tag("time", shown, datetime=text)


def person(call: Call, user_id: str) -> Markup:
    """Return a user by name, with the first letter as a picture."""
    name = call.store.users.get(user_id, {}).get("name") or "Somebody"
    return tag("span", tag("span", name[0], class_="face"), name, class_="person")


def _computed(call: Call, found: Json) -> Markup:
    kind = found.get("type", "")
    inner = found.get(kind)
    match kind:
        case "array":
            return joined((value(call, item, item.get(item["type"])) for item in inner or []), ", ")
        case "date":
            return dates(inner)
        case "boolean":
            return tag("span", "✓" if inner else "", class_="box on" if inner else "box")
        case "number":
            return number(inner)
        case "string":
            return words(inner or "")
        case _:
            return tag("span", "not computed here", class_="faint")


def table(call: Call, node: Node) -> Markup:
    """Return the properties of a page, as they stand at its top."""
    rows = [
        tag(
            "div",
            tag("dt", tag("span", SIGNS.get(p["type"], "·"), class_="sign"), p["name"]),
            tag("dd", shown(call, node, p) or tag("span", "Empty", class_="faint")),
        )
        for p in present.schema_of(call, node).values()
        if p["type"] != "title"
    ]
    return tag("dl", *rows, class_="properties") if rows else Markup("")


def fields(call: Call, node: Node) -> Markup:
    """Return the fields of what a person can change."""
    made = []
    for prop in present.schema_of(call, node).values():
        if prop["type"] == "title" or prop["type"] not in _EDITED:
            continue
        found = values.value_of(call, node, prop)
        made.append(tag("label", tag("span", prop["name"]), _field(prop, found)))
    return joined(made)


def _field(prop: Json, found: Any) -> Markup:
    name = f"p:{prop['id']}"
    match prop["type"]:
        case "select" | "status":
            chosen = (found or {}).get("name")
            names = ["", *(o["name"] for o in prop[prop["type"]]["options"])]
            options = [tag("option", n or "none", value=n, selected=n == (chosen or "")) for n in names]  # fmt: skip
            return tag("select", *options, name=name)
        case "checkbox":
            return tag("select", tag("option", "no", value="", selected=not found), tag("option", "yes", value="yes", selected=bool(found)), name=name)  # fmt: skip
        case "date":
            return tag("input", name=name, value=(found or {}).get("start") or "", placeholder="2026-07-04")  # fmt: skip
        case "rich_text":
            return tag("input", name=name, value=plain(found or []))
        case _:
            return tag("input", name=name, value="" if found is None else str(found))
