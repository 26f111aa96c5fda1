"""Decisions are written down soon, shown newest first, and not kept for ever."""

import asyncio
from datetime import timedelta

import pytest
from tests.agents.agents_rig import until

from higherself.agents import routings
from higherself.agents.routing import Candidate, Need, Selector, route
from higherself.agents.routings import RoutingLog
from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.tasks import in_background

pytestmark = pytest.mark.postgres

CREW = [Candidate(f"agent{n:02}", capabilities=frozenset({"x"})) for n in range(30)]


def note(log: RoutingLog, type_: str, entity: str | None = None) -> None:
    need = Need(Selector(capability="x"), type=type_, entity=entity)
    log.note(need, route(need, CREW))


async def test_what_is_noted_is_written_soon_and_at_the_end(database: Database) -> None:
    log = RoutingLog(database, SYSTEM_CLOCK)
    async with in_background(log.run()):
        note(log, "first")

        async def written() -> bool:
            return bool(await log.latest())

        await until(written)
        note(log, "last")
    assert [each.type for each in await log.latest()] == ["last", "first"]
    (decision, _) = await log.latest(agent="agent00")
    assert len(decision.considered["candidates"]) == routings.MOST_SHOWN
    assert decision.considered["others"] == 10
    assert await log.latest(entity="gallery") == []


async def test_of_a_business_that_is_not_there_nothing_is_kept(database: Database) -> None:
    log = RoutingLog(database, SYSTEM_CLOCK)
    note(log, "a", entity="nobody")
    note(log, "b")
    await log.flush()
    assert [each.type for each in await log.latest()] == ["b"]


async def test_old_decisions_and_too_many_go(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RoutingLog(database, SYSTEM_CLOCK)
    for n in range(6):
        note(log, f"t{n}")
    await log.flush()
    async with database.transaction() as tx:
        await tx.connection.execute(
            "UPDATE agent_routing SET at = at - %s WHERE type = 't5'", [timedelta(days=8)]
        )
    await log.prune()
    assert [each.type for each in await log.latest()] == ["t4", "t3", "t2", "t1", "t0"]
    monkeypatch.setattr(routings, "MOST_KEPT", 2)
    await log.prune()
    assert [each.type for each in await log.latest()] == ["t4", "t3"]


async def test_while_the_database_is_away_only_so_much_waits(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routings, "MOST_WAITING", 3)
    log = RoutingLog(database, SYSTEM_CLOCK)
    for n in range(9):
        note(log, f"t{n}")
    await log.flush()
    assert [each.type for each in await log.latest()] == ["t2", "t1", "t0"]
    await asyncio.gather(log.flush(), log.flush())
    assert len(await log.latest()) == 3
