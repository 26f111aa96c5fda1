"""A workspace with the database of instances, an engine, and what keeps their pages; and people."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.notion.conftest import Json, a_page, connected, requests
from tests.notion.databases.declared import PRODUCT
from tests.workflow.engine.bench import Bench, opened

from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.databases.declaration import Declaration
from higherself.notion.databases.lookup import Databases
from higherself.notion.databases.setup import SetUp
from higherself.notion.following.sightings import Seen, Sighting
from higherself.notion.gateway.connection import NotionConnection
from higherself.services.notion.commands import Roles
from higherself.services.notion.definitions import LIBRARY, NotionDefinitions
from higherself.services.notion.links import LinkBook
from higherself.services.notion.pulling import RecordWatcher
from higherself.services.notion.pushing import RecordPusher
from higherself.services.notion.records import Records
from higherself.services.notion.status import INSTANCES, NotionStatus, StatusPolicy
from higherself.services.notion.status_store import StatusStore
from higherself.services.notion.steering import NotionSteering
from higherself.services.notion.workspace import Workspace
from notion_emulator import block_calls, comment_calls, markdown_calls, page_calls
from notion_emulator.call import Call
from notion_emulator.server import Emulator
from notion_emulator.settings import VERSIONS
from notion_emulator.store import Connection

NOW = timedelta(0)
AT_ONCE = StatusPolicy(requests=100_000, settle=NOW, rest=NOW, every=timedelta(milliseconds=50))

ONLY = Declaration(
    [
        replace(
            PRODUCT[name],
            properties={n: p for n, p in PRODUCT[name].properties.items() if p.type not in ("relation", "formula")},
            views=(),
            entity=None,
        )
        for name in (INSTANCES, "workflows_library")
    ]
)  # fmt: skip
"""Of the sixteen databases the two that count here, without what leads to the others."""


@dataclass
class Person:
    """Somebody in Notion."""

    emulator: Emulator
    name: str
    email: str
    id: str = ""

    def __post_init__(self) -> None:
        store = self.emulator.app.store
        self.id = self.id or store.ids.uuid()
        store.users[self.id] = {
            "object": "user", "id": self.id, "name": self.name, "avatar_url": None,
            "type": "person", "person": {"email": self.email},
        }  # fmt: skip

    def _call(self, body: Json) -> Call:
        app = self.emulator.app
        actor = Connection("human", self.id, "", self.name, roots={"*"})
        return Call(app.store, app.clock, app.settings, actor, VERSIONS[-1], {}, body)

    def sets(self, page: str, properties: Json) -> None:
        """Change properties of a page."""
        page_calls.update(self._call({"properties": properties}), page)

    def chooses(self, page: str, action: str | None) -> None:
        """Choose an action on a page."""
        self.sets(page, {"Action": {"select": {"name": action} if action else None}})

    def trashes(self, page: str, *, back: bool = False) -> None:
        """Put a page into the trash, or take it out."""
        page_calls.update(self._call({"in_trash": not back}), page)

    def writes(self, page: str, text: str) -> str:
        """Add a paragraph at the end of a page; return its id."""
        block = {"type": "paragraph", "paragraph": {"rich_text": [{"text": {"content": text}}]}}
        made = block_calls.append(self._call({"children": [block]}), page)
        return str(made["results"][-1]["id"])

    def edits(self, block: str, text: str) -> None:
        """Change a paragraph."""
        body = {"paragraph": {"rich_text": [{"text": {"content": text}}]}}
        block_calls.update(self._call(body), block)

    def replaces(self, page: str, old: str, new: str) -> None:
        """Change a text on a page."""
        change = {"old_str": old, "new_str": new}
        body = {"type": "update_content", "update_content": {"content_updates": [change]}}
        markdown_calls.update(self._call(body), page)

    def comments(self, page: str, text: str) -> str:
        """Comment on a page."""
        body = {"parent": {"page_id": page}, "rich_text": [{"text": {"content": text}}]}
        return str(comment_calls.create(self._call(body))["id"])


@dataclass
class Story:
    """Everything together. ``refreshed()`` brings all pages up to date."""

    emulator: Emulator
    database: Database
    notion: NotionConnection
    bench: Bench
    databases: Databases
    status: NotionStatus
    workspace: Workspace
    people: dict[str, Person] = field(default_factory=dict)

    def person(self, name: str = "Ada Lovelace", email: str = "ada@example.org") -> Person:
        return self.people.setdefault(name, Person(self.emulator, name, email))

    async def refreshed(self) -> int:
        """Bring every page up to date; return how many requests that took."""
        before = len(requests(self.emulator))
        while (done := await self.status.refresh()).handled:
            assert not done.failed, done.failed
        return len(requests(self.emulator)) - before

    async def page_of(self, instance: UUID) -> str:
        row = await self.status.store.page_of(instance)
        assert row is not None
        assert row["page_id"] is not None
        return str(row["page_id"])

    async def shown(self, instance: UUID) -> tuple[Mapping[str, Any], str]:
        """Return the page's properties in plain form, and its text."""
        page = await self.page_of(instance)
        there = await self.notion.api.page(page)
        text = (await self.notion.api.markdown(page)).markdown
        return {name: plain(value) for name, value in there["properties"].items()}, text


