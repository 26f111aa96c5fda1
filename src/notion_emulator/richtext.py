"""Rich text: what may be sent, and how it is answered."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from notion_emulator.errors import Json, invalid_body
from notion_emulator.ids import dashed

COLORS = frozenset(
    name + suffix
    for name in ("default", "gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red")
    for suffix in ("", "_background")
)  # fmt: skip
FLAGS = ("bold", "italic", "strikethrough", "underline", "code")
TitleOf = Callable[[str], str]
in_utf16: ContextVar[bool] = ContextVar("in_utf16", default=True)


def units(text: str) -> int:
    """Return the length in UTF-16 code units, or in letters if the workspace counts so.

    >>> units("a😀")
    3
    """
    return (
        len(text)
        if text.isascii() or not in_utf16.get()
        else len(text.encode("utf-16-le", "surrogatepass")) // 2
    )


def completed(items: Any, path: str, title_of: TitleOf = lambda _: "Untitled") -> list[Json]:
    """Return rich text with everything an answer holds.

    Raises
        ApiError: a limit is passed or an item is no rich text.
    """
    if not isinstance(items, list):
        raise invalid_body(path, "an array", items)
    if len(items) > 100:
        raise invalid_body(f"{path}.length", "≤ `100`", len(items))
    done = [_item(item, f"{path}[{n}]", title_of) for n, item in enumerate(items)]
    return _merged([item for item in done if item["plain_text"] or item["type"] != "text"])


def _merged(items: list[Json]) -> list[Json]:
    """Join texts that stand side by side in the same form, as Notion stores them."""
    made: list[Json] = []
    for item in items:
        last = made[-1] if made else None
        if last is not None and _same_form(last, item):
            content = last["plain_text"] + item["plain_text"]
            text = {"content": content, "link": last["text"]["link"]}
            made[-1] = last | {"text": text, "plain_text": content}
        else:
            made.append(item)
    return made


def _same_form(left: Json, right: Json) -> bool:
    return left["type"] == right["type"] == "text" and all(left[k] == right[k] for k in ("annotations", "href"))  # fmt: skip


def plain(items: list[Json]) -> str:
    """Return the text without its form."""
    return "".join(item.get("plain_text", "") for item in items)


def text_items(content: str) -> list[Json]:
    """Return a plain text as answered rich text, in pieces of at most 2,000 code units."""
    if units(content) <= 2000:
        return [_text({"text": {"content": content}}, "text")] if content else []
    pieces, piece, size = [], "", 0
    for letter in content:
        size += units(letter)
        if size > 2000:
            pieces.append(piece)
            piece, size = "", units(letter)
        piece += letter
    pieces.append(piece)
    return [_text({"text": {"content": p}}, "text") for p in pieces if p]


def whole_annotations(given: Any, path: str) -> Json:
    """Return all six annotations.

    Raises
        ApiError: a colour nobody knows.
    """
    given = given or {}
    color = given.get("color") or "default"
    if color not in COLORS:
        raise invalid_body(f"{path}.annotations.color", "a known color", color)
    return {flag: bool(given.get(flag)) for flag in FLAGS} | {"color": color}


def _item(item: Any, path: str, title_of: TitleOf) -> Json:
    if not isinstance(item, dict):
        raise invalid_body(path, "an object", item)
    kind = item.get("type") or next((k for k in ("text", "mention", "equation") if k in item), None)
    match kind:
        case "text":
            return _text(item, path)
        case "equation":
            return _equation(item, path)
        case "mention":
            return _mention(item, path, title_of)
        case _:
            raise invalid_body(f"{path}.text", "defined", None)


def _text(item: Json, path: str) -> Json:
    given = item.get("text")
    if not isinstance(given, dict) or not isinstance(given.get("content"), str):
        content = given.get("content") if isinstance(given, dict) else None
        raise invalid_body(f"{path}.text.content", "a string", content)
    content = given["content"]
    if units(content) > 2000:
        raise invalid_body(f"{path}.text.content.length", "≤ `2000`", units(content))
    url = (given.get("link") or {}).get("url")
    if url is not None and len(url) > 2000:
        raise invalid_body(f"{path}.text.link.url.length", "≤ `2000`", len(url))
    return _whole(item, path, "text", {"content": content, "link": {"url": url} if url else None}, content, url)  # fmt: skip


def _equation(item: Json, path: str) -> Json:
    expression = (item.get("equation") or {}).get("expression")
    if not isinstance(expression, str):
        raise invalid_body(f"{path}.equation.expression", "a string", expression)
    if units(expression) > 1000:
        raise invalid_body(f"{path}.equation.expression.length", "≤ `1000`", units(expression))
    return _whole(item, path, "equation", {"expression": expression}, expression, None)


def _mention(item: Json, path: str, title_of: TitleOf) -> Json:
    given = item.get("mention")
    if not isinstance(given, dict):
        raise invalid_body(f"{path}.mention", "an object", given)
    kind = given.get("type") or next(iter(given), "")
    value: Json = dict(given.get(kind) or {})
    href = None
    match kind:
        case "user":
            value = {"object": "user", **value}
            shown = item.get("plain_text") or "@" + title_of(str(value.get("id")))
        case "date":
            value = {"start": value.get("start"), "end": value.get("end"), "time_zone": value.get("time_zone")}  # fmt: skip
            shown = " → ".join(v for v in (value["start"], value["end"]) if v)
        case "page" | "database" | "data_source":
            value["id"] = dashed(value.get("id")) or ""
            shown = title_of(value["id"])
            href = "https://app.notion.com/p/" + value["id"].replace("-", "")
        case "custom_emoji":
            shown = f":{value.get('name', '')}:"
        case _:
            shown = item.get("plain_text") or str(value.get("url", ""))  # fmt: skip
    return _whole(item, path, "mention", {"type": kind, kind: value}, shown, href)


def _whole(item: Json, path: str, kind: str, value: Json, plain_text: str, href: str | None) -> Json:  # fmt: skip
    return {
        "type": kind,
        kind: value,
        "annotations": whole_annotations(item.get("annotations"), path),
        "plain_text": plain_text,
        "href": href,
    }
