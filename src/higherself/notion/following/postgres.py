"""What the follower remembers, in PostgreSQL."""

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from higherself.db.pool import Database
from higherself.db.queryfile import read_queries
from higherself.kernel.clock import Clock
from higherself.notion.following.sightings import (
    Known,
    Sighting,
    State,
    data_source_of,
    edited_at,
    parent_of,
    title_of,
)
from higherself.notion.following.watermarks import MINUTE, SETTLING, closed

QUERIES = read_queries("higherself.notion.following")

EVENTS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Source:
    """A data source as it is followed. ``settled``: the minute of its watermark was over."""

    data_source_id: str
    title: str
    parent_id: str | None
    state: str
    watermark: datetime | None
    settled: bool
    listed_at: datetime | None
    database_id: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A page that is to be read. Of one that was only seen inside another, title and place are known."""

    known: Known
    title: str
    inside_id: str | None


@dataclass(frozen=True, slots=True)
class Event:
    """What Notion announced: that something happened to this page, database or data source."""

    event_id: str
    type: str
    subject_kind: str
    subject_id: str
    received_at: datetime


class FollowStore:
    """Remembers sources, pages, checkpoints and events."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Hold the right to follow while the block runs, if no other process has it: yield whether.

        It is a lock of the server's, and it goes with this process, however that ends.
        """
        settings = {"idle_in_transaction_session_timeout": "0"}
        async with self._database.transaction(settings=settings) as tx:
            yield bool((await tx.one(QUERIES["follow_alone"]))["ours"])

    async def sources(self) -> dict[str, Source]:
        """Return every data source that was ever followed, by its id."""
        async with self._database.transaction() as tx:
            rows = await tx.many(QUERIES["every_source"])
        return {row["data_source_id"]: Source(**row) for row in rows}

    async def remember_source(self, source: Mapping[str, Any]) -> None:
        """Follow a data source from now on, or note what has changed of it."""
        above = source.get("database_parent") or {}
        async with self._database.transaction() as tx:
            await tx.run(
                QUERIES["remember_source"],
                {
                    "source": source["id"],
                    "database": (source.get("parent") or {}).get("database_id"),
                    "title": title_of(source),
                    "parent": above.get(above.get("type", "")) if above.get("type") != "workspace" else None,
                },
            )  # fmt: skip

    async def source_state(self, source: str, state: str, problem: str | None = None) -> None:
        """Note that a data source is followed, lost or gone."""
        values = {"source": source, "state": state, "problem": problem}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["source_state"], values)

    async def source_listed(self, source: str, watermark: datetime | None, at: datetime) -> None:
        """Note how far a data source has been read by a listing that began ``at``."""
        async with self._database.transaction() as tx:
            await tx.run(
                QUERIES["source_listed"],
                {
                    "source": source,
                    "watermark": watermark,
                    "settled": watermark is None or closed(watermark, at),
                    "at": at,
                },
            )

    async def known(self, pages: Collection[str]) -> dict[str, Known]:
        """Return what is stored of these pages."""
        async with self._database.transaction() as tx:
            rows = await tx.many(QUERIES["known_pages"], {"pages": list(pages)})
        return {row["page_id"]: Known(**row) for row in rows}

    async def read(self, seen: Sequence[Sighting], at: datetime, began: datetime | None) -> None:
        """Note that all watchers have seen these pages, whose reading began ``at``.

        ``began`` is when the first listing of their source ended: what was edited later counts for the lag.
        """
        objects = [sighting.page or {} for sighting in seen]
        edits = [edited_at(page) for page in objects]
        async with self._database.transaction() as tx:
            await tx.run(
                QUERIES["pages_read"],
                {
                    "pages": [sighting.page_id for sighting in seen],
                    "sources": [data_source_of(page) for page in objects],
                    "parents": [parent_of(page) for page in objects],
                    "titles": [title_of(page)[:500].replace("\0", "") for page in objects],
                    "urls": [page.get("url") for page in objects],
                    "edits": edits,
                    "dues": [_again(edited, at) for edited in edits],
                    "at": at,
                    "now": self._clock.now(),
                    "began": began,
                },
            )

    async def failed(self, seen: Sequence[Sighting], problems: Mapping[str, str]) -> None:
        """Note which pages a watcher could not see now, and when to try again."""
        objects = [sighting.page or {} for sighting in seen]
        async with self._database.transaction() as tx:
            await tx.run(
                QUERIES["pages_failed"],
                {
                    "pages": [sighting.page_id for sighting in seen],
                    "sources": [data_source_of(page) for page in objects],
                    "parents": [parent_of(page) for page in objects],
                    "titles": [title_of(page)[:500].replace("\0", "") for page in objects],
                    "urls": [page.get("url") for page in objects],
                    "problems": [problems[s.page_id][:1000].replace("\0", "") for s in seen],
                    "at": self._clock.now(),
                },
            )

    async def away(self, pages: Collection[str], state: State, *, missed: bool = False) -> None:
        """Note that pages are gone, archived or lost; ``missed`` by a full listing."""
        values = {
            "pages": list(pages),
            "state": state,
            "at": self._clock.now(),
            "missed": int(missed),
        }
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["pages_away"], values)

    async def listed(self, pages: Collection[str], at: datetime) -> None:
        """Note that a full listing that began ``at`` had these pages."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["pages_listed"], {"pages": list(pages), "at": at})

    async def unseen(
        self, began: datetime, sources: Collection[str], *, loose: bool
    ) -> list[Known]:
        """Return the pages that a full listing that began then should have had, and had not."""
        values = {"began": began, "sources": list(sources), "loose": loose}
        async with self._database.transaction() as tx:
            return [Known(**row) for row in await tx.many(QUERIES["unseen_pages"], values)]

    async def make_due(
        self, pages: Mapping[str, tuple[str | None, str]], *, again: bool = True
    ) -> None:
        """Have these pages read soon; each with the page it stands in and its title, if they are known.

        Without ``again``, only those that were never read.
        """
        async with self._database.transaction() as tx:
            await tx.run(
                QUERIES["page_is_due"],
                {
                    "pages": list(pages),
                    "insides": [inside for inside, _ in pages.values()],
                    "titles": [title[:500].replace("\0", "") for _, title in pages.values()],
                    "at": self._clock.now(),
                    "again": again,
                },
            )

    async def inside(self, pages: Mapping[str, str]) -> None:
        """Note in which page each of these stands."""
        values = {"pages": list(pages), "insides": list(pages.values())}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["pages_inside"], values)

    async def due(self, limit: int, sources: Collection[str] | None = None) -> list[Due]:
        """Return pages that are to be read again now; of ``sources`` alone, if given."""
        values: dict[str, Any] = {"now": self._clock.now(), "limit": limit}
        name = "due_pages"
        if sources is not None:
            name, values["sources"] = "due_from_source", list(sources)
        async with self._database.transaction() as tx:
            rows = await tx.many(QUERIES[name], values)
        return [
            Due(title=row.pop("title"), inside_id=row.pop("inside_id"), known=Known(**row))
            for row in rows
        ]

    async def below(self, pages: Collection[str], states: Collection[State]) -> list[Known]:
        """Return the pages that stand in these, however deep, and are in one of ``states``."""
        values = {"pages": list(pages), "states": list(states)}
        async with self._database.transaction() as tx:
            return [Known(**row) for row in await tx.many(QUERIES["below"], values)]

    async def hold(self, pages: Collection[str]) -> None:
        """Keep these pages from being deleted until a person says so."""
        values = {"pages": list(pages), "at": self._clock.now()}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["hold_pages"], values)

    async def held(self) -> list[Known]:
        """Return the pages that wait for a person's word before they are deleted."""
        async with self._database.transaction() as tx:
            return [Known(**row) for row in await tx.many(QUERIES["held_pages"])]

    async def count(self) -> dict[str, int]:
        """Return how many pages are in which state."""
        async with self._database.transaction() as tx:
            return await tx.one(QUERIES["count_pages"], {"now": self._clock.now()})

    async def lag(self) -> dict[str, float | None]:
        """Return how long changes of the last day took to be known here: p50 and p95, in seconds."""
        since = self._clock.now() - timedelta(days=1)
        async with self._database.transaction() as tx:
            return await tx.one(QUERIES["lag"], {"since": since})

    async def troubled(self, limit: int = 50) -> list[dict[str, Any]]:
        """Return pages that fail, are held or out of reach."""
        async with self._database.transaction() as tx:
            return await tx.many(QUERIES["troubled_pages"], {"limit": limit})

    async def checkpoint(self, name: str) -> dict[str, Any]:
        """Return what was noted under ``name``; empty if nothing was."""
        async with self._database.transaction() as tx:
            row = await tx.maybe(QUERIES["read_checkpoint"], {"name": name})
        return {} if row is None else dict(row["value"])

    async def note(self, name: str, value: Mapping[str, Any] | None) -> None:
        """Note ``value`` under ``name``, or forget what was."""
        async with self._database.transaction() as tx:
            if value is None:
                await tx.run(QUERIES["drop_checkpoint"], {"name": name})
                return
            values = {"name": name, "value": json.dumps(value), "at": self._clock.now()}
            await tx.run(QUERIES["write_checkpoint"], values)

    async def receive(self, event: Event, sent_at: datetime) -> bool:
        """Store an event; return whether it is new."""
        async with self._database.transaction() as tx:
            row = await tx.one(
                QUERIES["receive_event"],
                {
                    "event": event.event_id,
                    "type": event.type,
                    "kind": event.subject_kind,
                    "subject": event.subject_id,
                    "sent": sent_at,
                    "at": event.received_at,
                },
            )
        return bool(row["fresh"])

    async def events(self) -> list[Event]:
        """Return events that nobody has looked into yet."""
        async with self._database.transaction() as tx:
            rows = await tx.many(QUERIES["waiting_events"], {"limit": EVENTS_AT_ONCE})
        return [Event(**row) for row in rows]

    async def handled(self, events: Collection[str]) -> None:
        """Note that these events have been looked into."""
        if not events:
            return
        values = {"events": list(events), "at": self._clock.now()}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["events_handled"], values)

    async def count_events(self) -> dict[str, Any]:
        """Return how many events came in the last day, and how many wait."""
        async with self._database.transaction() as tx:
            since = self._clock.now() - timedelta(days=1)
            return await tx.one(QUERIES["count_events"], {"since": since})

    async def prune(self) -> None:
        """Forget events that are older than a week."""
        async with self._database.transaction() as tx:
            before = self._clock.now() - timedelta(days=7)
            await tx.run(QUERIES["prune_events"], {"before": before})


def _again(edited: datetime | None, read_at: datetime) -> datetime | None:
    """Return when a page that was read in the minute of its edit is to be read again, or None."""
    if edited is None or closed(edited, read_at):
        return None
    return edited + MINUTE + SETTLING
