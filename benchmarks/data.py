"""Made-up documents with real sentences, and vectors that an index finds as hard as real ones.

Texts are about 200 words of sentences drawn from the collections in ``../shared/datasets`` if they
are there, else from the sample businesses. Vectors are a mixture of 2,000 Gaussian clusters on
the sphere. Everything follows from the seed and the number of the block, so a million rows need
no more memory than a block.
"""

import json
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT.parent / "shared" / "datasets"
SAMPLE = ROOT / "src" / "higherself" / "business" / "sample"

DIMENSIONS = 384
CENTRES = 2_000
NOISE = 1.0
DECAY = 0.6
"""How far a vector is from its centre (whose length is 1), and how fast the directions of that
noise lose weight. Chosen so that plain HNSW finds of 100,000 vectors about what it finds of real
ones of all-MiniLM-L6-v2: recall@10 of 0.95 at ef_search 40 and 0.98 at 100."""

WORDS = 200
BLOCK = 1_000
RARE = "rare"
"""The tag of every hundredth row."""

Matrix = NDArray[np.float32]


class Row(NamedTuple):
    """A document to store."""

    id: str
    text: str
    tag: str
    metadata: dict[str, Any]


def rows(count: int) -> Iterator[tuple[Row, NDArray[np.float32]]]:
    """Yield ``count`` documents with their vectors."""
    for block in range(-(-count // BLOCK)):
        vectors = block_of_vectors(block)
        for number, vector in enumerate(vectors[: count - block * BLOCK], start=block * BLOCK):
            yield row(number), vector


def row(number: int) -> Row:
    """Return the document of this number."""
    drawn = random.Random(number)
    parts: list[str] = []
    words = 0
    while words < WORDS:
        parts.append(drawn.choice(sentences()))
        words += parts[-1].count(" ") + 1
    return Row(
        id=f"{number:08d}-0000-4000-8000-000000000000",
        text=" ".join(parts),
        tag=RARE if number % 100 == 37 else "common",
        metadata={"year": drawn.randrange(1990, 2027), "author": f"author {drawn.randrange(500)}"},
    )


def block_of_vectors(block: int) -> Matrix:
    """Return the unit vectors of rows ``block * BLOCK`` and following."""
    return _mixture(np.random.default_rng([7, block]), BLOCK)


def query_vectors(count: int) -> Matrix:
    """Return vectors from the same mixture that belong to no row."""
    return _mixture(np.random.default_rng([11, 0]), count)


def query_texts(count: int) -> list[str]:
    """Return questions: of the collections, or the first words of sentences."""
    asked = [
        json.loads(line)["text"]
        for path in sorted(COLLECTIONS.glob("*/queries.jsonl"))
        for line in path.read_text().splitlines()
    ]
    asked = asked or [" ".join(sentence.split()[:8]) for sentence in sentences()[::7]]
    drawn = random.Random(5)
    return [" ".join(drawn.choice(asked).replace('"', " ").split()[:40]) for _ in range(count)]


def nearest(
    queries: Matrix, count: int, *, k: int = 10, only_rare: bool = False
) -> NDArray[np.int64]:
    """Return the numbers of the ``k`` rows truly nearest to each query, best first."""
    best = np.full((len(queries), k), -2.0, dtype=np.float32)
    who = np.zeros((len(queries), k), dtype=np.int64)
    for block in range(-(-count // BLOCK)):
        numbers = np.arange(block * BLOCK, min(count, (block + 1) * BLOCK))
        vectors = block_of_vectors(block)[: len(numbers)]
        if only_rare:
            vectors, numbers = vectors[numbers % 100 == 37], numbers[numbers % 100 == 37]
        scores = np.concatenate([best, queries @ vectors.T], axis=1)
        merged = np.concatenate(
            [who, np.broadcast_to(numbers, (len(queries), len(numbers)))], axis=1
        )
        order = np.argsort(-scores, axis=1)[:, :k]
        best = np.take_along_axis(scores, order, axis=1)
        who = np.take_along_axis(merged, order, axis=1)
    return who


def recall(found: list[list[str]], truth: NDArray[np.int64]) -> float:
    """Return which share of the true rows was found."""
    hits = sum(
        len({int(name[:8]) for name in names} & set(true.tolist()))
        for names, true in zip(found, truth, strict=True)
    )
    return hits / truth.size


def write(folder: Path, count: int, queries: Matrix) -> None:
    """Write the rows and the query vectors where the peers read them."""
    vectors = np.empty((count, DIMENSIONS), dtype=np.float32)
    with (folder / "rows.jsonl").open("w") as file:
        for number, (made, vector) in enumerate(rows(count)):
            vectors[number] = vector
            file.write(json.dumps(made._asdict()) + "\n")
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "queries.npy", queries)


@cache
def sentences() -> list[str]:
    """Return the sentences that texts are made of."""
    texts = [
        json.loads(line)["text"]
        for path in sorted(COLLECTIONS.glob("*/corpus.jsonl"))
        for line in path.read_text().splitlines()
    ] or [path.read_text() for path in sorted(SAMPLE.rglob("*.md"))]
    found = (part.strip() for text in texts for part in re.split(r"(?<=[.!?])\s+", text))
    return list(dict.fromkeys(part for part in found if 4 <= part.count(" ") <= 60))


@cache
def _centres() -> Matrix:
    return _unit(np.random.default_rng(3).standard_normal((CENTRES, DIMENSIONS)) @ _spread())


@cache
def _spread() -> Matrix:
    """The noise's directions, turned at random, each with its weight."""
    weights = np.arange(1, DIMENSIONS + 1) ** -DECAY
    turned, _ = np.linalg.qr(np.random.default_rng(4).standard_normal((DIMENSIONS, DIMENSIONS)))
    return (turned * (weights / np.linalg.norm(weights))[:, None]).astype(np.float32)


def _mixture(drawn: np.random.Generator, count: int) -> Matrix:
    centres = _centres()[drawn.integers(0, CENTRES, count)]
    noise = drawn.standard_normal((count, DIMENSIONS), dtype=np.float32) @ _spread()
    return _unit(centres + NOISE * noise)


def _unit(vectors: NDArray[Any]) -> Matrix:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
