"""Which page in Notion shows which instance, and what it shows, in PostgreSQL."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from higherself.db.pool import Database, Row
from higherself.db.queryfile import read_queries
from higherself.kernel.clock import Clock
from higherself.messaging.statements import encoded

QUERIES = read_queries("higherself.services.notion", "status.sql")

PageState = Literal["new", "ok", "edited", "damaged", "gone", "lost"]
"""``edited``: a person has changed our part, and it is left so; ``damaged``: it cannot be told what is
ours; ``gone``: in the trash; ``lost``: out of reach."""

FIELDS = (
    "instance_id", "page_id", "url", "state", "reason", "revision", "writes", "pages", "body_hash",
    "region", "properties", "sending",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """An instance and its page: what was written last, and what is about to be.

    ``region`` is our part of the text as Notion shows it, ``properties`` what was written last in
    the form of `notion.fields`. ``sending`` holds what a page is made with, or the new text.
    """

    instance_id: UUID
    entity: str
    page_id: str | None = None
    url: str | None = None
    state: PageState = "new"
    reason: str = ""
    revision: int = 1
    dirty_since: datetime | None = None
    attempts: int = 0
    writes: int = 0
    pages: int = 0
    body_hash: bytes | None = None
    region: str | None = None
    properties: Mapping[str, Any] | None = None
    sending: Mapping[str, Any] | None = None

    def changed(self, **changes: Any) -> "Shown":
        """Return it with some things changed."""
        return replace(self, **changes)

    def as_row(self) -> dict[str, Any]:
        """Return what is stored of it."""
        row = {name: getattr(self, name) for name in FIELDS}
        for name in ("properties", "sending"):
            row[name] = None if row[name] is None else encoded(row[name])
        return row


class StatusStore:
    """Reads and writes what is known of the pages."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Hold the right to write pages while the block runs, if no other process has it: yield whether."""
        settings = {"idle_in_transaction_session_timeout": "0"}
        async with self._database.transaction(settings=settings) as tx:
            yield bool((await tx.one(QUERIES["refresh_alone"]))["ours"])

    @asynccontextmanager
    async def alone_with(self, page: str) -> AsyncIterator[bool]:
        """Hold the right to do what is asked for on ``page``, if no other has it: yield whether."""
        settings = {"idle_in_transaction_session_timeout": "120s"}
        async with self._database.transaction(settings=settings) as tx:
            yield bool((await tx.one(QUERIES["page_alone"], {"page": page}))["ours"])

    async def mark_unfinished(self) -> None:
        """Have all instances shown that go on and have no page."""
        await self._run("mark_unfinished", now=self._clock.now())

    async def mark(self, instance: UUID, *, wrong: bool = False) -> None:
        """Have a page looked at again; with ``wrong`` its properties are written in any case."""
        await self._run("mark", instance=instance, wrong=wrong, now=self._clock.now())

    async def due(self, *, settle: timedelta, rest: timedelta, limit: int) -> list[Shown]:
        """Return the pages to be written: marked for ``settle``, and written last ``rest`` ago."""
        now = self._clock.now()
        given = {"now": now, "settled": now - settle, "rested": now - rest, "limit": limit}
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["list_due"], given)
        return [Shown(**row) for row in rows]

    async def save(self, shown: Shown) -> None:
        """Note that a page is up to date, as of the revision that was read."""
        await self._run("save_status", refreshed_at=self._clock.now(), **shown.as_row())

    async def note(self, shown: Shown) -> None:
        """Note how far the writing is."""
        await self._run("note_progress", **shown.as_row())

    async def put_off(self, instance: UUID, wait: timedelta, reason: str) -> None:
        """Try a page again after ``wait``."""
        await self._run(
            "put_off", instance_id=instance, not_before=self._clock.now() + wait, reason=reason
        )

    async def change_state(self, page: str, state: PageState, reason: str, *, again: bool) -> bool:
        """Note that a page is in another state; return whether it was in another one before."""
        given = {"page": page, "state": state, "reason": reason, "again": again}
        async with self._database.transaction() as tx:
            row = await tx.maybe(QUERIES["change_state"], {**given, "now": self._clock.now()})
        return row is not None

    async def pages(self, pages: Sequence[str]) -> dict[str, Row]:
        """Return the instances that these pages show, by page."""
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["find_pages"], {"pages": list(pages)})
        return {row["page_id"]: row for row in rows}

    async def page_of(self, instance: UUID) -> Row | None:
        """Return the page that shows an instance."""
        async with self._database.reading() as tx:
            return await tx.maybe(QUERIES["find_page_of"], {"instance": instance})

    async def related(self, instance: UUID, agent: str) -> tuple[Row, list[Row]]:
        """Return what else belongs to an instance, and what it has started."""
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["related"], {"instance": instance, "agent": agent})
            children = await tx.many(QUERIES["list_children"], {"instance": instance})
        return row or {}, children

    async def left(self, limit: int) -> list[Row]:
        """Return pages of instances that are no more."""
        given = {"now": self._clock.now(), "limit": limit}
        async with self._database.reading() as tx:
            return await tx.many(QUERIES["list_left"], given)

    async def forget_left(self, page: str) -> None:
        """Note that such a page is in the trash."""
        await self._run("forget_left", page=page)

    async def put_off_left(self, page: str, wait: timedelta) -> None:
        """Try such a page again after ``wait``."""
        await self._run("put_off_left", page=page, not_before=self._clock.now() + wait)

    async def standing(self) -> dict[str, Any]:
        """Return how many pages are in which state, how many wait, since when, and what is wrong."""
        async with self._database.reading() as tx:
            counts = await tx.many(QUERIES["count_pages"])
            troubled = await tx.many(QUERIES["list_troubled"], {"limit": 20})
        since = [row["since"] for row in counts if row["since"] is not None]
        return {
            "pages": {row["state"]: row["pages"] for row in counts},
            "waiting": sum(row["waiting"] for row in counts),
            "waiting_since": min(since, default=None),
            "troubled": [dict(row) for row in troubled],
        }

    # --- What people ask for.

    async def take_choice(self, **command: Any) -> str | None:
        """Take note of a choice; None if one that came before is not answered yet."""
        return await self._taken("take_choice", command)

    async def take_comment(self, **command: Any) -> str | None:
        """Take note of a comment; None if it was taken note of before."""
        return await self._taken("take_comment", command)

    async def known_comments(self, comments: Sequence[str]) -> set[str]:
        """Return those of ``comments`` that were taken note of."""
        async with self._database.reading() as tx:
            rows = await tx.tuples(QUERIES["known_comments"], {"comments": list(comments)})
        return {command for (command,) in rows}

    async def open_commands(self, page: str | None = None, *, limit: int = 100) -> list[Row]:
        """Return what is not done or not answered, the oldest first."""
        async with self._database.reading() as tx:
            return await tx.many(QUERIES["list_open"], {"page": page, "limit": limit})

    async def end_command(self, command: str, outcome: str, answer: str) -> None:
        """Note what came of a command."""
        now = self._clock.now()
        await self._run("end_command", command=command, outcome=outcome, answer=answer, now=now)

    async def answer_command(self, command: str) -> None:
        """Note that a command was answered."""
        await self._run("answer_command", command=command)

    async def commands(self, instance: UUID, *, limit: int = 50) -> list[Row]:
        """Return what people have asked of an instance, the latest first."""
        async with self._database.reading() as tx:
            return await tx.many(QUERIES["list_commands"], {"instance": instance, "limit": limit})

    async def commentable(self, *, every: timedelta, limit: int) -> list[Row]:
        """Return pages that may have comments which somebody waits for."""
        given = {"before": self._clock.now() - every, "limit": limit}
        async with self._database.reading() as tx:
            return await tx.many(QUERIES["list_commentable"], given)

    async def comments_read(self, page: str) -> None:
        """Note that the comments of a page were read."""
        await self._run("note_comments_read", page=page, now=self._clock.now())

    async def _taken(self, query: str, command: Mapping[str, Any]) -> str | None:
        async with self._database.transaction() as tx:
            row = await tx.maybe(QUERIES[query], {**command, "now": self._clock.now()})
        return None if row is None else str(row["command_id"])

    async def _run(self, query: str, **given: Any) -> None:
        async with self._database.transaction() as tx:
            await tx.run(QUERIES[query], given)
