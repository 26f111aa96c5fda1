"""The data sources that are followed: which there are, and what has changed in each."""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from higherself.kernel.tasks import raise_if_cancelled
from higherself.notion.errors import NotionRejected, PageNotFound
from higherself.notion.following.handing import Hands, WaitForMinute
from higherself.notion.following.looking import Look
from higherself.notion.following.postgres import Source
from higherself.notion.following.removing import Removal
from higherself.notion.following.sightings import edited_at
from higherself.notion.following.watermarks import AT_ONCE, Reading
from higherself.notion.ports import JsonObject

EDITED_LAST = ({"timestamp": "last_edited_time", "direction": "descending"},)
TRIES = 3


@dataclass(slots=True)
class Sources:
    """The data sources of one cycle. Their watermarks move on when `commit` is called."""

    look: Look
    hands: Hands
    removal: Removal
    listed: list[tuple[str, datetime | None, datetime]] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    async def note(self, source: Mapping[str, Any]) -> bool:
        """Take a data source that was seen; return whether it is to be followed from now on."""
        look = self.look
        known = look.sources.get(source["id"])
        if source.get("in_trash"):
            if known is not None and known.state == "followed":
                await self.removal.source_gone(source["id"])
            return False
        if known is not None and known.state == "followed":
            return False
        if look.dry:
            look.sources[source["id"]] = Source(
                source["id"], "", None, "followed", None, settled=True, listed_at=None
            )
            return True
        await look.store.remember_source(source)
        await look.store.source_state(source["id"], "followed")
        if known is not None:  # it was away: it is read from the beginning
            await look.store.source_listed(source["id"], None, look.began)
        look.sources = await look.store.sources()
        self.asked.discard(source["id"])
        above = look.sources[source["id"]].parent_id
        if above is not None and above not in await look.store.known([above]):
            await look.store.make_due(
                {above: (None, "")}, again=False
            )  # it may be a root that no search shows
        return True

    async def meet(self, source: str) -> bool:
        """Ask for a data source and take it; return whether it is to be followed from now on."""
        try:
            return await self.note(await self.look.notion.data_source(source))
        except PageNotFound:
            return False

    async def meet_database(self, database: str) -> None:
        """Ask for a database, and take its data sources."""
        try:
            found = await self.look.notion.database(database)
        except (PageNotFound, NotionRejected):
            return
        if found.get("in_trash"):
            return
        for named in found.get("data_sources") or ():
            known = self.look.sources.get(named["id"])
            if known is None or known.state != "followed":
                await self.meet(named["id"])

    async def poll_all(self) -> None:
        """Hand on what has changed in every data source that anybody watches."""
        while waiting := [
            source.data_source_id
            for source in self.look.sources.values()
            if source.state != "gone"
            and source.data_source_id not in self.asked
            and self.look.only in (None, source.data_source_id)
            and self.look.watched(source.data_source_id)
        ]:
            await self.poll(waiting)

    async def poll(self, sources: Collection[str]) -> None:
        """Hand on what has changed in these data sources, those that anybody watches."""
        for source in sources:
            if source not in self.asked and self.look.watched(source):
                self.asked.add(source)
                await self._poll(self.look.sources[source])

    async def commit(self) -> None:
        """Move the watermarks on: everything that was listed has been handed on."""
        if self.look.dry or self.look.since is not None:
            return
        for source, watermark, at in self.listed:
            await self.look.store.source_listed(source, watermark, at)
        self.listed.clear()

    async def _poll(self, source: Source) -> None:
        """Read a data source, once more if that breaks off in the middle."""
        for attempt in range(1, TRIES + 1):
            try:
                await self._list(source)
                return
            except WaitForMinute as wait:
                await self.look.clock.sleep(wait.wait)
            except NotionRejected as error:
                if attempt == TRIES:
                    await self._lost(source, str(error))
            except PageNotFound:
                await self._lost(source, "it was deleted, or is not shared with the connection")
                return

    async def _lost(self, source: Source, problem: str) -> None:
        self.look.trouble(
            f"the data source {source.title or source.data_source_id!r} cannot be read: {problem}"
        )
        if not self.look.dry:
            await self.look.store.source_state(source.data_source_id, "lost", problem)

    async def _list(self, source: Source) -> None:
        look = self.look
        at = look.clock.now()
        if look.since is not None:
            reading = Reading(look.since, settled=False)
        elif look.everything or source.state == "lost":
            reading = Reading(None)
        else:
            reading = Reading(source.watermark, settled=source.settled)
        look.report.listing += 1
        listing = look.notion.query(source.data_source_id, **_wanted(reading))
        ended = await self._read(listing, reading)
        if look.everything and ended:
            look.completed.add(source.data_source_id)
        self.listed.append((source.data_source_id, reading.reached, at))

    async def _read(self, listing: AsyncIterator[JsonObject], reading: Reading) -> bool:
        """Take a listing until nothing new can follow; return whether it came to its end."""
        first = True
        async for batch in _batches(listing):
            raise_if_cancelled()
            if not first:
                self.look.report.listing += 1
            first = False
            news = await self.hands.take(batch)
            enough = False
            for page in batch:
                enough = reading.note(edited_at(page), news=page["id"] in news) or enough
            if enough:
                return False
        return True


def _wanted(reading: Reading) -> dict[str, Any]:
    """Return what to ask a data source for."""
    if reading.since is None:
        return {}
    since = {"on_or_after": reading.since.isoformat()}
    return {
        "filter": {"timestamp": "last_edited_time", "last_edited_time": since},
        "sorts": EDITED_LAST,
    }


async def _batches(listing: AsyncIterator[JsonObject]) -> AsyncIterator[list[JsonObject]]:
    batch: list[JsonObject] = []
    async for page in listing:
        batch.append(page)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch
