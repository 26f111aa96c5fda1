"""What is written for COPY, PostgreSQL reads as it was meant."""

from typing import Any

import numpy as np
import psycopg
import pytest

from higherself.kernel.ids import ChunkId
from higherself.knowledge.binary_copy import BEGIN, END, posting_rows, vector_rows
from higherself.knowledge.lexical import invert


def copied(database: str, columns: str, *parts: bytes) -> list[Any]:
    with psycopg.connect(database) as connection:
        connection.execute("SET search_path = extensions, public")
        connection.execute(f"CREATE TEMP TABLE probe ({columns})".encode())
        with connection.cursor().copy("COPY probe FROM STDIN (FORMAT binary)") as copy:
            for part in (BEGIN, *parts, END):
                copy.write(part)
        return connection.execute("SELECT * FROM probe").fetchall()


@pytest.mark.postgres
def test_postings_of_several_businesses(worker_database: str) -> None:
    one = invert([(ChunkId(5), "bath bath"), (ChunkId(6), "a café")])
    two = invert([(ChunkId(2**38), "art")])
    rows = copied(
        worker_database,
        "term text, entity text, first bigint, last bigint, chunks int, length bigint, p bigint[]",
        posting_rows("the_7_space", one),
        posting_rows("a", two),
    )
    assert rows == [
        ("", "the_7_space", 5, 6, 2, 3, [5 << 24 | 2, 6 << 24 | 1]),
        ("bath", "the_7_space", 5, 5, 1, 0, [5 << 24 | 2 << 16 | 2]),
        ("cafe", "the_7_space", 6, 6, 1, 0, [6 << 24 | 1 << 16 | 1]),
        ("", "a", 2**38, 2**38, 1, 1, [2**62 | 1]),
        ("art", "a", 2**38, 2**38, 1, 0, [2**62 | 1 << 16 | 1]),
    ]


@pytest.mark.postgres
@pytest.mark.parametrize("dimensions", [1, 3, 1024])
def test_vectors(worker_database: str, dimensions: int) -> None:
    vectors = np.random.default_rng(1).normal(size=(2, dimensions)).astype(np.float32)
    digests = [bytes(range(32)), b"\0" * 32]
    rows = copied(
        worker_database,
        "content_hash bytea, entity text, embedding halfvec",
        vector_rows("a_space", digests, vectors),
    )
    assert [(digest, entity) for digest, entity, _ in rows] == [(d, "a_space") for d in digests]
    read = np.array([text.strip("[]").split(",") for _, _, text in rows], dtype=np.float32)
    assert np.allclose(read, vectors, rtol=1e-3, atol=1e-4)
