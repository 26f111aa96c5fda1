"""Markdown inside a line: text to rich text.

Marks are read as switches, not as brackets: a run of stars says which of bold and italic change,
whatever is open around it. That reads everything that nests, and what overlaps as well. A mark
that is never closed is text.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field, replace
from typing import Any

from notion_emulator.errors import Json
from notion_emulator.ids import dashed
from notion_emulator.richtext import FLAGS, text_items

_PLAIN: Json = dict.fromkeys(FLAGS, False) | {"color": "default"}
_TOKEN = re.compile(
    r"""\\(?P<escape>[!-/:-@\[-`{-~])
    |(?P<br><br\s*/?>)
    |<mention-date(?P<date>(?:\s[\w-]+="[^"]*")*)\s*/>
    |<mention-(?P<kind>user|page|database|data-source|agent)\ url="(?P<url>[^"]*)"\s*(?:/>|>(?P<name>.*?)</mention-(?P=kind)>)
    |<span(?P<span>(?:\s\w+="[^"]*")+)>
    |(?P<end></span>)
    |\$`(?P<math>.+?)`\$
    |(?<![^\s(])\$(?P<short>[^\s$`](?:[^$]*[^\s$\\])?)\$(?![\w$])
    |(?P<ticks>`+)
    |(?P<stars>\*+|~~)
    |(?P<open>\[)
    |\]\((?P<to>(?:[^()\\]|\\.|\([^()\\]*\))*)\)""",
    re.VERBOSE,
)
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')


@dataclass(frozen=True)
class _Token:
    kind: str
    raw: str
    value: Any = None
    around: str = "  "  # the letters before and after


@dataclass
class _State:
    """What is switched on."""

    bold: bool = False
    italic: bool = False
    strikethrough: bool = False
    spans: list[Json] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    def notes(self) -> Json:
        found = dict(_PLAIN)
        for given in self.spans:
            found |= given
        return found | {"bold": self.bold, "italic": self.italic, "strikethrough": self.strikethrough}  # fmt: skip


def items_of(text: str) -> list[Json]:
    """Return the rich text of one line."""
    tokens = _paired(_tokens(text))
    while True:
        found, unclosed = _read(tokens)
        if unclosed is None:
            return _joined(found)
        tokens[unclosed] = replace(tokens[unclosed], kind="text", value=tokens[unclosed].raw)


def _tokens(text: str) -> list[_Token]:
    made: list[_Token] = []
    at = 0
    while match := _TOKEN.search(text, at):
        if match.start() > at:
            made.append(_Token("text", "", text[at : match.start()]))
        token, at = _token(text, match)
        made.append(token)
    if at < len(text):
        made.append(_Token("text", "", text[at:]))
    return made


def _token(text: str, match: re.Match[str]) -> tuple[_Token, int]:
    raw, end = match[0], match.end()
    match match.lastgroup:
        case "escape":
            return _Token("text", raw, match["escape"]), end
        case "br":
            return _Token("text", raw, "\n"), end
        case "date":
            return _Token("item", raw, _date(match["date"])), end
        case "url" | "name":
            return _Token("item", raw, _named(match)), end
        case "span":
            return _Token("span", raw, _span_notes(match["span"])), end
        case "math" | "short":
            return _Token("item", raw, _equation(match["math"] or match["short"])), end
        case "ticks":
            return _code(text, match)
        case "stars":
            before = text[match.start() - 1] if match.start() else " "
            return _Token("stars", raw, len(raw), before + (text[end : end + 1] or " ")), end
        case "to":
            return _Token("close", raw, re.sub(r"\\(.)", r"\1", match["to"])), end
        case kind:
            return _Token(str(kind), raw), end


def _code(text: str, match: re.Match[str]) -> tuple[_Token, int]:
    fence = match[0]
    close = re.compile(rf"(?<!`){fence}(?!`)").search(text, match.end())
    if close is None or close.start() == match.end():
        return _Token("text", fence, fence), match.end()
    content = text[match.end() : close.start()]
    if content.strip(" ") and content[0] + content[-1] == "  ":
        content = content[1:-1]
    return _Token("code", text[match.start() : close.end()], content.replace("<br>", "\n")), close.end()  # fmt: skip


def _equation(expression: str) -> Json:
    return {"type": "equation", "equation": {"expression": expression}, "plain_text": expression, "href": None}  # fmt: skip


def _date(given: str) -> Json:
    found = {k: html.unescape(v) for k, v in _ATTRIBUTE.findall(given)}
    value: Json = {"start": None, "end": None, "time_zone": found.get("timeZone")}
    for edge in ("start", "end"):
        day, time = found.get(edge), found.get(f"{edge}Time")
        value[edge] = f"{day}T{time}:00.000+00:00" if day and time else day
    shown = " → ".join(v for v in (value["start"], value["end"]) if v)
    return {"type": "mention", "mention": {"type": "date", "date": value}, "plain_text": shown, "href": None}  # fmt: skip


def _named(match: re.Match[str]) -> Json:
    kind = match["kind"].replace("-", "_")
    url = html.unescape(match["url"])
    target = page_id(url)
    value: Json = {"object": "user", "id": target} if kind == "user" else {"id": target}
    shown = "".join(i["plain_text"] for i in items_of(match["name"] or ""))
    return {"type": "mention", "mention": {"type": kind, kind: value}, "plain_text": shown, "href": None if kind == "user" else url}  # fmt: skip


def page_id(url: str) -> str:
    """Return the id at the end of an address, or nothing."""
    tail = url.split("?")[0]
    return dashed(tail[-36:]) or dashed(tail[-32:]) or ""


def _span_notes(given: str) -> Json:
    found = dict(_ATTRIBUTE.findall(given))
    notes: Json = {}
    if found.get("underline") == "true":
        notes["underline"] = True
    if "color" in found:
        notes["color"] = found["color"].replace("_bg", "_background")
    return notes


def _paired(tokens: list[_Token]) -> list[_Token]:
    """Make text of the spans and links that are not closed, or not opened."""
    spans: list[int] = []
    links: list[int] = []
    lone: set[int] = set()
    for place, token in enumerate(tokens):
        match token.kind:
            case "span":
                spans.append(place)
            case "open":
                links.append(place)
            case "end" if spans:
                spans.pop()
            case "close" if links:
                start = links.pop()
                tokens[start] = replace(tokens[start], kind="link", value=token.value)
                lone |= set(links)  # a link holds no link
                links.clear()
            case "end" | "close":
                lone.add(place)
            case _:
                pass
    for place in lone | set(spans) | set(links):
        tokens[place] = replace(tokens[place], kind="text", value=tokens[place].raw)
    return tokens


def _switches(token: _Token, state: _State) -> tuple[str, ...]:
    """Return what a run of marks changes; nothing if it is text."""
    if token.raw == "~~":
        return ("strikethrough",)
    match token.value:
        case 1:
            return ("italic",)
        case 2:
            return ("bold",)
        case 3:
            return ("bold", "italic")
        case 4 if state.italic:  # an italic closed and opened again around a bold
            return ("bold",)
        case 5 if state.bold:
            return ("italic",)
        case _:
            return ()


def _read(tokens: list[_Token]) -> tuple[list[Json], int | None]:
    """Return the items, or the place of a mark that is never closed."""
    state, out = _State(), list[Json]()
    opened: dict[str, int] = {}
    for place, token in enumerate(tokens):
        if token.kind != "stars":
            out += _shown(token, state)
            continue
        flags = () if token.around.isspace() else _switches(token, state)
        if not flags:
            out += _texts(token.raw, state.notes(), state.links)
        for flag in flags:
            setattr(state, flag, not getattr(state, flag))
            opened[flag] = place
    left = [opened[flag] for flag in opened if getattr(state, flag)]
    return out, max(left, default=None)


def _shown(token: _Token, state: _State) -> list[Json]:
    """Return what a token says; those that open and close change the state."""
    match token.kind:
        case "text":
            return _texts(token.value, state.notes(), state.links)
        case "code":
            return _texts(token.value, state.notes() | {"code": True}, state.links)
        case "item":
            return [token.value | {"annotations": state.notes()}]
        case "span":
            state.spans.append(token.value)
        case "end":
            state.spans.pop()
        case "link":
            state.links.append(token.value)
        case _:
            state.links.pop()
    return []


def _texts(content: str, notes: Json, links: list[str]) -> list[Json]:
    made = text_items(content)
    link = links[-1] if links else None
    for item in made:
        item["annotations"] = dict(notes)
        item["text"]["link"] = {"url": link} if link else None
        item["href"] = link
    return made


def _joined(items: list[Json]) -> list[Json]:
    out: list[Json] = []
    for item in items:
        last = out[-1] if out else None
        if last and item["type"] == last["type"] == "text" and item["annotations"] == last["annotations"] and item["href"] == last["href"]:  # fmt: skip
            content = last["plain_text"] + item["plain_text"]
            out.pop()
            out += _texts(content, item["annotations"], [item["href"]] if item["href"] else [])
        else:
            out.append(item)
    return out
