"""Collaborations in PostgreSQL: rows, and the statements that change them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from higherself.agents.coordination.commands import End
from higherself.agents.coordination.figures import Asking, Run
from higherself.agents.coordination.model import Plan
from higherself.agents.coordination.records import Activity, Asked, Collaboration, Listed, Stored
from higherself.agents.coordination.state import ENDED, State
from higherself.db.pool import Database, Row, Transaction
from higherself.db.queryfile import read_queries
from higherself.kernel.codec import from_json, to_json
from higherself.kernel.jsonvalue import JsonObject
from higherself.messaging.envelope import MessageId
from higherself.messaging.statements import encoded

QUERIES = read_queries("higherself.agents.coordination")


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A collaboration that is to be stored."""

    id: UUID
    entity: str
    plan: Plan
    key: str | None
    correlation_id: str
    hop_count: int
    budget_micro_usd: int | None
    budget_tokens: int | None
    activity: Activity | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an asking."""

    task: str
    status: str
    error: str
    cost: int


class PostgresCollaborations:
    """Reads and writes collaborations."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- Reading.

    async def now(self) -> datetime:
        """Return what time it is by the server's clock."""
        async with self._database.reading() as tx:
            now: datetime = (await tx.one(QUERIES["read_clock"]))["now"]
        return now

    async def find(self, id: UUID) -> Stored | None:
        """Return where a collaboration is."""
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["find_collaboration"], {"collaboration_id": id})
        return None if row is None else _stored(row)

    async def show(self, id: UUID) -> Collaboration | None:
        """Return a collaboration with all that was asked."""
        named = {"collaboration_id": id}
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["find_collaboration"], named)
            asked = await tx.many(QUERIES["list_tasks"], named)
        if row is None:
            return None
        return Collaboration(
            **_listed(row),
            outcome=row["outcome"],
            failure=row["failure"],
            cost_micro_usd=row["cost_micro_usd"],
            asked=tuple(Asked(**each) for each in asked),
        )

    async def by_key(self, entity: str, key: str) -> UUID | None:
        """Return the collaboration that was started with ``key``."""
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["find_by_key"], {"entity": entity, "key": key})
        return None if row is None else row["collaboration_id"]

    async def of_activity(self, key: str) -> list[tuple[UUID, int]]:
        """Return the collaborations of an activity that go on, each with its attempt."""
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["find_of_activity"], {"activity_key": key})
        return [(row["collaboration_id"], row["activity_attempt"]) for row in rows]

    async def asked_by(self, message: UUID) -> Row | None:
        """Return what was asked by a message: collaboration, task, kind and agent."""
        async with self._database.reading() as tx:
            return await tx.maybe(QUERIES["find_asked"], {"message_id": message})

    async def latest(
        self,
        *,
        entity: str | None = None,
        name: str | None = None,
        status: str | None = None,
        waiting: bool = False,
        limit: int = 50,
    ) -> list[Listed]:
        """Return the latest collaborations; ``waiting`` for a person, if so asked."""
        wanted = {"entity": entity, "name": name, "status": status, "waiting": waiting}
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["list_collaborations"], {**wanted, "limit": limit})
        return [Listed(**_listed(row)) for row in rows]

    async def runs(
        self,
        *,
        since: datetime,
        entity: str | None = None,
        name: str | None = None,
        limit: int = 10_000,
    ) -> tuple[list[Run], list[Asking]]:
        """Return the latest collaborations that have ended, and what was asked in them."""
        wanted = {"since": since, "entity": entity, "name": name, "limit": limit}
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["list_runs"], wanted)
            ids = [row["collaboration_id"] for row in rows]
            asked = await tx.many(QUERIES["list_askings"], {"collaborations": ids})
        return [_run(row) for row in rows], [_asking(row) for row in asked]

    # --- Writing, in a transaction of the caller's.

    async def begin(
        self, tx: Transaction, beginning: Beginning, state: State, question: JsonObject | None,
        end: End | None,
    ) -> bool:  # fmt: skip
        """Store a collaboration; return whether its key was free."""
        activity = beginning.activity
        row = await tx.maybe(
            QUERIES["begin_collaboration"],
            {
                "collaboration_id": beginning.id,
                "entity": beginning.entity,
                "name": beginning.plan.name,
                "pattern": beginning.plan.pattern,
                "key": beginning.key,
                "plan": encoded(to_json(beginning.plan)),
                "correlation_id": beginning.correlation_id,
                "hop_count": beginning.hop_count,
                "budget_micro_usd": beginning.budget_micro_usd,
                "budget_tokens": beginning.budget_tokens,
                "instance_id": activity and activity.instance,
                "activity_key": activity and activity.key,
                "activity_attempt": activity and activity.attempt,
                "now": beginning.now,
                **_changing(state, question, end),
            },
        )
        return row is not None

    async def change(
        self, tx: Transaction, id: UUID, before: int, state: State, question: JsonObject | None,
        end: End | None,
    ) -> float | None:  # fmt: skip
        """Store where a collaboration is; return for how many seconds it has been going on.

        None: it has moved on, and nothing was stored.
        """
        row = await tx.maybe(
            QUERIES["change_collaboration"],
            {"collaboration_id": id, "before": before, **_changing(state, question, end)},
        )
        return None if row is None else float(row["seconds"])

    async def note_asked(
        self, tx: Transaction, id: UUID, entity: str, asked: Sequence[Mapping[str, Any]]
    ) -> None:
        """Note who is asked what."""
        if asked:
            named = {"collaboration_id": id, "entity": entity, "asked": encoded(list(asked))}
            await tx.run(QUERIES["note_asked"], named)

    async def note_answered(
        self, tx: Transaction, id: UUID, answers: Sequence[Answer]
    ) -> list[Row]:
        """Note what became of askings; return those that had not ended before."""
        if not answers:
            return []
        rows = [
            {"task": each.task, "status": each.status, "error": each.error, "cost": each.cost}
            for each in answers
        ]
        named = {"collaboration_id": id, "answered": encoded(rows)}
        return await tx.many(QUERIES["note_answered"], named)


