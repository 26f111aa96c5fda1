"""Workers in real processes, and the table of what they did."""

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import psycopg
from tests.messaging.lab.plan import STAGES, Plan, agent_of, first_hop
from tests.messaging.rig import identified

from higherself.kernel.errors import Unavailable
from higherself.messaging.exchange import Exchange
from higherself.messaging.model import Message, Published, identifier_of_key

ROOT = Path(__file__).resolve().parents[3]


class Sends(Protocol):
    """What takes messages: an outbox, a road."""

    async def send(self, *messages: Message) -> list[Published]: ...


class ByBus:
    """Sends as a bus does, and notes when which road took it: (seconds, road)."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.took: list[tuple[float, str]] = []

    async def send(self, *messages: Message) -> list[Published]:
        published, road = await self.exchange.send(*map(identified, messages))
        self.took.append((time.monotonic(), road))
        return published

    def since(self, instant: float) -> list[tuple[float, str]]:
        """Return what was taken after ``instant``, in seconds from it."""
        return [(at - instant, road) for at, road in self.took if at >= instant]


class ByRoad:
    """Sends on one road alone."""

    def __init__(self, road: Sends) -> None:
        self.road = road

    async def send(self, *messages: Message) -> list[Published]:
        return await self.road.send(*map(identified, messages))


def make_lab(url: str) -> None:
    """Make the table of effects, empty."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS lab CASCADE")
        connection.execute("CREATE SCHEMA lab")
        connection.execute(
            "CREATE TABLE lab.effect (number bigint GENERATED ALWAYS AS IDENTITY, n int, stage int,"
            " conversation int, worker text, extra text, at timestamptz DEFAULT clock_timestamp())"
        )


def drop_lab(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS lab CASCADE")


class Process:
    """A worker."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.messaging.lab.worker", json.dumps(plan.text())],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    async def ready(self) -> None:
        """Wait until it handles messages."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(self.process.stdout.readline), 30)
        assert line == "ready\n", "the worker did not start"

    def signal(self, kind: signal.Signals) -> None:
        self.process.send_signal(kind)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Lab:
    """Some workers, and what went in."""

    plan: Plan
    conversations: int = 20
    dice: random.Random = field(default_factory=lambda: random.Random(20261123))
    workers: list[Process] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)
    started: int = 0

    async def start(self, count: int = 2, **changed: Any) -> list[Process]:
        """Start workers, and wait until they work."""
        begun = []
        for _ in range(count):
            self.started += 1
            begun.append(Process(replace(self.plan, name=f"w{self.started}", **changed)))
        self.workers += begun
        for each in begun:
            await each.ready()
        return begun

    async def kill_one(self) -> None:
        """Kill a worker, and start another one in its place."""
        victim = self.dice.randrange(len(self.workers))
        self.workers[victim].close()
        self.started += 1
        self.workers[victim] = Process(replace(self.plan, name=f"w{self.started}"))
        await self.workers[victim].ready()

    def message(self, n: int, **more: Any) -> Message:
        said = first_hop(n, self.conversations)
        topic = agent_of(said, self.plan.agents)
        return Message(
            topic=topic, type="lab.step", source="urn:higherself:service:lab", data=said,
            partition_key=str(said["conversation"]), idempotency_key=f"lab {n}", **more,
        )  # fmt: skip

    async def send(self, road: Sends, numbers: Iterable[int], *, at_once: int = 25) -> None:
        """Send numbers in order, each until it is acknowledged; note which were at the first try."""
        todo = list(numbers)
        for begin in range(0, len(todo), at_once):
            some = todo[begin : begin + at_once]
            messages = [self.message(n) for n in some]
            while True:
                try:
                    await road.send(*messages)
                except Unavailable:
                    await asyncio.sleep(0.05)
                    continue
                break
            self.acknowledged |= set(some)

    def identified(self, n: int) -> Message:
        """Return the message with its identifier set, as the bus sets it."""
        keyed = self.message(n)
        return replace(
            keyed,
            id=identifier_of_key(None, keyed.topic, keyed.idempotency_key or ""),
            idempotency_key=None,
        )

    # What has to hold.

    def effects(self) -> list[tuple[int, int, int]]:
        """Return (n, stage, conversation) of every effect, in the order in which they were made."""
        return self.rows("SELECT n, stage, conversation FROM lab.effect ORDER BY number")

    def rows(self, statement: str) -> list[Any]:
        with psycopg.connect(self.plan.url, autocommit=True) as connection:
            connection.execute("SET search_path = higherself")
            connection.execute("SET higherself.entity = '*'")
            return connection.execute(statement.encode()).fetchall()

    async def finished(self, sent: int, *, patience: float = 60.0) -> float:
        """Wait until every number went all the way; return the seconds that took."""
        began = time.monotonic()
        while time.monotonic() - began < patience:
            with suppress(psycopg.Error):
                (row,) = await asyncio.to_thread(
                    self.rows,
                    f"SELECT count(DISTINCT n) FROM lab.effect WHERE stage = {STAGES - 1}",
                )
                if row[0] >= sent:
                    return time.monotonic() - began
            await asyncio.sleep(0.05)
        raise AssertionError(f"not finished after {patience} s: {self.told(sent)}")

    def told(self, sent: int) -> str:
        counts = self.rows(
            "SELECT stage, count(DISTINCT n), count(*) FROM lab.effect GROUP BY 1 ORDER BY 1"
        )
        open_ones = self.rows(
            "SELECT topic, status, count(*) FROM message GROUP BY 1, 2 ORDER BY 1, 2"
        )
        idle = self.rows(
            "SELECT pid, now() - xact_start, left(query, 60) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        return f"of {sent}: {counts}, messages {open_ones}, idle in a transaction {idle}"

    def check(self, sent: int) -> None:
        """Assert that nothing is lost or doubled, and that the order of every conversation holds."""
        effects = self.effects()
        once = {(n, stage) for n, stage, _ in effects}
        lost = {(n, stage) for n in self.acknowledged for stage in range(STAGES)} - once
        assert not lost, f"acknowledged and lost: {sorted(lost)[:10]} ({len(lost)})"
        assert len(effects) == len(once), f"{len(effects) - len(once)} effects twice"
        assert len(once) == sent * STAGES
        self.check_order(effects)

    def check_order(self, effects: Sequence[tuple[int, int, int]]) -> None:
        seen: dict[tuple[int, int], int] = {}
        for n, stage, conversation in effects:
            before = seen.get((conversation, stage), -1)
            assert n > before, f"conversation {conversation}, stage {stage}: {n} after {before}"
            seen[conversation, stage] = n

    def close(self) -> None:
        for each in self.workers:
            each.close()
