"""An emulator over TCP, and the server's own way to it, with the books in a scratch database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from higherself.db.pool import Database
from higherself.kernel.breaker import BreakerPolicy
from higherself.kernel.clock import SYSTEM_CLOCK, Clock, SystemClock
from higherself.notion.gateway.budget import BudgetPolicy
from higherself.notion.gateway.connection import NotionConnection, connect
from notion_emulator.app import create_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings

Json = dict[str, Any]

UNLIMITED = BudgetPolicy(requests=100_000)
SETTLE = timedelta(milliseconds=300)
"""The emulator has ended its work on a request that long after it was sent."""


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """An empty workspace; requests are not limited, and what is made is found at once."""
    with emulated() as emulator:
        yield emulator


def emulated(**settings: Any) -> Emulator:
    """Return such an emulator, for a ``with``."""
    chosen = Settings(rate_mode="off", index_lag_s=0.0).changed(**settings)
    return Emulator(create_app(seed_name="empty", settings=chosen))


@pytest.fixture
async def notion(emulator: Emulator, database: Database) -> AsyncIterator[NotionConnection]:
    """``.gateway``, ``.api``, ``.writes``, ``.echoes`` on the emulator."""
    async with connected(emulator, database) as notion:
        yield notion


@asynccontextmanager
async def connected(
    emulator: Emulator,
    database: Database,
    *,
    policy: BudgetPolicy = UNLIMITED,
    settle: timedelta = SETTLE,
    token: str | None = None,
    clock: Clock = SYSTEM_CLOCK,
    **more: Any,
) -> AsyncIterator[NotionConnection]:
    """Yield another connection, as another process would have it."""
    # Many failures in a row, as some tests want them, are no reason to leave the emulator alone.
    more.setdefault("breaker", BreakerPolicy(failures=1_000))
    token = token or emulator.token
    notion = connect(token, emulator.base_url, policy, database, clock, settle=settle, **more)
    try:
        yield notion
    finally:
        await notion.close()


class Hasty(SystemClock):
    """Waits a twentieth of what it is told to: for tests of trying again."""

    async def sleep(self, wait: timedelta) -> None:
        await super().sleep(wait / 20)


async def a_page(notion: NotionConnection, title: str = "Page", **more: Any) -> str:
    """Return the id of a new page in the workspace."""
    made = await notion.gateway.request("POST", "pages", body={"parent": {"workspace": True}, "properties": {"title": text(title)}, **more})  # fmt: skip
    return str(made["id"])


async def a_database(
    notion: NotionConnection, properties: Json | None = None, *, title: str = "Rows"
) -> tuple[str, str]:
    """Return the ids of a new database and its data source, with a title property ``Name``."""
    page = await a_page(notion, f"Over {title}")
    schema = {"Name": {"title": {}}, **(properties or {})}
    body = {"parent": {"type": "page_id", "page_id": page}, "title": text(title), "initial_data_source": {"properties": schema}}  # fmt: skip
    made = await notion.gateway.request("POST", "databases", body=body)
    return made["id"], made["data_sources"][0]["id"]


def text(content: str) -> list[Json]:
    """Return rich text."""
    return [{"type": "text", "text": {"content": content}}]


def paragraph(content: str) -> Json:
    """Return a block to be appended."""
    return {"type": "paragraph", "paragraph": {"rich_text": text(content)}}


def requests(emulator: Emulator) -> list[Json]:
    """Return what was asked of the emulator, the oldest first."""
    return list(emulator.app.log)
