"""Read files into documents: Markdown, plain text, HTML, CSV, JSON Lines, JSON and PDF.

Reading never raises for what a file holds. A file, a line or an entry that cannot be taken in
becomes a `Failure` that says why and what to do, and the rest goes on.
"""

import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from higherself.knowledge.errors import MissingPath
from higherself.knowledge.model import Failure, Trust
from higherself.knowledge.readers.file import (
    TOO_DEEP,
    File,
    Reading,
    Unreadable,
    opened,
    printable,
)
from higherself.knowledge.readers.pdf import read_pdf
from higherself.knowledge.readers.prose import read_markdown, read_text
from higherself.knowledge.readers.records import read_json, read_json_lines
from higherself.knowledge.readers.table import read_csv


def _read_html(file: File) -> Iterator[Reading]:
    """Read a page. What takes it apart is loaded once there is one: most commands never see any."""
    from higherself.knowledge.readers.html import read_html

    return read_html(file)


READERS: Mapping[str, Callable[[File], Iterator[Reading]]] = {
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".txt": read_text,
    ".text": read_text,
    ".log": read_text,
    ".html": _read_html,
    ".htm": _read_html,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".pdf": read_pdf,
}


def find(paths: Sequence[Path]) -> Iterator[Path]:
    """Return the files that ``paths`` name and those below the folders they name, each once.

    Below a folder come, sorted, the files of a kind that `read` knows. What is hidden is passed
    over; links are followed, but no folder is entered twice. A folder that may not be listed is
    itself returned, so that `read` reports it.

    Raises
        MissingPath: before anything is returned.
    """
    for path in paths:
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise MissingPath(printable(path)) from error
        except OSError:
            continue  # it is there; `read` says what is wrong with it
    return _below(paths)


def read(
    path: Path,
    *,
    base: Path,
    entity: str,
    source: str,
    tags: tuple[str, ...] = (),
    trust: Trust | None = None,
    local_only: bool = False,
) -> Iterator[Reading]:
    """Yield the documents of one file; a suffix that is not known is read as plain text.

    A document's ``external_id`` is the path relative to ``base``, with ``#id`` for an entry of a
    JSON or JSON Lines file. JSON Lines are read line by line, other files whole.
    """
    try:
        file = opened(path, base, entity, source, tags, trust, local_only)
        yield from READERS.get(path.suffix.lower(), read_text)(file)
    except Unreadable as failure:
        yield Failure(printable(path) + failure.place, failure.reason)
    except RecursionError:
        yield Failure(printable(path), TOO_DEEP)
    except OSError as error:
        reason = "permission denied" if isinstance(error, PermissionError) else error.strerror
        yield Failure(printable(path), reason or str(error))


def _below(paths: Sequence[Path]) -> Iterator[Path]:
    named, seen = set(paths), set[tuple[int, int]]()
    stack = [*reversed(paths)]
    while stack:
        path = stack.pop()
        known = path in named or path.suffix.lower() in READERS
        if path not in named and path.name.startswith("."):
            continue
        try:
            status = path.stat()
            place = status.st_dev, status.st_ino
            if place in seen:
                continue
            if stat.S_ISDIR(status.st_mode):
                known = True
                stack += sorted(path.iterdir(), reverse=True)
            elif known:
                yield path
            seen.add(place)
        except OSError:
            if path in named or (known and not path.is_symlink()):
                yield path
