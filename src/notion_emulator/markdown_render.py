"""Markdown as the API writes it (v1): blocks to text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from notion_emulator.errors import Json

_SPECIAL = re.compile(r"([\\*~`$\[\]<>{}|^])")


@dataclass(frozen=True)
class Piece:
    """A block to write: its type, payload, id, and what is inside."""

    type: str
    payload: Json
    id: str = ""
    children: tuple[Piece, ...] = ()


@dataclass
class Rendering:
    """How many blocks may be written yet, and which were left out."""

    left: int = 20_000
    unknown: list[str] = field(default_factory=list)


def escaped(text: str) -> str:
    r"""Return text with what markdown would read escaped.

    >>> escaped("a*b|c")
    'a\\*b\\|c'
    """
    return _SPECIAL.sub(r"\\\1", text).replace("\n", "<br>")


def inline(items: list[Json]) -> str:
    """Return rich text as markdown of one line."""
    return "".join(_run(item) for item in items)


def _run(item: Json) -> str:
    notes = item.get("annotations") or {}
    match item["type"]:
        case "equation":
            text = f"$`{item['equation']['expression']}`$"
        case "mention":
            text = _mention(item)
        case _:
            content = item["text"]["content"]
            text = _code(content) if notes.get("code") else escaped(content)
            text = _marked(text, notes)
            link = (item["text"].get("link") or {}).get("url")
            text = f"[{text}]({link})" if link else text
    color = notes.get("color", "default")
    return text if color == "default" else f'<span color="{color.replace("_background", "_bg")}">{text}</span>'  # fmt: skip


def _code(content: str) -> str:
    return "`" + content.replace("\n", "<br>") + "`"


def _marked(text: str, notes: Json) -> str:
    core = text.strip(" ")
    if not core:
        return text
    lead, tail = text[: len(text) - len(text.lstrip(" "))], text[len(text.rstrip(" ")) :]
    for flag, mark in (("strikethrough", "~~"), ("italic", "*"), ("bold", "**")):
        if notes.get(flag):
            core = f"{mark}{core}{mark}"
    if notes.get("underline"):
        core = f'<span underline="true">{core}</span>'
    return lead + core + tail


def _mention(item: Json) -> str:
    mention = item["mention"]
    kind = mention["type"]
    value: Any = mention.get(kind) or {}
    shown = escaped(item.get("plain_text", ""))
    match kind:
        case "date":
            given = "".join(f' {k}="{value[k]}"' for k in ("start", "end") if value.get(k))
            return f"<mention-date{given}/>"
        case "user":
            return f'<mention-user url="user://{value.get("id", "")}">{shown}</mention-user>'
        case "page" | "database" | "data_source":
            address = "https://app.notion.com/p/" + str(value.get("id", "")).replace("-", "")
            return f'<mention-{kind.replace("_", "-")} url="{address}">{shown}</mention-{kind.replace("_", "-")}>'  # fmt: skip
        case _:
            return shown


def render(pieces: list[Piece] | tuple[Piece, ...], rendering: Rendering, depth: int = 0) -> str:
    """Return blocks as markdown, one line break between them."""
    lines = []
    for number, piece in enumerate(pieces):
        if rendering.left <= 0:
            rendering.unknown.append(piece.id)
            lines.append("\t" * depth + _unknown(piece))
            continue
        rendering.left -= 1
        lines.append(_block(piece, rendering, depth, _ordinal(pieces, number)))
    return "\n".join(lines)


def _ordinal(pieces: Any, number: int) -> int:
    start = number
    while start > 0 and pieces[start - 1].type == "numbered_list_item":
        start -= 1
    return number - start + 1


def _unknown(piece: Piece) -> str:
    return f'<unknown url="https://app.notion.com/p/{piece.id.replace("-", "")}" alt="{piece.type}"/>'  # fmt: skip


def _block(piece: Piece, rendering: Rendering, depth: int, ordinal: int) -> str:
    pad = "\t" * depth
    payload, kind = piece.payload, piece.type
    if kind in ("toggle", "callout", "column_list", "column", "synced_block", "tab", "table"):
        return _wrapped(piece, rendering, depth)
    if kind == "code":
        return _fenced(payload, pad)
    head = _HEADS.get(kind, _other)(piece, ordinal)
    color = payload.get("color", "default") if kind in _TEXTS else "default"
    if color not in ("default", None):
        head += f' {{color="{color.replace("_background", "_bg")}"}}'
    if payload.get("is_toggleable"):
        head += ' {toggle="true"}'
    return pad + head + _inside(piece, rendering, depth + 1)


def _inside(piece: Piece, rendering: Rendering, depth: int) -> str:
    return "\n" + render(piece.children, rendering, depth) if piece.children else ""


def _text(piece: Piece) -> str:
    return inline(piece.payload.get("rich_text", []))


def _paragraph(piece: Piece, ordinal: int) -> str:
    text = _text(piece)
    if not text:
        return "<empty-block/>"
    return re.sub(r"^(#{1,4} |[-+] |\d+\. |---)", r"\\\1", text)


def _media(piece: Piece, ordinal: int) -> str:
    payload = piece.payload
    address = (payload.get(payload.get("type", "")) or {}).get("url", "")
    caption = inline(payload.get("caption", []))
    if piece.type == "image":
        return f"![{caption}]({address})"
    return f'<{piece.type} src="{address}">{caption}</{piece.type}>'


def _page(piece: Piece, ordinal: int) -> str:
    tag = piece.type.removeprefix("child_")
    address = f"https://app.notion.com/p/{piece.id.replace('-', '')}"
    extra = ""
    if tag == "database":
        extra = f' inline="{str(bool(piece.payload.get("inline"))).lower()}"'
        if piece.payload.get("data_source"):
            extra += f' data-source-url="collection://{piece.payload["data_source"]}"'
    return f'<{tag} url="{address}"{extra}>{escaped(piece.payload.get("title", ""))}</{tag}>'


def _link_to_page(piece: Piece, ordinal: int) -> str:
    target = piece.payload.get(piece.payload.get("type", ""), "")
    tag = "database" if piece.payload.get("type") == "database_id" else "page"
    return f'<mention-{tag} url="https://app.notion.com/p/{target.replace("-", "")}"/>'


def _other(piece: Piece, ordinal: int) -> str:
    return _unknown(piece)


_TEXTS = frozenset({"paragraph", "bulleted_list_item", "numbered_list_item", "to_do", "quote", "heading_1", "heading_2", "heading_3", "heading_4"})  # fmt: skip
_HEADS: dict[str, Callable[[Piece, int], str]] = {
    "paragraph": _paragraph,
    "heading_1": lambda p, n: "# " + _text(p),
    "heading_2": lambda p, n: "## " + _text(p),
    "heading_3": lambda p, n: "### " + _text(p),
    "heading_4": lambda p, n: "#### " + _text(p),
    "bulleted_list_item": lambda p, n: "- " + _text(p),
    "numbered_list_item": lambda p, n: f"{n}. " + _text(p),
    "to_do": lambda p, n: f"- [{'x' if p.payload.get('checked') else ' '}] " + _text(p),
    "quote": lambda p, n: "> " + _text(p),
    "divider": lambda p, n: "---",
    "table_of_contents": lambda p, n: "<table_of_contents/>",
    "equation": lambda p, n: "$$" + p.payload.get("expression", "").replace("\n", " ") + "$$",
    "child_page": _page,
    "child_database": _page,
    "link_to_page": _link_to_page,
    **dict.fromkeys(("image", "video", "pdf", "file", "audio"), _media),
}


def _fenced(payload: Json, pad: str) -> str:
    language = payload.get("language", "plain text")
    lines = "".join(i.get("plain_text", "") for i in payload.get("rich_text", [])).split("\n")
    return "\n".join(pad + line for line in [f"```{language}", *lines, "```"])


def _wrapped(piece: Piece, rendering: Rendering, depth: int) -> str:
    pad = "\t" * depth
    if piece.type == "table":
        return _table(piece, rendering, pad)
    if piece.type == "toggle":
        color = _color(piece.payload)
        return f"{pad}<details{color}>\n{pad}<summary>{_text(piece)}</summary>{_inside(piece, rendering, depth + 1)}\n{pad}</details>"  # fmt: skip
    if piece.type == "callout":
        icon = piece.payload.get("icon") or {}
        shown = f' icon="{icon["emoji"]}"' if icon.get("type") == "emoji" else ""
        return f"{pad}<callout{shown}{_color(piece.payload)}>\n{pad}\t{_text(piece)}{_inside(piece, rendering, depth + 1)}\n{pad}</callout>"  # fmt: skip
    tag = {"column_list": "columns", "tab": "tabs"}.get(piece.type, piece.type)
    address = f' url="https://app.notion.com/p/{piece.id.replace("-", "")}"' if tag == "synced_block" else ""  # fmt: skip
    return f"{pad}<{tag}{address}>{_inside(piece, rendering, depth + 1)}\n{pad}</{tag}>"


def _color(payload: Json) -> str:
    color = payload.get("color", "default")
    return "" if color == "default" else f' color="{color.replace("_background", "_bg")}"'


def _table(piece: Piece, rendering: Rendering, pad: str) -> str:
    flags = "".join(f' {name}="true"' for key, name in (("has_column_header", "header-row"), ("has_row_header", "header-column")) if piece.payload.get(key))  # fmt: skip
    lines = [f"{pad}<table{flags}>"]
    for row in piece.children:
        rendering.left -= 1
        lines.append(f"{pad}\t<tr>")
        lines += [f"{pad}\t\t<td>{inline(cell)}</td>" for cell in row.payload.get("cells", [])]
        lines.append(f"{pad}\t</tr>")
    return "\n".join([*lines, f"{pad}</table>"])