def message_of(row: Row) -> MessageId:
    """Return the message by which was asked."""
    return MessageId(row["message_id"])


def _changing(state: State, question: JsonObject | None, end: End | None) -> dict[str, Any]:
    return {
        "state": encoded(state.to_json()),
        "status": state.status,
        "outcome": None if end is None else encoded(end.outcome),
        "reason": end.reason if end else "",
        "failure": end.type if end else "",
        "question": None if question is None else encoded(question),
        "ended": state.status in ENDED,
    }


def _stored(row: Row) -> Stored:
    activity = None
    if row["activity_key"] is not None:
        activity = Activity(row["instance_id"], row["activity_key"], row["activity_attempt"])
    return Stored(
        id=row["collaboration_id"],
        entity=row["entity"],
        plan=cast("Plan", from_json(Plan, row["plan"])),
        state=State.from_json(row["state"]),
        sequence=row["sequence"],
        now=row["now"],
        correlation_id=row["correlation_id"],
        hop_count=row["hop_count"],
        budget_micro_usd=row["budget_micro_usd"],
        budget_tokens=row["budget_tokens"],
        cost_micro_usd=row["cost_micro_usd"],
        activity=activity,
    )


def _run(row: Row) -> Run:
    return Run(
        id=row["collaboration_id"],
        entity=row["entity"],
        name=row["name"],
        pattern=row["pattern"],
        status=row["status"],
        seconds=row["seconds"],
        plan=cast("Plan", from_json(Plan, row["plan"])),
    )


def _asking(row: Row) -> Asking:
    named = ("step", "kind", "attempt", "agent", "status", "cost_micro_usd", "asked", "answered")
    return Asking(collaboration=row["collaboration_id"], **{each: row[each] for each in named})


def _listed(row: Row) -> dict[str, Any]:
    named = ("entity", "name", "pattern", "key", "status", "reason", "question")
    times = ("started_at", "updated_at", "finished_at")
    return {
        "id": row["collaboration_id"],
        "instance": row["instance_id"],
        **{each: row[each] for each in (*named, *times)},
    }
