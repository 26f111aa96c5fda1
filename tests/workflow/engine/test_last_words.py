"""Who starts an instance and ends his program at once has its worker woken all the same."""

import asyncio

import psycopg
import pytest
from tests.workflow.engine.bench import Bench

from higherself.db.pool import Transaction
from higherself.workflow.engine.wiring import open_workflows
from higherself.workflow.engine.writing import Writer

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


async def test_a_worker_is_woken_although_the_program_ends_meanwhile(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.define(
        "\n  work: {activity: {skill: a}, transitions: {to: done}}\n  done: {final: true}\n"
    )
    wake, asked = Writer._wake, 0

    async def slow(self: Writer, tx: Transaction) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            await asyncio.Event().wait()  # until the program ends
        await wake(self, tx)

    monkeypatch.setattr(Writer, "_wake", slow)
    async with await psycopg.AsyncConnection.connect(bench.url, autocommit=True) as listener:
        await listener.execute('LISTEN "message.workflow.activity"')
        async with open_workflows(bench.url, bench.database) as other:
            await other.engine.start("under_test")
        woken = [each.channel async for each in listener.notifies(timeout=5, stop_after=1)]
    assert woken == ["message.workflow.activity"]
