"""Pages of Notion become documents of the knowledge hub, and vanish from it as they do from Notion."""

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from higherself.db.pool import Database
from higherself.db.queryfile import read_queries
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Misconfigured, Rejected, Unavailable
from higherself.kernel.tasks import task_group
from higherself.knowledge.hub import KnowledgeHub
from higherself.notion.content.tree import Content
from higherself.notion.errors import PageNotFound
from higherself.notion.following.sightings import Child, Seen, Sighting, edited_at
from higherself.services.notion.reading import Reading, whole_page
from higherself.services.notion.text import (
    SOURCE,
    TELLING,
    PageText,
    children_of,
    document_of,
    hash_of,
    without_ours,
)

QUERIES = read_queries("higherself.services.notion", "knowledge.sql")

READ_AT_ONCE = 8

BUSINESS = "Business Entity"
"""The relation that names a page's business."""

NO_ACCIDENT = 10
"""When so many pages, and all of a batch, cannot be read, it is Notion that fails, not they."""

RECORDS = frozenset(
    {
        "business_entities", "contacts_profiles", "community_members", "workflow_instances",
        "feedback_surveys", "rewards_bounties", "tasks", "agents",
        "api_integrations", "data_transformations",
    }
)  # fmt: skip
"""Declared databases whose rows are records, not text that anybody searches for."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known of a page that is a document."""

    page_id: str
    entity: str
    content_hash: bytes
    chunks: int
    indexed_at: datetime


@dataclass(slots=True)
class Belonging:
    """Whose a page is, and whether it is knowledge.

    ``name_of`` names the declared database of a data source.
    ``entities`` is the business of all pages of some data sources. A page whose relation
    ``Business Entity`` names a business belongs to that; all others to ``entity``.
    """

    entity: str = "default"
    name_of: Callable[[str], str | None] = lambda source: None
    entities: Mapping[str, str] = field(default_factory=dict)
    records: frozenset[str] = RECORDS

    def is_knowledge(self, source: str | None) -> bool:
        """Return whether the pages of a data source are knowledge; None: loose pages are."""
        return source is None or self.name_of(source) not in self.records

    def of(self, page: Mapping[str, Any], source: str | None, businesses: Mapping[str, str]) -> str:
        """Return the business that a page belongs to; ``businesses`` tells that of business pages."""
        named = (businesses[each] for each in business_pages(page) if each in businesses)
        of_source = None if source is None else self.entities.get(source)
        return next(named, None) or of_source or self.entity


def business_pages(page: Mapping[str, Any]) -> list[str]:
    """Return the pages of businesses that a page names."""
    value = (page.get("properties") or {}).get(BUSINESS) or {}
    return [each["id"] for each in value.get("relation") or ()]


def told_properties(page: Mapping[str, Any]) -> str | None:
    """Return the properties of a page that take what became of it, with their types, as JSON."""
    found = {
        name: value["type"]
        for name, value in (page.get("properties") or {}).items()
        if name in TELLING
    }
    return json.dumps(found) if found else None


@dataclass(slots=True)
class _Batch:
    """What becomes of the sightings of one call."""

    failed: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    children: list[Child] = field(default_factory=list)
    pages: list[PageText] = field(default_factory=list)
    ours_alone: list[str] = field(default_factory=list)
    unavailable: list[Unavailable] = field(default_factory=list)