def plain(value: Json) -> Any:
    inside = value[value["type"]]
    match value["type"]:
        case "title" | "rich_text":
            return "".join(each["plain_text"] for each in inside)
        case "select":
            return inside and inside["name"]
        case "date":
            return inside and inside["start"]
        case _:
            return inside


@asynccontextmanager
async def a_story(
    emulator: Emulator,
    database_url: str,
    database: Database,
    *,
    policy: StatusPolicy = AT_ONCE,
    declaration: Declaration = ONLY,
) -> AsyncIterator[Story]:
    async with connected(emulator, database) as notion, opened(database_url, database) as bench:
        databases = Databases(database, SYSTEM_CLOCK)
        set_up = SetUp(declaration, notion=notion.api, writes=notion.writes, databases=databases)
        await set_up.run(await a_page(notion, "HigherSelf"))
        status = NotionStatus(
            bench.engine, StatusStore(database, SYSTEM_CLOCK), notion.api, notion.writes, databases,
            declaration[INSTANCES], SYSTEM_CLOCK, policy=policy,
        )  # fmt: skip
        workspace = Workspace(PRODUCT, database, databases, notion.api, LinkBook({}), SYSTEM_CLOCK)
        yield Story(emulator, database, notion, bench, databases, status, workspace)


@dataclass
class Following:
    """Shows the pages of instances to the steering, as the follower does."""

    story: Story
    steering: NotionSteering

    async def cycle(self) -> Seen:
        source = self.story.databases.data_source(INSTANCES)
        assert source is not None
        pages = [page async for page in self.story.notion.api.query(source.data_source_id)]
        return await self.steering.see(
            [Sighting(page["id"], page, source.data_source_id) for page in pages]
        )


def steering(story: Story, roles: Roles, **options: Any) -> Following:
    """Return what does what people ask for."""
    given = {"comments_every": NOW, **options}
    made = NotionSteering(
        story.bench.engine, story.status, story.notion.api, story.notion.writes, SYSTEM_CLOCK,
        roles=roles, **given,
    )  # fmt: skip
    return Following(story, made)


@dataclass
class Library:
    """The library of workflows: its pages are shown to who watches them, and its rows pushed."""

    story: Story
    definitions: NotionDefinitions
    records: RecordWatcher
    pusher: RecordPusher

    async def cycle(self) -> list[Seen]:
        source = self.story.databases.data_source(LIBRARY)
        assert source is not None
        pages = [page async for page in self.story.notion.api.query(source.data_source_id)]
        shown = [Sighting(page["id"], page, source.data_source_id) for page in pages]
        seen = [await each.see(shown) for each in (self.records, self.definitions)]
        await self.definitions.tick()
        await self.pusher.push()
        return seen

    def adds(self, person: Person, title: str, text: str, status: str = "Active") -> str:
        """Add a page to the library."""
        source = self.story.databases.data_source(LIBRARY)
        assert source is not None
        call = person._call(
            {
                "parent": {"type": "data_source_id", "data_source_id": source.data_source_id},
                "properties": {
                    "Workflow Name": {"title": [{"text": {"content": title}}]},
                    "Status": {"select": {"name": status}},
                },
                "markdown": text,
            }
        )
        return str(page_calls.create(call)["id"])

    async def shown(self, page: str) -> tuple[Mapping[str, Any], str]:
        there = await self.story.notion.api.page(page)
        text = (await self.story.notion.api.markdown(page)).markdown
        return {name: plain(value) for name, value in there["properties"].items()}, text


def library(story: Story) -> Library:
    """Return what keeps the library."""
    workspace = story.workspace
    made = NotionDefinitions(
        story.bench.engine, Records(workspace.declaration, workspace.database, workspace.clock), story.notion.api, story.notion.writes,
        story.databases, story.database, SYSTEM_CLOCK,
    )  # fmt: skip
    return Library(
        story, made, RecordWatcher(workspace), RecordPusher(workspace, story.notion.writes)
    )
