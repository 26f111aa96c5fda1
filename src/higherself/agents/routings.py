"""The log of where work went, and why. It is kept for a while, and only so much of it."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg

from higherself.agents.roster import QUERIES
from higherself.agents.routing import Need, Routing
from higherself.db.pool import Database
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.jsonvalue import shown
from higherself.kernel.tasks import raise_if_cancelled

KEPT = timedelta(days=7)
MOST_KEPT = 50_000
"""Decisions that are kept: for so long, and so many of the latest."""

MOST_SHOWN = 20
"""Candidates that are noted with a decision, the best ones first."""

EVERY = timedelta(seconds=1)
"""How often what was decided is written down: not in the way of the messages themselves."""

MOST_WAITING = 10_000
"""Decisions that may wait to be written while the database does not answer; more are not logged."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision. ``considered`` has the candidates' scores and the ways that led nowhere."""

    at: datetime
    entity: str | None
    wanted: str
    type: str | None
    agent: str | None
    way: str
    reason: str
    considered: Mapping[str, Any]


class RoutingLog:
    """Writes decisions down, and shows them. `run` writes what waits, from time to time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._waiting: list[dict[str, Any]] = []
        self._some = asyncio.Event()

    def note(self, need: Need, routing: Routing) -> None:
        """Have a decision written down soon."""
        telemetry.count("agents.message.routed", way=routing.way)
        if len(self._waiting) >= MOST_WAITING:
            telemetry.count("agents.routing.not_logged")
            return
        self._waiting.append(
            {
                "entity": need.business,
                "wanted": wanted(need),
                "type": need.type,
                "agent": routing.agent,
                "way": routing.way,
                "reason": routing.reason,
                "considered": considered(routing),
                "at": self._clock.now().isoformat(),
            }
        )
        self._some.set()

    async def flush(self) -> None:
        """Write down what waits.

        Raises
            DatabaseUnavailable: it waits still.
        """
        taken, self._waiting = self._waiting, []
        if not taken:
            return
        try:
            async with self._database.transaction() as tx:
                await tx.run(QUERIES["log_routings"], {"routings": shown(taken, indent=None)})
        except BaseException:
            self._waiting = [*taken, *self._waiting]
            raise

    async def run(self) -> None:
        """Write down what is noted, until cancelled; then what is left."""
        try:
            while True:
                await self._some.wait()
                await self._clock.sleep(EVERY)
                self._some.clear()
                try:
                    await self.flush()
                except HigherSelfError as error:
                    telemetry.warning("agents.routing.not_logged", reason=str(error))
                    self._some.set()
                except psycopg.Error as error:  # such as a business that was forgotten just now
                    telemetry.warning("agents.routing.not_logged", reason=str(error))
                    self._waiting.clear()
                raise_if_cancelled()
        finally:
            with suppress(HigherSelfError):
                await self.flush()

    async def latest(
        self, *, entity: str | None = None, agent: str | None = None, limit: int = 50
    ) -> list[Decision]:
        """Return the latest decisions, newest first."""
        asked = {"entity": entity, "agent": agent, "limit": limit}
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["list_routings"], asked)
        for row in rows:
            del row["routing_id"]
        return [Decision(**row) for row in rows]

    async def prune(self) -> None:
        """Delete old decisions."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["prune_routings"], {"age": KEPT, "most": MOST_KEPT})


def wanted(need: Need) -> str:
    """Return what was asked for, in a few words."""
    selector = need.selector
    parts = (("name", selector.name), ("role", selector.role), ("capability", selector.capability))
    said = [f"{kind}:{value}" for kind, value in parts if value is not None]
    if need.pattern is not None:
        said.append(f"pattern:{need.pattern}")
    return " ".join(said) or f"type:{need.type}"


def considered(routing: Routing) -> dict[str, Any]:
    """Return the candidates with their scores, and the ways that led nowhere, as JSON."""
    return {
        "candidates": [
            {"agent": each.agent, "score": each.score, "reasons": list(each.reasons)}
            for each in routing.scores[:MOST_SHOWN]
        ],
        "others": max(0, len(routing.scores) - MOST_SHOWN),
        "passed": [{"way": each.way, "why": each.why} for each in routing.passed],
    }