class NotionKnowledge:
    """Watches pages for the hub. The same sighting twice changes nothing the second time."""

    name = "knowledge"

    def __init__(
        self,
        hub: KnowledgeHub,
        notion: Reading,
        database: Database,
        clock: Clock,
        belonging: Belonging | None = None,
    ) -> None:
        self._hub, self._notion, self._database, self._clock = hub, notion, database, clock
        self._belonging = belonging or Belonging()

    def watches(self, data_source_id: str | None) -> bool:
        """Return whether the pages of a data source are knowledge."""
        return self._belonging.is_knowledge(data_source_id)

    async def see(self, sightings: Sequence[Sighting]) -> Seen:
        """Take in pages that were seen, and delete what is gone.

        A page that could not be read whole stays as it was. Pages out of reach stay, too.
        """
        gone = [s.page_id for s in sightings if s.kind == "gone"]
        seen = [s for s in sightings if s.kind == "seen" and s.page is not None]
        stored = await self._stored([s.page_id for s in sightings])
        deleted = await self._delete([stored[page] for page in gone if page in stored])
        batch = await self._read(seen)
        alone = [page for page in batch.ours_alone if page in stored]
        deleted += await self._delete([stored[page] for page in alone])
        if len(batch.unavailable) == len(seen) >= NO_ACCIDENT:
            raise batch.unavailable[0]
        took = await self._take(batch, stored)
        return Seen(
            created=took.created,
            updated=took.updated,
            unchanged=took.unchanged + len(batch.ours_alone) - len(alone),
            deleted=deleted,
            embedded=took.embedded,
            saved=took.saved,
            failed={**batch.failed, **took.failed},
            lost=frozenset(batch.lost),
            children=tuple(batch.children),
        )

    async def _read(self, sightings: Sequence[Sighting]) -> _Batch:
        batch = _Batch()
        businesses = await self._businesses([s.page or {} for s in sightings])
        titles = await self._titles({s.data_source_id for s in sightings} - {None})
        at_once = asyncio.Semaphore(READ_AT_ONCE)

        async def read(sighting: Sighting) -> None:
            async with at_once:
                try:
                    content = await whole_page(self._notion, sighting.page_id)
                except PageNotFound:
                    batch.lost.add(sighting.page_id)
                except Unavailable as error:
                    batch.unavailable.append(error)
                    batch.failed[sighting.page_id] = str(error)
                except Misconfigured:
                    raise
                except Rejected as error:
                    batch.failed[sighting.page_id] = str(error)
                except Exception as error:  # noqa: BLE001  one page must not hold up the others
                    batch.failed[sighting.page_id] = f"it cannot be read: {error!r}"
                    telemetry.warning(
                        "notion.page.failed", page=sighting.page_id, error=repr(error)
                    )
                else:
                    self._note(batch, sighting, content, businesses, titles)

        async with task_group() as group:
            for sighting in sightings:
                group.create_task(read(sighting))
        return batch

    def _note(
        self,
        batch: _Batch,
        sighting: Sighting,
        content: Content,
        businesses: Mapping[str, str],
        titles: Mapping[str, str],
    ) -> None:
        page, source = sighting.page or {}, sighting.data_source_id
        batch.children.extend(children_of(sighting.page_id, content))
        content, had_ours = without_ours(content)
        if had_ours and not content.blocks and source is None:
            batch.ours_alone.append(sighting.page_id)  # what the server wrote is known already
            return
        title = titles.get(source or "", "")
        entity = self._belonging.of(page, source, businesses)
        batch.pages.append(PageText(sighting.page_id, entity, page, content, title))

    async def _titles(self, sources: Collection[str | None]) -> dict[str, str]:
        if not sources:
            return {}
        async with self._database.transaction() as tx:
            rows = await tx.many(QUERIES["notion_titles"], {"sources": list(sources)})
        return {row["data_source_id"]: row["title"] for row in rows}

    async def _businesses(self, pages: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        named = sorted({each for page in pages for each in business_pages(page)})
        if not named:
            return {}
        async with self._database.transaction() as tx:
            rows = await tx.many(QUERIES["notion_businesses"], {"pages": named})
        return {row["page_id"]: row["entity"] for row in rows}

    async def _take(self, batch: _Batch, stored: Mapping[str, Stored]) -> Seen:
        documents, hashes = {}, {}
        entries = {page.page_id: page.page for page in batch.pages}
        for page in batch.pages:
            before = stored.get(page.page_id)
            try:
                document = document_of(page, edited_at(page.page))
                found = hash_of(document)
            except Rejected as error:
                batch.failed[page.page_id] = str(error)
                continue
            if before is not None and before.content_hash == found:
                document = replace(document, at=before.indexed_at)
            documents[page.page_id], hashes[page.page_id] = document, found
        moved = [
            before
            for page, document in documents.items()
            if (before := stored.get(page)) is not None and before.entity != document.entity
        ]
        report = await self._hub.add(documents.values())
        await self._delete_documents(moved)
        failed = {failure.path: failure.reason for failure in report.failed}
        taken = [page for page in documents if page not in failed]
        if taken:
            now = self._clock.now()
            async with self._database.transaction() as tx:
                await tx.run(
                    QUERIES["notion_documents_taken"],
                    {
                        "pages": taken,
                        "entities": [documents[page].entity for page in taken],
                        "hashes": [hashes[page] for page in taken],
                        "times": [documents[page].at or now for page in taken],
                        "tells": [told_properties(entries[page]) for page in taken],
                    },
                )
        telemetry.count("notion.knowledge.embedded", report.embedded)
        changed = sum(
            1 for page in taken if page in stored and stored[page].content_hash != hashes[page]
        )
        created = sum(1 for page in taken if page not in stored)
        return Seen(
            created=created,
            updated=changed,
            unchanged=len(taken) - created - changed,
            embedded=report.embedded,
            saved=report.reused,
            failed=failed,
        )

    async def _stored(self, pages: Sequence[str]) -> dict[str, Stored]:
        async with self._database.transaction() as tx:
            rows = await tx.many(QUERIES["notion_documents"], {"pages": list(pages)})
        return {row["page_id"]: Stored(**row) for row in rows}

    async def _delete(self, stored: Sequence[Stored]) -> int:
        """Delete documents with everything made of them, and then what is known of their pages."""
        await self._delete_documents(stored)
        if stored:
            async with self._database.transaction() as tx:
                pages = [each.page_id for each in stored]
                await tx.run(QUERIES["notion_documents_gone"], {"pages": pages})
        return len(stored)

    async def _delete_documents(self, stored: Sequence[Stored]) -> None:
        of_entity: dict[str, list[str]] = {}
        for each in stored:
            of_entity.setdefault(each.entity, []).append(each.page_id)
        for entity, pages in of_entity.items():
            await self._hub.delete_named(entity, SOURCE, pages)
