"""The books of the gateway in PostgreSQL: the budget, the writes, and what we wrote ourselves."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg.errors import UniqueViolation

from higherself.db.pool import Database
from higherself.db.queryfile import read_queries
from higherself.kernel.clock import Clock
from higherself.kernel.jsonvalue import content_hash
from higherself.notion.gateway.budget import TURN, Books, BudgetPolicy, decide
from higherself.notion.gateway.lanes import Granted, Held, Lane
from higherself.notion.ports import Intent

QUERIES = read_queries("higherself.notion.gateway")

KEPT = timedelta(days=30)
"""How long it is known what was written: a key that comes again later is a new write."""


TIDY = 1_000
"""After how many writes of a process what is too old is forgotten."""


def token_name(token: str) -> str:
    """Return what a token is called where it must not stand."""
    return content_hash("notion token", token).hex()[:32]


class PostgresBudget:
    """A `Budget` that all processes share; time is the server's."""

    def __init__(self, database: Database, token: str, policy: BudgetPolicy) -> None:
        self._database = database
        self.policy = policy
        self._key = {"token": token_name(token), "whole": policy.whole}

    async def take(self, lane: Lane, most: int) -> tuple[Granted | Held, int]:
        """Take up to ``most`` requests; return them, and the number of the grant."""
        async with self._database.transaction() as tx:
            held = await tx.one(QUERIES["hold_budget"], self._key)
            now = (await tx.one(QUERIES["server_time"]))["now"]
            grants = await tx.tuples(QUERIES["grants"], self._key)
            books = Books(now=now, grants=[(at, number) for at, number, _ in grants], **held)
            answer = decide(self.policy, books, lane, most)
            if isinstance(answer, Held):
                if lane != "backfill" and answer.reason is None:
                    waits = "live_waits" if lane == "live" else "announced_waits"
                    until = {"until": now + answer.wait + TURN}
                    await tx.run(QUERIES[waits], {**self._key, **until})
                return answer, 0
            facts = {**self._key, "now": now, "requests": answer.requests}
            await tx.run(QUERIES["drop_old_grants"], facts)
            return answer, (await tx.one(QUERIES["grant"], facts))["grant_id"]

    async def give_back(self, grant: int, requests: int) -> None:
        """Return requests of a grant that were not made."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["give_back"], {"grant": grant, "requests": requests})

    async def pause(self, wait: timedelta, reason: str) -> None:
        """Let no request of any process leave for ``wait``."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["pause"], {**self._key, "wait": wait, "reason": reason})

    async def now(self) -> dict[str, Any]:
        """Return how it stands: requests ``used`` in the window, and the pause, if there is one."""
        async with self._database.transaction() as tx:
            found = await tx.maybe(QUERIES["budget_now"], self._key)
        paused = found and found["paused_until"]
        wait = paused - found["now"] if found and paused else timedelta(0)
        return {
            "limit": self.policy.requests,
            "used": found["used"] if found else 0,
            "paused_for": max(wait, timedelta(0)),
            "reason": found["reason"] if found and wait > timedelta(0) else None,
        }


class PostgresIntents:
    """Remembers which writes were begun, and how they ended."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._begun = 0

    async def begin(self, key: str, kind: str, target: str, sent: str) -> Intent:
        """Remember a write before it is sent; return what is remembered of it."""
        self._begun += 1
        if self._begun % TIDY == 0:
            await self.tidy()
        facts = {"key": key, "kind": kind, "target": target, "sent": sent}
        async with self._database.transaction() as tx:
            row = await tx.maybe(QUERIES["begin_write"], {**facts, "now": self._clock.now()})
            row = row or await tx.one(QUERIES["find_write"], facts)
        return _intent(row)

    async def sending(self, intent: Intent, sender: str) -> bool:
        """Note that it leaves now; False if another has sent it since ``intent`` was read."""
        facts = {"key": intent.key, "sent_at": intent.sent_at, "sender": sender}
        async with self._database.transaction() as tx:
            return await tx.maybe(QUERIES["sending_write"], facts) is not None

    async def not_sent(self, key: str) -> None:
        """Note that nothing was written, so that it may be sent again at once."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["not_sent"], {"key": key})

    async def done(self, key: str, result: str | None, children: Sequence[str]) -> bool:
        """Note what it made; False if that belongs to another write already."""
        now = self._clock.now()
        facts = {"key": key, "result": result, "children": list(children), "now": now}
        try:
            async with self._database.transaction() as tx:
                await tx.maybe(QUERIES["write_done"], facts)
        except UniqueViolation:
            async with self._database.transaction() as tx:
                if not await tx.many(QUERIES["give_up_result"], facts):
                    return False
                await tx.maybe(QUERIES["write_done"], facts)
        return True

    async def forget(self, key: str) -> None:
        """Forget a write that was refused."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["forget_write"], {"key": key})

    async def claimed(self, ids: Sequence[str], since: datetime) -> set[str]:
        """Return those of ``ids`` that writes are known to have made since then."""
        facts = {"ids": list(ids), "since": since}
        async with self._database.transaction() as tx:
            return {row["id"] for row in await tx.many(QUERIES["claimed"], facts)}

    async def is_done(self, key: str) -> bool:
        """Return whether a write was done."""
        async with self._database.transaction() as tx:
            found = await tx.maybe(QUERIES["find_write"], {"key": key})
        return found is not None and found["done_at"] is not None

    async def under_way(self, target: str) -> bool:
        """Return whether a write to ``target`` was begun and has not ended."""
        async with self._database.transaction() as tx:
            return bool((await tx.one(QUERIES["under_way"], {"target": target}))["under_way"])

    async def tidy(self) -> None:
        """Forget what is older than anybody asks for."""
        async with self._database.transaction() as tx:
            before = {"before": self._clock.now() - KEPT}
            await tx.run(QUERIES["drop_old_writes"], before)
            await tx.run(QUERIES["drop_old_echoes"], before)


def _intent(row: dict[str, Any]) -> Intent:
    facts = {name: row[name] for name in ("key", "kind", "target", "sent", "intended_at")}
    return Intent(
        **facts,
        sent_at=row["sent_at"],
        sent_ago=row["sent_ago"],
        done=row["done_at"] is not None,
        result=row["result"],
        children=tuple(row["children"]),
    )


class PostgresEchoes:
    """Remembers what pages were like after we wrote them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def remember(self, page: str, kind: str, hash: str) -> None:
        """Remember that ``page`` is so because we wrote it."""
        facts = {"page": page, "kind": kind, "hash": hash, "now": self._clock.now()}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["remember_echo"], facts)

    async def seen(self, page: str, kind: str, hash: str) -> bool:
        """Return whether we have written ``page`` so."""
        facts = {"page": page, "kind": kind, "hash": hash}
        async with self._database.transaction() as tx:
            return bool((await tx.one(QUERIES["echo_seen"], facts))["seen"])
