"""A fault, from its seed: workers that run instances, what is done to them, and what is found afterwards.

`run` plays one scenario. The tests play a few of each kind, ``benchmarks/faults.py`` hundreds.
"""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from tests.workflow.engine.faults import worker

from higherself.db import embedded
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.pool import open_database
from higherself.kernel.errors import Conflict, Unavailable
from higherself.workflow.definition import load_text
from higherself.workflow.engine.engine import Engine
from higherself.workflow.engine.wiring import open_workflows
from higherself.workflow.engine.worker import LEASE
from higherself.workflow.machine import HistoryEntry, replayed

T = TypeVar("T")

KINDS = (
    "kill one worker",
    "kill all workers",
    "freeze a worker",
    "kill PostgreSQL",
    "cut connections",
    "clock jumps",
)

PATIENCE = 45.0
"""Seconds after the fault in which everything has to be done."""

CONCURRENCY = 6
SECONDS, BURST = 2.5, 8
"""In which all instances are started, and how many at once."""
APPLICATION = "higherself-faults"

_HEAD = """
workflow: {name}
version: 1
initial: a
context: {{got: 0}}
states:
"""
_COUNTS = "on: {add: {set: {got: context.got + 1}}}"
_RETRY = "retry: {attempts: 20, backoff: 40ms, max: 200ms}"
_PLAIN = f"""
  a: {{activity: {{skill: work, input: {{ms: 10}}, {_RETRY}}}, {_COUNTS}, transitions: {{to: b}}}}
  b: {{activity: {{skill: work, input: {{ms: 40}}, save: b, {_RETRY}}}, {_COUNTS}, transitions: {{to: c}}}}
  c: {{activity: {{skill: work, input: {{ms: 20}}, {_RETRY}}}, {_COUNTS}, transitions: {{to: d}}}}
  d: {{activity: {{skill: flaky, input: {{ms: 20}}, {_RETRY}}}, {_COUNTS}, transitions: {{to: e}}}}
  e: {{activity: {{skill: work, input: {{ms: 30}}, save: e, {_RETRY}}}, {_COUNTS}, transitions: {{to: done}}}}
  done: {{final: true}}
"""
_FORKED = f"""
  a: {{activity: {{skill: work, input: {{ms: 20}}, {_RETRY}}}, {_COUNTS}, transitions: {{to: split}}}}
  split:
    parallel:
      branches:
        one: {{activity: {{skill: work, input: {{ms: 30}}, save: one, {_RETRY}}}}}
        two: {{activity: {{skill: flaky, input: {{ms: 20}}, save: two, {_RETRY}}}}}
        six: {{activity: {{skill: work, input: {{ms: 10}}, save: six, {_RETRY}}}}}
    {_COUNTS}
    transitions: {{to: pause}}
  pause: {{after: {{1s: {{to: d}}}}, {_COUNTS}}}
  d: {{activity: {{skill: work, input: {{ms: 20}}, timeout: 20s, {_RETRY}}}, timeout: 40s, on_timeout: {{to: d}}, {_COUNTS}, transitions: {{to: e}}}}
  e: {{activity: {{skill: work, input: {{ms: 40}}, {_RETRY}}}, {_COUNTS}, transitions: {{to: done}}}}
  done: {{final: true}}
"""
DEFINITIONS = {"plain": _PLAIN, "forked": _FORKED, "slow": _PLAIN.replace("ms: 40", "ms: 3000")}
"""``slow`` has an activity that outlasts a restart of the server."""
ACTIVITIES = {"plain": 5, "forked": 6, "slow": 5}
_STATES = ["a", "b", "c", "d", "e"]
STATES = {"plain": _STATES, "forked": ["a", "split", "pause", "d", "e"], "slow": _STATES}
COMMON = ("plain", "forked")

