"""Every instance of a workflow has a page in Notion that shows how it is.

A step marks its page in its own transaction; this brings marked pages up to date, some seconds later
and for all steps that came meanwhile at once. It takes an edit of our part of the text and one of the
properties, and nothing at all where both would be as they are. What people write beside our part is
never touched.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from higherself.kernel import telemetry
from higherself.kernel.backoff import exponential
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Misconfigured, Unavailable
from higherself.kernel.jsonvalue import JsonValue
from higherself.kernel.tasks import raise_if_cancelled, task_group
from higherself.notion.databases.declaration import DeclaredDatabase
from higherself.notion.databases.lookup import DataSource
from higherself.notion.errors import EditConflict, NotionRejected, PageNotFound
from higherself.services.notion.refreshing import PageReads as PageReads
from higherself.services.notion.refreshing import PageWrites, Refreshed, Refreshing
from higherself.services.notion.refreshing import StatusPolicy as StatusPolicy
from higherself.services.notion.status_store import PageState as PageState
from higherself.services.notion.status_store import Shown, StatusStore
from higherself.workflow.engine.engine import Engine

INSTANCES = "workflow_instances"
"""The declared database of the pages."""


class Places(Protocol):
    """Where the declared databases are (`notion.databases.Databases`)."""

    async def load(self) -> Any:
        """Read what is known."""
        ...

    def data_source(self, name: str) -> DataSource | None:
        """Return where a declared database is."""
        ...


class Share:
    """So many requests in a minute, and no more."""

    def __init__(self, clock: Clock, requests: int) -> None:
        self._clock, self._requests = clock, max(2, requests)
        self._sent: deque[float] = deque()

    def room(self) -> int:
        """Return how many requests may be sent now."""
        before = self._clock.monotonic() - 60
        while self._sent and self._sent[0] <= before:
            self._sent.popleft()
        return self._requests - len(self._sent)

    def spend(self) -> None:
        """Count a request."""
        self._sent.append(self._clock.monotonic())


class NotionStatus:
    """Keeps the pages of instances up to date."""

    def __init__(
        self,
        engine: Engine,
        store: StatusStore,
        reads: PageReads,
        writes: PageWrites,
        places: Places,
        declared: DeclaredDatabase,
        clock: Clock,
        *,
        policy: StatusPolicy | None = None,
        dashboard: Callable[[UUID], str | None] = lambda instance: None,
    ) -> None:
        self.engine, self.store, self._clock = engine, store, clock
        self.reads, self.writes = reads, writes
        self._places, self.declared = places, declared
        self.policy = policy or StatusPolicy()
        self.dashboard = dashboard
        self.share = Share(clock, self.policy.requests)

    @property
    def source(self) -> DataSource | None:
        """Where the pages are; None: they have no database."""
        return self._places.data_source(INSTANCES)

    def can_say(self, name: str, value: JsonValue) -> bool:
        """Return whether the database has a property, and for a choice the option, to say this with."""
        mapped = None if self.source is None else self.source.mapping.get(name)
        if mapped is None or mapped.state != "ok" or name not in self.declared.properties:
            return False
        is_choice = mapped.type in ("select", "status") and value is not None
        return not is_choice or not mapped.options or value in mapped.options

    async def run(
        self,
        told: Callable[[str], None] = lambda line: None,
        *,
        beside: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Keep pages up to date for ever, if no other process does. Trouble is told, and waited out.

        ``beside`` is called again and again.
        """
        troubles = 0
        while True:
            raise_if_cancelled()
            try:
                async with self.store.alone() as ours:
                    if ours:
                        await self._places.load()
                        if self.source is not None:
                            await self.store.mark_unfinished()
                        while True:
                            raise_if_cancelled()
                            done = await self.refresh()
                            if beside is not None and self.source is not None:
                                await beside()
                            troubles = 0
                            if not done.handled:
                                await self._clock.sleep(self.policy.every)
            except Misconfigured as error:
                told(f"Notion lets nothing be written: {error}")
                await self._clock.sleep(self.policy.refused)
            except HigherSelfError as error:
                troubles += 1
                telemetry.warning("notion.status.failed", reason=str(error))
                wait = exponential(
                    troubles, base=timedelta(seconds=1), ceiling=timedelta(minutes=1)
                )
                await self._clock.sleep(wait)
            else:
                await self._clock.sleep(self.policy.every)

    async def refresh(self, *, limit: int | None = None) -> Refreshed:
        """Bring marked pages up to date, as many as the share of requests allows now.

        Raises
            Unavailable, Misconfigured: Notion lets nothing through now; what is left stays marked.
        """
        done = Refreshed()
        if self.source is None:
            await self._places.load()
        source = self.source
        if source is None or source.state != "ok":
            return done
        await self._trash_left(done)
        room = min(self.share.room() // 2, self.policy.at_once, limit or self.policy.at_once)
        if room <= 0:
            return done
        due = await self.store.due(settle=self.policy.settle, rest=self.policy.rest, limit=room)
        async with task_group() as group:
            for shown in due:
                group.create_task(self._one(shown, source, done))
        if done.handled:
            for outcome in ("created", "updated", "unchanged"):
                if count := getattr(done, outcome):
                    telemetry.count("notion.status.page", count, outcome=outcome)
        return done

    async def _one(self, shown: Shown, source: DataSource, done: Refreshed) -> None:
        refreshing = Refreshing(self, shown, source, done)
        try:
            await refreshing.run()
        except (Unavailable, Misconfigured):
            raise
        except EditConflict as error:  # somebody is writing there just now
            await self.store.put_off(shown.instance_id, self.policy.rest, str(error))
            done.put_off += 1
        except HigherSelfError as error:
            wait = exponential(
                shown.attempts + 1, base=timedelta(seconds=10), ceiling=timedelta(hours=1)
            )
            await self.store.put_off(shown.instance_id, wait, str(error))
            done.failed[str(shown.instance_id)] = str(error)
            telemetry.warning("notion.status.page_failed", reason=str(error))

    async def _trash_left(self, done: Refreshed) -> None:
        """Put pages into the trash whose instance is no more."""
        for row in await self.store.left(max(0, min(10, self.share.room()))):
            page = row["page_id"]
            self.spend(done)
            try:
                await self.writes.update_page(page, key=f"status/left/{page}", in_trash=True)
            except (PageNotFound, NotionRejected):
                pass  # it is in the trash, or not ours to see any more
            except HigherSelfError:
                wait = exponential(
                    row["attempts"] + 1, base=timedelta(seconds=10), ceiling=timedelta(hours=1)
                )
                await self.store.put_off_left(page, wait)
                raise
            await self.store.forget_left(page)
            done.trashed += 1

    def spend(self, done: Refreshed) -> None:
        """Count a request."""
        self.share.spend()
        done.requests += 1
