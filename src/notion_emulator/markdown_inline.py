"""Markdown inside a line: text to rich text."""

from __future__ import annotations

import re
from typing import Any

from notion_emulator.errors import Json
from notion_emulator.ids import dashed
from notion_emulator.richtext import FLAGS, text_items

_PLAIN: Json = dict.fromkeys(FLAGS, False) | {"color": "default"}
_DATE = re.compile(r'<mention-date((?: [\w-]+="[^"]*")*)\s*/>')
_MENTION = re.compile(r'<mention-(user|page|database|data-source) url="([^"]*)"\s*(?:/>|>(.*?)</mention-\1>)')  # fmt: skip
_SPAN = re.compile(r"<span((?: \w+=\"[^\"]*\")+)>")
_MARKS = (("**", "bold"), ("~~", "strikethrough"), ("*", "italic"))


def items_of(text: str) -> list[Json]:
    """Return the rich text of one line."""
    found: list[Json] = []
    _read(text, _PLAIN, None, found)
    return _joined(found)


def _joined(items: list[Json]) -> list[Json]:
    out: list[Json] = []
    for item in items:
        last = out[-1] if out else None
        if last and item["type"] == last["type"] == "text" and item["annotations"] == last["annotations"] and item["href"] == last["href"]:  # fmt: skip
            content = last["plain_text"] + item["plain_text"]
            out.pop()
            out += _texts(content, item["annotations"], item["href"])
        else:
            out.append(item)
    return out


def _texts(content: str, notes: Json, link: str | None) -> list[Json]:
    made = text_items(content)
    for item in made:
        item["annotations"] = dict(notes)
        item["text"]["link"] = {"url": link} if link else None
        item["href"] = link
    return made


def _read(text: str, notes: Json, link: str | None, out: list[Json]) -> None:
    at, plain = 0, ""
    while at < len(text):
        step = _special(text, at, notes, link)
        if step is None:
            plain += text[at]
            at += 1
            continue
        at, piece = step
        if isinstance(piece, str):
            plain += piece
            continue
        out += _texts(plain, notes, link)
        plain = ""
        out += piece
    out += _texts(plain, notes, link)


Step = tuple[int, Any]


def _special(text: str, at: int, notes: Json, link: str | None) -> Step | None:
    letter = text[at]
    if letter == "\\" and at + 1 < len(text):
        return at + 2, text[at + 1]
    if letter == "<":
        return _tag(text, at, notes, link)
    if letter == "`":
        end = text.find("`", at + 1)
        if end > at + 1:
            code = text[at + 1 : end].replace("<br>", "\n")
            return end + 1, _texts(code, notes | {"code": True}, link)
    if text.startswith("$`", at) and (end := text.find("`$", at + 2)) > 0:
        return end + 2, [_equation(text[at + 2 : end], notes)]
    if letter == "[":
        return _link(text, at, notes)
    return _mark(text, at, notes, link)


def _equation(expression: str, notes: Json) -> Json:
    return {"type": "equation", "equation": {"expression": expression}, "annotations": dict(notes), "plain_text": expression, "href": None}  # fmt: skip


def _closing(text: str, mark: str, start: int) -> int:
    at = start
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == "`" and (end := text.find("`", at + 1)) > 0:
            at = end + 1
            continue
        if text.startswith(mark, at):
            alone = mark != "*" or not text.startswith("**", at)
            if alone:
                return at
            at += 2
            continue
        at += 1
    return -1


def _mark(text: str, at: int, notes: Json, link: str | None) -> Step | None:
    for mark, flag in _MARKS:
        if not text.startswith(mark, at) or notes[flag]:
            continue
        end = _closing(text, mark, at + len(mark))
        while mark == "**" and text.startswith("***", end) and end > 0:
            end += 1
        if end > at + len(mark):
            out: list[Json] = []
            _read(text[at + len(mark) : end], notes | {flag: True}, link, out)
            return end + len(mark), out
    return None


def _link(text: str, at: int, notes: Json) -> Step | None:
    end = _closing(text, "](", at + 1)
    close = text.find(")", end + 2) if end > 0 else -1
    if close < 0:
        return None
    out: list[Json] = []
    _read(text[at + 1 : end], notes, text[end + 2 : close], out)
    return close + 1, out


def _tag(text: str, at: int, notes: Json, link: str | None) -> Step | None:
    if text.startswith("<br>", at):
        return at + 4, "\n"
    if match := _DATE.match(text, at):
        given = dict(re.findall(r'([\w-]+)="([^"]*)"', match[1]))
        date = {"start": given.get("start"), "end": given.get("end"), "time_zone": None}
        shown = " → ".join(v for v in (date["start"], date["end"]) if v)
        return match.end(), [_mention("date", date, notes, shown, None)]
    if match := _MENTION.match(text, at):
        kind = match[1].replace("-", "_")
        target = dashed(match[2].rsplit("/", 1)[-1][-36:]) or dashed(match[2][-32:]) or ""
        value: Json = {"object": "user", "id": target} if kind == "user" else {"id": target}
        shown = re.sub(r"\\(.)", r"\1", match[3] or "")
        return match.end(), [_mention(kind, value, notes, shown, None if kind == "user" else match[2])]  # fmt: skip
    if match := _SPAN.match(text, at):
        return _span(text, match, notes, link)
    return None


def _mention(kind: str, value: Json, notes: Json, shown: str, href: str | None) -> Json:
    return {"type": "mention", "mention": {"type": kind, kind: value}, "annotations": dict(notes), "plain_text": shown, "href": href}  # fmt: skip


def _span(text: str, match: re.Match[str], notes: Json, link: str | None) -> Step | None:
    depth, at = 1, match.end()
    while depth and (inner := re.compile(r"<span[ >]|</span>").search(text, at)):
        depth += 1 if inner[0] != "</span>" else -1
        at = inner.end()
    if depth:
        return None
    given = dict(re.findall(r'(\w+)="([^"]*)"', match[1]))
    changed = dict(notes)
    if given.get("underline") == "true":
        changed["underline"] = True
    if "color" in given:
        changed["color"] = given["color"].replace("_bg", "_background")
    out: list[Json] = []
    _read(text[match.end() : at - len("</span>")], changed, link, out)
    return at, out
