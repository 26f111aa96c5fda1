"""Markdown as the API reads it (v1): text to blocks.

What stands for a thing that exists (a child page, a database, a block that markdown cannot show)
becomes a draft with its ``id`` in the payload, for whoever applies the text to keep it.
"""

from __future__ import annotations

import html
import re

from notion_emulator.blocks import LANGUAGES, Draft
from notion_emulator.errors import Json
from notion_emulator.markdown_inline import items_of, page_id
from notion_emulator.richtext import text_items

KEPT = frozenset({"child_page", "child_database", "unknown"})
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_TRAILER = re.compile(r'(?<!\\)\{((?:\s*[\w-]+="[^"]*")+)\s*\}$')
_MEDIA = re.compile(r'<(video|pdf|file|audio) src="([^"]*)"[^>]*>(.*)</\1>$')
_IMAGE = re.compile(r"!\[(.*)\]\(((?:[^()\\]|\\.)*)\)$")
_LIST = re.compile(r"(- \[([ xX])\]|[-*+]|(\d+)[.)])(?: (.*))?$")
_HEADING = re.compile(r"(#{1,6})(?: (.*))?$")
_TAG = re.compile(r"<(details|callout|columns|column|table|synced_block|synced_block_reference|tabs)((?:\s[^>]*)?)>(.*)$")  # fmt: skip
_ENDING = re.compile(r"</(details|callout|columns|column|table|synced_block|synced_block_reference|tabs|summary)>$")  # fmt: skip
_OBJECT = re.compile(r"<(page|database)((?:\s[^>]*)?)>(.*)</\1>$")
_ALONE = re.compile(r"<(unknown|mention-page|mention-database|table_of_contents|empty-block)((?:\s[\w-]+=\"[^\"]*\")*)\s*/>$")  # fmt: skip


def parse(text: str) -> list[Draft]:
    """Return the blocks of a text."""
    return _Lines(text.replace("\r\n", "\n").split("\n")).blocks(0)


def plain_payload(text: str) -> Json:
    """Return a payload of rich text in no colour."""
    return {"rich_text": items_of(text.strip(" \t")), "color": "default"}


def attributes_of(text: str) -> dict[str, str]:
    """Return the attributes of a tag or trailer."""
    return {k: html.unescape(v) for k, v in _ATTRIBUTE.findall(text)}


class _Lines:
    def __init__(self, lines: list[str]) -> None:
        self.lines, self.at = lines, 0

    def blocks(self, depth: int, stop: str | None = None) -> list[Draft]:
        made: list[Draft] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            bare = line.strip(" \t")
            tabs = _tabs(line)
            if bare and (tabs < depth or bare == stop):
                break
            if not bare or _ENDING.fullmatch(bare):
                self.at += 1
                continue
            made.append(_continued(self.block(tabs), made))
        return made

    def block(self, depth: int) -> Draft:
        line = self.lines[self.at].strip(" \t")
        self.at += 1
        if match := re.match(r"(`{3,})([^`]*)$", line):
            return self.fence(match[1], match[2].strip(), depth)
        if line == "$$":
            return Draft("equation", {"expression": "\n".join(self.literal("$$", depth))})
        if match := _TAG.match(line):
            return self.tagged(match[1], attributes_of(match[2]), match[3], depth)
        draft = leaf(line)
        if draft.type not in _NESTS:
            return draft
        children = tuple(self.blocks(depth + 1))
        if children and draft.type.startswith("heading"):
            return Draft(draft.type, draft.payload | {"is_toggleable": True}, children)
        return Draft(draft.type, draft.payload, children)

    def literal(self, end: str, depth: int) -> list[str]:
        """Take the lines up to an end, without their indentation."""
        found: list[str] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            line = line[min(depth, _tabs(line)) :]
            if line.rstrip() == end:
                break
            found.append(line)
        return found

    def fence(self, fence: str, language: str, depth: int) -> Draft:
        known = language if language in LANGUAGES else "plain text"
        text = "\n".join(self.literal(fence, depth))
        return Draft("code", {"caption": [], "rich_text": text_items(text), "language": known})

    def tagged(self, tag: str, attributes: dict[str, str], rest: str, depth: int) -> Draft:
        if tag == "table":
            return self.table(attributes, rest)
        payload = _tag_payload(tag, attributes)
        end = f"</{tag}>"
        if tag == "details" and (match := re.match(r"<summary>(.*)</summary>$", self.peek())):
            payload |= plain_payload(match[1]) | {"color": payload["color"]}
            self.at += 1
        if rest.endswith(end):  # on one line
            rest, self.at = rest.removesuffix(end), self.at - 1
            self.lines[self.at] = "\t" * depth + end
            self.lines.insert(self.at, "\t" * (depth + 1) + rest)
        inside = depth + 1 if self.tabs_ahead() > depth else depth
        children = self.blocks(inside, end)
        if self.peek() == end:
            self.at += 1
        if tag == "callout" and children and _is_title(children[0]):
            first, *children = children
            payload |= {"rich_text": first.payload["rich_text"]}
            children = [*first.children, *children]
        kind = _KINDS.get(tag, tag)
        if tag == "synced_block_reference":
            children = []
        return Draft(kind, payload, tuple(children))

    def peek(self) -> str:
        return self.lines[self.at].strip(" \t") if self.at < len(self.lines) else ""

    def tabs_ahead(self) -> int:
        return next((_tabs(line) for line in self.lines[self.at :] if line.strip(" \t")), 0)

    def table(self, attributes: dict[str, str], rest: str) -> Draft:
        text = rest
        while "</table>" not in text and self.at < len(self.lines):
            text += self.lines[self.at].strip(" \t")
            self.at += 1
        rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr[^>]*>(.*?)</tr>", text)]  # fmt: skip
        width = max((len(r) for r in rows), default=1)
        cells = [[items_of(c.strip(" \t")) for c in row + [""] * (width - len(row))] for row in rows]  # fmt: skip
        payload: Json = {
            "table_width": width,
            "has_column_header": attributes.get("header-row") == "true",
            "has_row_header": attributes.get("header-column") == "true",
        }
        return Draft("table", payload, tuple(Draft("table_row", {"cells": c}) for c in cells))


