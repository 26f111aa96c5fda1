"""CSV: a table as one document, each row a passage of its own."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain

from higherself.kernel.jsonvalue import JsonValue
from higherself.knowledge.readers.file import MAX_TITLE, File, Reading, Unreadable, joined, load


def read_csv(file: File) -> Iterator[Reading]:
    """Yield the table as one document, a short section for each row."""
    rows = _rows(load(file).lstrip("\n"), tabs=file.path.suffix.lower() == ".tsv")
    if len(rows) < 2:
        raise Unreadable("empty: there is no row below the one that names the columns")
    names = [name.strip() for name in rows.pop(0)[1]]
    if not any(re.search(r"[^\W\d_]", name) for name in names):
        raise Unreadable("the first row must name the columns")
    names = [name or f"column {number}" for number, name in enumerate(names, start=1)]
    uneven = [number for number, row in rows if len(row) != len(names)]
    label = _label_column([row for _, row in rows], len(names))
    metadata: dict[str, JsonValue] = {"columns": names, "rows": len(rows)}
    yield file.document(
        joined(_row(row, names, label, number) for number, row in rows),
        metadata=metadata | ({"uneven_lines": uneven[:100]} if uneven else {}),
    )


def _rows(text: str, *, tabs: bool) -> list[tuple[int, list[str]]]:
    """Return the rows that are not blank, with the number of the line each ends on."""
    number = 1
    try:
        delimiter = "\t" if tabs else _delimiter(text.split("\n", 1)[0])
        reader = csv.reader(io.StringIO(text), delimiter=delimiter)
        rows = []
        for row in reader:
            number = reader.line_num + 1
            if any(map(str.strip, row)):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise Unreadable(f"it is not CSV: {error}", f":{number}") from error
    return rows


def _delimiter(line: str) -> str:
    """Return the sign that makes the most columns of the line that names them.

    >>> _delimiter('id;"name, first";price')
    ';'
    """
    return max(",;\t|", key=lambda sign: len(next(csv.reader([line], delimiter=sign), [])))


def _label_column(rows: Sequence[Sequence[str]], columns: int) -> int:
    """Return the first of eight columns that tells rows apart in words, or else the first."""
    for column in range(min(columns, 8)):
        values = [row[column].strip() for row in rows if column < len(row) and row[column].strip()]
        worded = sum(bool(re.search(r"[^\W\d_]{2}", value)) for value in values)
        if min(worded, len(set(values))) >= 0.9 * len(rows):
            return column
    return 0


def _row(row: Sequence[str], names: Sequence[str], label: int, line: int) -> str:
    cells = [" ".join(cell.split()) for cell in row]
    title = next(filter(None, [*cells[label : label + 1], *cells]))
    beyond = (f"column {number}" for number in range(len(names) + 1, len(cells) + 1))
    told = [
        f"{name}: {cell}" for name, cell in zip(chain(names, beyond), cells, strict=False) if cell
    ]
    if len(cells) != len(names):
        told.append(f"(line {line}: {len(cells)} cells for {len(names)} columns)")
    return "\n".join([f"## {title[:MAX_TITLE]}", "", *told, "", ""])
