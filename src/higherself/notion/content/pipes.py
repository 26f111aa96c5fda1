"""Tables of pipes (GFM), to the canonical tree. Pure."""

import re
from collections.abc import Sequence
from typing import Literal

from higherself.notion.content.inline_parsing import parse_inline
from higherself.notion.content.tree import Row, Table

_DELIMITER = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?$")
_PIPE = re.compile(r"(?<!\\)\|")


def pipe_table(
    lines: Sequence[str], at: int, version: Literal["v1", "v2"] = "v1"
) -> tuple[Table, int] | None:
    """Return the table whose first row is the line at ``at``, and the number of the line after it.

    None if there is none: its second line must be of dashes, with as many cells as the first.
    """
    if at + 1 >= len(lines):
        return None
    dashes = lines[at + 1].strip(" \t")
    head = _cells(lines[at])
    if "-" not in dashes or not _DELIMITER.match(dashes) or len(_cells(dashes)) != len(head):
        return None
    rows, after = [head], at + 2
    while after < len(lines) and lines[after].strip(" \t").startswith("|"):
        rows.append(_cells(lines[after]))
        after += 1
    width = max(map(len, rows))
    read = [
        [parse_inline(cell, version) for cell in row + [""] * (width - len(row))] for row in rows
    ]
    return Table(header_row=True, children=tuple(Row(tuple(cells)) for cells in read)), after


def _cells(line: str) -> list[str]:
    line = line.strip(" \t").removeprefix("|")
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return [cell.strip(" \t") for cell in _PIPE.split(line)]
