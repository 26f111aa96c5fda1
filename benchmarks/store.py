"""The knowledge store beside other stores on the same PostgreSQL: taking in, and vector search.

Every store gets the same rows and vectors through its public interface, in a fresh database of
the same server. Runs of ours and of a peer follow each other directly, so that both meet the
same load.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import data
import numpy as np
import psycopg
from data import Matrix
from measure import (
    Line,
    Server,
    Spent,
    at_least,
    at_most,
    finish,
    p,
    p50,
    parser,
    say,
    throwaway_server,
)
from own import (
    Ask,
    Asked,
    Incoming,
    as_document,
    ask_ours,
    filter_lines,
    in_turns,
    ours,
    rows_returned,
    take_in,
)
from peers import IN_PROCESS, NEAREST, OUR_PYTHON
from pgvector import HalfVector
from pgvector.psycopg import register_vector_async

from higherself import HigherSelf
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.catalogue_postgres import PostgresCatalogue
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import EmbeddingSpace, NewDocument
from higherself.knowledge.postgres import PostgresDocuments
from higherself.knowledge.search_postgres import PostgresSearch
from higherself.knowledge.tiers import Tier
from higherself.testing.postgres import in_database

HERE = Path(__file__).resolve().parent
PEERS_PYTHON = HERE / ".venv" / "bin" / "python"


class Peer:
    """A process that runs one store of `peers.py`."""

    def __init__(self, name: str, server: Server, folder: Path) -> None:
        self.name = name
        self._server = server
        self._log = folder / f"{name}.log"
        self._database: str | None = None
        if name in IN_PROCESS:
            self.url = str(folder / f"{name}.files")
        else:
            self._database = server.fresh_database(name.replace("-", "_"), ours=name == "ours")
            self.url = server.as_superuser(self._database)
            if name == "ours":
                self.url = in_database(server.url, self._database)
        python = sys.executable if name in OUR_PYTHON else str(PEERS_PYTHON)
        command = [python, str(HERE / "peers.py"), name, str(folder)]
        self.missing: str | None = None
        try:
            self._process = subprocess.Popen(
                [*command, self.url],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log.open("w"),
                text=True,
            )
            opened = self._answer()
            self.package = opened.get("package", name)
            self.missing = opened.get("missing")
        except (OSError, EOFError) as error:
            self.package, self.missing = name, str(error)

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Have it do something and return its answer."""
        assert self._process.stdin is not None
        print(json.dumps([verb, arguments]), file=self._process.stdin, flush=True)
        return self._answer()

    def timed(self, verb: str) -> Spent:
        """Have it do something and return what both sides spent."""
        before = self._server.cpu()
        answer = self.ask(verb)
        return Spent(answer["wall"], answer["client"], self._server.cpu() - before)

    def close(self) -> None:
        """End the process and drop its database."""
        if hasattr(self, "_process"):
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(60)
        if self._database is not None:
            self._server.drop(self._database)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._log.read_text().strip().splitlines()[-5:]
            raise EOFError(f"{self.name} ended with {self._process.wait()}: {' / '.join(said)}")
        answer: dict[str, Any] = json.loads(line)
        return answer


async def main() -> None:
    """Measure what the options ask for."""
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--queries", type=int, default=200)
    options.add_argument("--peers", default="bare,langchain,haystack,llama-index,vecs")
    chosen = options.parse_args()
    lines: list[Line] = []
    with throwaway_server() as server, tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        queries = data.query_vectors(chosen.queries)
        say(f"making {chosen.rows:,} rows")
        data.write(folder, chosen.rows, queries)
        peers = [Peer(name, server, folder) for name in chosen.peers.split(",")]
        documents = [as_document(*each) for each in data.rows(chosen.rows)]
        for peer in peers:
            async with ours(server) as hs:
                lines += await compare_ingest(hs, server, documents, peer)
        async with ours(server) as hs:
            lines += await compare_adding_again(hs, server, documents)
            working = [peer for peer in peers if peer.missing is None]
            lines += await compare_search(hs, server, working, queries, chosen.rows)
            lines += await compare_filter(hs, server, working, queries, chosen.rows)
        for peer in peers:
            peer.close()
    finish(lines, chosen.json)


