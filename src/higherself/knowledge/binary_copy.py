"""Rows in PostgreSQL's binary COPY format, many at once. Pure.

Written out with NumPy because the driver turns arrays and vectors into bytes number by number in
Python, which took longer than all the rest of storing a chunk (measured).

Source: PostgreSQL documentation, COPY, "Binary Format"; array_send in arrayfuncs.c; halfvec_recv
in pgvector's halfvec.c.
"""

import struct
from collections.abc import Sequence

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
