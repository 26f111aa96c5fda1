"""Markdown as the API writes it (v1): blocks to text."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from notion_emulator.errors import Json
from notion_emulator.markdown_marks import (
    address,
    attribute,
    background,
    escaped,
    inline,
    page_address,
)

_LEAD = re.compile(r"^(#{1,6}(?= |$)|[-+](?= |$)|-{3,}$|\d+[.)](?= |$)|!(?=\[))")


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
    hidden: Collection[str] = ()  # blocks the reader may not see


def render(pieces: Sequence[Piece], rendering: Rendering, depth: int = 0) -> str:
    """Return blocks as markdown, one line break between them."""
    lines = []
    number = 0
    for piece in pieces:
        if rendering.left <= 0 or piece.id in rendering.hidden:
            rendering.unknown.append(piece.id)
            lines.append("\t" * depth + _unknown(piece))
            continue
        rendering.left -= 1
        listed = piece.type == "numbered_list_item"
        number = (number + 1 if number else piece.payload.get("list_start_index") or 1) if listed else 0  # fmt: skip
        lines.append(_block(piece, rendering, depth, number))
    return "\n".join(lines)


def _unknown(piece: Piece) -> str:
    return f'<unknown url="{page_address(piece.id)}" alt="{attribute(piece.type)}"/>'


def _block(piece: Piece, rendering: Rendering, depth: int, number: int) -> str:
    pad = "\t" * depth
    payload, kind = piece.payload, piece.type
    if kind in _WRAPPED:
        return _WRAPPED[kind](piece, rendering, depth)
    if kind == "code":
        return _fenced(payload, pad)
    if kind == "equation":
        lines = payload.get("expression", "").split("\n")
        return "\n".join(pad + line for line in ["$$", *lines, "$$"])
    head = _HEADS.get(kind, _other)(piece, number)
    return pad + head + _trailer(piece) + _inside(piece, rendering, depth + 1)


def _trailer(piece: Piece) -> str:
    if piece.type not in _TEXTS:
        return ""
    given = []
    if piece.payload.get("is_toggleable"):
        given.append('toggle="true"')
    color = piece.payload.get("color") or "default"
    if color != "default":
        given.append(f'color="{background(color)}"')
    return f" {{{' '.join(given)}}}" if given else ""


def _inside(piece: Piece, rendering: Rendering, depth: int) -> str:
    return "\n" + render(piece.children, rendering, depth) if piece.children else ""


def _text(piece: Piece) -> str:
    return inline(piece.payload.get("rich_text", [])).strip(" \t")


def _headed(mark: str) -> Callable[[Piece, int], str]:
    return lambda piece, number: f"{mark} {_text(piece)}".rstrip(" ")


def _paragraph(piece: Piece, number: int = 0) -> str:
    return _LEAD.sub(_escaped_lead, _text(piece)) or "<empty-block/>"


def _escaped_lead(match: re.Match[str]) -> str:
    """Escape the sign that would make a line a list or heading: of a number, its point."""
    found = match[0]
    return f"{found[:-1]}\\{found[-1]}" if found[0].isdigit() else "\\" + found


def _media(piece: Piece, number: int) -> str:
    payload = piece.payload
    url = (payload.get(payload.get("type", "")) or {}).get("url", "")
    caption = inline(payload.get("caption", []))
    if piece.type == "image":
        return f"![{caption}]({address(url)})"
    return f'<{piece.type} src="{attribute(url)}">{caption}</{piece.type}>'


def _page(piece: Piece, number: int) -> str:
    tag = piece.type.removeprefix("child_")
    extra = ""
    if tag == "database":
        extra = f' inline="{str(bool(piece.payload.get("inline"))).lower()}"'
        if piece.payload.get("data_source"):
            extra += f' data-source-url="collection://{piece.payload["data_source"]}"'
    return f'<{tag} url="{page_address(piece.id)}"{extra}>{escaped(piece.payload.get("title", ""))}</{tag}>'  # fmt: skip


def _link_to_page(piece: Piece, number: int) -> str:
    target = piece.payload.get(piece.payload.get("type", ""), "")
    tag = "database" if piece.payload.get("type") == "database_id" else "page"
    return f'<mention-{tag} url="{page_address(target)}"/>'


def _contents(piece: Piece, number: int) -> str:
    color = piece.payload.get("color") or "gray"
    return "<table_of_contents" + ("" if color == "gray" else f' color="{background(color)}"') + "/>"  # fmt: skip


def _other(piece: Piece, number: int) -> str:
    return _unknown(piece)


_TEXTS = frozenset({"paragraph", "bulleted_list_item", "numbered_list_item", "to_do", "quote", "heading_1", "heading_2", "heading_3", "heading_4"})  # fmt: skip
_HEADS: dict[str, Callable[[Piece, int], str]] = {
    "paragraph": _paragraph,
    **{f"heading_{n}": _headed("#" * n) for n in (1, 2, 3, 4)},
    "bulleted_list_item": _headed("-"),
    "numbered_list_item": lambda p, n: f"{n}. {_text(p)}".rstrip(" "),
    "to_do": lambda p, n: f"- [{'x' if p.payload.get('checked') else ' '}] {_text(p)}".rstrip(" "),
    "quote": _headed(">"),
    "divider": lambda p, n: "---",
    "table_of_contents": _contents,
    "child_page": _page,
    "child_database": _page,
    "link_to_page": _link_to_page,
    **dict.fromkeys(("image", "video", "pdf", "file", "audio"), _media),
}


def _fenced(payload: Json, pad: str) -> str:
    language = payload.get("language", "plain text")
    text = "".join(i.get("plain_text", "") for i in payload.get("rich_text", []))
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join(pad + line for line in [fence + language, *text.split("\n"), fence])


def _toggle(piece: Piece, rendering: Rendering, depth: int) -> str:
    pad = "\t" * depth
    return f"{pad}<details{_color(piece.payload)}>\n{pad}<summary>{_text(piece)}</summary>{_inside(piece, rendering, depth + 1)}\n{pad}</details>"  # fmt: skip


def _callout(piece: Piece, rendering: Rendering, depth: int) -> str:
    pad = "\t" * depth
    icon = piece.payload.get("icon") or {}
    shown = f' icon="{attribute(icon["emoji"])}"' if icon.get("type") == "emoji" else ""
    empty = not _text(piece) and not piece.children
    first = "" if empty else f"\n{pad}\t{_paragraph(piece)}"
    return f"{pad}<callout{shown}{_color(piece.payload)}>{first}{_inside(piece, rendering, depth + 1)}\n{pad}</callout>"  # fmt: skip


def _tagged(piece: Piece, rendering: Rendering, depth: int) -> str:
    pad = "\t" * depth
    tag = {"column_list": "columns", "tab": "tabs"}.get(piece.type, piece.type)
    url = f' url="{page_address(piece.id)}"' if tag == "synced_block" and piece.id else ""
    if origin := piece.payload.get("synced_from"):
        tag, url = "synced_block_reference", f' url="{page_address(origin["block_id"])}"'
    return f"{pad}<{tag}{url}>{_inside(piece, rendering, depth + 1)}\n{pad}</{tag}>"


def _color(payload: Json) -> str:
    color = payload.get("color") or "default"
    return "" if color == "default" else f' color="{background(color)}"'


def _table(piece: Piece, rendering: Rendering, depth: int) -> str:
    pad = "\t" * depth
    flags = "".join(f' {name}="true"' for key, name in (("has_column_header", "header-row"), ("has_row_header", "header-column")) if piece.payload.get(key))  # fmt: skip
    lines = [f"{pad}<table{flags}>"]
    for row in piece.children:
        rendering.left -= 1
        lines.append(f"{pad}\t<tr>")
        lines += [f"{pad}\t\t<td>{inline(cell).strip()}</td>" for cell in row.payload.get("cells", [])]  # fmt: skip
        lines.append(f"{pad}\t</tr>")
    return "\n".join([*lines, f"{pad}</table>"])


_WRAPPED: dict[str, Callable[[Piece, Rendering, int], str]] = {
    "toggle": _toggle,
    "callout": _callout,
    "table": _table,
    **dict.fromkeys(("column_list", "column", "synced_block", "tab"), _tagged),
}
