"""Requests a second through the gateway, beside the bare notion-client, on the emulator.

The emulator runs in a process of its own and limits nothing; the budget is so large that nobody
waits for it, but it is kept in PostgreSQL all the same. Rounds alternate, eight requests at a time.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from measure import Line, at_least, finish, parser, say, throwaway_server
from notion_client import AsyncClient

from higherself.db.migrate import migrate
from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.gateway.budget import BudgetPolicy
from higherself.notion.gateway.connection import connect
from higherself.notion.gateway.exchange import API_VERSION
from higherself.notion.gateway.postgres import PostgresBudget

ROUNDS, REQUESTS, AT_ONCE = 7, 400, 8
EMULATOR = """
import sys
from notion_emulator.app import create_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings
with Emulator(create_app(seed_name="empty", settings=Settings(rate_mode="off"))) as emulator:
    print(emulator.base_url, emulator.token, flush=True)
    sys.stdin.read()
"""


async def rate(ask: Callable[[], Awaitable[object]]) -> float:
    """Return how many requests a second."""
    left = REQUESTS

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await ask()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
    return REQUESTS / (time.perf_counter() - began)


async def measured(base: str, token: str, url: str) -> list[Line]:
    await migrate(url, clock=SYSTEM_CLOCK)
    async with open_database(url, connections=4) as database:
        statements = 0

        async def counted(*given: object) -> object:
            nonlocal statements
            statements += 1
            return await take(*given)  # type: ignore[arg-type]

        notion = connect(token, base, BudgetPolicy(requests=1_000_000), database, SYSTEM_CLOCK)
        bare = AsyncClient(auth=token, base_url=base, notion_version=API_VERSION, retry=False)
        take = notion.budget.take
        PostgresBudget.take = lambda self, *given: counted(*given)  # type: ignore[assignment,method-assign]
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "ours": notion.api.me,
            "bare": lambda: bare.request("users/me", "GET"),
        }
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(ROUNDS + 1):
            for name, ask in ways.items():
                found = await rate(ask)
                if number:  # the first is to warm up
                    rates[name].append(found)
        await notion.close()
        await bare.aclose()
    ours, theirs = (statistics.median(rates[name]) for name in ways)
    ratio = statistics.median(a / b for a, b in zip(rates["ours"], rates["bare"], strict=True))
    asked = REQUESTS * (ROUNDS + 1)
    return [
        Line("requests through the gateway", ours, "/s", "notion-client", theirs, ratio, **at_least(ratio, 0.7)),
        Line("requests for one statement", asked / statements, "", **at_least(asked / statements, 5)),
    ]  # fmt: skip


def lines() -> list[Line]:
    say(f"gateway (load {os.getloadavg()[0]:.1f})")
    with (
        throwaway_server() as server,
        subprocess.Popen(
            [sys.executable, "-c", EMULATOR],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as emulator,
    ):
        assert emulator.stdout is not None
        base, token = emulator.stdout.readline().split()
        settings = server.as_program(server.fresh_database("notion", ours=True))
        assert settings.database_url is not None
        try:
            return asyncio.run(measured(base, token, settings.database_url.get_secret_value()))
        finally:
            emulator.terminate()


if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    finish(lines(), options.json)
