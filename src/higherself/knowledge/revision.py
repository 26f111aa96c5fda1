"""What adding a document means for what is stored. Pure.

A document is split, each passage gets the text that is embedded for it, and the result is laid
beside the stored chunks: a chunk whose text is still there stays (with its number, its vector
and its postings), the rest goes or comes.
"""

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import get_args

from higherself.kernel.errors import Rejected
from higherself.kernel.ids import checked_entity
from higherself.kernel.jsonvalue import JsonValue, canonical, check_json, content_hash
from higherself.knowledge.chunking import split
from higherself.knowledge.errors import DocumentRejected
from higherself.knowledge.model import NewDocument, Passage, StoredChunk, Trust

CHUNKER = "2"
"""Part of every document's hash: raise it when splitting changes, and documents are split anew."""

CONTEXT_TOKENS = 48
"""Tokens of the model's window kept for the title and the headings above a passage."""

LARGEST_PASSAGE = 256
"""Tokens. A model with a longer window gets no longer passages: so the model on this machine, whose
window this is, can embed whatever was split for another."""

_LONGEST_NAME = 1_000
_LONGEST_KEY = 2_500
"""Bytes. An index takes 2,704 of everything that names a document."""
_CONTEXT_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage and the hash of exactly what is embedded for it."""

    passage: Passage
    embedded_text: str
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class Revision:
    """Stored chunks that stay (each with its place in the new text), pieces to add, chunks to drop."""

    kept: tuple[tuple[StoredChunk, Piece], ...]
    added: tuple[Piece, ...]
    removed: tuple[StoredChunk, ...]

    def blanks(self, text: str) -> str:
        """Return what of the new ``text`` is in no chunk, in order: whitespace, mostly none."""
        passages = [piece.passage for _, piece in self.kept]
        passages += [piece.passage for piece in self.added]
        if len(passages) == 1 and len(passages[0].text) == len(text):
            return ""
        found, end = [], 0
        for passage in sorted(passages, key=lambda passage: passage.ordinal):
            found.append(text[end : passage.start])
            end = max(end, passage.end)
        return "".join([*found, text[end:]])


def checked_name(document: NewDocument) -> NewDocument:
    """Return ``document`` if what names it can be stored and looked up.

    Raises
        DocumentRejected: naming the field and what is wrong with it.
    """
    name = document.external_id or "a document"
    try:
        checked_entity(document.entity)
    except Rejected as error:
        raise DocumentRejected(name, str(error)) from error
    for field in ("external_id", "source"):
        value = getattr(document, field)
        if not value.strip():
            raise DocumentRejected(name, f"{field} is empty; give the document a name of its own")
        _check_text(name, field, value)
    if len(document.source.encode()) + len(document.external_id.encode()) > _LONGEST_KEY:
        raise DocumentRejected(
            name[:80], f"source and external_id together have more than {_LONGEST_KEY} bytes"
        )
    return document


def checked(document: NewDocument) -> NewDocument:
    """Return ``document`` if the rest of it can be stored.

    Raises
        DocumentRejected: naming the field and what is wrong with it.
    """
    name = document.external_id
    if not document.text.strip():
        raise DocumentRejected(name, "text is empty")
    _check_text(name, "title", document.title)
    _check_text(name, "uri", document.uri or "")
    if document.trust not in get_args(Trust):
        known = ", ".join(get_args(Trust))
        raise DocumentRejected(name, f"trust is {document.trust!r}; it must be one of {known}")
    if document.at is not None and _instant(document.at) is None:
        raise DocumentRejected(
            name, f"at is {document.at.isoformat()}, which is no instant: give it a time zone"
        )
    try:
        check_json({"text": document.text, "tags": document.tags, "metadata": document.metadata})
    except Rejected as error:
        raise DocumentRejected(name, str(error)) from error
    return document


def _check_text(name: str, field: str, value: str) -> None:
    if len(value) > _LONGEST_NAME:
        raise DocumentRejected(name[:80], f"{field} has more than {_LONGEST_NAME} characters")
    try:
        check_json(value, field)
    except Rejected as error:
        raise DocumentRejected(repr(name), str(error)) from error


def hash_of_content(document: NewDocument, *, whole: bool) -> bytes:
    """Return the hash of what a document's chunks are made of."""
    return content_hash(CHUNKER, "whole" if whole else "split", document.title, document.text)


