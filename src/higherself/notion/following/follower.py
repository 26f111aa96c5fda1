"""Following Notion: the one who asks what has changed, for everybody.

A cycle lists what was edited since the one before (each data source once), searches once for loose
pages and new data sources, and once in the trash. What it finds it hands to the watchers in
batches, and the watermarks move on only when all of them have committed. So a process may end
anywhere: the next cycle finds the same again, and watchers do nothing twice.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Conflict
from higherself.kernel.tasks import raise_if_cancelled
from higherself.notion.errors import PageNotFound
from higherself.notion.following.brake import Brake
from higherself.notion.following.handing import Hands
from higherself.notion.following.looking import Asking, Door, Look, Progress, Scope
from higherself.notion.following.postgres import Due, FollowStore
from higherself.notion.following.removing import Removal
from higherself.notion.following.report import CycleReport
from higherself.notion.following.sightings import Known, Seen, Sighting, Watcher, entry_of
from higherself.notion.following.sourcing import Sources
from higherself.notion.following.watermarks import AT_ONCE
from higherself.notion.gateway.lanes import Lane
from higherself.notion.ports import JsonObject
from higherself.notion.reading.searching import MARK, Searches

__all__ = ["CycleReport", "Follower", "OthersFollow", "Scope", "Seen", "Sighting", "Watcher"]

LOOKED_FOR_AT_MOST = 200
"""Missing pages asked for one by one in a cycle."""

DUE_AT_ONCE = 200

LISTED = frozenset({"page.content_updated", "page.properties_updated", "page.created"})
"""Events of rows that the listing of their data source shows anyway."""


class OthersFollow(Conflict):
    """Another process follows Notion now."""

    def __init__(self) -> None:
        super().__init__("another process follows Notion now; wait until it has done a cycle")


class Follower:
    """Follows one workspace for its watchers."""

    def __init__(
        self,
        notion: Asking,
        door: Door,
        store: FollowStore,
        clock: Clock,
        watchers: Sequence[Watcher],
        *,
        brake: Brake | None = None,
        spent: Callable[[], int] = lambda: 0,
        before: Callable[[], Awaitable[None]] | None = None,
        pace: Callable[[Lane], None] = lambda lane: None,
    ) -> None:
        """Return one; call `cycle` again and again.

        ``spent`` returns how many requests were sent so far; ``before`` is called before a cycle,
        and ``pace`` with the lane that its requests belong to.
        """
        self._notion, self._door, self.store, self._clock = notion, door, store, clock
        self.watchers = tuple(watchers)
        self._brake = brake or Brake()
        self._spent, self._before, self._pace = spent, before, pace

    async def cycle(
        self,
        *,
        scope: Scope = "changes",
        full: bool = False,
        since: datetime | None = None,
        only: str | None = None,
        patient: bool = False,
        dry_run: bool = False,
        progress: Progress = lambda report: None,
    ) -> CycleReport:
        """Look once at what has changed, and return when every watcher has seen it.

        ``full`` reads every page again (``scope="content"``). ``since`` goes back to then; ``only``
        looks at one data source alone. ``patient`` waits, up to a minute, until many pages that
        were edited just now can be read once and for all. With ``dry_run`` nothing is stored and
        nobody is told: the report says what would be done.

        Raises
            OthersFollow: another process follows now.
            NotAuthorised, NotionForbidden, NotionUnavailable: Notion does not let us; what was
                handed on is stored, and the next cycle goes on from there.
        """
        async with self.store.alone() as ours:
            if not ours:
                raise OthersFollow
            if self._before is not None:
                await self._before()
            look = Look(
                notion=self._notion,
                door=self._door,
                store=self.store,
                clock=self._clock,
                watchers=self.watchers,
                report=CycleReport(dry_run=dry_run),
                began=self._clock.now(),
                scope="content" if full else scope,
                since=since,
                only=only,
                patient=patient,
                progress=progress,
                pace=self._pace,
            )
            removal = Removal(look, self._brake)
            hands = Hands(look, removal)
            sources = Sources(look, hands, removal)
            searches = Searches(look, hands, removal, sources)
            spent = self._spent()
            cycle = _Cycle(look, hands, removal, sources, searches)
            try:
                return await cycle.run()
            finally:
                look.report.requests = self._spent() - spent


@dataclass(slots=True)
class _Cycle:
    """One cycle, while it runs."""

    look: Look
    hands: Hands
    removal: Removal
    sources: Sources
    searches: Searches

    async def run(self) -> CycleReport:
        look = self.look
        started = look.clock.monotonic()
        look.sources = await look.store.sources()
        look.first = not await look.store.checkpoint(MARK)
        look.pace("backfill" if look.first or look.everything else "webhook")
        caught_up = (await look.store.checkpoint("caught_up")).get("at")
        self.hands.caught_up = None if caught_up is None else datetime.fromisoformat(caught_up)
        async with self.hands.ready():
            await self._look_around()
        await self.sources.commit()
        if look.only is None:
            await self.removal.released()
        await self.removal.flush()
        look.report.unchanged += len(look.known_same)
        look.report.held = (await look.store.count())["held"]
        look.report.seconds = look.clock.monotonic() - started
        if look.only is None and not look.dry:
            await self._note()
        _measure(look.report, look.scope)
        return look.report

    async def _look_around(self) -> None:
        look = self.look
        await self._events()
        if look.only is None and look.everything:
            await self.searches.discover()
        await self.sources.poll_all()
        if look.only is None:
            await self.searches.loose()
            await self.searches.old()
        await self.hands.done()
        await self._due()
        if look.everything and not look.dry:
            await self._missing()

    async def _events(self) -> None:
        """Look into what was announced. An event only says where to look."""
        look = self.look
        if look.dry or look.only is not None:
            return
        events = await look.store.events()
        pages = {e.subject_id: e for e in events if e.subject_kind == "page"}
        known = await look.store.known(pages)
        rows = {k.page_id for k in known.values() if k.data_source_id in look.sources}
        due = {p for p, e in pages.items() if p not in rows or e.type not in LISTED}
        if due:
            await look.store.make_due(dict.fromkeys(due, (None, "")))
        for event in events:
            if event.subject_kind == "data_source":
                await self.sources.meet(event.subject_id)
            elif event.subject_kind == "database" and event.type != "database.deleted":
                await self.sources.meet_database(event.subject_id)
        await look.store.handled([event.event_id for event in events])

    async def _due(self) -> None:
        """Read pages that were announced, failed, or stand in others, until there are no more."""
        look = self.look
        if look.dry:
            return
        asked: set[str] = set()
        while True:
            await self._databases()
            await self._returned()
            due = await look.store.due(DUE_AT_ONCE, None if look.only is None else [look.only])
            due = [each for each in due if each.known.page_id not in asked]
            if not due:
                return
            asked.update(each.known.page_id for each in due)
            await self._again(due)

    async def _again(self, due: Sequence[Due]) -> None:
        raise_if_cancelled()
        found: list[JsonObject] = []
        unreachable: list[Known] = []
        for each in due:
            if self.look.first and each.known.read_at is None and each.inside_id and each.title:
                found.append(entry_of(each.known.page_id, each.inside_id, each.title))
                continue
            try:
                found.append(await self.look.notion.page(each.known.page_id))
            except PageNotFound:
                unreachable.append(each.known)
        await self.removal.unreachable(unreachable, missed=False)
        for start in range(0, len(found), AT_ONCE):
            await self.hands.take(found[start : start + AT_ONCE], force=True)
        await self.hands.done()

    async def _databases(self) -> None:
        """Follow databases that stand in pages, and that no search has shown."""
        known = {source.database_id for source in self.look.sources.values()}
        fresh, self.hands.databases = self.hands.databases.keys() - known, {}
        for database in fresh:
            await self.sources.meet_database(database)
        await self.sources.poll_all()
        await self.hands.done()

    async def _returned(self) -> None:
        """Look at what stands in pages that have come back."""
        back, self.hands.restored = self.hands.restored, []
        if not back:
            return
        self.look.report.restored += len(back)
        below = await self.look.store.below(back, ["gone", "archived", "lost"])
        if below:
            await self.look.store.make_due({known.page_id: (None, "") for known in below})
        over = {*back, *(known.page_id for known in below)}
        for source in [*self.look.sources.values()]:
            if source.state != "followed" and source.parent_id in over:
                await self.sources.meet(source.data_source_id)
        await self.sources.poll_all()
        await self.hands.done()

    async def _missing(self) -> None:
        """Ask for pages that a full listing should have had, and had not."""
        look = self.look
        unseen = await look.store.unseen(look.began, look.completed, loose=look.loose_completed)
        unreachable = list(unseen[LOOKED_FOR_AT_MOST:])
        for known in unseen[:LOOKED_FOR_AT_MOST]:
            try:
                found = await look.notion.page(known.page_id)
            except PageNotFound:
                unreachable.append(known)
            else:
                await self.hands.take([found])
        await self.hands.done()
        await self.removal.unreachable(unreachable, missed=True)
        await self._due()

    async def _note(self) -> None:
        look = self.look
        if look.first:
            await look.store.note("caught_up", {"at": look.clock.now().isoformat()})
        shown = {"at": look.clock.now().isoformat(), "scope": look.scope, **look.report.shown()}
        await look.store.note("cycle", shown)
        if look.everything:
            await look.store.note(look.scope, {"at": look.began.isoformat()})


def _measure(report: CycleReport, scope: Scope) -> None:
    for outcome in ("created", "updated", "unchanged", "deleted", "failed"):
        telemetry.count("notion.page.synced", getattr(report, outcome), outcome=outcome)
    telemetry.count("notion.embedding.saved", report.saved)
    telemetry.duration("notion.cycle.ended", report.seconds, scope=scope)
    telemetry.gauge("notion.page.held", report.held)
    if report.handed:
        telemetry.gauge("notion.page.requests", report.requests / report.handed)
