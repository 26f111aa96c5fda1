"""JSON Lines and JSON: each record a document."""

import codecs
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, get_args

from higherself.knowledge.model import Failure, NewDocument, Trust
from higherself.knowledge.readers.file import (
    MAX_JSON,
    MAX_LINE,
    TOO_DEEP,
    File,
    Reading,
    Unreadable,
    check_size,
    decoded,
    first_heading,
    instant,
    load,
    printable,
    words,
)

_FIELDS = frozenset(
    {"id", "_id", "title", "text", "tags", "metadata", "uri", "date", "trust", "local_only"}
)


def read_json_lines(file: File) -> Iterator[Reading]:
    """Yield a document for each line, and a failure for each line that is none."""
    with file.path.open("rb") as stream:
        head = stream.peek(1)
        if b"\0" in head or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise Unreadable("it looks binary, or is UTF-16; JSON Lines are UTF-8")
        readings = _entries(file, json_lines(stream))
        yield next(readings, Failure(printable(file.path), "empty: there is no line in it"))
        yield from readings


def json_lines(stream: BinaryIO, *, limit: int = MAX_LINE) -> Iterator[tuple[str, object]]:
    """Yield the place of each line that is not blank with its value, or with what is wrong."""
    number = offset = 0
    while line := stream.readline(limit + 1):
        number, size, rest = number + 1, len(line), line
        while not rest.endswith(b"\n") and (rest := stream.readline(1024 * 1024)):
            size += len(rest)
        if line.strip():
            try:
                check_size(size, limit, "split the document")
                yield f":{number}", _json_value(decoded(line, offset).rstrip())
            except Unreadable as failure:
                yield f":{number}", failure
        offset += size


def read_json(file: File) -> Iterator[Reading]:
    """Yield a document for each entry of the list, or for the one object."""
    value = _json_value(load(file, MAX_JSON, "write it as JSON Lines, an object a line"))
    if isinstance(value, dict):
        yield _entry(file, value, keyed=False)
    elif not isinstance(value, list):
        raise Unreadable("it is neither an object nor a list of objects")
    elif not value:
        raise Unreadable("empty: there is no object in it")
    else:
        yield from _entries(file, ((f"[{index}]", entry) for index, entry in enumerate(value)))


def _json_value(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if error.lineno > 1 else ""
        where = f"{line}column {error.colno}"
        raise Unreadable(f"it is not JSON: {error.msg} at {where}") from error
    except ValueError as error:
        raise Unreadable(f"it has a number that is too long: {error}") from error
    except RecursionError as error:
        raise Unreadable(TOO_DEEP) from error


def _entries(file: File, values: Iterable[tuple[str, object]]) -> Iterator[Reading]:
    """Yield a document for each value, or what is wrong with it."""
    places: dict[str, str] = {}
    for place, value in values:
        try:
            if isinstance(value, Unreadable):
                raise value
            document = _entry(file, value, keyed=True)
            if before := places.get(document.external_id):
                key = document.external_id.removeprefix(file.external_id + "#")
                raise Unreadable(f"the id {key!r} is already that of {file.path.name}{before}")
            places[document.external_id] = place
            yield document
        except Unreadable as failure:
            yield Failure(printable(file.path) + place, failure.reason)


def _entry(file: File, entry: object, *, keyed: bool) -> NewDocument:
    """Return the document of an object; with ``keyed``, only if it has an id."""
    if not isinstance(entry, dict):
        raise Unreadable("it is not an object with `id`, `title` and `text`")
    key = _field(entry, "id") or _field(entry, "_id")
    if keyed and not key:
        raise Unreadable("the field `id` is missing or empty")
    text = _field(entry, "text")
    if not text.strip():
        raise Unreadable("the field `text` is missing or empty")
    date_given, metadata = entry.get("date"), entry.get("metadata")
    at = instant(date_given) if isinstance(date_given, str) else None
    if date_given is not None and at is None:
        raise Unreadable("the field `date` must be an ISO 8601 text such as 2026-01-31")
    if not isinstance(metadata, dict | None):
        raise Unreadable("the field `metadata` must be an object")
    trust, local_only = entry.get("trust"), entry.get("local_only")
    if trust not in (None, *get_args(Trust)):
        raise Unreadable(f"the field `trust` must be one of {', '.join(get_args(Trust))}")
    if not isinstance(local_only, bool | None):
        raise Unreadable("the field `local_only` must be true or false")
    return file.document(
        text,
        title=_field(entry, "title") or first_heading(text) or key,
        key=key or None,
        uri=_field(entry, "uri") or None,
        tags=words(entry.get("tags")),
        metadata={name: entry[name] for name in entry if name not in _FIELDS} | (metadata or {}),
        at=at,
        trust=trust,
        local_only=bool(local_only),
    )


def _field(entry: Mapping[str, object], name: str) -> str:
    """Return the text of a field, empty if there is none. An id may be a number."""
    value = entry.get(name)
    if name in ("id", "_id") and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise Unreadable(f"the field `{name}` must be a text")
    return (value or "").strip() if name != "text" else value or ""
