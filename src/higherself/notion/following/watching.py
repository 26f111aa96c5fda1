"""Staying in step with Notion: cycle after cycle, sooner when something is announced."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from higherself.kernel import telemetry
from higherself.kernel.backoff import exponential
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.tasks import raise_if_cancelled
from higherself.notion.errors import NotAuthorised, NotionForbidden
from higherself.notion.following.follower import CycleReport, Follower, OthersFollow, Scope

Told = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How often is looked: for changes, at every entry, at every content, for announcements."""

    changes: timedelta = timedelta(seconds=30)
    listing: timedelta = timedelta(hours=1)
    content: timedelta = timedelta(days=1)
    announced: timedelta = timedelta(seconds=1)
    settle: timedelta = timedelta(seconds=2)


REFUSED = timedelta(minutes=5)
"""How long Notion is left alone after it has refused the token."""


class Watching:
    """Follows Notion for ever."""

    def __init__(
        self,
        follower: Follower,
        clock: Clock,
        *,
        rhythm: Rhythm | None = None,
        told: Told = lambda line: None,
        reported: Callable[[CycleReport], None] = lambda report: None,
    ) -> None:
        self._follower, self._clock = follower, clock
        self._rhythm = rhythm or Rhythm()
        self._told, self._reported = told, reported
        self._troubles = 0

    async def run(self) -> None:
        """Look again and again. Trouble is told, and waited out."""
        while True:
            raise_if_cancelled()
            try:
                report = await self._follower.cycle(scope=await self._scope())
            except OthersFollow:
                await self._clock.sleep(self._rhythm.announced)
                continue
            except (NotAuthorised, NotionForbidden) as error:
                await self._trouble(error, REFUSED)
                continue
            except Exception as error:  # noqa: BLE001  whatever Notion answers, the server goes on
                self._troubles += 1
                wait = exponential(
                    self._troubles, base=timedelta(seconds=1), ceiling=timedelta(minutes=2)
                )
                await self._trouble(error, wait)
                continue
            self._troubles = 0
            self._reported(report)
            await self._follower.store.note("trouble", None)
            await self._follower.store.prune()
            await self._measure()
            await self._pause()

    async def _scope(self) -> Scope:
        """Return how much is to be looked at now."""
        store, now = self._follower.store, self._clock.now()
        began = _time(await store.checkpoint("caught_up"))
        if began is None:
            return "changes"  # the first one reads everything anyway
        contents = _time(await store.checkpoint("content")) or began
        if now - contents >= self._rhythm.content:
            return "content"
        listed = max(_time(await store.checkpoint("listing")) or began, contents)
        return "listing" if now - listed >= self._rhythm.listing else "changes"

    async def _measure(self) -> None:
        """Tell how much waits, and how long changes take."""
        counted, lag = await self._follower.store.count(), await self._follower.store.lag()
        events = (await self._follower.store.count_events())["waiting"]
        telemetry.gauge("notion.backlog.waiting", counted["due"] + events)
        for name in ("p50", "p95"):
            if (seconds := lag[name]) is not None:
                telemetry.gauge("notion.page.lag", seconds, quantile=name)

    async def _pause(self) -> None:
        """Wait for the next cycle: its time, or an announcement."""
        until = self._clock.monotonic() + self._rhythm.changes.total_seconds()
        while self._clock.monotonic() < until:
            raise_if_cancelled()
            await self._clock.sleep(self._rhythm.announced)
            try:
                waiting = (await self._follower.store.count_events())["waiting"]
            except HigherSelfError:
                continue  # the next cycle tells
            if waiting:
                await self._clock.sleep(self._rhythm.settle)  # they come in groups
                return

    async def _trouble(self, error: Exception, wait: timedelta) -> None:
        said = str(error) if isinstance(error, HigherSelfError) else repr(error)
        self._told(f"Notion cannot be followed now: {said}")
        exception = None if isinstance(error, HigherSelfError) else traceback.format_exc()
        telemetry.warning("notion.following.failed", error=said, exception=exception)
        try:
            now = self._clock.now().isoformat()
            await self._follower.store.note("trouble", {"at": now, "error": said})
        except HigherSelfError:
            pass  # it is the database; the next cycle tells
        await self._clock.sleep(wait)


def _time(noted: dict[str, str]) -> datetime | None:
    return datetime.fromisoformat(noted["at"]) if "at" in noted else None
