"""Where tasks are kept: in PostgreSQL, with the message that does their work."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from higherself.a2a.model import Kept, State
from higherself.db.entities import Entities
from higherself.db.pool import Database, Row, Transaction
from higherself.db.queryfile import read_queries
from higherself.kernel.clock import Clock
from higherself.kernel.ids import new_id
from higherself.kernel.jsonvalue import JsonValue, shown

QUERIES = read_queries("higherself.a2a")

LOOK = timedelta(seconds=1)
"""How often somebody who follows a task looks, in case another process has moved it on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which tasks to list. ``before``: only those that moved before this task, at that time."""

    entity: str
    context: str | None = None
    state: State | None = None
    since: datetime | None = None
    before: tuple[datetime, UUID] | None = None
    limit: int = 50


class Tasks:
    """Reads and writes tasks, and wakes who follows them in this process."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._entities = Entities(database, clock)
        self._followed: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)

    async def knows(self, entity: str) -> bool:
        """Whether a business is known here."""
        async with self._database.reading() as tx:
            return await tx.maybe(QUERIES["knows_entity"], {"entity": entity}) is not None

    async def remember(self, entity: str) -> None:
        """Make a business known, in a transaction of its own: sending a message does so, too."""
        await self._entities.remember(entity)

    async def create(
        self, tx: Transaction, entity: str, context: str, message: Mapping[str, Any], digest: bytes
    ) -> UUID | None:
        """Store a new task, and return it; None if its message has made one before."""
        now = self._clock.now()
        given = {
            "task": new_id(now),
            "entity": entity,
            "context": context,
            "message_id": message["messageId"],
            "digest": digest,
            "message": shown(message, indent=None),
            "now": now,
        }
        row = await tx.maybe(QUERIES["create_task"], given)
        return None if row is None else row["task_id"]

    async def note_request(self, tx: Transaction, task: UUID, request: UUID) -> None:
        """Say which message of ours does the work of a task."""
        await tx.run(QUERIES["note_request"], {"task": task, "request": request})

    async def of_message(self, entity: str, message_id: str) -> Kept | None:
        """Return the task that a message has made."""
        given = {"entity": entity, "message_id": message_id}
        async with self._database.reading(entity=entity) as tx:
            row = await tx.maybe(QUERIES["task_of_message"], given)
        return None if row is None else _kept(row)

    async def get(self, entity: str, task: UUID) -> Kept | None:
        """Return a task of a business."""
        async with self._database.reading(entity=entity) as tx:
            row = await tx.maybe(QUERIES["task"], {"entity": entity, "task": task})
        return None if row is None else _kept(row)

    async def of_request(self, tx: Transaction, request: UUID) -> UUID | None:
        """Return the task whose work a message of ours does."""
        row = await tx.maybe(QUERIES["task_of_request"], {"request": request})
        return None if row is None else row["task_id"]

    async def move(
        self,
        tx: Transaction,
        task: UUID,
        state: State,
        *,
        told: str | None = None,
        result: JsonValue = None,
    ) -> bool:
        """Move a task on; False if it has ended before. Call `wake` when that is stored."""
        given = {
            "task": task,
            "state": state,
            "told": told,
            "result": shown(result, indent=None) if state == "completed" else None,
            "now": self._clock.now(),
        }
        return await tx.maybe(QUERIES["move_task"], given) is not None

    async def moved(
        self, entity: str, task: UUID, state: State, *, told: str | None = None
    ) -> bool:
        """Move a task on in a transaction of its own."""
        async with self._database.transaction(entity=entity) as tx:
            done = await self.move(tx, task, state, told=told)
        self.wake(task)
        return done

    async def page(self, wanted: Wanted) -> tuple[list[Kept], int]:
        """Return a page of tasks, the one that moved last first, and how many there are in all."""
        at, task = wanted.before or (None, None)
        given = {
            "entity": wanted.entity,
            "context": wanted.context,
            "state": wanted.state,
            "since": wanted.since,
            "before": at,
            "before_task": task,
            "limit": wanted.limit,
        }
        async with self._database.reading(entity=wanted.entity) as tx:
            rows = await tx.many(QUERIES["list_tasks"], given)
            count = await tx.one(QUERIES["count_tasks"], given)
        return [_kept(row) for row in rows], count["tasks"]

    async def give_up(self, age: timedelta, told: str) -> None:
        """End what nobody has answered for so long."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            rows = await tx.many(
                QUERIES["give_up_tasks"], {"before": now - age, "told": told, "now": now}
            )
        for row in rows:
            self.wake(row["task_id"])

    async def prune(self, age: timedelta) -> None:
        """Forget what ended so long ago."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["prune_tasks"], {"before": self._clock.now() - age})

    async def follow(self, first: Kept, ending: asyncio.Event) -> AsyncIterator[Kept]:
        """Yield ``first`` and every later state that is seen, until the end, or until ``ending``."""
        kept = first
        yield kept
        with self._following(first.id) as hint:
            while kept.is_open and not ending.is_set():
                latest = await self.get(first.entity, first.id)
                if latest is None:
                    return
                if latest.version != kept.version:
                    kept = latest
                    yield kept
                    continue
                try:
                    async with asyncio.timeout(LOOK.total_seconds()):
                        await hint.wait()
                except TimeoutError:
                    pass
                hint.clear()

    def wake(self, task: UUID) -> None:
        """Have those who follow a task look."""
        for hint in self._followed.get(task, ()):
            hint.set()

    def wake_all(self) -> None:
        """Have everybody look."""
        for task in list(self._followed):
            self.wake(task)

    @contextmanager
    def _following(self, task: UUID) -> Iterator[asyncio.Event]:
        hint = asyncio.Event()
        self._followed[task].add(hint)
        try:
            yield hint
        finally:
            self._followed[task].discard(hint)
            if not self._followed[task]:
                del self._followed[task]


def _kept(row: Row) -> Kept:
    return Kept(
        id=row["task_id"],
        entity=row["entity"],
        context=row["context_id"],
        message=row["message"],
        digest=bytes(row["digest"]),
        state=row["state"],
        told=row["told"],
        result=row["result"],
        version=row["version"],
        began_at=row["began_at"],
        updated_at=row["updated_at"],
    )
