"""What one cycle of the follower has at hand, while it looks at Notion."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.notion.following.postgres import FollowStore, Source
from higherself.notion.following.report import CycleReport
from higherself.notion.following.sightings import Seen, Sighting, Watcher
from higherself.notion.gateway.lanes import Lane
from higherself.notion.ports import JsonObject

Scope = Literal["changes", "listing", "content"]
"""What a cycle looks at: what has changed; every page's entry; every page's content."""

Progress = Callable[[CycleReport], None]


class Asking(Protocol):
    """What the follower asks Notion; see `higherself.notion.reading.api.Notion`."""

    async def page(self, page: str) -> JsonObject:
        """Return a page."""
        ...

    async def data_source(self, data_source: str) -> JsonObject:
        """Return a data source."""
        ...

    async def database(self, database: str) -> JsonObject:
        """Return a database with the list of its data sources."""
        ...

    def query(
        self,
        data_source: str,
        *,
        filter: Mapping[str, Any] | None = None,
        sorts: Sequence[Mapping[str, Any]] = (),
    ) -> AsyncIterator[JsonObject]:
        """Yield the pages of a data source."""
        ...


class Door(Protocol):
    """The gateway, as far as the follower needs it."""

    async def request(
        self, method: str, path: str, *, body: JsonObject | None = None, lane: Lane = "live"
    ) -> JsonObject:
        """Send a request and return the answer."""
        ...


@dataclass(slots=True, kw_only=True)
class Look:
    """One cycle: what it works with, what it was asked for, and what it has found so far.

    ``known_same`` are pages that have not changed, ``completed`` data sources that were listed whole.
    """

    notion: Asking
    door: Door
    store: FollowStore
    clock: Clock
    watchers: Sequence[Watcher]
    report: CycleReport
    began: datetime
    scope: Scope = "changes"
    since: datetime | None = None
    only: str | None = None
    patient: bool = False
    first: bool = False
    progress: Progress = lambda report: None
    pace: Callable[[Lane], None] = lambda lane: None
    sources: dict[str, Source] = field(default_factory=dict)
    known_same: set[str] = field(default_factory=set)
    completed: set[str] = field(default_factory=set)
    loose_completed: bool = False

    @property
    def dry(self) -> bool:
        """Whether nothing is to be stored, and nobody told."""
        return self.report.dry_run

    @property
    def everything(self) -> bool:
        """Whether every page is to be listed."""
        return self.scope != "changes"

    def watched(self, source: str | None) -> bool:
        """Return whether anybody wants the pages of a data source."""
        return any(watcher.watches(source) for watcher in self.watchers)

    async def show(self, sightings: Sequence[Sighting]) -> list[Seen]:
        """Show ``sightings`` to every watcher that wants them."""
        seen = []
        for watcher in self.watchers:
            mine = [s for s in sightings if watcher.watches(s.data_source_id)]
            if mine:
                with telemetry.timed("notion.watcher.saw", watcher=watcher.name):
                    seen.append(await watcher.see(mine))
        return seen

    def trouble(self, line: str) -> None:
        """Tell a person."""
        if line not in self.report.problems:
            self.report.problems.append(line)
            telemetry.warning("notion.cycle.troubled", problem=line)
