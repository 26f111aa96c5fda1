"""Following Notion on the emulator: requests, pages a second, memory.

The emulator runs in a process of its own and limits nothing; the workspace is made there, so that
only the sync is measured. Texts are embedded by a model that costs nothing (see `embedding.py` for
the real one): what is measured is reading, comparing, splitting and storing.
"""

import asyncio
import os
import resource
import subprocess
import sys
import time

import numpy as np
from measure import Line, at_least, at_most, finish, parser, say, throwaway_server

from higherself.db.migrate import migrate
from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.catalogue_postgres import PostgresCatalogue
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import EmbeddingSpace
from higherself.knowledge.postgres import PostgresDocuments
from higherself.knowledge.search_postgres import SESSION_SETTINGS, PostgresSearch
from higherself.knowledge.tiers import Tier
from higherself.notion.following.follower import CycleReport, Follower
from higherself.notion.following.postgres import FollowStore
from higherself.notion.gateway.budget import BudgetPolicy
from higherself.notion.gateway.connection import connect
from higherself.notion.gateway.counting import Counted
from higherself.notion.reading.api import Notion
from higherself.services.notion.knowledge import NotionKnowledge

PAGES, CHANGES = int(os.environ.get("PAGES", "10000")), 200
EMULATOR = """
import sys
from datetime import timedelta
from notion_emulator import page_calls, table_calls
from notion_emulator.app import create_app
from notion_emulator.call import Call
from notion_emulator.server import Emulator
from notion_emulator.settings import VERSIONS, Settings
app = create_app(seed_name="empty", settings=Settings(rate_mode="off", index_lag_s=0.0))
connection = next(iter(app.store.connections.values()))
def call(body):
    return Call(app.store, app.clock, app.settings, connection, VERSIONS[-1], {}, body)
def title(text):
    return [{"text": {"content": text}}]
root = page_calls.create(call({"parent": {"workspace": True}, "properties": {"title": title("Root")}}))
made = table_calls.create_database(call({"parent": {"page_id": root["id"]}, "title": title("Pages"),
    "initial_data_source": {"properties": {"Name": {"title": {}}, "Stage": {"rich_text": {}}}}}))
source = made["data_sources"][0]["id"]
text = "## Part\\n" + " ".join(f"word{n}" for n in range(60)) + ".\\n- [ ] a thing to do\\n> and a quotation"
rows = []
for number in range(int(sys.argv[1]) - 1):
    rows.append(page_calls.create(call({"parent": {"data_source_id": source}, "markdown": f"{text} {number}",
        "properties": {"Name": {"title": title(f"Page {number}")}}}))["id"])
def age(hours):
    for node in app.store.nodes.values():
        node.created_at -= timedelta(hours=hours); node.edited_at -= timedelta(hours=hours)
age(5)
with Emulator(app) as emulator:
    print(emulator.base_url, emulator.token, flush=True)
    for line in sys.stdin:
        for row in rows[:: len(rows) // int(line)][: int(line)]:
            page_calls.update(call({"properties": {"Stage": {"rich_text": title("changed")}}}), row)
            app.store.nodes[row].edited_at -= timedelta(minutes=5)
        print("changed", flush=True)
"""


class Words:
    """A vector from the hash of a text."""

    window = 256
    space = EmbeddingSpace(name="bench/32", provider="bench", model="bench", dimensions=32)

    def count_tokens(self, texts: list[str]) -> list[int]:
        return [len(text) // 4 + 2 for text in texts]

    async def embed(self, texts: list[str], *, purpose: str = "document") -> np.ndarray:
        return np.array([np.random.default_rng(abs(hash(t))).random(32) for t in texts], np.float32)

    def close(self) -> None: ...


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def measured(
    base: str, token: str, url: str, emulator: "subprocess.Popen[str]"
) -> list[Line]:
    await migrate(url, clock=SYSTEM_CLOCK)
    async with open_database(url, settings=SESSION_SETTINGS) as database:
        connection = connect(token, base, BudgetPolicy(requests=10_000_000), database, SYSTEM_CLOCK)
        counted = Counted(connection.gateway)
        asking = Notion(counted, "backfill")  # type: ignore[arg-type]
        hub = KnowledgeHub(
            store=PostgresDocuments(database, SYSTEM_CLOCK),
            index=PostgresSearch(database),
            catalogue=PostgresCatalogue(database),
            clock=SYSTEM_CLOCK,
            tiers=[Tier("local", Words(), on_machine=True)],  # type: ignore[arg-type]
        )
        knowledge = NotionKnowledge(hub, asking, database, SYSTEM_CLOCK)
        follower = Follower(
            asking,
            counted,
            FollowStore(database, SYSTEM_CLOCK),
            SYSTEM_CLOCK,
            [knowledge],
            spent=lambda: counted.requests,
        )
        early = 0.0

        def progress(report: CycleReport) -> None:
            nonlocal early
            if not early and report.handed >= PAGES // 5:
                early = memory()

        began = time.perf_counter()
        first = await follower.cycle(progress=progress)
        seconds = time.perf_counter() - began
        grown = memory() - early
        say(f"{first.created} pages in {seconds:.1f} s, {first.requests} requests, +{grown:.0f} MB")
        while (idle := await follower.cycle()).partial:
            pass
        idle = await follower.cycle()
        assert emulator.stdin is not None
        assert emulator.stdout is not None
        print(CHANGES, file=emulator.stdin, flush=True)
        emulator.stdout.readline()
        changed = await follower.cycle()
        say(f"{changed.updated} changes: {changed.requests} requests")
        await connection.close()
        await hub.close()
    assert first.created == PAGES
    assert changed.updated == CHANGES
    allowed = PAGES + PAGES // 100 + 5
    after = CHANGES + CHANGES // 100 + 1 + 3
    return [
        Line("first sync", first.created / seconds, "pages/s", **at_least(first.created / seconds, 60)),
        Line("its requests", first.requests, "", **at_most(first.requests, allowed)),
        Line("memory grown in its last four fifths", grown, "MB", **at_most(grown, 60, " MB")),
        Line(f"requests for {CHANGES} changes", changed.requests, "", **at_most(changed.requests, after)),
        Line("requests of an idle cycle", idle.requests, "", **at_most(idle.requests, 3)),
    ]  # fmt: skip


def lines() -> list[Line]:
    say(f"following Notion (load {os.getloadavg()[0]:.1f})")
    with (
        throwaway_server() as server,
        subprocess.Popen(
            [sys.executable, "-c", EMULATOR, str(PAGES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as emulator,
    ):
        assert emulator.stdout is not None
        base, token = emulator.stdout.readline().split()
        settings = server.as_program(server.fresh_database("notion", ours=True))
        assert settings.database_url is not None
        url = settings.database_url.get_secret_value()
        try:
            return asyncio.run(measured(base, token, url, emulator))
        finally:
            emulator.terminate()


if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    finish(lines(), options.json)