INGEST_TARGETS = {"langchain": 4.0, "haystack": 4.0, "llama-index": 3.5, "vecs": 2.0}


async def compare_ingest(
    hs: HigherSelf, server: Server, documents: Incoming, peer: Peer
) -> list[Line]:
    """Take the rows in, here and there, one directly after the other."""
    say(f"taking in: ours, then {peer.name}")
    stored, complete = await take_in(hs, server, documents)
    if peer.missing is not None:
        return [Line("ingest with index", len(documents) / complete.wall, "rows/s", peer.name,
                     note=f"missing: {peer.missing}")]  # fmt: skip
    added = peer.timed("add")
    indexed = peer.timed("index")
    theirs = Spent(*(a + b for a, b in zip(astuple(added), astuple(indexed), strict=True)))
    lines = [
        _ingest_line("ingest with index", len(documents), complete, theirs, peer,
                     INGEST_TARGETS.get(peer.name))
    ]  # fmt: skip
    if indexed.wall > 0.1:  # else the index was there from the start
        target = 10.0 if peer.name == "langchain" else None
        lines.append(
            _ingest_line("ingest, no vector index", len(documents), stored, added, peer, target)
        )
    return lines


def _ingest_line(
    figure: str, rows: int, mine: Spent, theirs: Spent, peer: Peer, target: float | None
) -> Line:
    ratio = theirs.wall / mine.wall
    return Line(
        figure, rows / mine.wall, "rows/s", peer.package, rows / theirs.wall, ratio,
        **(at_least(ratio, target, "x") if target else {}),
        note=f"CPU {theirs.cpu / mine.cpu:.2f}x: ours {mine.client:.1f}+{mine.server:.1f} s, "
        f"theirs {theirs.client:.1f}+{theirs.server:.1f} s",
    )  # fmt: skip


async def compare_adding_again(hs: HigherSelf, server: Server, documents: Incoming) -> list[Line]:
    """Add the same documents a second time."""
    say("adding again what has not changed")
    _, first = await take_in(hs, server, documents)
    again = min([(await take_in(hs, server, documents))[1] for _ in range(3)], key=lambda s: s.wall)
    ratio = first.wall / again.wall
    calls = await embedding_calls(hs, [document for document, _ in documents[:1000]])
    return [
        Line("adding unchanged again", again.wall, "s", "first time", first.wall, ratio,
             **at_least(ratio, 20, "x"), note=f"CPU {first.cpu / again.cpu:.1f}x"),
        Line("adding unchanged again: embedding calls", calls[1], "", "first time", calls[0],
             **at_most(calls[1], 0), note="1,000 documents through `add`"),
    ]  # fmt: skip


class CountingEmbeddings:
    """A provider that costs nothing and counts how often it was called."""

    space = EmbeddingSpace(name="bench-count/8", provider="bench", model="count", dimensions=8)
    window = 256

    def __init__(self) -> None:
        self.calls = 0

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [text.count(" ") + 3 for text in texts]

    async def embed(self, texts: Sequence[str], *, purpose: str = "document") -> Matrix:
        self.calls += 1
        return np.full((len(texts), 8), 8**-0.5, dtype=np.float32)

    def close(self) -> None:
        """Nothing to release."""


async def embedding_calls(hs: HigherSelf, documents: Sequence[NewDocument]) -> list[int]:
    """Add ``documents`` twice by the road that embeds; return the calls that each time took."""
    provider = CountingEmbeddings()
    hub = KnowledgeHub(
        store=PostgresDocuments(hs.database, SYSTEM_CLOCK),
        index=PostgresSearch(hs.database),
        catalogue=PostgresCatalogue(hs.database),
        clock=SYSTEM_CLOCK,
        tiers=[Tier("bench", provider, on_machine=True)],
    )
    documents = [replace(document, entity="counting") for document in documents]
    await hub.add(documents)
    first = provider.calls
    report = await hub.add(documents)
    assert report.unchanged == len(documents)
    await hub.forget("counting")
    return [first, provider.calls - first]