WATCHED = """
SET higherself.entity = '*';
ALTER TABLE workflow_history
    ADD COLUMN IF NOT EXISTS test_stored_at timestamptz DEFAULT clock_timestamp(),
    ADD COLUMN IF NOT EXISTS test_held json;
-- Who had which message when a step of its instance was stored. STABLE: as before the statement.
CREATE OR REPLACE FUNCTION test_note_holders() RETURNS trigger LANGUAGE plpgsql STABLE AS $$
BEGIN
    NEW.test_held := (
        SELECT json_object_agg(data ->> 'key', leased_by) FROM message
        WHERE topic = 'workflow.activity' AND status = 'leased'
            AND subject = NEW.instance_id::text
    );
    RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS test_note_holders ON workflow_history;
CREATE TRIGGER test_note_holders BEFORE INSERT ON workflow_history
    FOR EACH ROW EXECUTE FUNCTION test_note_holders();
"""
HELD = """
SELECT DISTINCT ON (message.subject) message.subject, instance.sequence
FROM message JOIN workflow_instance AS instance ON instance.instance_id::text = message.subject
WHERE message.topic LIKE 'workflow.%%' AND message.status = 'leased'
    AND (%(pid)s::int IS NULL OR message.leased_by LIKE '%%/' || %(pid)s || '/%%')
"""
NEXT_STEP = """
SELECT min(test_stored_at) FROM workflow_history
WHERE instance_id = %s AND sequence > %s AND entry ->> 'cause' <> 'event' AND test_stored_at > %s
"""


@dataclass
class Found:
    """What came of a scenario. ``problems`` is empty if everything was as it has to be."""

    kind: str
    seed: int
    instances: int = 0
    attempts: int = 0
    lost: int = 0
    stuck: int = 0
    stale: int = 0
    """Results that were stored though somebody else held the lease by then."""
    doubled: int = 0
    """Effects or completed activities that are there twice, or not at all."""
    gaps: int = 0
    """Histories with a gap, or which do not lead to where their instance is."""
    miscounted: int = 0
    """Instances that did not count every event once."""
    left: int = 0
    """Messages that are still to be handled, or dead."""
    suppressed: int = 0
    """Attempts that met their effect already there: that is what keys are for."""
    refused: int = 0
    """Attempts that took effect and whose result was not stored."""
    recovery: list[float] = field(default_factory=list)
    """Seconds from the fault to the next step of each instance that it hit."""
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def wrong(self, what: str) -> None:
        self.problems.append(f"{self.kind}, seed {self.seed}: {what}")


