"""Markdown as the API reads it (v1): text to blocks."""

from __future__ import annotations

import re

from notion_emulator.blocks import LANGUAGES, Draft
from notion_emulator.errors import Json
from notion_emulator.markdown_inline import items_of

_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_TRAILER = re.compile(r'\s*\{((?:\s*[\w-]+="[^"]*")+)\s*\}$')
_MEDIA = re.compile(r'<(video|pdf|file|audio) src="([^"]*)"[^>]*>(.*)</\1>$')
_IMAGE = re.compile(r"!\[((?:[^\]\\]|\\.)*)\]\(([^)]*)\)$")
_LIST = re.compile(r"(- \[([ xX])\] |[-*+] |\d+[.)] )(.*)$")
_TAG = re.compile(r"<(details|callout|columns|column|table|synced_block|tabs)(\s[^>]*)?>(.*)$")


def parse(text: str) -> list[Draft]:
    """Return the blocks of a text."""
    return _Lines(text.replace("\r\n", "\n").split("\n")).blocks(0)


def plain_payload(text: str) -> Json:
    """Return a payload of rich text in no colour."""
    return {"rich_text": items_of(text), "color": "default"}


class _Lines:
    def __init__(self, lines: list[str]) -> None:
        self.lines, self.at = lines, 0

    def blocks(self, depth: int, stop: str | None = None) -> list[Draft]:
        made: list[Draft] = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if not line.strip():
                self.at += 1
                continue
            tabs = len(line) - len(line.lstrip("\t"))
            if tabs < depth or (stop is not None and line.strip() == stop):
                break
            made.append(self.block(depth if tabs <= depth else tabs))
        return made

    def block(self, depth: int) -> Draft:
        line = self.lines[self.at].strip()
        self.at += 1
        if line.startswith("```"):
            return self.fence(line[3:].strip(), depth)
        if match := _TAG.match(line):
            return self.tagged(match[1], dict(_ATTRIBUTE.findall(match[2] or "")), match[3], depth)
        draft = _leaf(line)
        if draft.type in _NESTS:
            children = self.blocks(depth + 1)
            return Draft(draft.type, draft.payload, tuple(children))
        return draft

    def fence(self, language: str, depth: int) -> Draft:
        found = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            self.at += 1
            line = line[min(depth, len(line) - len(line.lstrip("\t"))) :]
            if line.rstrip() == "```":
                break
            found.append(line)
        from notion_emulator.richtext import text_items

        known = language if language in LANGUAGES else "plain text"
        body: Json = {"caption": [], "rich_text": text_items("\n".join(found)), "language": known}
        return Draft("code", body)

    def tagged(self, tag: str, attributes: dict[str, str], rest: str, depth: int) -> Draft:
        if tag == "table":
            return self.table(attributes, rest)
        title = ""
        if tag == "details" and self.at < len(self.lines):
            match = re.match(r"<summary>(.*)</summary>$", self.lines[self.at].strip())
            if match:
                title = match[1]
                self.at += 1
        if tag == "callout" and self.at < len(self.lines) and self.lines[self.at].strip() != "</callout>":  # fmt: skip
            title = self.lines[self.at].strip()
            self.at += 1
        children = self.blocks(depth + 1, f"</{tag}>")
        if self.at < len(self.lines) and self.lines[self.at].strip() == f"</{tag}>":
            self.at += 1
        kind = {"details": "toggle", "columns": "column_list", "tabs": "tab"}.get(tag, tag)
        return Draft(kind, _tag_payload(kind, title, attributes), tuple(children))

    def table(self, attributes: dict[str, str], rest: str) -> Draft:
        text = rest
        while "</table>" not in text and self.at < len(self.lines):
            text += self.lines[self.at].strip()
            self.at += 1
        rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr[^>]*>(.*?)</tr>", text)]  # fmt: skip
        width = max((len(r) for r in rows), default=1)
        cells = [[items_of(c) for c in row + [""] * (width - len(row))] for row in rows]
        payload: Json = {
            "table_width": width,
            "has_column_header": attributes.get("header-row") == "true",
            "has_row_header": attributes.get("header-column") == "true",
        }
        return Draft("table", payload, tuple(Draft("table_row", {"cells": c}) for c in cells))


_NESTS = frozenset({"paragraph", "bulleted_list_item", "numbered_list_item", "to_do", "quote", "heading_1", "heading_2", "heading_3", "heading_4"})  # fmt: skip


def _color(attributes: dict[str, str]) -> str:
    return attributes.get("color", "default").replace("_bg", "_background")


def _tag_payload(kind: str, title: str, attributes: dict[str, str]) -> Json:
    if kind == "toggle":
        return plain_payload(title) | {"color": _color(attributes)}
    if kind == "callout":
        icon = {"type": "emoji", "emoji": attributes["icon"]} if "icon" in attributes else None
        return plain_payload(title) | {"color": _color(attributes), "icon": icon}
    return {"synced_from": None} if kind == "synced_block" else {}


def _leaf(line: str) -> Draft:
    attributes: dict[str, str] = {}
    if match := _TRAILER.search(line):
        attributes = dict(_ATTRIBUTE.findall(match[1]))
        line = line[: match.start()]
    if draft := _lone(line):
        return draft
    if match := re.match(r"(#{1,6}) (.*)$", line):
        kind = f"heading_{min(len(match[1]), 4)}"
        toggle = attributes.get("toggle") == "true"
        return Draft(kind, plain_payload(match[2]) | {"color": _color(attributes), "is_toggleable": toggle})  # fmt: skip
    if match := _LIST.match(line):
        return _list_item(match, attributes)
    if line.startswith("> "):
        return Draft("quote", plain_payload(line[2:]) | {"color": _color(attributes)})
    return Draft("paragraph", plain_payload(line) | {"color": _color(attributes), "icon": None})


def _list_item(match: re.Match[str], attributes: dict[str, str]) -> Draft:
    payload = plain_payload(match[3]) | {"color": _color(attributes)}
    if match[2] is not None:
        return Draft("to_do", payload | {"checked": match[2] in "xX"})
    return Draft("numbered_list_item" if match[1][0].isdigit() else "bulleted_list_item", payload)


def _lone(line: str) -> Draft | None:
    if re.fullmatch(r"-{3,}|\*{3,}", line):
        return Draft("divider", {})
    if line == "<empty-block/>":
        return Draft("paragraph", {"rich_text": [], "color": "default", "icon": None})
    if line == "<table_of_contents/>":
        return Draft("table_of_contents", {"color": "gray"})
    if match := re.fullmatch(r"\$\$(.*)\$\$", line):
        return Draft("equation", {"expression": match[1]})
    if match := _IMAGE.match(line):
        return Draft("image", {"caption": items_of(match[1]), "type": "external", "external": {"url": match[2]}})  # fmt: skip
    if match := _MEDIA.match(line):
        named = {"name": match[2].rsplit("/", 1)[-1]} if match[1] == "file" else {}
        return Draft(match[1], {"caption": items_of(match[3]), "type": "external", "external": {"url": match[2]}} | named)  # fmt: skip
    return None
