"""Rich text and icons as HTML."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup

from notion_emulator.call import Call, title
from notion_emulator.errors import Json
from notion_emulator.ui.html import joined, tag

_BAR = re.compile(r"[▓█■]*[░▒□]+|[▓█■]{3,}[░▒□]*")
_SAFE_LINK = re.compile(r"(https?://|mailto:|tel:|/|#)", re.IGNORECASE)


def rich(call: Call, items: list[Json]) -> Markup:
    """Return rich text."""
    return joined(_item(call, item) for item in items)


def _item(call: Call, item: Json) -> Markup:
    notes = item.get("annotations") or {}
    match item["type"]:
        case "equation":
            shown = tag("code", item["equation"]["expression"], class_="math")
        case "mention":
            shown = _mention(call, item)
        case _:
            shown = words(item["text"]["content"])
            if notes.get("code"):
                shown = tag("code", shown)
    for flag, name in (("bold", "strong"), ("italic", "em"), ("strikethrough", "s"), ("underline", "u")):  # fmt: skip
        if notes.get(flag):
            shown = tag(name, shown)
    href = (item.get("text") or {}).get("link")
    if href:
        shown = link(href["url"], shown)
    color = color_class(notes.get("color"))
    return tag("span", shown, class_=color) if color else shown


def words(text: str) -> Markup:
    """Return text with its line breaks, and bars of block letters as bars."""
    made: list[Markup | str] = []
    for number, line in enumerate(text.split("\n")):
        if number:
            made.append(tag("br"))
        at = 0
        for match in _BAR.finditer(line):
            full = sum(letter in "▓█■" for letter in match[0])
            if len(match[0]) < 4:
                continue
            made += [line[at : match.start()], bar(full / len(match[0]), match[0])]
            at = match.end()
        made.append(line[at:])
    return joined(made)


def bar(part: float, said: str = "") -> Markup:
    """Return a bar that is filled in part."""
    wide = round(min(max(part, 0), 1) * 100, 1)
    return tag(
        "svg",
        tag("title", said) if said else None,
        tag("rect", class_="track", width=100, height=8, rx=4),
        tag("rect", class_="full", width=wide, height=8, rx=4) if wide else None,
        class_="bar",
        viewBox="0 0 100 8",
        width=100,
        height=8,
        role="img",
    )


def link(url: str, shown: Markup | str) -> Markup:
    """Return a link, or only its text if the address could do something else than be visited."""
    if not _SAFE_LINK.match(url):
        return tag("span", shown, title=url)
    return tag("a", shown, href=here(url), rel="noreferrer noopener")


def here(url: str) -> str:
    """Return the address of a page in this viewer for Notion's own."""
    match = re.match(r"https://(?:app\.notion\.com/p|www\.notion\.so)/(?:.*-)?([0-9a-f]{32})", url)
    return f"/__emu/ui/{match[1]}" if match else url


def color_class(color: str | None) -> str | None:
    """Return the class of a colour."""
    return f"c-{color}" if color and color != "default" else None


def _mention(call: Call, item: Json) -> Markup:
    mention = item["mention"]
    kind = mention["type"]
    value: Any = mention.get(kind) or {}
    if kind in ("page", "database", "data_source"):
        return reference(call, value.get("id", ""))
    if kind == "user":
        name = call.store.users.get(value.get("id", ""), {}).get("name")
        return tag("span", "@", name or item.get("plain_text", "").lstrip("@"), class_="mention")
    return tag("span", item.get("plain_text", ""), class_="mention")


def reference(call: Call, object_id: str) -> Markup:
    """Return a link to a page or table of this workspace."""
    node = call.store.nodes.get(object_id)
    if node is None:
        return tag("span", "a page that is not here", class_="mention gone")
    return tag("a", icon(node.data.get("icon"), "📄" if node.kind == "page" else "▦"), " ", title(node) or "Untitled", href=f"/__emu/ui/{object_id}", class_="reference")  # fmt: skip


def icon(given: Json | None, otherwise: str = "") -> Markup:
    """Return an icon; a picture from elsewhere is not loaded."""
    given = given or {}
    match given.get("type"):
        case "emoji":
            return tag("span", given["emoji"], class_="icon")
        case None:
            return tag("span", otherwise, class_="icon plain") if otherwise else Markup("")
        case kind:
            name = (given.get(kind) or {}).get("name") if isinstance(given.get(kind), dict) else None  # fmt: skip
            return tag("span", "●", class_="icon plain", title=name or kind)
