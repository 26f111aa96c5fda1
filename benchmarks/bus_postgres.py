"""Durable messages on PostgreSQL: published to consumed, and request to reply, in several processes.

Beside a plain queue of rows (`bus_queues.RowsQueue`), and PgQueuer if `benchmarks/.venv` has it, on
the same server and in turns: all commit before they answer, with payloads of 1 KB. The rate depends on
what else the machine does; CPU a message (all processes and the server's) much less.
"""

import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import Line, Server, at_least, at_most, finish, p, parser, say, throwaway_server

from higherself.testing.postgres import in_database

HERE = Path(__file__).resolve().parent
PEER_PYTHON = HERE / ".venv" / "bin" / "python"
COUNT, ROUNDS, REQUESTS = 20_000, 3, 300
SHARE = {"higherself": 1, "rows": 4, "pgqueuer": 8}
"""The slower ones get so many times fewer messages, so that all take about as long."""

TARGETS = {1: 15_000, 4: 10_000}
CPU_TARGETS = {1: 0.12, 4: 0.2}
"""Messages a second, and CPU milliseconds a message, of so many producers and consumers."""


@dataclass(frozen=True, slots=True)
class Took:
    """Messages a second, and CPU seconds each of producers, consumers and server."""

    rate: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Asked:
    """Seconds until each answer, and CPU seconds each of who asks, who answers, and the server."""

    lags: list[float]
    cpu: float


class Queue:
    """One queue in a database of its own."""

    def __init__(self, name: str, server: Server) -> None:
        self.name, self.server = name, server
        database = server.fresh_database(name, ours=name == "higherself")
        ours = name == "higherself"
        self.url = in_database(server.url, database) if ours else server.as_superuser(database)
        self.python = sys.executable if name != "pgqueuer" else str(PEER_PYTHON)
        self.missing = False
        try:
            self._finished(self._start("install", 0))
        except (OSError, ValueError) as error:
            say(f"{name} cannot be used: {error}")
            self.missing = True

    def passes(self, pairs: int, count: int) -> Took:
        """Let so many producers and consumers pass messages on."""
        say(f"{self.name}: {pairs} producers, {pairs} consumers, {count:,} messages")
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes(8 * pairs))
            file.flush()
            producers = [self._start("produce", count // pairs) for _ in range(pairs)]
            consumers = [self._start("consume", 0, slot, file.name) for slot in range(pairs)]
            for each in (*producers, *consumers):
                _say_line(each)
            cpu, began = self.server.cpu(), time.perf_counter()
            for each in (*consumers, *producers):
                _tell(each)
            while sum(struct.unpack(f"{pairs}q", Path(file.name).read_bytes())) < count:
                time.sleep(0.01)
            wall = time.perf_counter() - began
            time.sleep(0.2)  # the last settlements
            server = self.server.cpu() - cpu
            for each in consumers:
                _tell(each)
            spent = sum(self._finished(each)["cpu"] for each in (*producers, *consumers))
        return Took(count / wall, (spent + server) / count)

    def asks(self, count: int) -> Asked:
        """Ask one after the other; return the seconds until each answer was there, and the CPU each."""
        say(f"{self.name}: {count} requests")
        answering = self._start("answer", 0)
        _say_line(answering)
        time.sleep(0.5)  # it listens
        _tell(answering)
        cpu = self.server.cpu()
        found = self._finished(self._start("ask", count))
        server = self.server.cpu() - cpu
        _tell(answering)
        answered = self._finished(answering)["cpu"]
        return Asked(found["lags"], (found["cpu"] + answered + server) / count)

    def _start(
        self, role: str, count: int, slot: int = 0, seen: str = ""
    ) -> "subprocess.Popen[str]":
        script = str(HERE / "bus_queues.py")
        return subprocess.Popen(
            [self.python, script, self.name, self.url, role, str(count), str(slot)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "SEEN": seen},
        )

    def _finished(self, process: "subprocess.Popen[str]") -> dict[str, Any]:
        said, _ = process.communicate(timeout=300)
        found: dict[str, Any] = json.loads(said.strip().splitlines()[-1] if said.strip() else "")
        return found


def _say_line(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    process.stdout.readline()


def _tell(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def main() -> None:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("parts", nargs="*", choices=["queue", "request", []], default=[])
    options.add_argument("--count", type=int, default=COUNT)
    options.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = options.parse_args()
    lines: list[Line] = []
    with throwaway_server() as server:
        if not chosen.parts or "queue" in chosen.parts:
            lines += queue_lines(server, chosen.count, chosen.rounds)
        if not chosen.parts or "request" in chosen.parts:
            lines += request_lines(server, chosen.rounds)
    finish(lines, chosen.json)


def queue_lines(server: Server, count: int, rounds: int) -> list[Line]:
    """Measure how fast messages pass, in turns."""
    queues = [each for name in SHARE if not (each := Queue(name, server)).missing]
    lines: list[Line] = []
    for pairs, target in TARGETS.items():
        took: dict[str, list[Took]] = {}
        for _ in range(rounds):
            for each in queues:
                took.setdefault(each.name, []).append(each.passes(pairs, count // SHARE[each.name]))
        rates = {name: max(each.rate for each in all_) for name, all_ in took.items()}
        costs = {name: 1000 * min(each.cpu for each in all_) for name, all_ in took.items()}
        mine, cost = rates["higherself"], costs["higherself"]
        reach: dict[str, Any] = at_least(mine, target, "/s")
        keep: dict[str, Any] = at_most(cost, CPU_TARGETS[pairs], " ms")
        for peer in [name for name in rates if name != "higherself"]:
            theirs, their_cost = rates[peer], costs[peer]
            figure = f"durable, {pairs} producers, {pairs} consumers"
            lines.append(Line(figure, mine, "/s", peer, theirs, mine / theirs, **reach))
            figure = f"{figure}: CPU of all sides each"
            lines.append(Line(figure, cost, "ms", peer, their_cost, their_cost / cost, **keep))
            reach, keep = {}, {}
    return lines


def request_lines(server: Server, rounds: int) -> list[Line]:
    """Measure request to reply on an idle system, both kept in PostgreSQL."""
    queue = Queue("higherself", server)
    took = [queue.asks(REQUESTS) for _ in range(rounds)]
    best = min(took, key=lambda asked: p(asked.lags, 50)).lags
    half, most = 1000 * p(best, 50), 1000 * p(best, 95)
    cost = 1000 * min(each.cpu for each in took)
    return [
        Line("durable request to reply, idle, p50", half, "ms", **at_most(half, 3, " ms")),  # type: ignore[arg-type]
        Line("durable request to reply, idle, p95", most, "ms"),
        Line("durable request to reply: CPU of all sides each", cost, "ms"),
    ]


if __name__ == "__main__":
    main()
