"""Rich text as markdown of one line: marks are opened and closed like brackets on a stack.

A mark that lasts longer is opened outside one that ends sooner, so what is written nests. Bold,
italic and strikethrough are never put around spaces at their edges, where markdown has no mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from notion_emulator.errors import Json

Mark = tuple[str, str]
_SPECIAL = re.compile(r"([\\*~`$\[\]<>{}|^])")
_ORDER = ("color", "underline", "link", "strikethrough", "bold", "italic", "code")
_STARS = {"bold": "**", "italic": "*", "strikethrough": "~~"}
_BLANKS = " \t"


@dataclass(frozen=True)
class _Cell:
    """Words, the blanks before or after them, or a whole code, mention or equation."""

    text: str
    marks: frozenset[Mark]
    blank: bool = False
    whole: bool = False


def escaped(text: str) -> str:
    r"""Return text with what markdown would read escaped.

    >>> escaped("a*b|c")
    'a\\*b\\|c'
    """
    return _SPECIAL.sub(r"\\\1", text).replace("\n", "<br>")


def attribute(text: str) -> str:
    """Return text as it stands between the quotes of an attribute."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")  # fmt: skip


def address(url: str) -> str:
    """Return an address as it stands in the parentheses of a link."""
    return re.sub(r"([\\()])", r"\\\1", url)


def background(color: str) -> str:
    """Return the short name of a colour."""
    return color.replace("_background", "_bg")


def inline(items: list[Json]) -> str:
    """Return rich text as markdown of one line."""
    runs = _runs(_tidied([cell for item in _whole_codes(items) for cell in _cells(item)]))
    out, stack = "", list[Mark]()
    for number, (text, marks) in enumerate(runs):
        kept = 0
        while kept < len(stack) and stack[kept] in marks:
            kept += 1
        out += "".join(_close(mark) for mark in reversed(stack[kept:]))
        del stack[kept:]
        fresh = sorted(marks - set(stack), key=lambda m: (-_lasts(m, runs, number), _ORDER.index(m[0])))  # fmt: skip
        out += "".join(_open(mark) for mark in fresh) + text
        stack += fresh
    return out + "".join(_close(mark) for mark in reversed(stack))


def _whole_codes(items: list[Json]) -> Iterator[Json]:
    """Join codes of one form that stand side by side; two fences would read as one."""
    waiting: Json | None = None
    for item in items:
        if (
            waiting is not None
            and _code_form(item) is not None
            and _code_form(waiting) == _code_form(item)
        ):
            content = waiting["text"]["content"] + item["text"]["content"]
            waiting = waiting | {"text": waiting["text"] | {"content": content}}
            continue
        if waiting is not None:
            yield waiting
        waiting = item
    if waiting is not None:
        yield waiting


def _code_form(item: Json) -> Any:
    notes = item.get("annotations") or {}
    return (notes, item["text"].get("link")) if item["type"] == "text" and notes.get("code") else None  # fmt: skip


def _cells(item: Json) -> Iterator[_Cell]:
    notes = item.get("annotations") or {}
    marks = {(flag, "") for flag in (*_STARS, "underline") if notes.get(flag)}
    if notes.get("color", "default") != "default":
        marks.add(("color", background(notes["color"])))
    if item["type"] == "equation":
        yield _Cell(f"$`{item['equation']['expression']}`$", frozenset(marks), whole=True)
        return
    if item["type"] == "mention":
        yield _Cell(_mention(item), frozenset(marks), whole=True)
        return
    if url := (item["text"].get("link") or {}).get("url"):
        marks.add(("link", url))
    content = item["text"]["content"]
    if notes.get("code"):
        yield _Cell(_code(content), frozenset(marks), whole=True)
        return
    core = content.strip(_BLANKS)
    start = content.find(core) if core else len(content)
    for part, blank in ((content[:start], True), (core, False), (content[start + len(core) :], True)):  # fmt: skip
        if part:
            yield _Cell(part, frozenset(marks), blank)


def _tidied(cells: list[_Cell]) -> list[_Cell]:
    """Take marks off the spaces at their edges."""
    for flag in _STARS:
        mark = (flag, "")
        marked = [mark in cell.marks for cell in cells]
        for there, group in groupby(range(len(cells)), marked.__getitem__):
            if not there:
                continue
            places = list(group)
            for some in (places, places[::-1]):
                for place in some:
                    if not cells[place].blank:
                        break
                    cells[place] = _Cell(cells[place].text, cells[place].marks - {mark}, True)
    return cells


def _runs(cells: list[_Cell]) -> list[tuple[str, frozenset[Mark]]]:
    runs = []
    for (marks, whole), group in groupby(cells, lambda cell: (cell.marks, cell.whole)):
        text = "".join(cell.text for cell in group)
        runs.append((text if whole else escaped(text), marks))
    return runs


def _lasts(mark: Mark, runs: list[tuple[str, frozenset[Mark]]], start: int) -> int:
    end = start
    while end < len(runs) and mark in runs[end][1]:
        end += 1
    return end - start


def _open(mark: Mark) -> str:
    kind, value = mark
    match kind:
        case "color":
            return f'<span color="{value}">'
        case "underline":
            return '<span underline="true">'
        case "link":
            return "["
        case _:
            return _STARS[kind]


def _close(mark: Mark) -> str:
    kind, value = mark
    match kind:
        case "color" | "underline":
            return "</span>"
        case "link":
            return f"]({address(value)})"
        case _:
            return _STARS[kind]


def _code(content: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", content)), default=0)
    fence = "`" * (longest + 1 if longest else 1)
    if content.strip(" ") and (content[0] + content[-1] == "  " or "`" in (content[0], content[-1])):  # fmt: skip
        content = f" {content} "
    return fence + content.replace("\n", "<br>") + fence


def _mention(item: Json) -> str:
    mention = item["mention"]
    kind = mention["type"]
    value: Any = mention.get(kind) or {}
    shown = escaped(item.get("plain_text", ""))
    match kind:
        case "date":
            given = "".join(f' {k}="{attribute(value[k])}"' for k in ("start", "end") if value.get(k))  # fmt: skip
            return f"<mention-date{given}/>"
        case "user":
            return f'<mention-user url="user://{value.get("id", "")}">{shown}</mention-user>'
        case "page" | "database" | "data_source":
            tag = f"mention-{kind.replace('_', '-')}"
            return f'<{tag} url="{page_address(str(value.get("id", "")))}">{shown}</{tag}>'
        case _:
            return shown


def page_address(object_id: str) -> str:
    """Return the address of a page, as markdown names it."""
    return "https://app.notion.com/p/" + object_id.replace("-", "")
