"""What agents make, as pages in Notion: in a region that the server owns, beside what people write.

Before anything is written the page is read, and the write names what it replaces. So what a person
has changed in the region meanwhile is never overwritten unseen: both versions are kept, and a
person decides (or the policy does).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from higherself.db.pool import Database, Row
from higherself.db.queryfile import read_queries
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Conflict, Rejected
from higherself.knowledge.hub import KnowledgeHub
from higherself.notion.content import Edit, RegionDamaged, canonical, edit_for, marked, region
from higherself.notion.errors import EditConflict, PageNotFound
from higherself.notion.ports import JsonObject
from higherself.notion.reading.api import PageMarkdown
from higherself.services.notion.conflicts import Keep, PageConflict, PageConflicts

QUERIES = read_queries("higherself.services.notion", "generated.sql")

REGION = "generated"
AT_ONCE = 20

Policy = Literal["manual", "notion_wins", "store_wins"]
"""Who wins when both have changed the region: nobody until a person decides, they, or we."""


class PageReads(Protocol):
    """What is read of Notion here."""

    async def markdown(self, block: str) -> PageMarkdown:
        """Return what stands on a page."""
        ...


class PageWrites(Protocol):
    """What is written to Notion here. The same key is done once."""

    async def create_page(
        self, parent: JsonObject, properties: JsonObject, *, key: str, markdown: str = ""
    ) -> JsonObject:
        """Make a page."""
        ...

    async def edit_markdown(self, page: str, edits: Sequence[Edit], *, key: str) -> PageMarkdown:
        """Change text that stands there exactly once."""
        ...


@dataclass(slots=True)
class Shown:
    """How many pages were made, changed, left as they are, and are in conflict."""

    created: int = 0
    updated: int = 0
    conflicts: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        """How many documents were dealt with."""
        return self.created + self.updated + self.conflicts


class GeneratedPages:
    """Shows documents of agents under a page, ``parent``."""

    def __init__(
        self,
        hub: KnowledgeHub,
        reads: PageReads,
        writes: PageWrites,
        database: Database,
        clock: Clock,
        *,
        parent: str,
        policy: Policy = "manual",
    ) -> None:
        self._hub, self._reads, self._writes = hub, reads, writes
        self._database, self._clock = database, clock
        self._parent, self._policy = parent, policy
        self.conflicts = PageConflicts(database, clock)

    async def push(self) -> Shown:
        """Show what is new or has changed since.

        Raises
            NotionUnavailable, NotAuthorised, ...: the next push goes on from there.
        """
        shown = Shown()
        async with self._database.transaction() as tx:
            waiting = await tx.many(QUERIES["generated_waiting"], {"limit": AT_ONCE})
        for row in waiting:
            try:
                await self._one(row, shown)
            except (Rejected, Conflict, PageNotFound) as error:
                shown.failed += 1
                telemetry.warning("notion.generated.failed", page=row["page_id"], error=str(error))
        return shown

    async def _one(self, row: Row, shown: Shown) -> None:
        found = await self._hub.read(row["entity"], row["source"], [row["name"]])
        if not found:
            return
        text = str(found[0]["text"])
        if row["page_id"] is None:
            await self._create(row, text)
            shown.created += 1
            return
        there = await self._reads.markdown(row["page_id"])
        if there.truncated:
            raise Rejected("the page is too large to be read whole, so it is not written either")
        try:
            theirs = region(there.markdown, REGION)
        except RegionDamaged:
            theirs = None
        untouched = theirs is not None and canonical(theirs) == canonical(row["written"])
        if not untouched and self._policy != "store_wins":
            await self._conflict(row, text, theirs or "")
            shown.conflicts += 1
            return
        if not untouched:
            await self._kept(row, text, theirs or "")
        if theirs is None:
            await self._conflict(row, text, "")  # there is no place to write it to
            shown.conflicts += 1
            return
        await self._write(row, there.markdown, text)
        shown.updated += 1

    async def _create(self, row: Row, text: str) -> None:
        title: Any = {"title": [{"type": "text", "text": {"content": row["title"] or row["name"]}}]}
        page = await self._writes.create_page(
            {"page_id": self._parent},
            {"title": title["title"]},
            key=f"generated/{row['entity']}/{row['source']}/{row['name']}",
            markdown=marked(REGION, text),
        )
        there = await self._reads.markdown(page["id"])
        await self._store(row, page["id"], region(there.markdown, REGION) or "", "written")

    async def _write(self, row: Row, markdown: str, text: str) -> None:
        edit = edit_for(markdown, REGION, text)
        if edit is None:
            await self._store(row, row["page_id"], region(markdown, REGION) or "", "written")
            return
        key = f"generated/{row['page_id']}/{row['version']}"
        try:
            after = await self._writes.edit_markdown(row["page_id"], [edit], key=key)
        except EditConflict:
            return  # somebody was faster: the next push reads it and sees what
        await self._store(row, row["page_id"], region(after.markdown, REGION) or "", "written")

    async def _conflict(self, row: Row, ours: str, theirs: str) -> None:
        """Note a conflict: nothing is written; with ``notion_wins`` it is decided at once."""
        await self._kept(row, ours, theirs)
        state = "theirs" if self._policy == "notion_wins" else "conflict"
        await self._store(row, row["page_id"], theirs, state)

    async def _kept(self, row: Row, ours: str, theirs: str) -> None:
        """Keep both versions; if the policy decides, that is noted, too."""
        await self.conflicts.open(
            entity=row["entity"],
            page=row["page_id"],
            title=row["title"],
            part=REGION,
            ours=ours,
            theirs=theirs,
        )
        telemetry.count("notion.conflict.found", policy=self._policy)
        if self._policy == "manual":
            return
        keep: Keep = "notion" if self._policy == "notion_wins" else "store"
        for each in await self.conflicts.all():
            if each.page_id == row["page_id"] and each.part == REGION:
                await self.conflicts.resolve(each, keep)

    async def _store(self, row: Row, page: str, written: str, state: str) -> None:
        async with self._database.transaction(entity=row["entity"]) as tx:
            await tx.run(
                QUERIES["generated_shown"],
                {
                    "entity": row["entity"],
                    "source": row["source"],
                    "name": row["name"],
                    "page": page,
                    "version": row["version"],
                    "written": written,
                    "state": state,
                    "at": self._clock.now(),
                },
            )


async def decide(database: Database, clock: Clock, conflict: PageConflict, keep: Keep) -> None:
    """Carry out a person's decision: ours is written with the next push, theirs is left alone."""
    state = "written" if keep == "store" else "theirs"
    values = {"page": conflict.page_id, "state": state, "theirs": conflict.theirs}
    async with database.transaction() as tx:
        await tx.run(QUERIES["generated_decided"], values)
    await PageConflicts(database, clock).resolve(conflict, keep)
