"""A second embedding space is filled while people search: what they notice, and what it costs.

First sentences are taken in with the real local model, and the memory of this process is watched.
Then a second tier gets its vectors while 20 searches a second are answered from the first. The
second provider costs nothing, so that what is measured is the store.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterator, Sequence
from pathlib import Path

import data
import numpy as np
from data import Matrix
from measure import Line, Server, at_least, at_most, finish, p, parser, say, throwaway_server
from own import ours

from higherself import HigherSelf
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.catalogue_postgres import PostgresCatalogue
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import EmbeddingSpace, NewDocument
from higherself.knowledge.ports import EmbeddingProvider
from higherself.knowledge.postgres import PostgresDocuments
from higherself.knowledge.providers.local import LocalEmbeddings
from higherself.knowledge.search_postgres import PostgresSearch
from higherself.knowledge.tiers import Tier

PER_SECOND = 20
QUIET_SECONDS = 15
FLAT_MB = 50


class Drawn:
    """A provider whose vectors are drawn from the text, so that the same text has the same."""

    window = 256

    def __init__(self, name: str, dimensions: int) -> None:
        self.space = EmbeddingSpace(
            name=f"{name}/{dimensions}", provider="bench", model=name, dimensions=dimensions
        )
        self._mixing = np.random.default_rng(dimensions).normal(size=(64, dimensions))

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [text.count(" ") + 3 for text in texts]

    async def embed(self, texts: Sequence[str], *, purpose: str = "document") -> Matrix:
        seen = np.zeros((len(texts), 64))
        for row, text in enumerate(texts):
            for word in text.split()[:64]:
                seen[row, hash(word) % 64] += 1
        vectors = (seen @ self._mixing + 1e-3).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def close(self) -> None:
        """Nothing to release."""


def sentences(count: int) -> Iterator[NewDocument]:
    """Yield so many documents of one sentence each, no two the same."""
    known = data.sentences()
    for number in range(count):
        text = known[number * 7919 % len(known)]
        yield NewDocument(external_id=str(number), text=f"{text[:160]} Note {number}.")


def resident_megabytes() -> float:
    """Return the memory of this process."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * 4096 / 1e6


def hub_with(hs: HigherSelf, *providers: EmbeddingProvider) -> KnowledgeHub:
    """Return a hub on the program's database with these providers, the first one the best."""
    return KnowledgeHub(
        store=PostgresDocuments(hs.database, SYSTEM_CLOCK),
        index=PostgresSearch(hs.database),
        catalogue=PostgresCatalogue(hs.database),
        clock=SYSTEM_CLOCK,
        tiers=[Tier(each.space.provider, each, on_machine=True) for each in providers],
    )


class Searching:
    """Searches at a steady pace until it is told to stop; notes what each took, and failures."""

    def __init__(self, hub: KnowledgeHub, questions: Sequence[str]) -> None:
        self._hub = hub
        self._questions = questions
        self.milliseconds: list[float] = []
        self.errors: list[str] = []
        self.stop = asyncio.Event()

    async def run(self) -> None:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            number = 0
            while not self.stop.is_set():
                group.create_task(self._ask(self._questions[number % len(self._questions)]))
                number += 1
                wait = began + number / PER_SECOND - time.perf_counter()
                await asyncio.sleep(max(0.0, wait))

    async def _ask(self, question: str) -> None:
        began = time.perf_counter()
        try:
            answer = await self._hub.search(question, limit=10)
            if not answer.hits:
                self.errors.append("no hits")
        except Exception as error:  # noqa: BLE001  whatever it is, it is counted
            self.errors.append(repr(error))
        self.milliseconds.append((time.perf_counter() - began) * 1000)


async def main() -> None:
    """Measure what the options ask for."""
    options = parser(__doc__)
    options.add_argument("--chunks", type=int, default=100_000)
    chosen = options.parse_args()
    with throwaway_server() as server:
        async with ours(server) as hs:
            lines = await measure(hs, server, chosen.chunks)
    finish(lines, chosen.json)


async def measure(hs: HigherSelf, server: Server, chunks: int) -> list[Line]:
    """Fill one space, then another while searches go on; a quiet time before is the limit."""
    first, second = LocalEmbeddings(), Drawn("second", 1024)
    say(f"taking in {chunks:,} chunks with the local model")
    hub = hub_with(hs, first)
    memory: list[tuple[int, float]] = []
    began = time.perf_counter()
    report = await hub.add(
        sentences(chunks),
        progress=lambda report: memory.append((report.documents, resident_megabytes())),
    )
    taken = time.perf_counter() - began
    assert report.chunks == chunks, report
    early = max(megabytes for documents, megabytes in memory if documents <= chunks // 5)
    peak = max(megabytes for _, megabytes in memory)
    questions = data.query_texts(200)
    both = hub_with(hs, first, second)
    await both.spaces()
    say("searching in quiet")
    quiet = await searched_during(both, questions, asyncio.sleep(QUIET_SECONDS))
    say("searching while the second space is filled")
    began = time.perf_counter()
    busy = await searched_during(both, questions, both.upkeep.once())
    filling = time.perf_counter() - began
    coverage = {space["name"]: space["coverage"] for space in await both.spaces()}
    ratio = p(busy.milliseconds, 95) / p(quiet.milliseconds, 95)
    return [
        Line("taking in with the local model", chunks / taken, "chunks/s"),
        Line("memory with the model: peak", peak, "MB", **at_most(peak, 600, "MB")),
        Line("memory: growth after the first fifth", peak - early, "MB",
             **at_most(peak - early, FLAT_MB, "MB")),
        Line("filling a second space", chunks / filling, "chunks/s"),
        Line("second space: coverage", coverage[second.space.name], **at_least(1.0, 1.0)),
        Line("searches meanwhile", len(busy.milliseconds), note=f"{PER_SECOND} a second"),
        Line("searches that failed", len(busy.errors), **at_most(len(busy.errors), 0)),
        Line("hybrid search: p50", p(busy.milliseconds, 50), "ms", "in quiet",
             p(quiet.milliseconds, 50), p(busy.milliseconds, 50) / p(quiet.milliseconds, 50)),
        Line("hybrid search: p95", p(busy.milliseconds, 95), "ms", "in quiet",
             p(quiet.milliseconds, 95), ratio, **at_most(ratio, 2.0, "x")),
    ]  # fmt: skip


async def searched_during(
    hub: KnowledgeHub, questions: Sequence[str], work: Awaitable[object]
) -> Searching:
    """Search at a steady pace while ``work`` runs."""
    searching = Searching(hub, questions)
    task = asyncio.create_task(searching.run())
    await work
    searching.stop.set()
    await task
    return searching


if __name__ == "__main__":
    asyncio.run(main())