def hash_of_attributes(document: NewDocument) -> bytes:
    """Return the hash of the rest of a document."""
    at = _instant(document.at)
    attributes = canonical((document.uri, document.tags, as_stored(document.metadata), at))
    if not document.local_only and document.trust == "own":
        return content_hash(attributes)  # as it was before there were these two
    return content_hash(attributes, document.trust, "local" if document.local_only else "")


def _instant(at: datetime | None) -> str | None:
    """Return ``at`` in UTC: the same instant, wherever the clock stood; None if it is none."""
    try:
        return at.astimezone(UTC).isoformat() if at is not None and at.tzinfo is not None else None
    except OverflowError:
        return None


def as_stored(value: JsonValue) -> JsonValue:
    """Return ``value`` as it comes back from PostgreSQL, which knows no exponents and no -0.

    >>> as_stored({"n": [1e20, -0.0, 0.1]})
    {'n': [100000000000000000000, 0.0, 0.1]}
    """
    if type(value) is str or value is None:  # most are
        return value
    match value:
        case str() | int():
            return value
        case dict():
            return dict(zip(value, map(as_stored, value.values()), strict=True))
        case float() if math.isfinite(value):
            return int(Decimal(repr(value))) if abs(value) >= 1e16 else value or 0.0
        case Mapping():
            return dict(zip(value, map(as_stored, value.values()), strict=True))
        case list() | tuple():
            return list(map(as_stored, value))
        case _:
            return value


def put_together(chunks: Iterable[tuple[int, int, str]], blanks: str) -> str:
    """Return the text that was split into ``chunks``, given by start, end and text, in order."""
    parts, end, used = [], 0, 0
    for start, stop, text in chunks:
        gap = max(0, start - end)
        parts += [blanks[used : used + gap], text[max(0, end - start) :]]
        end, used = max(end, stop), used + gap
    return "".join([*parts, blanks[used:]])


def pieces(
    document: NewDocument, *, count_tokens: Callable[[Sequence[str]], list[int]], window: int
) -> list[Piece]:
    """Return the pieces of ``document``, none longer than ``window`` tokens as embedded."""
    limit = min(window, LARGEST_PASSAGE) - CONTEXT_TOKENS
    passages = split(document.text, count_tokens=count_tokens, limit=limit)
    texts = [in_context(document.title, each.headings, each.text) for each in passages]
    for index, tokens in enumerate(count_tokens(texts) if texts else []):
        if tokens > window:
            texts[index] = passages[index].text
    return [
        Piece(passage, text, content_hash(text))
        for passage, text in zip(passages, texts, strict=True)
    ]


def whole(document: NewDocument) -> list[Piece]:
    """Return ``document`` as one piece: for a caller who brings its vector."""
    words = document.text.count(" ") + 1
    passage = Passage(0, (), 0, len(document.text), document.text, words)
    return [Piece(passage, document.text, content_hash(document.text))]


def in_context(title: str, headings: Sequence[str], text: str) -> str:
    """Return a passage under its title and headings: what is embedded, and indexed by its words.

    A passage alone often does not say what it is about; the lines above it do. Nothing is said
    twice: a passage that begins with the title, as many do, stays as it is.
    """
    context = " > ".join(dict.fromkeys(part for part in (title, *headings) if part))
    start = text.lstrip("# \n").casefold()
    if not context or start.startswith(context.casefold()):
        return text
    return f"{context[:_CONTEXT_CHARACTERS]}\n\n{text}"


def revise(stored: Sequence[StoredChunk], new: Sequence[Piece]) -> Revision:
    """Return how the ``stored`` chunks become the ``new`` pieces, keeping every one that can stay."""
    if not stored:
        return Revision((), tuple(new), ())
    by_content: defaultdict[tuple[bytes, str], deque[StoredChunk]] = defaultdict(deque)
    for chunk in stored:
        by_content[chunk.content_hash, chunk.text].append(chunk)
    kept: list[tuple[StoredChunk, Piece]] = []
    added: list[Piece] = []
    for piece in new:
        if same := by_content[piece.content_hash, piece.passage.text]:
            kept.append((same.popleft(), piece))
        else:
            added.append(piece)
    removed = (chunk for left in by_content.values() for chunk in left)
    return Revision(tuple(kept), tuple(added), tuple(removed))
