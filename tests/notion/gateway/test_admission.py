"""One budget for all: in lanes, in portions, and across processes."""

import asyncio
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.notion.conftest import connected, requests

from higherself.db.pool import Database
from higherself.db.queryfile import Query
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.gateway.admission import Admission
from higherself.notion.gateway.budget import BudgetPolicy
from higherself.notion.gateway.lanes import Granted, Held, Lane
from higherself.notion.gateway.postgres import PostgresBudget
from notion_emulator.app import Emulated, create_app
from notion_emulator.clock import RealClock
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings

pytestmark = pytest.mark.postgres

ASKING = Path(__file__).with_name("asking.py")
TIMES = 40
"""How much faster the emulator's clock runs: its minute is a second and a half."""


class Fast(RealClock):
    def __init__(self) -> None:
        self.began = super().now()

    def now(self) -> datetime:
        return self.began + (super().now() - self.began) * TIMES


def limited() -> Emulated:
    return create_app(seed_name="empty", settings=Settings(plan="plus"), clock=Fast())


async def test_processes_together_never_exceed_the_budget(database_url: str) -> None:
    with Emulator(limited()) as emulator:
        facts = [database_url, emulator.base_url, emulator.token]
        lanes = ("live", "backfill")
        processes_asking([[*facts, lane, "270", "180", str(60 / TIMES)] for lane in lanes])
        statuses = [each["status"] for each in requests(emulator)]
    assert len(statuses) == 540
    assert set(statuses) == {200}, "and none is refused"
    spent = datetime.fromisoformat(emulator.app.log[-1]["at"]) - datetime.fromisoformat(
        emulator.app.log[0]["at"]
    )
    assert spent >= timedelta(minutes=2), "three windows were needed"


def processes_asking(given: list[list[str]]) -> None:
    asking = [subprocess.Popen([sys.executable, str(ASKING), *facts]) for facts in given]
    assert [each.wait(60) for each in asking] == [0] * len(given)


POLICY = BudgetPolicy(
    requests=20,
    window=timedelta(seconds=0.6),
    life=timedelta(seconds=0.1),
    margin=timedelta(0),
)


async def test_who_waits_in_a_lane_before_goes_first_in_all_processes(
    emulator: Emulator, database: Database
) -> None:
    order: list[Lane] = []

    async def ask(admission: Admission, lane: Lane) -> None:
        await admission.enter(lane)
        order.append(lane)

    one, other = (Admission(PostgresBudget(database, "t", POLICY), SYSTEM_CLOCK) for _ in range(2))
    async with asyncio.TaskGroup() as group:
        for _ in range(30):
            group.create_task(ask(one, "backfill"))
        while True:
            await asyncio.sleep(0.01)
            if len(order) >= 16:
                break
        for _ in range(30):
            group.create_task(ask(other, "live"))
        while True:
            await asyncio.sleep(0.01)
            if await somebody_live_waits(database):
                break
        mark = len(order)
    waited = order[mark:]
    last_live = max(place for place, lane in enumerate(waited) if lane == "live")
    assert waited[:last_live].count("backfill") <= 1, "but for one that was granted before"
    assert order.count("live") == 30
    assert order.count("backfill") == 30


async def somebody_live_waits(database: Database) -> bool:
    text = "SELECT live_waits_until > clock_timestamp() FROM notion_budget"
    async with database.transaction() as tx:
        return (await tx.tuples(Query("waits", "many", text)))[0][0] is True


class Counting(PostgresBudget):
    statements = 0

    async def take(self, lane: Lane, most: int) -> tuple[Granted | Held, int]:
        self.statements += 1
        return await super().take(lane, most)


async def test_not_every_request_costs_a_statement(database: Database) -> None:
    budget = Counting(database, "t", BudgetPolicy(requests=100_000))
    admission = Admission(budget, SYSTEM_CLOCK)
    for _ in range(1_000):
        await admission.enter("live")
    assert budget.statements < 50
    await admission.close()
    assert (await budget.now())["used"] == 1_000, "what was not used is given back"


async def test_the_token_is_nowhere_in_the_database(database: Database, emulator: Emulator) -> None:
    async with connected(emulator, database) as notion:
        await notion.api.me()
    async with database.transaction() as tx:
        rows = await tx.tuples(Query("tokens", "many", "SELECT token FROM notion_budget"))
    assert len(rows) == 1
    assert emulator.token not in rows[0][0]


async def test_who_is_cancelled_takes_nothing_with_him(database: Database) -> None:
    budget = PostgresBudget(database, "t", BudgetPolicy(requests=2, window=timedelta(seconds=0.5), life=timedelta(seconds=0.1), margin=timedelta(0)))  # fmt: skip
    admission = Admission(budget, SYSTEM_CLOCK)
    await admission.enter("live")
    await admission.enter("live")
    waiting = [asyncio.ensure_future(admission.enter("live")) for _ in range(3)]
    await asyncio.sleep(0.1)
    for each in waiting[:2]:
        each.cancel()
    await asyncio.wait_for(waiting[2], 3)
