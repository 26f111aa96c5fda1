"""Messages: sent and handled a second, from sender to handler on an idle system, commits and CPU.

Beside PgQueuer and procrastinate, if `benchmarks/.venv` has them, on the same server and in turns.
The handler does nothing, so this is what the queues themselves cost.
"""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from measure import Line, Server, at_least, at_most, finish, p, parser, say, throwaway_server
from message_overhead import overhead

from higherself.testing.postgres import in_database

HERE = Path(__file__).resolve().parent
PEER_PYTHON = HERE / ".venv" / "bin" / "python"
PEERS = ("pgqueuer", "procrastinate")
COUNT, ROUNDS, ROUND_TRIPS, SECONDS = 2000, 3, 100, 10
SETTLES = 1.5
"""Seconds until the server has counted the commits of connections that are gone."""


@dataclass(frozen=True, slots=True)
class Took:
    """What a piece of work took."""

    wall: float
    cpu: float
    commits: int
    lags: list[float]


class Queue:
    """One queue in a database of its own."""

    def __init__(self, name: str, server: Server) -> None:
        self.name, self.server = name, server
        self.ours = name == "higherself"
        self.database = server.fresh_database(name, ours=self.ours)
        self.url = (
            in_database(server.url, self.database)
            if self.ours
            else server.as_superuser(self.database)
        )
        self.missing = self._install()

    def _install(self) -> bool:
        try:
            self._run("install", 0)
        except (OSError, subprocess.CalledProcessError) as error:
            say(f"{self.name}: {getattr(error, 'stderr', error)[-300:]}")
            return True
        return False

    def at(self, work: str, count: int) -> Took:
        """Do a piece of work in a process of its own; its start counts for the server alone."""
        say(f"{self.name}: {work}")
        commits, cpu = self._commits(), self.server.cpu()
        found = self._run(work, count)
        server = self.server.cpu() - cpu
        time.sleep(SETTLES)
        # What this asks itself: one commit for each of two connections.
        made = self._commits() - commits - 1
        return Took(found["wall"], found["cpu"] + server, made, found.get("lags", []))

    def _run(self, work: str, count: int) -> dict[str, Any]:
        python = Path(sys.executable) if self.ours else PEER_PYTHON
        command = [
            str(python),
            str(HERE / "message_queues.py"),
            self.name,
            self.url,
            work,
            str(count),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _commits(self) -> int:
        with psycopg.connect(self.server.admin_url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT xact_commit FROM pg_stat_database WHERE datname = %s", [self.database]
            ).fetchone()
        return int(row[0]) if row else 0


def main() -> None:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--count", type=int, default=COUNT)
    chosen = options.parse_args()
    with throwaway_server() as server:
        queues = [Queue(name, server) for name in ("higherself", *PEERS)]
        finish(compare(queues, chosen.count), chosen.json)


def compare(queues: list[Queue], count: int) -> list[Line]:
    """Let every queue do every piece of work, one after the other."""
    lines: list[Line] = []
    ours, *peers = queues
    lines += [Line("messages", "not installed", beside=each.name) for each in peers if each.missing]
    there = [each for each in queues if not each.missing]
    rounds: dict[str, dict[str, list[Took]]] = {"publish": {}, "deliver": {}}
    for _ in range(ROUNDS):
        for work, took in rounds.items():
            for each in there:
                took.setdefault(each.name, []).append(each.at(work, count))
    for work, figure in (("publish", "sent"), ("deliver", "handled")):
        best = {name: _best(took) for name, took in rounds[work].items()}
        lines += _compared(figure, best, ours.name, count)
    lags: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for each in there:
            found = each.at("latency", ROUND_TRIPS).lags
            lags[each.name] = min(found, lags.get(each.name, found), key=median)
    for percent, bound in ((50, 5.0), (95, 12.0)):
        mine = 1000 * p(lags[ours.name], percent)
        target: dict[str, Any] = at_most(mine, bound, " ms")
        for name in list(lags)[1:] or [""]:
            theirs = 1000 * p(lags[name], percent) if name else None
            ratio = theirs / mine if theirs else None
            figure = f"sender to handler, idle, p{percent}"
            lines.append(Line(figure, mine, "ms", name, theirs, ratio, **target))
            target = {}
    own = min(asyncio.run(overhead()) for _ in range(3))
    lines.append(Line("our own CPU a message, no database", own, "us", **at_most(own, 60, " us")))
    rates = {each.name: _idle(each) for each in there}
    mine = rates[ours.name]
    lines.append(Line("commits of an idle consumer", mine, "/s", **at_most(mine, 2, "/s")))
    for name in list(rates)[1:]:
        lines.append(Line("commits of an idle consumer", mine, "/s", name, rates[name]))
    return lines


def _idle(queue: Queue) -> float:
    """Return the commits a second of a consumer that waits, without those of its start."""
    start = min(queue.at("idle", 1).commits for _ in range(3))  # what was before is told late
    return (queue.at("idle", 1 + SECONDS).commits - start) / SECONDS


def _best(rounds: list[Took]) -> Took:
    return Took(
        min(each.wall for each in rounds),
        min(each.cpu for each in rounds),
        min(each.commits for each in rounds),
        [],
    )


def _compared(figure: str, took: dict[str, Took], ours: str, count: int) -> list[Line]:
    lines = []
    mine = took[ours]
    for name in list(took)[1:] or [""]:
        theirs = took.get(name)
        rate = count / mine.wall
        their_rate = count / theirs.wall if theirs else None
        ratio = rate / their_rate if their_rate else None
        target = at_least(ratio, 1.0) if ratio is not None and figure == "handled" else {}
        lines += [
            Line(f"{figure}, {count:,}", rate, "/s", name, their_rate, ratio, **target),  # type: ignore[arg-type]
            Line(
                f"{figure}: CPU of both sides each",
                1000 * mine.cpu / count,
                "ms",
                name,
                1000 * theirs.cpu / count if theirs else None,
                theirs.cpu / mine.cpu if theirs else None,
            ),
            Line(
                f"{figure}: commits each",
                mine.commits / count,
                "",
                name,
                theirs.commits / count if theirs else None,
            ),
        ]
    return lines


if __name__ == "__main__":
    main()
