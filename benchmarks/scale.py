"""Search at 100,000 chunks (or a million), and what taking them in costs in memory and statements."""

import asyncio
import re
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import data
import psycopg
from measure import Line, Server, at_least, at_most, finish, p, p50, parser, say, throwaway_server
from own import SPACE, Asked, as_document, ask_ours, filter_lines, in_turns, ours

from higherself import HigherSelf
from higherself.knowledge.model import IngestReport, NewDocument

WATCHED = 50_000
"""Chunks during whose ingest the memory is watched, from the first fifth on."""
FLAT_MB = 50
LOGGED = 100_000
"""Chunks taken in with every statement in the server's log, to count them."""


async def main() -> None:
    """Measure what the options ask for."""
    options = parser(__doc__)
    options.add_argument("--chunks", type=int, default=100_000)
    options.add_argument("--queries", type=int, default=200)
    chosen = options.parse_args()
    with throwaway_server() as server:
        lines = await count_statements(server)
        async with ours(server) as hs:
            lines += await take_in_and_watch(hs, server, chosen.chunks)
            lines += await measure_search(hs, server, chosen.chunks, chosen.queries)
    finish(lines, chosen.json)


def incoming(count: int, spent: list[float]) -> Iterator[tuple[NewDocument, Any]]:
    """Yield rows as our interface takes them; note in ``spent`` the seconds that making them took."""
    made = data.rows(count)
    while True:
        began = time.perf_counter()
        batch = [as_document(row, vector) for row, vector in islice(made, data.BLOCK)]
        spent[0] += time.perf_counter() - began
        if not batch:
            return
        yield from batch


async def take_in_and_watch(hs: HigherSelf, server: Server, chunks: int) -> list[Line]:
    """Take the chunks in from a stream, and watch this process's memory."""
    say(f"taking in {chunks:,} chunks")
    list(islice(data.rows(data.BLOCK), 1))  # what the data needs is not to count
    megabytes: dict[int, float] = {}
    making = [0.0]

    def progress(report: IngestReport) -> None:
        megabytes[report.documents] = _resident_megabytes()

    with server.spending() as spent:
        await hs.knowledge.add_embedded(incoming(chunks, making), space=SPACE, progress=progress)
        cost = spent()
    seconds = cost.wall - making[0]
    watched = [size for count, size in megabytes.items() if count <= WATCHED]
    settled = [size for count, size in megabytes.items() if WATCHED // 5 <= count <= WATCHED]
    growth = settled[-1] - settled[0] if settled else 0.0
    return [
        Line("ingest with index, streamed", chunks / seconds, "rows/s",
             note=f"CPU {cost.client - making[0]:.0f}+{cost.server:.0f} s"),
        Line("memory while taking in 50,000 chunks", max(watched), "MB"),
        Line("its growth from 10,000 to 50,000", growth, "MB", **at_most(growth, FLAT_MB, " MB")),
    ]  # fmt: skip


async def measure_search(hs: HigherSelf, server: Server, chunks: int, queries: int) -> list[Line]:
    """Ask each kind of query, in turns."""
    say("searching")
    vectors, texts = data.query_vectors(queries), data.query_texts(queries)
    truth = data.nearest(vectors, chunks)
    rare = data.nearest(vectors, chunks, only_rare=True)
    asked = await in_turns(
        server,
        {
            "vector": ask_ours(hs, vectors),
            "lexical": ask_ours(hs, vectors, texts=texts, mode="lexical"),
            "hybrid": ask_ours(hs, vectors, texts=texts, mode="hybrid"),
            "filter": ask_ours(hs, vectors, tags=[data.RARE]),
        },
        queries,
    )
    recall = data.recall(asked["vector"].found, truth)
    # The targets are for 100,000 chunks.
    bounds = {"vector": 5.0, "hybrid": 40.0} if chunks <= 100_000 else {}
    lines = [
        _line(f"{chunks:,} chunks: {mode} search p50", asked[mode], bounds.get(mode))
        for mode in ("vector", "lexical", "hybrid")
    ]
    lines.append(
        Line("vector search: recall@10", recall, note="of exact",
             **(at_least(recall, 0.97) if bounds else {}))
    )  # fmt: skip
    return lines + filter_lines(asked["filter"], rare)


def _line(figure: str, asked: Asked, bound: float | None) -> Line:
    middle = p50(asked.milliseconds)
    return Line(
        figure, middle, "ms", **(at_most(middle, bound, " ms") if bound else {}),
        note=f"p95 {p(asked.milliseconds, 95):.1f}, best {min(asked.milliseconds):.1f} ms; CPU "
        f"{asked.cpu:.1f} ms, {asked.server * 1000 / len(asked.found):.1f} of it the server's",
    )  # fmt: skip


async def count_statements(server: Server) -> list[Line]:
    """Count the statements that reach the server, by its log."""
    say("counting statements")
    with psycopg.connect(server.admin_url, autocommit=True) as admin:
        admin.execute("ALTER ROLE higherself SET log_min_duration_statement = 0")
        async with ours(server) as hs:
            skip = len(server.log.read_bytes())
            await hs.knowledge.add_embedded(incoming(LOGGED, [0.0]), space=SPACE)
            log = server.log.read_bytes()[skip:].decode(errors="replace")
        admin.execute("ALTER ROLE higherself RESET log_min_duration_statement")
    statements = len(re.findall(r"duration: [\d.]+ ms  (?:execute|statement)", log))
    assert statements, "the log names no statement"
    rows = LOGGED / statements
    return [
        Line(
            "rows for a statement", rows, **at_least(rows, 500), note=f"{statements} for {LOGGED:,}"
        )
    ]


def _resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


if __name__ == "__main__":
    asyncio.run(main())
