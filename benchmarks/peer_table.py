"""One table of stores, ours among them, over the same rows and vectors.

    .venv/bin/python benchmarks/peer_table.py --rows 6000 --peers langchain,chroma

Each store is in a process of its own and is measured there, ours too, as `peers.py` has it. They
take the rows in one after the other, and then all answer the same queries in turns.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import data
from data import Matrix
from measure import Line, Server, Spent, at_least, finish, p, p50, parser, say, throwaway_server
from own import in_turns, rows_returned
from peers import IN_PROCESS
from store import Peer, ask_peer

DEFAULT = "langchain,llama-index,haystack,chroma,lancedb,qdrant"


@dataclass(frozen=True, slots=True)
class Measured:
    """What one store showed; memory in MB."""

    package: str
    in_process: bool
    rows_a_second: float
    p50: float
    p95: float
    recall: float
    filter_rows: float
    filter_recall: float
    filter_p50: float
    memory: float
    memory_before: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A column of the table: its heading, where it comes from, how it is written, what is better."""

    name: str
    field: str
    form: str
    more_is_better: bool

    def ratio(self, mine: Measured, theirs: Measured) -> float:
        """Return how many times better mine is."""
        ours, other = getattr(mine, self.field), getattr(theirs, self.field)
        if not self.more_is_better:
            ours, other = other, ours
        return ours / other if other else float("inf")


FIGURES = (
    Figure("ingest with index, rows/s", "rows_a_second", ",.0f", more_is_better=True),
    Figure("p50, ms", "p50", ".2f", more_is_better=False),
    Figure("p95, ms", "p95", ".2f", more_is_better=False),
    Figure("recall@10", "recall", ".3f", more_is_better=True),
    Figure("1 % filter: rows of 10", "filter_rows", ".2f", more_is_better=True),
    Figure("1 % filter: recall@10", "filter_recall", ".3f", more_is_better=True),
    Figure("1 % filter: p50, ms", "filter_p50", ".2f", more_is_better=False),
    Figure("client's peak memory, MB", "memory", ",.0f", more_is_better=False),
)


async def main() -> None:
    """Measure what the options ask for."""
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=20_000)
    options.add_argument("--queries", type=int, default=200)
    options.add_argument("--peers", default=DEFAULT)
    chosen = options.parse_args()
    with throwaway_server() as server, tempfile.TemporaryDirectory() as temporary:
        folder, queries = Path(temporary), data.query_vectors(chosen.queries)
        say(f"making {chosen.rows:,} rows")
        data.write(folder, chosen.rows, queries)
        peers = [Peer(name, server, folder) for name in ("ours", *chosen.peers.split(","))]
        working = [peer for peer in peers if peer.missing is None]
        mine, *others = await measure(server, working, queries, chosen.rows)
        held = server.memory()
        for peer in peers:
            peer.close()
    print(f"{chosen.rows:,} rows, {chosen.queries} queries\n\n{markdown([mine, *others])}\n")
    missing = [
        Line("a store to compare with", "missing", beside=peer.name, note=str(peer.missing))
        for peer in peers
        if peer.missing is not None
    ]
    shared = Line("table: PostgreSQL's memory", held, "MB", note="serving all that use it")
    finish([*compared(mine, others), shared, *missing], chosen.json)


async def measure(
    server: Server, peers: Sequence[Peer], queries: Matrix, rows: int
) -> list[Measured]:
    """Return what every store shows, in their order."""
    taken: list[Spent] = []
    for peer in peers:
        say(f"taking in: {peer.package}")
        added, indexed = peer.timed("add"), peer.timed("index")
        parts = zip(astuple(added), astuple(indexed), strict=True)
        taken.append(Spent(*(a + b for a, b in parts)))
    say("searching in turns")
    contestants = {peer.name: ask_peer(peer) for peer in peers}
    asked = await in_turns(server, contestants, len(queries))
    say("searching in turns, with a filter")
    contestants = {peer.name: ask_peer(peer, tag=data.RARE) for peer in peers}
    filtered = await in_turns(server, contestants, len(queries))
    truth = data.nearest(queries, rows)
    rare = data.nearest(queries, rows, only_rare=True)
    found = []
    for peer, spent in zip(peers, taken, strict=True):
        wide, narrow, memory = asked[peer.name], filtered[peer.name], peer.ask("memory")
        found.append(
            Measured(
                package=peer.package,
                in_process=peer.name in IN_PROCESS,
                rows_a_second=rows / spent.wall,
                p50=p50(wide.milliseconds),
                p95=p(wide.milliseconds, 95),
                recall=data.recall(wide.found, truth),
                filter_rows=rows_returned(narrow),
                filter_recall=data.recall(narrow.found, rare),
                filter_p50=p50(narrow.milliseconds),
                memory=memory["peak"],
                memory_before=memory["before"],
            )
        )
    return found


def markdown(found: Sequence[Measured]) -> str:
    """Return the table, a row for each store."""
    rows = [["store", *(figure.name for figure in FIGURES)], ["---", *["---:"] * len(FIGURES)]]
    for each in found:
        name = f"{each.package} (in process)" if each.in_process else each.package
        cells = [format(getattr(each, figure.field), figure.form) for figure in FIGURES]
        cells[-1] += f" ({each.memory_before:,.0f} before the first row)"
        rows.append([name, *cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def compared(mine: Measured, others: Sequence[Measured]) -> Iterator[Line]:
    """Yield ours beside theirs, figure by figure: never behind a store on PostgreSQL."""
    for other in others:
        for figure in FIGURES:
            ratio = figure.ratio(mine, other)
            target = {} if other.in_process else at_least(ratio, 1, "x")
            yield Line(
                f"table: {figure.name}",
                getattr(mine, figure.field),
                beside=other.package,
                theirs=getattr(other, figure.field),
                ratio=ratio,
                **target,
                note="in process" if other.in_process else "",
            )


if __name__ == "__main__":
    asyncio.run(main())