_NESTS = frozenset({"paragraph", "bulleted_list_item", "numbered_list_item", "to_do", "quote", "heading_1", "heading_2", "heading_3", "heading_4"})  # fmt: skip
_KINDS = {"details": "toggle", "columns": "column_list", "tabs": "tab", "synced_block_reference": "synced_block"}  # fmt: skip


def _tabs(line: str) -> int:
    return len(line) - len(line.lstrip("\t"))


def _is_title(draft: Draft) -> bool:
    return draft.type == "paragraph" and draft.payload["color"] == "default"


def _continued(draft: Draft, before: list[Draft]) -> Draft:
    """Keep the number of a list item only where a list begins with another than 1."""
    start = draft.payload.get("list_start_index")
    if draft.type != "numbered_list_item" or start is None:
        return draft
    if start != 1 and not (before and before[-1].type == draft.type):
        return draft
    payload = {k: v for k, v in draft.payload.items() if k != "list_start_index"}
    return Draft(draft.type, payload, draft.children)


def _color(attributes: dict[str, str]) -> str:
    return attributes.get("color", "default").replace("_bg", "_background")


def _tag_payload(tag: str, attributes: dict[str, str]) -> Json:
    if tag == "details":
        return {"rich_text": [], "color": _color(attributes)}
    if tag == "callout":
        icon = {"type": "emoji", "emoji": attributes["icon"]} if attributes.get("icon") else None
        return {"rich_text": [], "color": _color(attributes), "icon": icon}
    if tag == "synced_block_reference":
        origin = page_id(attributes.get("url", ""))
        return {"synced_from": {"type": "block_id", "block_id": origin}}
    return {"synced_from": None} if tag == "synced_block" else {}


def leaf(line: str) -> Draft:
    """Return the block of one line."""
    attributes: dict[str, str] = {}
    if match := _TRAILER.search(line):
        attributes = attributes_of(match[1])
        line = line[: match.start()].rstrip(" \t")
    if draft := _lone(line, attributes):
        return draft
    if match := _HEADING.match(line):
        toggle = attributes.get("toggle") == "true"
        payload = plain_payload(match[2] or "") | {"color": _color(attributes)}
        return Draft(f"heading_{min(len(match[1]), 4)}", payload | {"is_toggleable": toggle})
    if match := _LIST.match(line):
        return _list_item(match, attributes)
    if match := re.match(r">(?: (.*))?$", line):
        return Draft("quote", plain_payload(match[1] or "") | {"color": _color(attributes)})
    return _paragraph(line, attributes)


def _paragraph(line: str, attributes: dict[str, str]) -> Draft:
    return Draft("paragraph", plain_payload(line) | {"color": _color(attributes), "icon": None})


def _list_item(match: re.Match[str], attributes: dict[str, str]) -> Draft:
    payload = plain_payload(match[4] or "") | {"color": _color(attributes)}
    if match[2] is not None:
        return Draft("to_do", payload | {"checked": match[2] in "xX"})
    if match[3] is not None:
        return Draft("numbered_list_item", payload | {"list_start_index": int(match[3])})
    return Draft("bulleted_list_item", payload)


def _lone(line: str, attributes: dict[str, str]) -> Draft | None:
    if re.fullmatch(r"-{3,}|\*{3,}", line):
        return Draft("divider", {})
    if match := re.fullmatch(r"\$\$(.+)\$\$", line):
        return Draft("equation", {"expression": match[1]})
    if match := _IMAGE.match(line):
        url = re.sub(r"\\(.)", r"\1", match[2])
        return Draft("image", {"caption": items_of(match[1]), "type": "external", "external": {"url": url}})  # fmt: skip
    if match := _MEDIA.match(line):
        url = html.unescape(match[2])
        named = {"name": url.rsplit("/", 1)[-1].split("?")[0]} if match[1] == "file" else {}
        return Draft(match[1], {"caption": items_of(match[3]), "type": "external", "external": {"url": url}} | named)  # fmt: skip
    if match := _OBJECT.match(line):
        given = attributes_of(match[2])
        title = "".join(i["plain_text"] for i in items_of(match[3]))
        return Draft(f"child_{match[1]}", {"id": page_id(given.get("url", "")), "title": title})
    if match := _ALONE.match(line):
        return _by_itself(match[1], attributes_of(match[2]), attributes)
    return None


def _by_itself(tag: str, given: dict[str, str], attributes: dict[str, str]) -> Draft:
    match tag:
        case "empty-block":
            return _paragraph("", attributes)
        case "table_of_contents":
            return Draft("table_of_contents", {"color": _color(given) if "color" in given else "gray"})  # fmt: skip
        case "unknown":
            return Draft("unknown", {"id": page_id(given.get("url", "")), "alt": given.get("alt", "")})  # fmt: skip
        case _:
            key = f"{tag.removeprefix('mention-')}_id"
            return Draft("link_to_page", {"type": key, key: page_id(given.get("url", ""))})
