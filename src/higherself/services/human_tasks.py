"""What people are asked to decide or to answer, and what they say: heard once by who waits for it.

A review is a text that an agent made and a person lets go, changes or stops. An escalation is a
request that no agent may or can answer. Both are decided by command, by API or in Notion, where each
is a row among the tasks.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from higherself.db.entities import remember_entity
from higherself.db.pool import Database, Row
from higherself.db.queryfile import read_queries
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Conflict, HigherSelfError, NotFound, Rejected
from higherself.kernel.ids import new_id
from higherself.kernel.jsonvalue import JsonObject
from higherself.kernel.tasks import raise_if_cancelled
from higherself.messaging.bus import Bus
from higherself.messaging.ports import Delivery
from higherself.messaging.protocol import Identity
from higherself.messaging.serving import Served
from higherself.services.human_task import (
    EVENTS,
    SAYING,
    Asking,
    Deciding,
    HumanTask,
    HumanTaskUnknown,
    Kind,
    Status,
    check,
    check_decision,
    decided_in_row,
    event_of,
    over,
    row_of,
    says,
    ticket_of,
)

QUERIES = read_queries("higherself.services", "human_tasks.sql")

GROUP = "human_tasks"
CHANGED = "task_changed"
"""What is said of a row among the tasks that a person has changed."""

OURS = Identity("service", "human_tasks")
LEFT_ALONE = timedelta(seconds=10)
LOOK_AGAIN = timedelta(seconds=20)


class Instances(Protocol):
    """Tells instances of workflows (`workflow.engine.engine.Engine`)."""

    async def send(
        self,
        instance: UUID,
        event: str,
        data: JsonObject | None = None,
        *,
        id: str | None = None,
    ) -> object:
        """Send an event to an instance; the same ``id`` counts once."""
        ...


class Rows(Protocol):
    """The rows among the tasks (`services.notion.records`)."""

    async def get(self, record: UUID, *, entity: str | None = None) -> Row:
        """Return a row."""
        ...

    async def save(
        self,
        entity: str,
        values: Mapping[str, Any],
        *,
        key: str | None = None,
        record: UUID | None = None,
    ) -> Row:
        """Add a row, or change one."""
        ...


class Members(Protocol):
    """Knows people in Notion."""

    async def who(self, person: str) -> tuple[str, Collection[str]]:
        """Return the name and the roles of somebody by their id there."""
        ...


class HumanTasks:
    """Keeps what is asked of people. Safe for concurrent use, in any process."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        instances: Instances,
        tasks: Rows,
        members: Members,
        clock: Clock,
    ) -> None:
        self._database, self._bus, self._instances = database, bus.speaking_as(OURS), instances
        self._tasks, self._members, self._clock = tasks, members, clock

    # --- Asking.

    async def ask(self, asking: Asking) -> HumanTask:
        """Store what is asked, and put it among the tasks of the business; once for its key.

        Raises
            Rejected: there is nothing to decide about; the field is named.
        """
        check(asking)
        found = await self._opened(asking)
        if found.task_record is None and found.status != "decided":
            row = await self._tasks.save(
                asking.entity, row_of(found, self._clock.now()), key=f"human/{found.ticket}"
            )
            given = {"id": found.id, "record": row["record_id"]}
            async with self._database.transaction(entity=asking.entity) as tx:
                await tx.run(QUERIES["note_record"], given)
            found = await self.show(found.ticket)
        return found

    async def _opened(self, asking: Asking) -> HumanTask:
        now = self._clock.now()
        given = {
            "id": new_id(now),
            "entity": asking.entity,
            "key": asking.key,
            "kind": asking.kind,
            "title": asking.title,
            "text": asking.text,
            "details": json.dumps(asking.details),
            "roles": list(asking.roles),
            "severity": asking.severity,
            "source": asking.source,
            "instance": asking.instance,
            "correlation": asking.correlation,
            "assignee": asking.assignee,
            "due_at": asking.due_at,
            "now": now,
        }
        async with self._database.transaction(entity=asking.entity) as tx:
            await remember_entity(tx, asking.entity, now)
            for salt in range(100):
                ticket = ticket_of(asking, salt)
                row = await tx.maybe(QUERIES["open_human_task"], {**given, "ticket": ticket})
                if row is not None:
                    telemetry.count("human_tasks.opened", kind=asking.kind)
                    return _read(row)
                row = await tx.maybe(
                    QUERIES["find_human_task_of_key"], {"entity": asking.entity, "key": asking.key}
                )
                if row is not None:
                    return _read(row)
        raise AssertionError("a hundred tickets of a key are taken by others")

    # --- Looking.

    async def show(self, ticket: str) -> HumanTask:
        """Return one.

        Raises
            HumanTaskUnknown: there is none of this ticket.
        """
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["find_human_task"], {"ticket": ticket.upper()})
        if row is None:
            raise HumanTaskUnknown(f"there is no ticket {ticket}")
        return _read(row)

    async def list(
        self,
        kind: Kind,
        *,
        statuses: Sequence[Status] | None = None,
        entity: str | None = None,
        instance: UUID | None = None,
        limit: int = 50,
    ) -> list[HumanTask]:
        """Return those of a kind: what is not decided first, by when it is due."""
        given = {
            "kind": kind,
            "statuses": None if statuses is None else list(statuses),
            "of_entity": entity,
            "instance": instance,
            "limit": limit,
        }
        async with self._database.reading() as tx:
            return list(map(_read, await tx.many(QUERIES["list_human_tasks"], given)))

    # --- Deciding.

    async def take(self, ticket: str, assignee: str) -> HumanTask:
        """Note that somebody sees to it.

        Raises
            HumanTaskUnknown, Decided: nothing was changed.
        """
        async with self._database.transaction() as tx:
            given = {"ticket": ticket.upper(), "assignee": assignee}
            row = await tx.maybe(QUERIES["take_human_task"], given)
        if row is None:
            raise over(await self.show(ticket))
        return _read(row)

    async def decide(self, ticket: str, said: Deciding) -> HumanTask:
        """Store what a person says, and tell who waits. The same said again by the same changes nothing.

        Raises
            HumanTaskUnknown: there is no such ticket.
            Rejected: it is no decision of this kind, or an answer is missing.
            NotEntitled: they have none of the roles that may.
            Decided: somebody was faster.
        """
        known = await self.show(ticket)
        check_decision(known, said)
        now = self._clock.now()
        given = {
            "ticket": known.ticket,
            "decision": said.decision,
            "answer": said.answer,
            "notes": said.notes,
            "more": json.dumps(said.more),
            "by": said.by,
            "now": now,
        }
        async with self._database.transaction() as tx:
            row = await tx.maybe(QUERIES["decide_human_task"], given)
        if row is None:
            again = await self.show(ticket)
            if not says(again, said):
                raise over(again)
            return again
        telemetry.count("human_tasks.decided", kind=known.asked.kind, decision=said.decision)
        await self._told(_read(row))
        return await self.show(ticket)

    async def _told(self, task: HumanTask) -> bool:
        """Tell who waits, or leave it to `go_on`: what was decided holds whoever can be told of it now."""
        try:
            await self._tell(task)
        except HigherSelfError as error:
            telemetry.warning("human_tasks.untold", ticket=task.ticket, reason=str(error))
            return False
        return True

    async def _tell(self, task: HumanTask) -> None:
        """Tell who waits, mark the row among the tasks, and note both; again as often as it takes."""
        asked, told = task.asked, "heard"
        event, data = EVENTS[asked.kind], event_of(task)
        if asked.instance is None:
            await self._bus.publish(
                event, data, entity=asked.entity, idempotency_key=f"{task.ticket} decided",
                correlation=asked.correlation,
            )  # fmt: skip
        else:
            try:
                await self._instances.send(asked.instance, event, data, id=f"{event}/{task.ticket}")
            except (Rejected, Conflict, NotFound) as error:
                told = f"not heard: {error}"[:500]
        await self._mark(task)
        async with self._database.transaction(entity=asked.entity) as tx:
            given = {"id": task.id, "now": self._clock.now(), "told": told}
            await tx.run(QUERIES["note_told"], given)

    async def _mark(self, task: HumanTask) -> None:
        """Mark the row among the tasks, unless a person has marked it, or thrown it away."""
        if task.task_record is None:
            return
        try:
            row = await self._tasks.get(task.task_record)
            if row["status"] not in ("Done", "Cancelled"):
                status = "Cancelled" if task.decision in ("rejected", "closed") else "Done"
                values = {"status": status, "completed_date": task.decided_at}
                await self._tasks.save(task.asked.entity, values, record=task.task_record)
        except NotFound:
            return

    # --- Notion, and what was left.

    async def heard(self, delivery: Delivery) -> None:
        """Decide as a person did in Notion who has set the status of a row among the tasks."""
        data = delivery.envelope.data
        if not isinstance(data, Mapping) or data.get("status") not in SAYING:
            return
        try:
            record = UUID(str(data.get("record")))
        except ValueError:
            return
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["find_human_task_of_record"], {"record": record})
        if row is None or row["status"] == "decided":
            return
        task = _read(row)
        said = str(data.get("person") or "")
        name, roles = await self._members.who(said) if said else ("somebody in Notion", ())
        seen = await self._tasks.get(record)
        deciding = decided_in_row(task, seen, name, roles)
        if deciding is None:
            return
        try:
            await self.decide(task.ticket, deciding)
        except Rejected as error:
            note = f"{error}\n\n{seen['notes'] or ''}".strip()
            values = {"status": "To Do", "notes": note}
            await self._tasks.save(task.asked.entity, values, record=record)

    async def go_on(self, *, limit: int = 100) -> int:
        """Tell what was left untold; return how much of that is told now. One in need stops no other."""
        given = {"before": self._clock.now() - LEFT_ALONE, "limit": limit}
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["untold_human_tasks"], given)
        told = 0
        for row in rows:
            raise_if_cancelled()
            told += await self._told(_read(row))
        return told

    async def work(self) -> None:
        """Hear what people decide in Notion, and go on with what was left, for ever."""
        served: Served = await self._bus.subscribe(
            CHANGED, self.heard, group=GROUP, described="decisions that people take in Notion"
        )
        async with self._bus.consuming(served):
            while True:
                try:
                    await self.go_on()
                except HigherSelfError as error:
                    telemetry.warning("human_tasks.upkeep.failed", reason=str(error))
                raise_if_cancelled()
                await self._clock.sleep(LOOK_AGAIN)


def _read(row: Row) -> HumanTask:
    return HumanTask(
        id=row["human_task_id"],
        ticket=row["ticket"],
        asked=Asking(
            kind=row["kind"],
            entity=row["entity"],
            key=row["key"],
            title=row["title"],
            text=row["text"],
            details=row["details"],
            roles=tuple(row["roles"]),
            severity=row["severity"],
            source=row["source"],
            instance=row["instance_id"],
            correlation=row["correlation_id"],
            assignee=row["assignee"],
            due_at=row["due_at"],
        ),
        status=row["status"],
        decision=row["decision"],
        answer=row["answer"],
        notes=row["notes"],
        more=row["more"],
        decided_by=row["decided_by"],
        task_record=row["task_record"],
        created_at=row["created_at"],
        decided_at=row["decided_at"],
        told_at=row["told_at"],
        told=row["told"],
    )
