"""Skills: a result from the cache beside caches that do less, a run with its checks, and single-flight.

A hit is measured through the invoker: name and version found, permission checked, input hashed,
result read from JSON (so that whoever gets it may change it), counted. The caches beside it return
the object that they were given, of a key that is a tuple of arguments.
"""

import asyncio
import functools
import os
import statistics
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from measure import Line, at_most, finish, parser, say, throwaway_server

from higherself import Cache, SkillCall, skill
from higherself.agents.skills import Skill, SkillRegistry, skills_in
from higherself.agents.skills.invocation import SkillInvoker
from higherself.agents.skills.store_postgres import PostgresSkillResults
from higherself.db.migrate import migrate
from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK

ROUNDS, TIMES = 15, 1000
CALL = SkillCall(key="k", entity="spa", agent="nyra")
SMALL = {"email": "ana@example.org", "score": 70}
LARGE = {"text": "x" * 1000, "score": 70}
TARGET = 50


def score(email: str = "", text: str = "", score: int = 0) -> dict[str, Any]:
    return {"level": "warm", "score": score, "reasons": ["asked for a quote", "came back twice"]}


def of(name: str, function: Callable[..., Any] = score, **said: Any) -> Skill:
    (found,) = skills_in({"it": skill(name=name, effects="read", **said)(function)})
    return found


class TtlCache:
    """What cachetools.TTLCache with @cached and a lock does, without its package: bounded, with time."""

    def __init__(self, most: int, seconds: float) -> None:
        self._kept: OrderedDict[Any, tuple[float, Any]] = OrderedDict()
        self._most, self._seconds, self._lock = most, seconds, threading.Lock()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def cached(**given: Any) -> Any:
            key = tuple(sorted(given.items()))
            with self._lock:
                kept = self._kept.get(key)
                if kept is not None and kept[0] > time.monotonic():
                    self._kept.move_to_end(key)
                    return kept[1]
            result = function(**given)
            with self._lock:
                self._kept[key] = time.monotonic() + self._seconds, result
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
            return result

        return cached


def best(values: list[float]) -> float:
    """Return the best round in us: others only add to it."""
    return min(values) / TIMES * 1e6


async def each(work: Callable[[], Awaitable[Any]]) -> float:
    """Return the CPU us that ``work`` takes, of the best of the rounds."""
    await work()
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(TIMES):
            await work()
        rounds.append(time.process_time() - began)
    return best(rounds)


def plainly(work: Callable[[], Any]) -> float:
    work()
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(TIMES):
            work()
        rounds.append(time.process_time() - began)
    return best(rounds)


async def in_memory() -> list[Line]:
    skills = SkillRegistry()
    skills.add(of("score", cache=Cache("1h")))
    skills.add(of("uncached"))

    async def coroutine(email: str = "", text: str = "", score: int = 0) -> dict[str, Any]:
        return {"level": "warm", "score": score}

    skills.add(of("coroutine", coroutine))
    invoker = SkillInvoker(skills)
    lines = []
    for size, given in (("60 bytes", SMALL), ("1 KB", LARGE)):
        hit = await each(lambda: invoker.run("score", given, CALL))  # noqa: B023
        for name, theirs in (
            (
                "functools.lru_cache",
                plainly(functools.partial(functools.lru_cache(128)(score), **given)),
            ),
            (
                "TTL cache with a lock",
                plainly(functools.partial(TtlCache(128, 3600)(score), **given)),
            ),
        ):
            told = Line(f"cache hit, {size} of input", hit, "us CPU", name, theirs, theirs / hit)
            lines.append(told)
        lines.append(Line(f"cache hit, {size}", hit, "us CPU", **at_most(hit, TARGET, " us")))
    ran = await each(lambda: invoker.run("coroutine", SMALL, CALL))
    bare = await each(lambda: coroutine(**SMALL))
    lines.append(Line("run, all checks", ran, "us CPU", "the function alone", bare, bare / ran))
    return lines


async def once() -> list[Line]:
    runs: list[int] = []

    async def slow(email: str = "", score: int = 0) -> int:
        runs.append(1)
        await asyncio.sleep(0.05)
        return 1

    skills = SkillRegistry()
    skills.add(of("slow", slow, cache=Cache("1h")))
    invoker = SkillInvoker(skills)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(1000):
            group.create_task(invoker.run("slow", SMALL, CALL))
    took = (time.perf_counter() - began) * 1000
    return [
        Line("runs of 1,000 at once", len(runs), "", **at_most(len(runs), 1)),
        Line("all 1,000 answered after", took, "ms", "the run alone", 50, 50 / took),
    ]


async def shared(url: str) -> list[Line]:
    await migrate(url, clock=SYSTEM_CLOCK)
    skills = SkillRegistry()
    skills.add(of("score", cache=Cache("1h", where="postgres")))
    walls, firsts = [], []
    async with open_database(url, connections=4) as database:
        invoker = SkillInvoker(skills, shared=PostgresSkillResults(database, SYSTEM_CLOCK))
        for number in range(200):
            given = {**SMALL, "score": number}
            for kept in (firsts, walls):
                began = time.perf_counter()
                await invoker.run("score", given, CALL)
                kept.append((time.perf_counter() - began) * 1e6)
    return [
        Line("cache hit in PostgreSQL, p50", statistics.median(walls), "us"),
        Line("first run with PostgreSQL, p50", statistics.median(firsts), "us"),
    ]


def processes(url: str) -> list[Line]:
    """Ask 1,000 times at once, from four processes."""
    import subprocess
    import sys

    script = Path(__file__).resolve().parent.parent / "tests" / "agents" / "skills" / "asking.py"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runs"
        command = [sys.executable, str(script), url, str(file), "250", "0.2"]
        running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(4)]
        codes = [each.wait() for each in running]
        runs = len(file.read_text().splitlines())
    assert codes == [0] * 4
    return [Line("runs of 1,000 at once from 4 processes", runs, "", **at_most(runs, 1))]


def lines() -> list[Line]:
    say(f"in memory (load {os.getloadavg()[0]:.1f})")
    made = asyncio.run(in_memory()) + asyncio.run(once())
    say("in PostgreSQL")
    with throwaway_server() as server:
        settings = server.as_program(server.fresh_database("skills", ours=True))
        assert settings.database_url is not None
        url = settings.database_url.get_secret_value()
        made += asyncio.run(shared(url)) + processes(url)
    return made


if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    finish(lines(), options.json)
