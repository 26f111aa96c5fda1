"""A workspace on one clock with its follower: people edit it, requests are counted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.conftest import hub_on
from tests.knowledge.words_provider import WordsProvider

from higherself.db.pool import Database
from higherself.kernel.breaker import BreakerPolicy
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.hub import KnowledgeHub
from higherself.notion.following.follower import CycleReport, Follower
from higherself.notion.following.postgres import FollowStore
from higherself.notion.gateway.budget import BudgetPolicy
from higherself.notion.gateway.connection import NotionConnection, connect
from higherself.notion.gateway.counting import Counted
from higherself.notion.reading.api import Notion
from higherself.services.notion.knowledge import Belonging, NotionKnowledge
from notion_emulator import block_calls, page_calls, table_calls
from notion_emulator.app import Emulated, create_app
from notion_emulator.call import Call
from notion_emulator.clock import VirtualClock
from notion_emulator.server import Emulator
from notion_emulator.settings import VERSIONS, Settings
from notion_emulator.store import Connection

Json = dict[str, Any]

START = datetime(2026, 7, 4, 9, 0, 30, tzinfo=UTC)


class SharedClock:
    """The emulator's clock, as the server's: time passes when the test says so."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.slept = timedelta()

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.now().timestamp()

    async def sleep(self, wait: timedelta) -> None:
        self.slept += wait
        self._clock.advance(wait)
        await asyncio.sleep(0)


@dataclass
class Workspace:
    """An emulator, and a server that follows it."""

    emulator: Emulator
    clock: VirtualClock
    shared: SharedClock
    hub: KnowledgeHub
    database: Database
    connection: NotionConnection
    follower: Follower
    knowledge: NotionKnowledge
    token: str
    words: WordsProvider
    reports: list[CycleReport] = field(default_factory=list)

    @property
    def app(self) -> Emulated:
        return self.emulator.app

    def wait(self, **time: float) -> None:
        self.clock.advance(timedelta(**time))

    async def cycle(self, **how: Any) -> tuple[CycleReport, int]:
        """Look once; return the report, and how many requests the emulator got."""
        before = self.app.stats["requests"]
        report = await self.follower.cycle(**how)
        self.reports.append(report)
        return report, self.app.stats["requests"] - before

    # What people do.

    def _call(self, body: Json) -> Call:
        person = next(u["id"] for u in self.app.store.users.values() if u["type"] == "person")
        actor = Connection("human", person, "", "Person", roots={"*"})
        return Call(self.app.store, self.clock, self.app.settings, actor, VERSIONS[-1], {}, body)

    def page(self, title: str, markdown: str = "", parent: str | None = None) -> str:
        """Make a page; at the top without a parent."""
        place: Json = {"page_id": parent} if parent else {"type": "workspace", "workspace": True}
        body = {
            "parent": place,
            "properties": {"title": [{"text": {"content": title}}]},
            "markdown": markdown,
        }
        return str(page_calls.create(self._call(body))["id"])

    def table(self, title: str, parent: str, properties: Json | None = None) -> str:
        """Make a database; return its data source."""
        body = {
            "parent": {"page_id": parent},
            "title": [{"text": {"content": title}}],
            "initial_data_source": {
                "properties": {
                    "Name": {"title": {}},
                    "Stage": {"rich_text": {}},
                    **(properties or {}),
                }
            },
        }
        made = table_calls.create_database(self._call(body))
        return str(made["data_sources"][0]["id"])

    def row(self, source: str, name: str, markdown: str = "", stage: str = "") -> str:
        """Make a row with a text on its page."""
        properties: Json = {"Name": {"title": [{"text": {"content": name}}]}}
        if stage:
            properties["Stage"] = {"rich_text": [{"text": {"content": stage}}]}
        body = {
            "parent": {"data_source_id": source},
            "properties": properties,
            "markdown": markdown,
        }
        return str(page_calls.create(self._call(body))["id"])

    def write(self, page: str, text: str) -> None:
        """Add a paragraph."""
        block = {
            "type": "paragraph",
            "paragraph": {"rich_text": [{"type": "text", "text": {"content": text}}]},
        }
        block_calls.append(self._call({"children": [block]}), page)

    def update(self, page: str, **body: Any) -> None:
        """Change a page: its properties, or whether it is in the trash."""
        page_calls.update(self._call(body), page)

    def stage(self, page: str, text: str) -> None:
        self.update(page, properties={"Stage": {"rich_text": [{"text": {"content": text}}]}})

    def touch(self, page: str) -> None:
        """Change nothing, at this time."""
        node = self.app.store.nodes[page]
        node.edited_at = self.clock.now()

    def share(self, *roots: str) -> None:
        self.app.store.connections[self.token].roots = set(roots)

    def fault(self, kind: str, **facts: Any) -> None:
        self.app.faults.add({"kind": kind, **facts})

    def healthy(self) -> None:
        self.app.faults.items.clear()

    async def texts(self, entity: str = "default") -> dict[str, str]:
        """Return the text of every document, by its page."""
        found = {}
        async for document in self.hub.export(entity):
            if document["source"] == "notion":
                found[document["external_id"]] = document["text"]
        return found


@asynccontextmanager
async def workspace(
    database: Database, *, belonging: Belonging | None = None, **settings: Any
) -> AsyncIterator[Workspace]:
    """Yield an empty workspace. Nothing limits its requests unless ``settings`` say so."""
    clock = VirtualClock(START)
    chosen = Settings(**{"rate_mode": "off", "index_lag_s": 0.0, **settings})
    app = create_app(seed_name="empty", settings=chosen, clock=clock)
    with Emulator(app) as emulator:
        shared = SharedClock(clock)
        connection = connect(
            emulator.token,
            emulator.base_url,
            BudgetPolicy(requests=1_000_000),
            database,
            SYSTEM_CLOCK,
            breaker=BreakerPolicy(failures=10_000),
        )
        counted = Counted(connection.gateway)
        asking = Notion(counted, "webhook")  # type: ignore[arg-type]
        provider = WordsProvider()
        hub = hub_on(database, provider)
        knowledge = NotionKnowledge(hub, asking, database, shared, belonging)
        follower = Follower(
            asking,
            counted,
            FollowStore(database, shared),
            shared,
            [knowledge],
            spent=lambda: counted.requests,
        )
        try:
            yield Workspace(
                emulator, clock, shared, hub, database, connection, follower, knowledge,
                emulator.token, provider,
            )  # fmt: skip
        finally:
            await connection.close()
            await hub.close()
