"""Our own side: the program on a fresh database, taking documents in, asking, asking in turns."""

import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import data
import numpy as np
from data import Matrix
from measure import Line, Server, Spent, at_least, at_most, p50

from higherself import HigherSelf
from higherself.db.migrate import migrate
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.model import EmbeddingSpace, IngestReport, NewDocument

SPACE = EmbeddingSpace(name="bench/384", provider="bench", model="bench", dimensions=384)

ROUNDS = 4
PASSES = 3

Incoming = list[tuple[NewDocument, Any]]


@dataclass(slots=True)
class Asked:
    """What queries took, one by one in milliseconds and in all in CPU seconds, and what they found."""

    milliseconds: list[float] = field(default_factory=list)
    found: list[list[str]] = field(default_factory=list)
    client: float = 0.0
    server: float = 0.0

    def extend(self, more: "Asked") -> None:
        """Add queries that followed."""
        self.milliseconds += more.milliseconds
        self.found += more.found
        self.client += more.client
        self.server += more.server

    def better(self, other: "Asked") -> "Asked":
        """Return each query's better time of two passes: what the load did not spoil."""
        pairs = zip(self.milliseconds, other.milliseconds, strict=True)
        return Asked(
            [min(pair) for pair in pairs],
            self.found,
            min(self.client, other.client),
            min(self.server, other.server),
        )

    @property
    def cpu(self) -> float:
        """CPU milliseconds of both sides for one query."""
        return (self.client + self.server) * 1000 / len(self.milliseconds)


Ask = Callable[[int, int], Awaitable[Asked]]
"""Asks the queries from one number to another."""


@asynccontextmanager
async def ours(server: Server) -> AsyncIterator[HigherSelf]:
    """Yield the program on a fresh database."""
    database = server.fresh_database("ours", ours=True)
    settings = server.as_program(database)
    assert settings.database_url is not None
    await migrate(settings.database_url.get_secret_value(), clock=SYSTEM_CLOCK)
    async with HigherSelf.open(settings) as hs:
        yield hs
    server.drop(database)


def as_document(row: data.Row, vector: Any) -> tuple[NewDocument, Any]:
    """Return a row as our interface takes it."""
    document = NewDocument(
        external_id=row.id, text=row.text, source="bench", tags=(row.tag,), metadata=row.metadata
    )
    return document, vector


async def take_in(hs: HigherSelf, server: Server, documents: Incoming) -> tuple[Spent, Spent]:
    """Add ``documents``; return what was spent until all were stored, and until all was indexed."""
    stored: list[Spent] = []
    with server.spending() as spent:

        def progress(report: IngestReport) -> None:
            if report.created + report.updated + report.unchanged == len(documents):
                stored.append(spent())

        report = await hs.knowledge.add_embedded(documents, space=SPACE, progress=progress)
        complete = spent()
    assert report.documents == len(documents), report
    assert not report.failed, report.failed[:3]
    assert report.embedded == 0
    return stored[0], complete


async def search(
    hs: HigherSelf,
    queries: Matrix,
    *,
    texts: Sequence[str] = (),
    mode: Any = "vector",
    tags: Sequence[str] = (),
) -> Asked:
    """Ask one query after the other, each with its text if there are any."""
    asked = Asked()
    started = time.process_time()
    for vector, text in itertools.zip_longest(queries, texts, fillvalue=""):
        began = time.perf_counter()
        answer = await hs.knowledge.search(
            text, mode=mode, vector=vector, space=SPACE.name, limit=10, tags=tags
        )
        asked.milliseconds.append((time.perf_counter() - began) * 1000)
        asked.found.append(
            [
                hit.document.external_id
                for hit in answer.hits
                if hit.chunk.text and hit.document.metadata
            ]
        )
    asked.client = time.process_time() - started
    return asked


def ask_ours(
    hs: HigherSelf, queries: Matrix, *, texts: Sequence[str] = (), **arguments: Any
) -> Ask:
    """Return what asks our own search."""

    async def ask(start: int, stop: int) -> Asked:
        return await search(hs, queries[start:stop], texts=texts[start:stop], **arguments)

    return ask


async def in_turns(server: Server, contestants: dict[str, Ask], queries: int) -> dict[str, Asked]:
    """Have everybody ask a slice of the queries in turns, in a pass to warm up and `PASSES` more."""
    bounds = np.linspace(0, queries, ROUNDS + 1, dtype=int).tolist()
    best: dict[str, Asked] = {}
    for number in range(PASSES + 1):
        asked = {name: Asked() for name in contestants}
        for start, stop in itertools.pairwise(bounds):
            for name, ask in contestants.items():
                before = server.cpu()
                part = await ask(start, stop)
                part.server = server.cpu() - before
                asked[name].extend(part)
        if number == 1:
            best = asked
        elif number > 1:
            best = {name: best[name].better(asked[name]) for name in asked}
    return best


def filter_lines(mine: Asked, truth: Any) -> list[Line]:
    """Return the lines about our own search with a filter."""
    returned, share = rows_returned(mine), data.recall(mine.found, truth)
    middle = p50(mine.milliseconds)
    return [
        Line("1 % filter: rows of 10", returned, **at_least(returned, 10)),
        Line("1 % filter: recall@10", share, **at_least(share, 0.99)),
        Line("1 % filter: p50", middle, "ms", **at_most(middle, 10, " ms")),
    ]


def rows_returned(asked: Asked) -> float:
    """Return how many rows a query returned on average."""
    return sum(map(len, asked.found)) / len(asked.found)
