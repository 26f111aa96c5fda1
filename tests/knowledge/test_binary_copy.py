"""What is written for COPY, PostgreSQL reads as it was meant."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from higherself.kernel.ids import ChunkId
from higherself.knowledge.binary_copy import (
    BEGIN,
    END,
    chunk_row,
    document_row,
    instant,
    posting_rows,
    vector_rows,
)
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


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
INSTANTS = st.timedeltas(-timedelta(days=40_000), timedelta(days=80_000)).map(
    lambda since: datetime(2000, 1, 1, tzinfo=UTC) + since
)


@pytest.mark.postgres
def test_documents_and_chunks_of_any_text(worker_database: str) -> None:
    given_rows: list[tuple[Any, ...]] = []

    @settings(max_examples=100, database=None)
    @given(
        st.uuids(), st.lists(TEXTS, min_size=4, max_size=4), st.lists(TEXTS, max_size=3),
        st.none() | TEXTS, st.binary(max_size=32), st.integers(1, 2**31 - 1), st.none() | INSTANTS,
        st.booleans(),
    )  # fmt: skip
    def draw(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> None:
        given_rows.append((a, b, c, d, e, f, g, h))

    draw()
    now = datetime(2026, 11, 22, 12, 30, 0, 5, tzinfo=UTC)
    documents = [
        document_row(
            number, (*names, uri), tags, (names[0].encode(), names[1].encode(), digest, digest),
            version, instant(at) + instant(now), "own", uri, local_only=private,
        )
        for number, names, tags, uri, digest, version, at, private in given_rows
    ]  # fmt: skip
    read = copied(
        worker_database,
        "id uuid, entity text, source text, external_id text, title text, uri text, tags text[],"
        " metadata text, labels text, content_hash bytea, attributes_hash bytea, version int,"
        " at timestamptz, now timestamptz, trust text, local_only boolean, blanks text",
        *documents,
    )
    assert read == [
        (number, *names, uri, tags, names[0], names[1], digest, digest, version, at, now, "own",
         private, uri)
        for number, names, tags, uri, digest, version, at, private in given_rows
    ]  # fmt: skip
    chunks = [
        chunk_row(version, number, names[0], tags, (1, 2, 3, version), names[1], digest)
        for number, names, tags, _, digest, version, _, _ in given_rows
    ]
    read = copied(
        worker_database,
        "number bigint, id uuid, entity text, ordinal int, headings text[], s int, e int, t int,"
        " text text, digest bytea",
        *chunks,
    )
    assert read == [
        (version, number, names[0], 1, tags, 2, 3, version, names[1], digest)
        for number, names, tags, _, digest, version, _, _ in given_rows
    ]