async def compare_search(
    hs: HigherSelf, server: Server, peers: Sequence[Peer], queries: Matrix, rows: int
) -> list[Line]:
    """Ask everybody the same queries in turns."""
    say("vector search")
    truth = data.nearest(queries, rows)
    async with AsyncExitStack() as stack:
        contestants = {"ours": ask_ours(hs, queries)}
        for peer in peers:
            if peer.name == "bare":
                contestants[f"{peer.package}, ef 100"] = ask_peer(peer, ef=100)
                contestants[f"{peer.package}, ef 40"] = ask_peer(peer, ef=40)
                connection = await stack.enter_async_context(_connected(peer))
                contestants[f"{peer.package} async, ef 100"] = _bare_async(connection, queries)
            else:
                contestants[peer.package] = ask_peer(peer)
        theirs = await in_turns(server, contestants, len(queries))
    mine = theirs.pop("ours")
    lines = [Line("vector search: recall@10", data.recall(mine.found, truth), note="of exact")]
    for name, their in theirs.items():
        ratio = p50(their.milliseconds) / p50(mine.milliseconds)
        target: dict[str, Any] = {}
        if ", ef " in name:  # the limit: here the ratio is how much slower ours is
            ratio = 1 / ratio
            target = at_most(ratio, 1.5, "x") if name.endswith(" 100") else {}
        lines.append(
            Line("vector search: p50", p50(mine.milliseconds), "ms", name,
                 p50(their.milliseconds), ratio, **target, note=_beside(mine, their, truth))
        )  # fmt: skip
    return lines


async def compare_filter(
    hs: HigherSelf, server: Server, peers: Sequence[Peer], queries: Matrix, rows: int
) -> list[Line]:
    """Ask for the nearest among the one row in a hundred that has a tag."""
    say("vector search with a filter")
    truth = data.nearest(queries, rows, only_rare=True)
    contestants = {"ours": ask_ours(hs, queries, tags=[data.RARE])}
    contestants |= {peer.package: ask_peer(peer, tag=data.RARE) for peer in peers}
    theirs = await in_turns(server, contestants, len(queries))
    mine = theirs.pop("ours")
    return filter_lines(mine, truth) + [
        Line("1 % filter: p50", p50(mine.milliseconds), "ms", name, p50(their.milliseconds),
             p50(their.milliseconds) / p50(mine.milliseconds),
             note=f"they return {rows_returned(their):.2f} of 10 rows; "
             + _beside(mine, their, truth))
        for name, their in theirs.items()
    ]  # fmt: skip


def _beside(mine: Asked, their: Asked, truth: Any) -> str:
    return (
        f"p95 {p(mine.milliseconds, 95):.1f} beside {p(their.milliseconds, 95):.1f} ms, "
        f"CPU {mine.cpu:.1f} beside {their.cpu:.1f} ms; "
        f"their recall {data.recall(their.found, truth):.3f}"
    )


@asynccontextmanager
async def _connected(peer: Peer) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(peer.url, autocommit=True) as connection:
        await register_vector_async(connection)
        await connection.execute("SET hnsw.ef_search = 100")
        yield connection


def _bare_async(connection: psycopg.AsyncConnection[Any], queries: Matrix) -> Ask:
    """The limit again, through the kind of driver and event loop that we use."""

    async def ask(start: int, stop: int) -> Asked:
        asked = Asked()
        started = time.process_time()
        for vector in queries[start:stop]:
            began = time.perf_counter()
            cursor = await connection.execute(NEAREST, [HalfVector(vector)], prepare=True)
            hits = await cursor.fetchall()
            asked.milliseconds.append((time.perf_counter() - began) * 1000)
            asked.found.append([hit[0] for hit in hits])
        asked.client = time.process_time() - started
        return asked

    return ask


def ask_peer(peer: Peer, **arguments: Any) -> Ask:
    async def ask(start: int, stop: int) -> Asked:
        answer = peer.ask("search", start=start, stop=stop, **arguments)
        return Asked(answer["milliseconds"], answer["ids"], answer["client"])

    return ask


if __name__ == "__main__":
    asyncio.run(main())
