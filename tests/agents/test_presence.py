"""Who is there, with real workers: a killed one is absent within ten seconds, and its work is done."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.agents.agents_rig import SOON, Network, network_on, until

from higherself.agents.model import AgentCard
from higherself.agents.roster import ABSENT_AFTER, BEAT, Pulse, Roster
from higherself.db.pool import Database

pytestmark = pytest.mark.postgres

WITHIN = 10.0
"""Seconds after which an agent whose worker was killed is known to be absent."""

AGENT = """
import asyncio
import os

from higherself import Agent, AgentCard, AgentContext, Task, handles


class Nyra(Agent):
    card = AgentCard(name="nyra", capabilities=("lead_enrichment",))

    @handles("who")
    async def who(self, task: Task, context: AgentContext) -> int:
        return os.getpid()

    @handles("work")
    async def work(self, task: Task, context: AgentContext) -> int:
        kept = await context.state.change(lambda value: (value or 0) + 1)
        if kept == 1:
            await asyncio.Event().wait()  # until it is killed
        return os.getpid()
"""


@asynccontextmanager
async def worker(url: str, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `higherself worker` with the agents of a folder."""
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "HIGHERSELF_HOME": str(folder / "home"),
        "HIGHERSELF_EXTENSIONS": str(folder),
        "HIGHERSELF_EMBEDDING_TIERS": "local",
    }
    command = (sys.executable, "-c", "from higherself.cli.main import main; main()", "worker")
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        _, told = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode in (0, -signal.SIGKILL), told.decode()


async def workers_of(net: Network, name: str) -> dict[int, str]:
    """Return where an agent is ready: its workers by their process."""
    known = {each.card.name: each for each in await net.directory.agents()}
    if name not in known:
        return {}
    return {int(each.worker.split("/")[1]): each.worker for each in known[name].ready}


async def test_an_agent_whose_worker_was_killed_is_absent_soon_and_another_does_its_work(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    (tmp_path / "nyra.py").write_text(AGENT)
    async with (
        network_on(database_url, database) as net,
        worker(database_url, tmp_path) as first,
        worker(database_url, tmp_path) as second,
    ):

        async def both() -> bool:
            return set(await workers_of(net, "nyra")) == {first.pid, second.pid}

        await until(both)
        receipt = await net.bus.send("agent:nyra", "work", subject="lead:7")

        async def begun() -> bool:
            return bool(await net.sql("SELECT 1 FROM agent_state"))

        await until(begun)
        ((leased_by,),) = await net.sql(
            "SELECT leased_by FROM message WHERE message_id = %s", receipt.id
        )
        victim, other = (first, second) if f"/{first.pid}/" in leased_by else (second, first)
        victim.kill()
        killed_at = time.monotonic()

        async def gone() -> bool:
            return set(await workers_of(net, "nyra")) == {other.pid}

        await until(gone)
        assert time.monotonic() - killed_at < WITHIN
        assert "nyra" in await net.directory.present(None), "the other one is there"
        await net.ended("work")  # by the other one, when the lease had run out
        reply = await net.bus.request("agent:nyra", "who", timeout=SOON)
        assert reply.data == other.pid


async def test_an_agent_that_is_told_of_no_more_is_absent_by_the_clock_of_the_database(
    database: Database,
) -> None:
    roster = Roster(database)
    card = AgentCard(name="nyra")
    await roster.beat("w1", [Pulse(card=card, phase="ready", done=2, failed=1, seconds=0.5)])
    await roster.beat("w2", [Pulse(card=card, phase="ready", done=1, seconds=1.0)])
    (known,) = await roster.agents()
    assert ([each.worker for each in known.ready], known.done, known.failed) == (["w1", "w2"], 3, 1)
    assert known.seconds == 1.5 / 4
    async with database.transaction() as tx:
        await tx.connection.execute(
            "UPDATE agent_presence SET seen_at = seen_at - %s WHERE worker = 'w1'",
            [ABSENT_AFTER],
        )
    (known,) = await roster.agents()
    assert [each.worker for each in known.present] == ["w2"]
    await roster.leave("w2")
    (known,) = await roster.agents()
    assert known.away == "no worker runs it"
    await roster.beat("w1", [Pulse(card=card, phase="draining")])
    (known,) = await roster.agents()
    assert known.away == "it is draining"
    assert BEAT * 3 < ABSENT_AFTER, "a beat that is late is not an absence"
    await roster.prune()
    assert len(await roster.agents()) == 1


async def test_what_is_old_is_forgotten(database: Database) -> None:
    roster = Roster(database)
    await roster.register([AgentCard(name="nyra"), AgentCard(name="gone")])
    await roster.beat("w", [Pulse(card=AgentCard(name="gone"), phase="ready", done=1)])
    async with database.transaction() as tx:
        old = "interval '31 days'"
        await tx.connection.execute(
            f"UPDATE agent SET seen_at = seen_at - {old} WHERE agent = 'gone'".encode()
        )
        await tx.connection.execute(f"UPDATE agent_tally SET minute = minute - {old}".encode())
        await tx.connection.execute(f"UPDATE agent_presence SET seen_at = seen_at - {old}".encode())
    await roster.prune()
    assert [each.card.name for each in await roster.agents()] == ["nyra"]
    async with database.transaction() as tx:
        cursor = await tx.connection.execute("SELECT count(*) FROM agent_tally")
        assert await cursor.fetchall() == [(0,)]
