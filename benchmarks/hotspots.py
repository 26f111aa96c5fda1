"""Where our time goes: client CPU by function, and server time by statement, for tuning.

    python benchmarks/hotspots.py [--rows 20000]

Statements are timed by the server's own log, so a COPY counts the time it waited for us.
"""

import argparse
import asyncio
import cProfile
import io
import pstats
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

import data
import psycopg
from measure import Server, throwaway_server
from own import as_document, ours, search, take_in

from higherself import HigherSelf

QUERIES = 300
_DURATION = re.compile(r"duration: ([\d.]+) ms  (parse|bind|execute|statement)[^:]*: *(.*)")


async def _inline(function: Callable[..., Any], *arguments: Any) -> Any:
    """Stand in for `asyncio.to_thread`, whose threads a profile does not see."""
    return function(*arguments)


class Watch:
    """Prints what a piece of work cost."""

    def __init__(self, server: Server, hs: HigherSelf) -> None:
        self._server, self._hs = server, hs

    async def see(self, title: str, work: Callable[[], Awaitable[Any]], *, per: int) -> None:
        """Run ``work`` under the profiler; show times in all and per unit, of which it has ``per``."""
        skip = len(self._server.log.read_bytes())
        profiler = cProfile.Profile()
        with self._server.spending() as spent:
            profiler.enable()
            await work()
            profiler.disable()
            cost = spent()
        print(
            f"\n== {title}: wall {cost.wall:.2f} s, client CPU {cost.client:.2f} s (profiled), "
            f"server CPU {cost.server:.2f} s; each {cost.wall / per * 1000:.3f} ms"
        )
        text = io.StringIO()
        pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(28)
        print("\n".join(line for line in text.getvalue().splitlines()[6:] if line.strip()))
        print("-- server, by statement: ms in all, times, ms of parse + bind + execute each")
        log = self._server.log.read_bytes()[skip:].decode(errors="replace")
        print(statements(log))


def statements(log: str) -> str:
    """Return the statements of a server log, most expensive first."""
    spent: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    calls: defaultdict[str, int] = defaultdict(int)
    for entry in re.split(r"\n(?=\d{4}-\d\d-\d\d )", log):
        if found := _DURATION.search(" ".join(entry.split("DETAIL")[0].split("\n"))):
            name = re.sub(r"\s+", " ", found[3])[:150]
            spent[name][found[2]] += float(found[1])
            calls[name] += found[2] in ("execute", "statement")
    lines = []
    for name, phases in sorted(spent.items(), key=lambda item: -sum(item[1].values()))[:24]:
        times = max(calls[name], 1)
        parts = " + ".join(f"{phases[k] / times:.3f}" for k in ("parse", "bind"))
        run = (phases["execute"] + phases["statement"]) / times
        total = sum(phases.values())
        lines.append(f"{total:9.1f}  {times:5d} x ({parts} + {run:.3f})  {name}")
    return "\n".join(lines)


async def main() -> None:
    """Profile taking in, adding again, and each kind of search."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=20_000)
    rows = options.parse_args().rows
    documents = [as_document(*each) for each in data.rows(rows)]
    queries = data.query_vectors(QUERIES)
    texts = data.query_texts(QUERIES)
    with throwaway_server() as server:
        with psycopg.connect(server.admin_url, autocommit=True) as admin:
            admin.execute("ALTER ROLE higherself SET log_min_duration_statement = 0")
        async with ours(server) as hs:
            to_thread, asyncio.to_thread = asyncio.to_thread, _inline
            watch = Watch(server, hs)
            await watch.see("taking in", lambda: take_in(hs, server, documents), per=rows)
            await watch.see("adding again", lambda: take_in(hs, server, documents), per=rows)
            for title, arguments in {
                "vector": {"mode": "vector"},
                "vector, 1 % filter": {"mode": "vector", "tags": [data.RARE]},
                "lexical": {"mode": "lexical", "texts": texts},
                "hybrid": {"mode": "hybrid", "texts": texts},
            }.items():
                await search(hs, queries[:20], texts=texts[:20])
                await watch.see(
                    f"{title} search", lambda a=arguments: search(hs, queries, **a), per=QUERIES
                )
            asyncio.to_thread = to_thread


if __name__ == "__main__":
    asyncio.run(main())
