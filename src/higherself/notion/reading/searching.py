"""Searching Notion: for loose pages, new data sources, and what is in the trash.

The search shows the rows of data sources, too, has no filter against them and no time, and may miss
what is there. So it is a hint only, and goes on only as long as it is worth its requests. What is
left is asked for in later cycles, a page of results at a time.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from higherself.kernel.tasks import raise_if_cancelled
from higherself.notion.errors import NotionRejected, NotionUnavailable
from higherself.notion.following.handing import Hands, WaitForMinute
from higherself.notion.following.looking import Look
from higherself.notion.following.removing import Removal
from higherself.notion.following.sightings import data_source_of, edited_at
from higherself.notion.following.sourcing import Sources
from higherself.notion.following.watermarks import AT_ONCE, Reading, closed
from higherself.notion.ports import JsonObject

MARK, TURN = "loose", "loose turn"
"""The checkpoints of the search."""

SPARE = 5
"""Requests that the first listing may take beside those for every hundred pages."""

LAST_FIRST: JsonObject = {"timestamp": "last_edited_time", "direction": "descending"}


@dataclass(slots=True)
class Searches:
    """The searches of one cycle."""

    look: Look
    hands: Hands
    removal: Removal
    sources: Sources

    async def discover(self) -> None:
        """Find every data source that the connection sees."""
        wanted: JsonObject = {"filter": {"property": "object", "value": "data_source"}}
        async for source in self._all(wanted):
            await self.sources.note(source)

    async def loose(self) -> None:
        """Search for loose pages and new data sources, the last edited first."""
        look = self.look
        mark = await look.store.checkpoint(MARK)
        at = look.clock.now()
        debt = mark.get("debt")
        reading = self._reading(mark)
        left, ended = await self._walk(reading)
        look.loose_completed = ended and look.everything
        if look.since is not None or look.dry:
            return
        reached = reading.reached
        kept = None if ended else left or debt
        since = _text(reading.certain) if left else mark.get("debt_since")
        await look.store.note(
            MARK,
            {
                "watermark": _text(reached),
                "settled": reached is None or closed(reached, at),
                "debt": kept,
                "debt_since": since if kept else None,
            },
        )
        look.report.partial = kept is not None

    async def old(self) -> None:
        """Look into the trash; where a search was left, go on with that every other time.

        When something has changed there is a request to spare for both.
        """
        look = self.look
        mark = await look.store.checkpoint(MARK)
        turn = bool((await look.store.checkpoint(TURN)).get("pay"))
        owing = bool(mark.get("debt")) and not look.first and not look.everything
        if owing and (turn or look.report.found):
            await self._pay(mark)
        if not look.first and not (owing and turn and not look.report.found):
            await self.trash()
        if owing and not look.dry:
            await look.store.note(TURN, {"pay": not turn})

    def _reading(self, mark: Mapping[str, Any]) -> Reading:
        if self.look.since is not None:
            return Reading(self.look.since, settled=False)
        if self.look.everything:
            return Reading(None)
        return Reading(_time(mark.get("watermark")), settled=bool(mark.get("settled", True)))

    async def _walk(self, reading: Reading) -> tuple[str | None, bool]:
        """Walk back through the search; return where to go on, and whether it came to its end."""
        cursor: str | None = None
        restarts = 0
        while True:
            raise_if_cancelled()
            try:
                results, cursor = await self.page({}, cursor)
            except NotionRejected:
                restarts += 1
                if cursor is None or restarts > SPARE:
                    raise
                cursor = None
                continue
            news = await self._found(results)
            enough = False
            for each in results:
                enough = reading.note(edited_at(each), news=each["id"] in news) or enough
            if cursor is None:
                return None, True
            if enough:
                return None, False
            if not news and not self.look.everything and self.look.report.listing >= self._worth():
                if self.look.first:
                    await self.discover()
                    await self.sources.poll_all()
                return cursor, False

    def _worth(self) -> int:
        """Return how many requests the listings of this cycle may take."""
        pages = self.look.report.found // AT_ONCE
        sources = len(self.look.sources)
        return pages + (max(1, SPARE - 1 - sources) if self.look.first else sources + 1)

    async def _pay(self, mark: Mapping[str, Any]) -> None:
        """Go on where a search was left, by one page of results."""
        since = _time(mark.get("debt_since"))
        debt: str | None
        try:
            results, debt = await self.page({}, mark["debt"])
        except NotionRejected:  # Notion has forgotten the place: once more, and to the end
            await self._walk(Reading(since, settled=False))
            debt = None
        else:
            await self._found(results)
            last = edited_at(results[-1]) if results else None
            if since is not None and last is not None and last < since:
                debt = None
        self.look.report.partial = debt is not None
        if not self.look.dry:
            await self.look.store.note(MARK, {**mark, "debt": debt})

    async def _found(self, results: Sequence[JsonObject]) -> set[str]:
        """Take what the search shows; return the ids of what was new."""
        news: set[str] = set()
        for source in (each for each in results if each["object"] == "data_source"):
            if await self.sources.note(source):
                news.add(source["id"])
        pages = [each for each in results if each["object"] == "page"]
        for source_id in {data_source_of(page) for page in pages} - {None}:
            if source_id not in self.look.sources and await self.sources.meet(str(source_id)):
                news.add(str(source_id))
        await self.sources.poll(news)
        try:
            return news | await self.hands.take(pages)
        except WaitForMinute as wait:
            await self.look.clock.sleep(wait.wait)
            return news | await self.hands.take(pages)

    async def trash(self) -> None:
        """Look into the trash; it goes on as long as that shows what was alive."""
        cursor: str | None = None
        while True:
            try:
                results, cursor = await self.page({"filter": {"in_trash": True}}, cursor)
            except NotionRejected:
                if cursor is None:
                    raise
                return  # the place is forgotten; the next cycle looks again
            found = [each for each in results if each.get("in_trash")]
            for source in (each for each in found if each["object"] == "data_source"):
                known_source = self.look.sources.get(source["id"])
                if known_source is not None and known_source.state != "gone":
                    await self.removal.source_gone(source["id"])
            known = await self.look.store.known([p["id"] for p in found if p["object"] == "page"])
            living = [k for k in known.values() if k.state != "gone" and k.read_at and not k.held]
            self.removal.gone(living, proven=True)
            if cursor is None or (not living and not self.look.everything):
                return

    async def page(
        self, wanted: JsonObject, cursor: str | None
    ) -> tuple[list[JsonObject], str | None]:
        """Ask for one page of results; return it, and where the next begins."""
        self.look.report.listing += 1
        body: JsonObject = {"sort": LAST_FIRST, "page_size": AT_ONCE, **wanted}
        if cursor is not None:
            body["start_cursor"] = cursor
        answer = await self.look.door.request("POST", "search", body=body, lane="webhook")
        results = answer.get("results")
        if not isinstance(results, list):
            raise NotionUnavailable("Notion's answer to a search has no results; try again later")
        return results, answer.get("next_cursor") if answer.get("has_more") else None

    async def _all(self, wanted: JsonObject) -> AsyncIterator[JsonObject]:
        cursor: str | None = None
        while True:
            results, cursor = await self.page(wanted, cursor)
            for each in results:
                yield each
            if cursor is None:
                return


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
