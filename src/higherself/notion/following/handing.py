"""Handing on what was seen: which pages watchers are to see, and what is noted when they have."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from higherself.kernel.tasks import task_group
from higherself.notion.following.looking import Look
from higherself.notion.following.removing import Removal
from higherself.notion.following.sightings import (
    HANDLED,
    Known,
    Meaning,
    Seen,
    Sighting,
    data_source_of,
    edited_at,
    judge,
)
from higherself.notion.following.watermarks import AT_ONCE, closed, until_closed
from higherself.notion.ports import JsonObject

HANDS = 2
"""Batches handed on at once: one is read from Notion while the other is stored."""

AHEAD = 16
"""Batches that a listing may be ahead."""

OPEN_AT_MOST = 25
"""Pages read at once though their minute is not over; each is read again afterwards."""


class WaitForMinute(Exception):
    """Many pages were edited in the present minute: it is better to wait until that is over."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__()
        self.wait = wait


@dataclass(slots=True)
class Hands:
    """Takes entries of pages, and hands those that count to the watchers, beside the listing."""

    look: Look
    removal: Removal
    queue: "asyncio.Queue[list[Sighting]]" = field(default_factory=lambda: asyncio.Queue(AHEAD))
    waiting: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)
    databases: dict[str, str] = field(default_factory=dict)
    restored: list[str] = field(default_factory=list)
    opened: int = 0
    caught_up: datetime | None = None

    @asynccontextmanager
    async def ready(self) -> AsyncIterator[None]:
        """Hand on while the block runs, and until all is done."""
        async with task_group() as group:
            hands = [group.create_task(self._work()) for _ in range(HANDS)]
            try:
                yield
                await self.queue.join()
            finally:
                for hand in hands:
                    hand.cancel()

    async def done(self) -> None:
        """Return when everything taken so far was handed on."""
        await self.queue.join()

    async def _work(self) -> None:
        while True:
            sightings = await self.queue.get()
            try:
                await self._hand(sightings)
            finally:
                self.queue.task_done()

    async def take(self, pages: Sequence[JsonObject], *, force: bool = False) -> set[str]:
        """Take entries of pages; return the ids of those that were news.

        With ``force`` watchers see them though they look the same.

        Raises
            WaitForMinute: it is better to come again after the present minute.
        """
        look, now = self.look, self.look.clock.now()
        pages = [
            p for p in pages if p["id"] not in self.waiting and look.watched(data_source_of(p))
        ]
        known = await look.store.known([page["id"] for page in pages])
        meanings = {p["id"]: self._meaning(known.get(p["id"]), p, now) for p in pages}
        away = [p for p in pages if meanings[p["id"]] in ("trashed", "archived")]
        living = [p for p in pages if meanings[p["id"]] not in ("trashed", "archived")]
        wanted = [p for p in living if meanings[p["id"]] in HANDLED or force]
        news = {p["id"] for p in wanted}
        wanted = self._ready(wanted, now)
        if look.everything and not look.dry and living:
            await look.store.listed([p["id"] for p in living], look.began)
        for page in living:
            self.removal.alive(page["id"])
        await self.removal.put_away(away, meanings, known)
        self.restored += [p["id"] for p in wanted if meanings[p["id"]] == "restored"]
        look.known_same.update(p["id"] for p in living if p["id"] not in news)
        self.fresh |= {i for i in news if i not in known or known[i].read_at is None}
        for start in range(0, len(wanted), AT_ONCE):
            batch = [
                Sighting(p["id"], p, data_source_of(p)) for p in wanted[start : start + AT_ONCE]
            ]
            self.waiting |= {s.page_id for s in batch}
            look.report.found += len(batch)
            await self.queue.put(batch)
        return news

    def _meaning(self, known: Known | None, page: JsonObject, now: datetime) -> Meaning:
        meaning = judge(known, page, now)
        if meaning == "same" and self.look.scope == "content" and known is not None:
            return "changed" if known.read_at is None or known.read_at < self.look.began else "same"
        return meaning

    def _ready(self, wanted: list[JsonObject], now: datetime) -> list[JsonObject]:
        """Return the pages to be read now; many that may change again within the minute wait.

        Their watermark stays in that minute, so that they are listed again.
        """
        look = self.look
        fresh = [p for p in wanted if not closed(edited_at(p) or now, now)]
        if look.dry or self.opened + len(fresh) <= OPEN_AT_MOST:
            self.opened += len(fresh)
            return wanted
        if look.patient:
            look.patient = False
            raise WaitForMinute(max(until_closed(edited_at(p) or now, now) for p in fresh))
        later = {p["id"] for p in fresh}
        return [p for p in wanted if p["id"] not in later]

    async def _hand(self, sightings: Sequence[Sighting]) -> None:
        look = self.look
        if look.dry:
            new = sum(1 for s in sightings if s.page_id in self.fresh)
            look.report.created += new
            look.report.updated += len(sightings) - new
            return
        at = look.clock.now()
        seen = await look.show(sightings)
        look.report.add(seen)
        failed = {page: why for each in seen for page, why in each.failed.items()}
        lost = {page for each in seen for page in each.lost}
        done = [s for s in sightings if s.page_id not in failed and s.page_id not in lost]
        if done:
            await look.store.read(done, at, self.caught_up)
        if failed:
            await look.store.failed([s for s in sightings if s.page_id in failed], failed)
        if lost:
            look.report.lost += len(lost)
            await look.store.away(lost, "lost")
        await self._relatives(sightings, seen)
        self.waiting -= {s.page_id for s in sightings}
        look.progress(look.report)

    async def _relatives(self, sightings: Sequence[Sighting], seen: Iterable[Seen]) -> None:
        """Have pages read that stand in those just read, or above them, and that nobody knows."""
        children = {c.id: c for each in seen for c in each.children}
        self.databases |= {c.id: c.parent_id for c in children.values() if c.kind == "database"}
        found = {c.id: (c.parent_id, c.title) for c in children.values() if c.kind == "page"}
        inside = {page: parent for page, (parent, _) in found.items()}
        above: dict[str, tuple[str | None, str]] = {}
        for sighting in sightings:
            parent = (sighting.page or {}).get("parent") or {}
            if parent.get("type") == "page_id":
                above[parent["page_id"]] = (None, "")
        known = await self.look.store.known({*found, *above})
        unknown = {page: facts for page, facts in {**above, **found}.items() if page not in known}
        if unknown:
            await self.look.store.make_due(unknown, again=False)
        if inside:
            await self.look.store.inside(inside)
