"""A document as a line of JSON: what `export` writes, and `import` reads back exactly."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, BinaryIO

from higherself.kernel.jsonvalue import canonical
from higherself.knowledge.errors import DocumentRejected
from higherself.knowledge.model import Failure, NewDocument
from higherself.knowledge.readers.file import MAX_TEXT, TOO_DEEP, Unreadable, instant
from higherself.knowledge.readers.records import json_lines
from higherself.knowledge.revision import checked, checked_name

LONGEST_LINE = 8 * MAX_TEXT
"""Bytes. The longest text, if it is all control characters, is six times as long in JSON."""

_NEEDED = ("id", "text", "entity", "source")
_FIELDS: Mapping[str, tuple[type, str]] = {
    **dict.fromkeys((*_NEEDED, "title", "uri", "date", "trust"), (str, "a text")),
    "tags": (list, "a list of texts"),
    "metadata": (dict, "an object"),
    "local_only": (bool, "true or false"),
}
"""What a line may have, of what type, and how that is called. Any may be null."""


@dataclass(frozen=True, slots=True)
class Line:
    """A document, and where it stands: ``backup.jsonl:17``."""

    place: str
    document: NewDocument


def exported(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is written of a document, as `Catalogue.documents` yields it."""
    at = document["changed_at"]
    return {
        "id": document["external_id"],
        "title": document["title"],
        "text": document["text"],
        "entity": document["entity"],
        "source": document["source"],
        "uri": document["uri"],
        "tags": document["tags"],
        "metadata": document["metadata"],
        "date": None if at is None else at.astimezone(UTC).isoformat(),
        "trust": document["trust"],
        "local_only": document["local_only"],
    }


def read_exported(stream: BinaryIO, *, name: str) -> Iterator[Line | Failure]:
    """Yield the document of each line, and a failure for each line that has none.

    ``name`` is what the stream is called in failures. Lines are read one by one.
    """
    for place, value in json_lines(stream, limit=LONGEST_LINE):
        try:
            if isinstance(value, Unreadable):
                raise value
            yield Line(f"{name}{place}", _document(value))
        except Unreadable as failure:
            yield Failure(f"{name}{place}", failure.reason)


def _document(value: object) -> NewDocument:
    """Return the document of a line, or raise `Unreadable` if there is none in it."""
    fields = _fields(value)
    date = fields.get("date")
    at = None if date is None else instant(date)
    if date is not None and at is None:
        raise Unreadable("the field `date` must be an ISO 8601 text such as 2026-01-31")
    document = NewDocument(
        external_id=fields["id"],
        text=fields["text"],
        entity=fields["entity"],
        source=fields["source"],
        title=fields.get("title") or "",
        uri=fields.get("uri"),
        tags=tuple(fields.get("tags") or ()),
        metadata=fields.get("metadata") or {},
        at=at,
        local_only=fields.get("local_only") or False,
        trust=fields.get("trust") or "own",
    )
    try:
        canonical(document.metadata)
        return checked(checked_name(document))
    except DocumentRejected as error:
        raise Unreadable(error.reason) from error
    except RecursionError as error:
        raise Unreadable(TOO_DEEP) from error
    except ValueError as error:
        raise Unreadable(f"metadata has a number that is no JSON: {error}") from error


def _fields(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable("it is not an object, as `higherself knowledge export` writes it")
    for name in _NEEDED:
        if not value.get(name):
            raise Unreadable(
                f"the field `{name}` is missing or empty; files of other programs are taken in by "
                "`higherself knowledge add`"
            )
    for name, given in value.items():
        kind, called = _FIELDS.get(name, (None, ""))
        if kind is None:
            raise Unreadable(
                f"the field `{name}` is none that `higherself knowledge export` writes"
            )
        if not isinstance(given, kind | None):
            raise Unreadable(f"the field `{name}` must be {called}")
    if not all(isinstance(tag, str) for tag in value.get("tags") or ()):
        raise Unreadable("the field `tags` must be a list of texts")
    return value
