"""Which agents there are, who runs them, and how they did lately: in PostgreSQL, by its clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from higherself.agents.model import AgentCard, Known, Phase, Presence
from higherself.db.pool import Database, Row
from higherself.db.queryfile import read_queries
from higherself.kernel.jsonvalue import shown

QUERIES = read_queries("higherself.agents")

BEAT = timedelta(seconds=2)
"""How often a worker says that it is alive."""

ABSENT_AFTER = timedelta(seconds=7)
"""An agent of which nothing was heard for so long is absent: three beats that did not come."""

LATELY = timedelta(hours=1)
"""Tasks that ended in this time say how well an agent does."""

TALLIES_KEPT = timedelta(days=7)
AGENTS_KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What a worker tells of an agent: where it is, and how its tasks ended since the last time."""

    card: AgentCard
    phase: Phase
    problem: str | None = None
    running: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0


class Roster:
    """Reads and writes who is there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, cards: Sequence[AgentCard]) -> None:
        """Store what agents say of themselves."""
        rows = [{"agent": card.name, "card": card.to_json()} for card in cards]
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["register_agents"], {"agents": shown(rows, indent=None)})

    async def beat(self, worker: str, pulses: Sequence[Pulse]) -> None:
        """Say that ``worker`` is alive and where its agents are."""
        rows = [
            {
                "agent": each.card.name,
                "card": each.card.to_json(),
                "phase": each.phase,
                "problem": each.problem,
                "running": each.running,
                "concurrency": each.card.concurrency,
                "done": each.done,
                "failed": each.failed,
                "seconds": each.seconds,
            }
            for each in pulses
        ]
        async with self._database.transaction() as tx:
            told = {"worker": worker, "agents": shown(rows, indent=None)}
            await tx.many(QUERIES["beat"], told)

    async def leave(self, worker: str) -> None:
        """Say that ``worker`` runs no agents any more."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["leave"], {"worker": worker})

    async def agents(self) -> list[Known]:
        """Return every agent that was ever run, by name."""
        async with self._database.reading() as tx:
            rows = await tx.many(
                QUERIES["list_agents"], {"absent_after": ABSENT_AFTER, "lately": LATELY}
            )
        return [_known(row) for row in rows]

    async def prune(self) -> None:
        """Delete what is old."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["forget_absent"])
            await tx.run(QUERIES["prune_tallies"], {"age": TALLIES_KEPT})
            await tx.run(QUERIES["prune_agents"], {"age": AGENTS_KEPT})


def _known(row: Row) -> Known:
    ended = row["done"] + row["failed"]
    return Known(
        card=AgentCard.from_json(row["card"]),
        seen_at=row["seen_at"],
        present=tuple(_presence(each) for each in row["present"]),
        done=row["done"],
        failed=row["failed"],
        seconds=row["seconds"] / ended if ended else None,
        hands_on=row["hands_on"],
    )


def _presence(read: Mapping[str, Any]) -> Presence:
    instants = {name: datetime.fromisoformat(read[name]) for name in ("since", "seen_at")}
    return Presence(**{**read, **instants})
