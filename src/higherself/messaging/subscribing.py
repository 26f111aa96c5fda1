"""The groups that want to be told of events, and the keys of this installation, in PostgreSQL."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from higherself.db.pool import Database
from higherself.db.queryfile import read_queries
from higherself.kernel.clock import Clock
from higherself.messaging.patterns import expression, fits, group_topic
from higherself.messaging.statements import alone

QUERIES = read_queries("higherself.messaging", "bus.sql")

KNOWN_FOR = 2.0
"""Seconds for which the groups are good enough for what is told directly, which is not kept anyway."""


@dataclass(frozen=True, slots=True)
class Told:
    """A group and what it is told of. ``entity``: of this business alone; None: of all."""

    group: str
    pattern: str
    entity: str | None
    described: str
    since: datetime


class Subscriptions:
    """Who is told of what. It lasts: a group that nobody works for finds its copies later."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._known: Sequence[Told] = ()
        self._known_at: float | None = None

    async def add(
        self, pattern: str, *, group: str, entity: str | None = None, described: str = ""
    ) -> None:
        """Have ``group`` told of every event that is stored from now on and fits ``pattern``.

        Raises
            MessageMalformed: one of them is none.
        """
        group_topic(group)
        wanted = {
            "group": group,
            "pattern": pattern,
            "expression": expression(pattern),
            "entity": entity,
            "described": described,
        }
        async with self._database.transaction() as tx:
            await tx.many(QUERIES["add_subscription"], wanted)
        self._known_at = None

    async def drop(
        self, group: str, pattern: str | None = None, *, entity: str | None = None
    ) -> int:
        """Tell ``group`` no more (of one pattern, of one business); return how many ended."""
        wanted = {"group": group, "pattern": pattern, "entity": entity}
        async with self._database.transaction() as tx:
            dropped = await tx.many(QUERIES["drop_subscriptions"], wanted)
        self._known_at = None
        return len(dropped)

    async def all(self) -> list[Told]:
        """Return everybody who is told of anything."""
        async with alone(self._database) as tx:
            rows = await tx.many(QUERIES["list_subscriptions"])
        return [
            Told(row["group_name"], row["pattern"], row["entity"], row["described"], row["since"])
            for row in rows
        ]

    async def groups_for(self, type_: str, entity: str | None) -> list[str]:
        """Return the groups that are told of such an event, as far as was known a moment ago."""
        now = self._clock.monotonic()
        if self._known_at is None or now - self._known_at > KNOWN_FOR:
            self._known, self._known_at = await self.all(), now
        groups = {
            each.group
            for each in self._known
            if each.entity in (None, entity) and fits(each.pattern, type_)
        }
        return sorted(groups)


async def signing_key(database: Database, name: str = "messages") -> bytes:
    """Return the secret of this installation with which messages from elsewhere are signed.

    The first process that asks makes it.
    """
    async with database.transaction() as tx:
        made = {"name": name, "secret": secrets.token_bytes(32)}
        await tx.many(QUERIES["keep_key"], made)
        key: bytes = (await tx.one(QUERIES["read_key"], {"name": name}))["secret"]
        return key
