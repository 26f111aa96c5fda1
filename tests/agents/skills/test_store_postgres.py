"""Results that all processes share: made once whoever asks where, and for how long they hold."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from higherself import Cache, SkillCall, skill
from higherself.agents.skills import Skill, SkillRegistry, skills_in
from higherself.agents.skills.invocation import SkillInvoker
from higherself.agents.skills.ports import Claim, Tally
from higherself.agents.skills.store_postgres import LEASE, PostgresSkillResults
from higherself.agents.skills.upkeep import SkillUpkeep
from higherself.db.pool import Database, open_database
from higherself.kernel.clock import SYSTEM_CLOCK

pytestmark = pytest.mark.postgres

ASKING = Path(__file__).with_name("asking.py")
SHARED = Cache("1h", where="postgres")
HOUR = timedelta(hours=1)
KEY = b"\x01" * 32


def of(function: Callable[..., Any], **said: Any) -> Skill:
    (found,) = skills_in({"it": skill(**said)(function)})
    return found


SKILL = of(lambda: None, name="look_up", effects="read")


class Process:
    """What a process has of its own: a registry, memory, flights. ``runs`` are those of all."""

    runs: list[str]

    def __init__(
        self, database: Database, runs: list[str], work: Callable[[], Awaitable[Any]] | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        async def look_up(a: Any = None, *, call: SkillCall) -> int:
            runs.append(call.entity)
            await (work() if work else asyncio.sleep(0))
            return len(runs)

        skills = SkillRegistry()
        skills.add(of(look_up, effects="read", cache=SHARED))
        self.results = PostgresSkillResults(database, SYSTEM_CLOCK, **options)
        self.invoker = SkillInvoker(skills, shared=self.results)

    async def ask(self, entity: str = "spa", **given: Any) -> Any:
        return await self.invoker.run("look_up", given, SkillCall(key="k", entity=entity))


async def test_what_one_process_made_is_everybodys(database: Database) -> None:
    runs: list[str] = []
    one, other = Process(database, runs), Process(database, runs)
    assert [await one.ask(), await other.ask(), await one.ask(a=1), await other.ask(a=1)] == [
        1,
        1,
        2,
        2,
    ]
    assert await other.ask("gallery") == 3
    assert await one.ask("gallery") == 3
    assert runs == ["spa", "spa", "gallery"]
    (tally,) = one.invoker.tallies()
    assert (tally.runs, tally.hits) == (2, 1)


async def test_nobody_sees_the_results_of_another_business(database: Database) -> None:
    store = PostgresSkillResults(database, SYSTEM_CLOCK)
    claim = await store.claim(SKILL, "spa", KEY)
    assert isinstance(claim, Claim)
    assert await store.finish(claim, SKILL, b'"secret"', HOUR)
    theirs = PostgresSkillResults(database.narrowed("gallery"), SYSTEM_CLOCK)
    assert await theirs.find("gallery", KEY) is None
    assert await theirs.kept() == []
    assert await store.find("spa", KEY) == b'"secret"'
    async with database.transaction(entity="gallery") as tx:
        cursor = await tx.connection.execute("SELECT result FROM skill_result")
        assert await cursor.fetchall() == []


async def test_results_that_are_there_are_found_and_not_made(database: Database) -> None:
    store = PostgresSkillResults(database, SYSTEM_CLOCK)
    claim = await store.claim(SKILL, "spa", KEY)
    assert isinstance(claim, Claim)
    assert await store.claim(SKILL, "spa", KEY) is None
    assert await store.finish(claim, SKILL, '{"a":"é"}'.encode(), HOUR)
    assert await store.claim(SKILL, "spa", KEY) == '{"a":"é"}'.encode()
    assert await store.find("spa", KEY) == '{"a":"é"}'.encode()


async def test_the_clock_of_the_database_says_when_a_result_is_over(
    database: Database, database_url: str
) -> None:
    store = PostgresSkillResults(database, SYSTEM_CLOCK)
    claim = await store.claim(SKILL, "spa", KEY)
    assert isinstance(claim, Claim)
    await store.finish(claim, SKILL, b"1", HOUR)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET higherself.entity = '*'")
        connection.execute("UPDATE higherself.skill_result SET expires_at = now()")
    assert await store.find("spa", KEY) is None
    assert await store.kept() == []
    assert await store.prune() == 1
    assert isinstance(await store.claim(SKILL, "spa", KEY), Claim)


async def test_however_many_are_over_all_are_deleted(database: Database) -> None:
    store = PostgresSkillResults(database, SYSTEM_CLOCK, at_once=2)
    for number in range(5):
        claim = await store.claim(SKILL, "spa", bytes([number]))
        assert isinstance(claim, Claim)
        await store.finish(claim, SKILL, b"1", HOUR if number == 0 else timedelta(microseconds=1))
    assert await store.prune() == 4
    assert await store.find("spa", b"\0") == b"1"


async def test_who_lost_the_claim_stores_nothing(database: Database) -> None:
    store = PostgresSkillResults(database, SYSTEM_CLOCK, lease=timedelta(milliseconds=1))
    late, keen = await store.claim(SKILL, "spa", KEY), None
    await asyncio.sleep(0.01)
    keen = await store.claim(SKILL, "spa", KEY)
    assert isinstance(late, Claim)
    assert isinstance(keen, Claim)
    assert not await store.renew(late)
    assert not await store.finish(late, SKILL, b"1", HOUR)
    await store.give_up(late)  # and takes nothing from the one who has it now
    assert await store.renew(keen)
    assert await store.finish(keen, SKILL, b"2", HOUR)
    assert await store.find("spa", KEY) == b"2"


async def test_a_claim_is_held_as_long_as_the_work_takes(database: Database) -> None:
    runs: list[str] = []

    async def work() -> None:
        await asyncio.sleep(0.5)

    several = [Process(database, runs, work, lease=timedelta(milliseconds=150)) for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(each.ask()) for each in several]
    assert {each.result() for each in asked} == {1}
    assert len(runs) == 1


async def test_an_error_is_not_kept_and_holds_up_nobody(database: Database) -> None:
    runs: list[str] = []

    async def work() -> None:
        if len(runs) == 1:
            raise ValueError("why")

    one, other = Process(database, runs, work), Process(database, runs, work)
    with pytest.raises(ValueError, match="why"):
        await one.ask()
    began = time.perf_counter()
    assert await other.ask() == 2
    assert time.perf_counter() - began < LEASE.total_seconds()


async def test_who_is_cancelled_gives_the_claim_back(database: Database) -> None:
    runs: list[str] = []
    began = asyncio.Event()

    async def work() -> None:
        if len(runs) == 1:
            began.set()
            await asyncio.sleep(30)

    one, other = Process(database, runs, work), Process(database, runs, work)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(one.ask())
        await began.wait()
        second = group.create_task(other.ask())
        await asyncio.sleep(0.05)
        first.cancel()
    assert second.result() == 2


async def test_without_the_database_skills_run_all_the_same(database_url: str) -> None:
    runs: list[str] = []
    async with open_database(database_url, connections=1) as gone:
        pass
    process = Process(gone, runs)
    assert [await process.ask(), await process.ask()] == [1, 2]


async def test_clearing_forgets_in_all_processes(database: Database) -> None:
    runs: list[str] = []
    one, other = Process(database, runs), Process(database, runs)
    await one.ask()
    await one.ask("gallery")
    assert await other.results.clear("look_up", entity="spa") == 1
    assert await one.ask("gallery") == 2
    assert await one.ask() == 3
    assert await other.results.clear("another") == 0
    assert await other.results.clear() == 2
    assert await other.results.clear(entity="nobody_knows") == 0


async def test_what_processes_have_in_memory_is_cleared_too(database: Database) -> None:
    runs: list[int] = []

    def look_up() -> int:
        runs.append(1)
        return len(runs)

    skills = SkillRegistry()
    skills.add(of(look_up, effects="read", cache=Cache("1h")))
    results = PostgresSkillResults(database, SYSTEM_CLOCK)
    invoker = SkillInvoker(skills)
    upkeep = SkillUpkeep(invoker, results, SYSTEM_CLOCK)

    async def ask() -> Any:
        await upkeep.once()
        return await invoker.run("look_up", {}, SkillCall(key="k"))

    assert [await ask(), await ask()] == [1, 1]
    await results.clear("another")
    assert await ask() == 1
    await results.clear("look_up")
    assert [await ask(), await ask()] == [2, 2]


async def test_what_is_cleared_while_it_is_made_is_not_kept(database: Database) -> None:
    runs: list[str] = []
    results = PostgresSkillResults(database, SYSTEM_CLOCK)
    process = Process(database, runs, results.clear)
    assert [await process.ask(), await process.ask()] == [1, 2]


async def test_what_is_kept_is_told(database: Database) -> None:
    process = Process(database, [])
    await process.ask()
    await process.ask(a=1)
    (kept,) = await process.results.kept("look_up")
    assert (kept.skill, kept.version, kept.entity) == ("look_up", "1", "spa")
    assert (kept.results, kept.bytes) == (2, 2)
    assert await process.results.kept("another") == []


async def test_counts_of_all_processes_are_added_up(database: Database) -> None:
    process, other = Process(database, []), Process(database, [])
    for each in (process, process, other):
        await each.ask()
    for each in (process, other):
        await SkillUpkeep(each.invoker, each.results, SYSTEM_CLOCK).store()
        assert each.invoker.tallies() == []
    (tally,) = await other.results.counted("look_up")
    assert (tally.runs, tally.hits, tally.failures) == (1, 2, 0)
    assert tally.seconds > 0
    assert await other.results.counted("another") == []


async def test_counts_that_cannot_be_stored_are_kept_for_the_next_time(
    database: Database, database_url: str
) -> None:
    process = Process(database, [])
    await process.ask()
    async with open_database(database_url, connections=1) as gone:
        pass
    broken = SkillUpkeep(process.invoker, PostgresSkillResults(gone, SYSTEM_CLOCK), SYSTEM_CLOCK)
    with pytest.raises(Exception, match="clos"):
        await broken.store()
    await SkillUpkeep(process.invoker, process.results, SYSTEM_CLOCK).store()
    assert [(each.runs, each.hits) for each in await process.results.counted()] == [(1, 0)]


async def test_counting_the_same_day_adds(database: Database) -> None:
    store = PostgresSkillResults(database, SYSTEM_CLOCK)
    for _ in range(2):
        await store.count([Tally("b", "1", runs=1), Tally("a", "1", hits=2, seconds=0.5)])
    assert {(each.skill, each.runs, each.hits, each.seconds) for each in await store.counted()} == {
        ("a", 0, 4, 1.0), ("b", 2, 0, 0.0),
    }  # fmt: skip


# From several processes


def asking(url: str, file: Path, how_many: int, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, str(ASKING), url, str(file), str(how_many), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_thousand_who_ask_at_once_in_several_processes_run_it_once(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "runs"
    processes = [asking(database_url, file, 250, 0.3) for _ in range(4)]
    assert [each.communicate(timeout=60)[0].strip() for each in processes] == ["250 {1}"] * 4
    assert file.read_text() == "began\n"


def test_a_leader_that_dies_holds_up_the_others_for_a_lease_only(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "runs"
    leader = asking(database_url, file, 1, 1.5)
    while not file.exists():
        time.sleep(0.01)
    follower = asking(database_url, file, 10, 1.5)
    leader.send_signal(signal.SIGKILL)
    leader.communicate()
    began = time.perf_counter()
    assert follower.communicate(timeout=60)[0].strip() == "10 {2}"
    assert time.perf_counter() - began < LEASE.total_seconds() + 1.5 + 4.0  # it starts, too
    assert file.read_text() == "began\nbegan\n"