class Process:
    """A worker, as a process."""

    def __init__(self, url: str, folder: Path) -> None:
        with (folder / "errors.txt").open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, worker.__file__, url, str(folder), str(CONCURRENCY)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._said: list[str] = []
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def _listen(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as said:
            for line in said:
                self._said.append(line.strip())

    async def says(self, word: str) -> None:
        await until(lambda: word in self._said, f"a worker that says {word}")
        self._said.remove(word)

    def jump(self, seconds: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"jump {seconds}\n")
        self.process.stdin.flush()

    def end(self, kind: signal.Signals = signal.SIGKILL) -> int:
        self.process.send_signal(kind)
        if kind == signal.SIGKILL:
            self.process.send_signal(signal.SIGCONT)
        code = self.process.wait(30)
        if self.process.stdin is not None:
            self.process.stdin.close()
        return code


class World:
    """A database with instances, the workers on it, and the one who starts instances and sends events."""

    def __init__(self, found: Found, url: str, folder: Path, engine: Engine, home: Path | None):
        self.found, self.url, self.folder, self.engine, self.home = found, url, folder, engine, home
        self.dice = random.Random(f"{found.kind} {found.seed}")
        self.workers: list[Process] = []
        self.started: dict[str, tuple[str, UUID]] = {}
        self.sent: Counter[UUID] = Counter()
        self.hit: list[tuple[float, str, int]] = []
        self.connection: psycopg.Connection[Any] | None = None

    # --- What is done.

    async def begin(self, count: int = 2) -> None:
        """Start workers."""
        fresh = [Process(self.url, self.folder) for _ in range(count)]
        self.workers += fresh
        for each in fresh:
            await each.says("ready")

    async def pause(self, least: float, most: float) -> None:
        await asyncio.sleep(self.dice.uniform(least, most))

    async def start_all(self, count: int, seconds: float) -> None:
        """Start instances over a while, twice with each key; and send each some events."""
        names = [self.dice.choice(COMMON) for _ in range(count)]
        if self.found.kind == "kill PostgreSQL":
            names[::8] = ["slow" for _ in names[::8]]
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(names):
                group.create_task(self.start_one(f"{name} {number}", name, number))
                if number % BURST == 0:
                    await asyncio.sleep(self.dice.uniform(0, 2 * BURST * seconds / count))

    async def start_one(self, key: str, name: str, number: int) -> None:
        async def start() -> UUID:
            return (await self.engine.start(name, key=key)).instance

        instance = await stubborn(start)
        if (again := await stubborn(start)) != instance:
            self.found.wrong(f"key {key} started {instance} and {again}")
        self.started[key] = name, instance
        for event in range(number % 3):
            await asyncio.sleep(self.dice.uniform(0, 0.4))
            if await self.send(instance, f"e{event}"):
                await self.send(instance, f"e{event}")

    async def send(self, instance: UUID, event: str) -> bool:
        try:
            await stubborn(lambda: self.engine.send(instance, "add", id=event))
        except Conflict:
            return False  # it has ended, or is where nobody waits for it
        self.sent[instance] |= 1 << int(event[1:])
        return True

    def asked(self, statement: str, *values: Any, **named: Any) -> list[Any]:
        """Return the rows of a statement of our own."""
        for _ in range(2):
            if self.connection is None or self.connection.closed:
                self.connection = psycopg.connect(
                    self.url, autocommit=True, application_name=APPLICATION
                )
                self.connection.execute("SET search_path = higherself; SET higherself.entity = '*'")
            try:
                cursor = self.connection.execute(statement.encode(), named or values)
                return cursor.fetchall() if cursor.description else []
            except psycopg.OperationalError:
                if not self.connection.closed:
                    raise
        raise AssertionError("the server ended twice")

    def held(self, pid: int | None = None) -> list[tuple[str, int]]:
        """Return the instances of which a worker has messages, and how far they are."""
        return self.asked(HELD, pid=pid)

    async def busy(self, victim: Process) -> None:
        """Wait for a moment in which a worker is in the middle of something."""
        await self.pause(0.1, 0.5)
        with suppress(AssertionError):  # everything may have been done before
            await until(lambda: len(self.held(victim.pid)) >= 3, "a busy worker", patience=3)
        await asyncio.sleep(self.dice.uniform(0, 0.02))

    def note_hit(self, at: float, held: Sequence[tuple[str, int]]) -> None:
        self.hit += [(at, instance, sequence) for instance, sequence in held]

    async def kill(self, *victims: Process) -> None:
        at = time.time()
        for victim in victims:
            victim.end()
            self.workers.remove(victim)
        for victim in victims:
            self.note_hit(at, self.held(victim.pid))

    # --- What is found.

    async def all_ended(self) -> bool:
        unfinished = "SELECT count(*) FROM workflow_instance WHERE status <> 'completed'"
        return await stubborn(lambda: answer(self.asked(unfinished) == [(0,)]))

    async def check(self) -> None:
        """Compare what is stored with what was done."""
        attempts = [line.split() for line in (self.folder / worker.LOG).read_text().splitlines()]
        took = {(key, pid) for word, key, _, pid, _ in attempts if word in ("effect", "suppressed")}
        effects = Counter(key for word, key, *_ in attempts if word == "effect")
        found = self.found
        found.attempts = sum(word == "begun" for word, *_ in attempts)
        found.suppressed = sum(word == "suppressed" for word, *_ in attempts)
        completed: Counter[str] = Counter()
        for key, (name, instance) in self.started.items():
            completed += await self._check_instance(key, name, instance)
            wrongly = self.asked(
                "SELECT count(*) FROM workflow_instance WHERE key = %s AND instance_id <> %s",
                key, instance,
            )  # fmt: skip
            if wrongly != [(0,)]:
                found.wrong(f"key {key} was started twice")
        for key in {key for _, key, *_ in attempts} - effects.keys():
            effects[key] = int(
                worker.effect_of(self.folder, key).exists()
            )  # killed before it said so
        for key in effects.keys() | completed.keys():
            if (effects[key], completed[key]) != (1, 1):
                found.doubled += 1
                found.wrong(f"{key}: {effects[key]} effects, completed {completed[key]} times")
        found.refused = len(took - self._stored())
        self._check_messages()
        self._check_recovery()

    async def _check_instance(self, key: str, name: str, instance: UUID) -> Counter[str]:
        found = self.found
        rows = self.asked(
            "SELECT sequence, entry, test_held FROM workflow_history WHERE instance_id = %s"
            " ORDER BY sequence", instance,
        )  # fmt: skip
        stored = (await stubborn(lambda: self.engine.get(instance))).snapshot
        if stored.status != "completed":
            found.stuck += 1
            await self._explain(key, instance)
        if [sequence for sequence, *_ in rows] != list(range(1, stored.sequence + 1)):
            found.gaps += 1
            found.wrong(f"{key} has a history of {[sequence for sequence, *_ in rows]}")
        entries = [HistoryEntry.from_json(entry) for _, entry, _ in rows]
        view = replayed(entries)
        if (view.context, view.states.get(""), view.status) != (
            stored.context, stored.state, stored.status,
        ):  # fmt: skip
            found.gaps += 1
            found.wrong(f"{key}: its history leads to {view}, it is {stored}")
        if stored.context["got"] != self.sent[instance].bit_count():
            found.miscounted += 1
            found.wrong(f"{key} counted {stored.context['got']} of {self.sent[instance]:b}")
        completed = self._check_results(entries, [held or {} for *_, held in rows])
        if stored.status == "completed":
            ways = [e.source for e in entries if not e.region and e.target != e.source]
            if ways != [None, *STATES[name]] or completed.total() != ACTIVITIES[name]:
                found.wrong(f"{key} went {ways} and completed {sorted(completed)}")
        return completed

    async def _explain(self, key: str, instance: UUID) -> None:
        left = self.asked(
            "SELECT type, status, due_at - now(), leased_by, attempt, lapses, data::text"
            " FROM message WHERE subject = %s", str(instance),
        )  # fmt: skip
        stuck = (await self.engine.get(instance)).instance
        self.found.wrong(
            f"{key} is {stuck.status} in {stuck.state}: {stuck.reason}; messages {left}"
        )

    def _check_results(
        self, entries: Sequence[HistoryEntry], holders: Sequence[dict[str, str]]
    ) -> Counter[str]:
        """Return the keys of the activities that are completed, and see who has stored that."""
        completed: Counter[str] = Counter()
        for entry, held in zip(entries, holders, strict=True):
            if (result := _result(entry)) is None:
                continue
            completed[result["key"]] += 1
            holder = held.get(result["key"], "nobody")
            if f"/{result['by']}/" not in holder:
                self.found.stale += 1
                self.found.wrong(f"{result} was stored while {holder} held it")
        return completed

    def _stored(self) -> set[tuple[str, str]]:
        """Return whose results are stored."""
        entries = self.asked("SELECT entry FROM workflow_history")
        results = [_result(HistoryEntry.from_json(entry)) for (entry,) in entries]
        return {(each["key"], str(each["by"])) for each in results if each}

    def _check_messages(self) -> None:
        left = self.asked(
            "SELECT topic, status, type, data::text FROM message WHERE status <> 'delivered'"
        )
        self.found.left = len(left)
        for each in left:
            self.found.wrong(f"message {each} is left")

    def _check_recovery(self) -> None:
        for at, instance, sequence in self.hit:
            ((next_at,),) = self.asked(
                NEXT_STEP, instance, sequence, datetime.fromtimestamp(at, UTC)
            )
            if next_at is not None:
                self.found.recovery.append(next_at.timestamp() - at)


def _result(entry: HistoryEntry) -> dict[str, Any] | None:
    """Return what an activity that an entry tells of came to, if it did."""
    if entry.cause != "activity" or entry.agent is None or entry.error is not None:
        return None
    if isinstance(entry.data, dict):
        return entry.data
    (saved,) = (value for value in entry.changes.values() if isinstance(value, dict))
    return dict(saved)


async def answer(value: T) -> T:
    return value


async def stubborn(call: Callable[[], Awaitable[T]]) -> T:
    """Do the same again until it is known what came of it."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await call()
        except (Unavailable, psycopg.OperationalError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


async def until(
    condition: Callable[[], bool | Awaitable[bool]], what: str, *, patience: float = PATIENCE
) -> None:
    deadline = time.monotonic() + patience
    while True:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"there never was {what}")
        await asyncio.sleep(0.01)


# --- Faults.


async def kill_one(world: World) -> None:
    victim = world.dice.choice(world.workers)
    await world.busy(victim)
    await world.kill(victim)


async def kill_all(world: World) -> None:
    await world.busy(world.dice.choice(world.workers))
    await world.kill(*world.workers)
    await world.pause(0, 1)
    await world.begin()


async def freeze(world: World) -> None:
    """Freeze a worker for longer than its lease, so that others take over, then have it go on."""
    victim = world.dice.choice(world.workers)
    await world.busy(victim)
    at = time.time()
    victim.process.send_signal(signal.SIGSTOP)
    world.note_hit(at, world.held(victim.pid))
    await world.pause(LEASE.total_seconds() + 0.5, LEASE.total_seconds() + 3)
    victim.process.send_signal(signal.SIGCONT)
    await world.pause(0.5, 0.6)


async def kill_server(world: World) -> None:
    assert world.home is not None
    for _ in range(world.dice.randint(1, 2)):
        await world.busy(world.dice.choice(world.workers))
        pid = embedded.status(world.home).pid
        assert pid is not None
        held, at = world.held(), time.time()
        os.kill(pid, signal.SIGKILL)
        world.note_hit(at, held)
        again = await asyncio.to_thread(EmbeddedPostgres.attach, world.home)
        assert again.url.partition("/higherself?")[0] in world.url


async def cut(world: World) -> None:
    """Cut connections: mostly those that store steps, in the middle of it."""
    await world.busy(world.dice.choice(world.workers))
    for _ in range(25):
        storing = world.dice.random() < 0.8
        at = time.time()
        held = world.held()
        world.asked(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name <> %s"
            " AND backend_type = 'client backend'"
            " AND (NOT %s OR state = 'active' AND query LIKE '%%hold%%' OR query LIKE '%%accepted%%')",
            APPLICATION, storing,
        )  # fmt: skip
        world.note_hit(at, held)
        await world.pause(0.01, 0.15)


async def jump(world: World) -> None:
    """Have the clock of a worker jump for hours, forward, back, and right again."""
    victim = world.dice.choice(world.workers)
    for hours in world.dice.sample([-30, -3, 3, 30], 2):
        await world.busy(victim)
        held, at = world.held(victim.pid), time.time()
        victim.jump(3600 * (hours + world.dice.random()))
        await victim.says("jumped")
        world.note_hit(at, held)
        await world.pause(0.3, 0.8)
    victim.jump(0)


FAULTS: dict[str, Callable[[World], Awaitable[None]]] = dict(
    zip(KINDS, (kill_one, kill_all, freeze, kill_server, cut, jump), strict=True)
)


async def run(
    kind: str, seed: int, url: str, *, home: Path | None = None, instances: int = 40
) -> Found:
    """Play a scenario on the empty database at ``url``; ``home`` is that of its server, if it may be killed."""
    found = Found(kind, seed, instances)
    began = time.monotonic()
    async with prepared(found, url, home) as world:
        await world.begin()
        starting = asyncio.create_task(world.start_all(instances, SECONDS))
        try:
            await FAULTS[kind](world)
            await starting
            try:
                await until(world.all_ended, "an end", patience=PATIENCE)
            except AssertionError:
                found.wrong("not everything has come to its end")
        finally:
            starting.cancel()
        for each in world.workers:
            if each.process.poll() is not None:
                found.wrong(
                    f"a worker ended by itself: {(world.folder / 'errors.txt').read_text()}"
                )
            elif (code := await asyncio.to_thread(each.end, signal.SIGTERM)) != 0:
                found.wrong(f"a worker that was stopped ended with {code}")
        found.lost = instances - len(world.asked("SELECT 1 FROM workflow_instance"))
        await world.check()
        if found.lost:
            found.wrong(f"{found.lost} instances are lost")
    found.seconds = time.monotonic() - began
    return found


@asynccontextmanager
async def prepared(found: Found, url: str, home: Path | None) -> AsyncIterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="hs-faults-"))
    async with (
        open_database(url, connections=4) as database,
        open_workflows(url, database) as workflows,
    ):
        world = World(found, url, folder, workflows.engine, home)
        try:
            world.asked(WATCHED)
            for name, states in DEFINITIONS.items():
                text = _HEAD.format(name=name) + states
                await workflows.engine.add(load_text(text, file=f"{name}.yaml").definition)
            yield world
        finally:
            for each in world.workers:
                if each.process.poll() is None:
                    each.end()
            if world.connection is not None:
                world.connection.close()
    shutil.rmtree(folder)
