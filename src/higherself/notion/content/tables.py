"""Tables written with tags, to the canonical tree. Pure."""

import re
from collections.abc import Sequence
from typing import Literal

from higherself.notion.content.inline_parsing import parse_inline
from higherself.notion.content.tree import Rich, Row, Table

_CELL_LINE = re.compile(r"<(td|th)(?:\s[^<>]*)?>(.*)</\1>$")
_ROW = re.compile(r"<tr(?:\s[^<>]*)?>(.*?)</tr>", re.DOTALL)
_CELL = re.compile(r"<(td|th)(?:\s[^<>]*)?>(.*?)</\1>", re.DOTALL)
_FRAME = re.compile(r"</?(?:tr|colgroup|col|thead|tbody)(?:\s[^<>]*)?/?>$")
_ROW_START = re.compile(r"<tr(?:\s[^<>]*)?>$")
_FRAMES = re.compile(r"</?(?:tr|colgroup|col|thead|tbody|table)(?:\s[^<>]*)?/?>")
_CODE = re.compile(r"\\.|\$`.*?`\$|(`+)(?!`).*?(?<!`)\1(?!`)")


def parse_table(
    looks: dict[str, str], rest: str, lines: Sequence[str], version: Literal["v1", "v2"] = "v1"
) -> Table | None:
    """Return the table between its tags; None if there is text in it outside of its cells."""
    stripped = [line for raw in (rest, *lines) if (line := raw.strip(" \t"))]
    rows = _by_line(stripped)
    if rows is None:
        rows = _anyhow("\n".join(stripped).removesuffix("</table>"))
    if rows is None:
        return None

    def read(cell: str) -> Rich:
        return parse_inline(cell.strip(" \t\n"), version)

    return Table(
        looks.get("header-row") == "true",
        looks.get("header-column") == "true",
        children=tuple(Row(tuple(map(read, row))) for row in rows),
    )


def _by_line(lines: Sequence[str]) -> list[list[str]] | None:
    """Return the cells if every line is a cell or a part of the frame, as Notion writes it."""
    rows: list[list[str]] = []
    for line in lines:
        if found := _CELL_LINE.match(line):
            if not rows or re.search(r"</t[dh]>", _CODE.sub("", found[2])):
                return None
            rows[-1].append(found[2])
        elif _ROW_START.match(line):
            rows.append([])
        elif not _FRAME.match(line):
            return None
    return rows


def _anyhow(text: str) -> list[list[str]] | None:
    rows = [[cell for _, cell in _CELL.findall(row)] for row in _ROW.findall(text)]
    outside = _FRAMES.sub("", _CELL.sub("", text))
    return None if outside.strip() else rows
