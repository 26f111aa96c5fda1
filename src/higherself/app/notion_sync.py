"""Following Notion, as it is installed: the follower with its watchers, and how all that stands."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from higherself.kernel.errors import HigherSelfError, NotFound
from higherself.kernel.tasks import raise_if_cancelled, side_by_side
from higherself.notion.following.follower import CycleReport, Follower, OthersFollow, Scope
from higherself.notion.following.looking import Progress
from higherself.notion.following.postgres import FollowStore
from higherself.notion.following.sightings import Watcher
from higherself.notion.following.watching import Watching
from higherself.notion.gateway.counting import Counted
from higherself.notion.gateway.gateway import Gateway
from higherself.notion.ids import notion_id, same_id
from higherself.notion.reading.api import Notion
from higherself.services.notion.generated import GeneratedPages
from higherself.services.notion.knowledge import Belonging, NotionKnowledge
from higherself.services.notion.telling import Telling

if TYPE_CHECKING:
    from higherself.app.notion_records import InstalledNotion
    from higherself.app.wiring import HigherSelf

SECONDS_TO_ASK_AGAIN = 1
SHOWN_EVERY, AFTER_TROUBLE = timedelta(seconds=10), timedelta(seconds=60)

CHUNKS_OF_A_PAGE = 2.0
"""What a page is taken to have while nothing is known of any."""


@dataclass(slots=True)
class NotionSync:
    """Notion, followed for everybody who wants to know of it."""

    hs: "HigherSelf"
    connection: "InstalledNotion"
    counted: Counted
    store: FollowStore
    follower: Follower
    generated: GeneratedPages | None
    telling: Telling

    async def sync(
        self,
        *,
        scope: Scope = "changes",
        since: datetime | None = None,
        database: str | None = None,
        dry_run: bool = False,
        progress: Progress = lambda report: None,
        told: Callable[[str], None] = lambda line: None,
    ) -> CycleReport:
        """Look once, and wait for another process that does so now.

        Raises
            NotFound: no data source is called ``database``.
        """
        only = None if database is None else await self._named(database)
        waited = False
        while True:
            try:
                report = await self.follower.cycle(
                    scope=scope,
                    since=since,
                    only=only,
                    patient=not dry_run,
                    dry_run=dry_run,
                    progress=progress,
                )
                if not dry_run:
                    await self._push(told)
                return report
            except OthersFollow as others:
                if not waited:
                    told(str(others))
                waited = True
                await self.hs.clock.sleep(timedelta(seconds=SECONDS_TO_ASK_AGAIN))

    async def watch(
        self,
        *,
        told: Callable[[str], None] = lambda line: None,
        reported: Callable[[CycleReport], None] = lambda report: None,
    ) -> None:
        """Follow for ever, and bring changed rows and what agents make to Notion."""
        watching = Watching(self.follower, self.hs.clock, told=told, reported=reported)
        await side_by_side(
            watching.run(), self.hs.notion.keep_pushing(told), self._keep_showing(told)
        )

    async def _keep_showing(self, told: Callable[[str], None]) -> None:
        """Show what agents make, and tell pages what became of them, for ever."""
        while True:
            raise_if_cancelled()
            try:
                await self._show()
            except HigherSelfError as error:
                told(f"nothing can be shown in Notion now: {error}")
                await self.hs.clock.sleep(AFTER_TROUBLE)
            await self.hs.clock.sleep(SHOWN_EVERY)

    async def _push(self, told: Callable[[str], None]) -> None:
        """Bring changed rows to Notion, all of them, and what agents have made."""
        while await self._show():
            raise_if_cancelled()
        pushed = await self.hs.notion.push(limit=1_000_000)
        if written := pushed.created + pushed.updated + pushed.trashed + pushed.restored:
            told(
                f"rows: {written} pages written, {pushed.waiting} wait, {len(pushed.failed)} failed"
            )

    async def _show(self) -> int:
        """Show what agents have made, and tell pages that were indexed; return how many pages."""
        shown = 0 if self.generated is None else (await self.generated.push()).done
        return shown + await self.telling.push()

    async def plan(self, report: CycleReport) -> dict[str, Any]:
        """Return what doing what a dry run told would take: requests, texts to embed, seconds."""
        pages = report.created + report.updated
        known = await self.store.count()
        stats = (await self.hs.knowledge.stats()) if known["live"] else {}
        chunks, documents = stats.get("chunks", 0), stats.get("documents", 0)
        each = chunks / documents if documents else CHUNKS_OF_A_PAGE
        allowed = self.connection.budget.policy
        return {
            "planned": {
                "requests": pages + report.listing,
                "embeddings_at_most": round(report.created * each + report.updated * each),
                "seconds": round(pages / (allowed.requests / allowed.window.total_seconds()), 1),
            }
        }

    async def _named(self, name: str) -> str:
        """Return the data source that a person means: by id, address or title."""
        sources = await self.store.sources()
        for source in sources.values():
            known = (source.data_source_id, source.database_id)
            if any(same_id(each, name) for each in known) or source.title.lower() == name.lower():
                return source.data_source_id
        titles = ", ".join(sorted(repr(source.title) for source in sources.values())) or "none yet"
        raise NotFound(f"no data source is called {name!r}; there are: {titles}")


@asynccontextmanager
async def opened_sync(hs: "HigherSelf") -> AsyncIterator[NotionSync]:
    """Yield the follower with its watchers.

    Raises
        Misconfigured: there is no token.
    """
    connection = hs.notion
    counted = Counted(connection.gateway)
    asking = Notion(cast(Gateway, counted), "webhook")
    store = FollowStore(hs.database, hs.clock)

    async def look_up() -> None:
        """See which databases there are now: another process may have set them up."""
        await connection.databases.load()

    def name_of(source: str) -> str | None:
        found = connection.databases.by_source(source)
        return None if found is None else found.name

    belonging = Belonging(
        entity=hs.settings.notion_entity,
        name_of=name_of,
    )
    knowledge = NotionKnowledge(hs.knowledge, asking, hs.database, hs.clock, belonging)
    watchers: list[Watcher] = [connection.watcher, knowledge, *hs.notion_workflows.watchers]
    follower = Follower(
        asking,
        counted,
        store,
        hs.clock,
        watchers,
        spent=lambda: counted.requests,
        before=look_up,
        pace=lambda lane: setattr(counted, "lane", lane),
    )
    telling = Telling(hs.knowledge, connection.writes, hs.database, hs.clock)
    yield NotionSync(hs, connection, counted, store, follower, generated_pages(hs), telling)


def generated_pages(hs: "HigherSelf") -> GeneratedPages | None:
    """Return what shows documents of agents in Notion; None: there is no page to put them under."""
    if hs.settings.notion_parent_page is None:
        return None
    return GeneratedPages(
        hs.knowledge,
        hs.notion.api,
        hs.notion.writes,
        hs.database,
        hs.clock,
        parent=notion_id(hs.settings.notion_parent_page),
        policy=hs.settings.notion_conflicts,
    )


async def follow_notion(hs: "HigherSelf", told: Callable[[str], None]) -> None:
    """Follow Notion for ever; without a token, do nothing."""
    if hs.settings.notion_token is None:
        return
    async with opened_sync(hs) as notion:
        await notion.watch(told=told)
