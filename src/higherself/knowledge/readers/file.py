"""What every kind of file shares: opening, decoding, limits, and making a document of it."""

import codecs
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from higherself.kernel.jsonvalue import JsonValue, NotJson, canonical, check_json
from higherself.knowledge.chunking import outline
from higherself.knowledge.model import Failure, NewDocument, Trust

MAX_TEXT = 16 * 1024 * 1024  # bytes of one document's text, as UTF-8
MAX_LINE = 2 * MAX_TEXT  # bytes of one line of JSON Lines: escapes make a text longer
MAX_JSON = 4 * MAX_TEXT  # bytes of a JSON file, which is read whole
MAX_FRONT_MATTER = 64 * 1024  # characters
MAX_TITLE = 500  # characters; the rest is left out
TOO_DEEP = "it is nested too deeply"


UNSTORABLE = re.compile("[\0\ud800-\udfff]")

Reading = NewDocument | Failure


class Unreadable(Exception):
    """Something in a file cannot be taken in. ``place`` follows the path: ``:17`` or ``[3]``."""

    def __init__(self, reason: str, place: str = "") -> None:
        super().__init__(reason)
        self.reason, self.place = reason, place


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that is about to be read, and what its documents have in common."""

    path: Path
    external_id: str
    entity: str
    source: str
    tags: tuple[str, ...]
    size: int
    at: datetime | None
    trust: Trust | None = None
    local_only: bool = False

    def document(
        self,
        text: str,
        *,
        title: str = "",
        key: str | None = None,
        uri: str | None = None,
        tags: tuple[str, ...] = (),
        metadata: Mapping[str, JsonValue] | None = None,
        at: datetime | None = None,
        trust: Trust | None = None,
        local_only: bool = False,
    ) -> NewDocument:
        """Return the document, or raise `Unreadable` if it cannot be stored.

        What the file says of itself cannot make it more trusted, or less private, than whoever
        adds it says.
        """
        document = NewDocument(
            external_id=self.external_id if key is None else f"{self.external_id}#{key}",
            text=text,
            entity=self.entity,
            source=self.source,
            title=" ".join(title.split())[:MAX_TITLE].strip() or humanised(self.path.stem),
            uri=uri or self.path.absolute().as_uri(),
            tags=tuple(dict.fromkeys((*self.tags, *tags))),
            metadata=metadata or {},
            at=at or self.at,
            trust=self.trust or trust or "own",
            local_only=self.local_only or local_only,
        )
        _check(document)
        return document


def opened(
    path: Path,
    base: Path,
    entity: str,
    source: str,
    tags: tuple[str, ...],
    trust: Trust | None = None,
    local_only: bool = False,
) -> File:
    """Return the file at ``path``, or raise `Unreadable` if it is none."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        os.scandir(path).close()  # raises when it may not be listed
        raise Unreadable("it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("it is not a regular file")
    relative = os.path.relpath(path.absolute(), base.absolute())
    if printable(path) != str(path):
        raise Unreadable("its name is not UTF-8; rename it")
    try:
        at = datetime.fromtimestamp(status.st_mtime, UTC)
    except (ValueError, OverflowError, OSError):
        at = None  # a file system may say any number
    return File(
        path=path,
        external_id=relative.replace(os.sep, "/"),
        entity=entity,
        source=source,
        tags=tags,
        size=status.st_size,
        at=at,
        trust=trust,
        local_only=local_only,
    )


def _check(document: NewDocument) -> None:
    if not document.text.strip():
        raise Unreadable("empty: there is no text in it")
    check_size(len(document.text.encode(errors="replace")), MAX_TEXT, "split it into several")
    fields: dict[str, JsonValue] = {
        "id": document.external_id,
        "title": document.title,
        "text": document.text,
        "uri": document.uri,
        "tags": document.tags,
        "metadata": document.metadata,
    }
    try:
        check_json(fields)
        canonical(document.metadata)
    except NotJson as error:
        raise Unreadable(str(error)) from error
    except ValueError as error:
        raise Unreadable(f"metadata has a number that is too long: {error}") from error
    except RecursionError as error:
        raise Unreadable(TOO_DEEP) from error


def check_size(size: int, limit: int, advice: str) -> None:
    """Raise `Unreadable` if ``size`` exceeds ``limit``, with ``advice``."""
    if size > limit:
        raise Unreadable(f"it has {size:,} bytes and the limit is {limit:,}; {advice}")


def joined(parts: Iterable[str]) -> str:
    """Return ``parts`` as one text, or stop when there are too many: small files say much."""
    kept, size = [], 0
    for part in parts:
        kept.append(part)
        if (size := size + len(part)) > MAX_TEXT:
            raise Unreadable(f"as text it exceeds the limit of {MAX_TEXT:,} bytes; split it")
    return "".join(kept)


def load(file: File, limit: int = MAX_TEXT, advice: str = "split it into several") -> str:
    """Return the whole file as text, with line feeds alone at the ends of lines."""
    check_size(file.size, limit, advice)
    with file.path.open("rb") as stream:
        data = stream.read(limit + 1)
    check_size(len(data), limit, advice)
    return decoded(data).replace("\r\n", "\n").replace("\r", "\n")


def decoded(data: bytes, offset: int = 0) -> str:
    """Return ``data`` as text. ``offset`` is where it stands in its file."""
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8"
    if encoding == "utf-8" and b"\0" in data:
        raise Unreadable("it looks binary: it has NUL bytes")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"it is not {encoding.upper()}: byte 0x{data[error.start]:02X} at offset "
            f"{offset + error.start}; convert it, for example with "
            "`iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW`"
        ) from error
    if "\0" in text:
        raise Unreadable("it looks binary: it has NUL characters")
    return text.removeprefix("\ufeff")


def printable(path: Path) -> str:
    """Return ``path`` as text that can be stored and shown, whatever bytes it has."""
    return os.fsencode(path).decode(errors="replace")


def humanised(stem: str) -> str:
    """Return a title for a file that has none.

    >>> humanised("late-arrival_policy"), humanised("notes 2026-01-06")
    ('Late arrival policy', 'Notes 2026-01-06')
    """
    words = re.sub(r"[\s_]+|(?<!\d)-+|-+(?!\d)", " ", stem).strip() or stem
    return words[:1].upper() + words[1:]


def instant(value: object) -> datetime | None:
    """Return ``value`` as an instant in UTC if it is a date or an ISO 8601 text, else None."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        return None
    try:
        return value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        return None


def words(value: object) -> tuple[str, ...]:
    """Return tags, given as a list or as a text with commas."""
    if isinstance(value, str):
        value = value.split(",")
    if value is None or not isinstance(value, list):
        value = [] if value is None else [value]
    if not all(isinstance(tag, str | int | float | date) for tag in value):
        raise Unreadable("`tags` must be a list of words")
    tags = (str(tag).strip().removeprefix("#") for tag in value)
    return tuple(tag for tag in tags if tag)


def first_heading(text: str) -> str:
    """Return the first heading of a Markdown text, or nothing."""
    return next((title for _, title in outline(text) if title), "")
