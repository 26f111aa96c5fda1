"""Rows in PostgreSQL's binary COPY format, many at once. Pure.

Written out with NumPy because the driver turns arrays and vectors into bytes number by number in
Python, which took longer than all the rest of storing a chunk (measured).

Source: PostgreSQL documentation, COPY, "Binary Format"; array_send in arrayfuncs.c; halfvec_recv
in pgvector's halfvec.c.
"""

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from higherself.knowledge.lexical import CHUNK_SHIFT, EVERY_CHUNK, Inverted

BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END = struct.pack(">h", -1)

_INT8 = 20
"""The identifier of the type in every PostgreSQL's catalogue."""
_ITEM = np.dtype([("size", ">i4"), ("value", ">i8")])
_TERM = struct.Struct(">hi")
_REST = struct.Struct(">iqiqiiiqiiiiii")


def posting_rows(entity: str, inverted: Inverted) -> bytes:
    """Return a row (term, entity, first chunk, last chunk, chunks, length, postings) per term."""
    items = np.empty(len(inverted.postings), _ITEM)
    items["size"], items["value"] = 8, inverted.postings
    data = memoryview(items.tobytes())
    owner = entity.encode()
    owner = struct.pack(">i", len(owner)) + owner
    starts, ends = inverted.bounds[:-1], inverted.bounds[1:]
    firsts = (inverted.postings[starts] >> CHUNK_SHIFT).tolist()
    lasts = (inverted.postings[ends - 1] >> CHUNK_SHIFT).tolist()
    parts: list[bytes | memoryview] = []
    rows = zip(inverted.terms, starts.tolist(), ends.tolist(), firsts, lasts, strict=True)
    for term, start, end, first, last in rows:
        name, count = term.encode(), end - start
        length = inverted.length if term == EVERY_CHUNK else 0
        size = 20 + count * _ITEM.itemsize
        parts += (
            _TERM.pack(7, len(name)), name, owner,
            _REST.pack(8, first, 8, last, 4, count, 8, length, size, 1, 0, _INT8, count, 1),
            data[start * _ITEM.itemsize : end * _ITEM.itemsize],
        )  # fmt: skip
    return b"".join(parts)


def vector_rows(entity: str, digests: Sequence[bytes], vectors: NDArray[np.float32]) -> bytes:
    """Return a row (content hash, entity, halfvec) for each of ``vectors``, of shape ``(n, d)``."""
    owner = entity.encode()
    dimensions = vectors.shape[1]
    rows = np.empty(
        len(digests),
        np.dtype(
            [
                ("fields", ">i2"),
                ("digest_size", ">i4"),
                ("digest", "V32"),
                ("owner_size", ">i4"),
                ("owner", f"V{len(owner)}"),
                ("size", ">i4"),
                ("dimensions", ">i2"),
                ("unused", ">i2"),
                ("vector", ">f2", (dimensions,)),
            ]
        ),
    )
    rows["fields"], rows["unused"] = 3, 0
    rows["digest_size"], rows["digest"] = 32, np.frombuffer(b"".join(digests), "V32")
    rows["owner_size"], rows["owner"] = len(owner), np.void(owner)
    rows["size"], rows["dimensions"] = 4 + 2 * dimensions, dimensions
    rows["vector"] = vectors
    return rows.tobytes()


def document_row(
    identifier: UUID,
    names: Sequence[str | None],
    tags: Sequence[str],
    rest: Sequence[str | bytes | None],
    version: int,
    times: bytes,
    trust: str,
    blanks: str | None,
    *,
    local_only: bool,
) -> bytes:
    """Return the row of a document: ``names``, ``tags``, the ``rest``, its version and ``times``."""
    return b"".join(
        (
            _DOCUMENT_BEGINS, identifier.bytes, *map(_field, names), _texts(tags),
            *map(_field, rest), _INT4, version.to_bytes(4), times, _often(trust), _BOOLEAN,
            b"\1" if local_only else b"\0", _field(blanks),
        )
    )  # fmt: skip


def chunk_row(
    number: int,
    document: UUID,
    entity: str,
    headings: Sequence[str],
    places: tuple[int, int, int, int],
    text: str,
    digest: bytes,
) -> bytes:
    """Return the row of a chunk; ``places`` are its ordinal, start, end and tokens."""
    ordinal, start, end, tokens = places
    return b"".join(
        (
            _CHUNK_BEGINS.pack(10, 8, number, 16), document.bytes, _often(entity),
            _ONE_INT.pack(4, ordinal), _texts(headings),
            _THREE_INTS.pack(4, start, 4, end, 4, tokens), _field(text), _field(digest),
        )
    )  # fmt: skip


def instant(at: datetime | None) -> bytes:
    """Return the field of an instant."""
    if at is None:
        return _NULL
    return _INSTANT.pack(8, (at - _EPOCH) // _MICROSECOND)


def _field(value: str | bytes | None) -> bytes:
    if value is None:
        return _NULL
    data = value.encode() if isinstance(value, str) else value
    return _SIZE(len(data)) + data


@lru_cache(maxsize=256)
def _often(value: str) -> bytes:
    """Return the field of a text that stands in many rows."""
    return _field(value)


def _texts(values: Sequence[str]) -> bytes:
    if not values:
        return _NO_TEXTS
    items = b"".join(map(_field, values))
    return _ARRAY.pack(20 + len(items), 1, 0, _TEXT, len(values), 1) + items


_SIZE = struct.Struct(">i").pack
_TEXT = 25
_NULL = b"\xff\xff\xff\xff"
_INT4, _BOOLEAN = (4).to_bytes(4), (1).to_bytes(4)
_DOCUMENT_BEGINS = struct.pack(">hi", 17, 16)
_CHUNK_BEGINS = struct.Struct(">hiqi")
_ONE_INT, _THREE_INTS = struct.Struct(">ii"), struct.Struct(">iiiiii")
_INSTANT = struct.Struct(">iq")
_ARRAY = struct.Struct(">iiiiii")
_NO_TEXTS = struct.pack(">iiii", 12, 0, 0, _TEXT)
_EPOCH, _MICROSECOND = datetime(2000, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
