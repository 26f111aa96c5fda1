"""Some of the product's databases on the emulator, and a driver in the place of the follower."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.notion.conftest import Json, a_page, connected, requests, text
from tests.notion.databases.declared import PRODUCT

from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.databases.declaration import Declaration
from higherself.notion.databases.lookup import Databases, DataSource
from higherself.notion.databases.setup import SetUp
from higherself.notion.following.sightings import Seen, Sighting
from higherself.notion.gateway.connection import NotionConnection
from higherself.services.notion.links import LinkBook
from higherself.services.notion.pulling import RecordWatcher
from higherself.services.notion.pushing import Pushed, RecordPusher
from higherself.services.notion.records import Records
from higherself.services.notion.workspace import Workspace
from notion_emulator.server import Emulator

SOME = Declaration([PRODUCT[n] for n in ("business_entities", "contacts_profiles", "tasks")])


@dataclass
class Lab:
    """Both sides, and what carries over between them."""

    emulator: Emulator
    notion: NotionConnection
    parent: str
    on: Workspace
    set_up: SetUp
    watcher: RecordWatcher
    pusher: RecordPusher
    records: Records

    def source(self, name: str) -> DataSource:
        source = self.on.databases.data_source(name)
        assert source is not None
        return source

    async def push(self, **more: Any) -> Pushed:
        return await self.pusher.push(**more)

    async def follow(self) -> Seen:
        """Show the watcher everything there is, as the follower would, and return the sum."""
        sightings = [each for name in self.on.declaration for each in await self.sightings(name)]
        return await self.watcher.see(sightings)

    async def sightings(self, name: str) -> list[Sighting]:
        source = self.source(name).data_source_id
        pages = [page async for page in self.notion.api.query(source)]
        seen = [Sighting(page["id"], page, source) for page in pages]
        trashed = [p async for p in self.notion.api.search(object="page", in_trash=True)]
        mine = [p for p in trashed if p["parent"].get("data_source_id") == source]
        return seen + [Sighting(page["id"], None, source, "gone") for page in mine]

    async def settle(self) -> None:
        """Carry over until nothing moves any more."""
        for _ in range(6):
            seen, pushed = await self.follow(), await self.push()
            if not (seen.created or seen.updated or seen.deleted or pushed.handled):
                return
        raise AssertionError("it does not come to rest")

    async def a_row(self, name: str, title: str, **properties: Json) -> str:
        """Make a page as a person would; return its id."""
        declared = self.on.declaration[name]
        body = {
            "parent": {"type": "data_source_id", "data_source_id": self.source(name).data_source_id},
            "properties": {declared.title_property.name: {"title": text(title)}, **properties},
        }  # fmt: skip
        return str((await self.notion.gateway.request("POST", "pages", body=body))["id"])

    async def edit(self, page: str, **changes: Any) -> None:
        """Change properties as a person would; or ``in_trash``."""
        body = {"in_trash": changes.pop("in_trash")} if "in_trash" in changes else {}
        if changes:
            body["properties"] = changes
        await self.notion.gateway.request("PATCH", f"pages/{page}", body=body)

    async def shown(self, page: str) -> dict[str, Any]:
        """Return the plain values of a page's properties, by name."""
        return {n: plain(v) for n, v in (await self.notion.api.page(page))["properties"].items()}

    async def page_of(self, name: str, record: Any) -> str:
        async with self.on.database.transaction() as tx:
            pages = await self.on.links.pages_of(tx, name, [str(record)])
        assert pages is not None
        return pages[0]

    def writes(self, since: int = 0) -> list[Json]:
        """Return the requests that changed something."""
        return [r for r in requests(self.emulator)[since:] if r["method"] == "PATCH" or (r["method"] == "POST" and r["path"].endswith("/pages"))]  # fmt: skip


def plain(value: Json) -> Any:
    kind = value["type"]
    match kind:
        case "title" | "rich_text":
            return "".join(each["plain_text"] for each in value[kind])
        case "select" | "status":
            return value[kind] and value[kind]["name"]
        case "multi_select":
            return sorted(each["name"] for each in value[kind])
        case "date":
            return value[kind] and value[kind]["start"]
        case "relation":
            return [each["id"] for each in value[kind]]
        case _:
            return value[kind]


@asynccontextmanager
async def a_lab(
    emulator: Emulator, database: Database, declaration: Declaration = SOME
) -> AsyncIterator[Lab]:
    async with connected(emulator, database) as notion:
        parent = await a_page(notion, "HigherSelf")
        databases = Databases(database, SYSTEM_CLOCK)
        set_up = SetUp(declaration, notion=notion.api, writes=notion.writes, databases=databases)
        await set_up.run(parent)
        on = Workspace(declaration, database, databases, notion.api, LinkBook(), SYSTEM_CLOCK)
        yield Lab(
            emulator,
            notion,
            parent,
            on,
            set_up,
            RecordWatcher(on),
            RecordPusher(on, notion.writes),
            Records(on.declaration, on.database, on.clock),
        )
