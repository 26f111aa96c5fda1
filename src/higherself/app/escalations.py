"""Everything that waits for a person's answer, whoever asks: agents in a conversation, or workflows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from higherself.agents.errors import EscalationUnknown
from higherself.agents.model import Escalation
from higherself.db.queryfile import read_queries
from higherself.messaging.envelope import Envelope
from higherself.messaging.protocol import Identity
from higherself.services.human_task import Deciding, HumanTask, HumanTaskUnknown

if TYPE_CHECKING:
    from higherself.app.wiring import HigherSelf

QUERIES = read_queries("higherself.app", "escalations.sql")

Shown = dict[str, Any]
Many = list[Shown]

MOST_OF_A_HISTORY = 200
_STATUS = {"resolved": "decided", "closed": "decided"}


class Escalations:
    """Shows and answers them. Obtained as ``hs.escalations``."""

    def __init__(self, hs: "HigherSelf") -> None:
        self._hs = hs

    async def list(
        self, *, every: bool = False, entity: str | None = None, limit: int = 50
    ) -> Many:
        """Return those that wait, by when they are due; ``every``: also those that are over."""
        tasks = await self._hs.human_tasks.list(
            "escalation",
            statuses=None if every else ("open", "in_progress"),
            entity=entity,
            limit=limit,
        )
        tickets = await self._hs.agents.escalations.list(
            statuses=None if every else ("open", "in_progress"), entity=entity, limit=limit
        )
        found = [each.to_json(whole=False) for each in tasks]
        found += [_of_agent(each) for each in tickets]
        found.sort(key=lambda each: (each["status"] == "decided", each["due_at"] or "~"))
        return [dict(each) for each in found[:limit]]

    async def show(self, ticket: str) -> Shown:
        """Return one with everything that led to it: what was said, tried and done.

        Raises
            EscalationUnknown: there is none of this ticket.
        """
        task = await self._task(ticket)
        if task is None:
            found = await self._hs.agents.escalations.show(ticket.upper())
            said = await self._said(found.conversation, Envelope.read(found.cause))
            return {**_of_agent(found, whole=True), "history": said}
        history = [] if task.asked.correlation is None else await self._said(task.asked.correlation)
        return {**task.to_json(), "history": [*await self._went(task), *history]}

    async def answer(self, ticket: str, said: Deciding) -> Shown:
        """Answer one, or close it; who waits goes on.

        Raises
            EscalationUnknown: there is none of this ticket.
            Rejected, Conflict: see `HumanTasks.decide` and `agents.escalations.Escalations.answer`.
        """
        if await self._task(ticket) is not None:
            return dict((await self._hs.human_tasks.decide(ticket, said)).to_json())
        tickets, by = self._hs.agents.escalations, Identity("operator", said.by)
        if said.decision == "closed":
            done = await tickets.close(ticket.upper(), by=by, reason=said.notes)
        else:
            more: Mapping[str, Any] = said.more or {}
            plain = said.answer if not more and said.decision == "answered" else None
            told = plain or {"answer": said.answer, "decision": said.decision, **more}
            done = await tickets.answer(ticket.upper(), told, by=by)
        return _of_agent(done, whole=True)

    async def take(self, ticket: str, assignee: str) -> Shown:
        """Note that somebody sees to one.

        Raises
            EscalationUnknown: there is none of this ticket. Conflict: it is over.
        """
        if await self._task(ticket) is not None:
            return dict((await self._hs.human_tasks.take(ticket, assignee)).to_json())
        return _of_agent(
            await self._hs.agents.escalations.take(ticket.upper(), assignee), whole=True
        )

    async def _task(self, ticket: str) -> HumanTask | None:
        try:
            found = await self._hs.human_tasks.show(ticket)
        except HumanTaskUnknown:
            return None
        if found.asked.kind != "escalation":
            raise EscalationUnknown(ticket)
        return found

    async def _went(self, task: HumanTask) -> Many:
        """Return the way of the instance that asks."""
        if task.asked.instance is None:
            return []
        entries = await self._hs.workflows.history(task.asked.instance)
        return [
            {
                "at": each.at.isoformat(),
                "who": "workflow",
                "what": f"{each.source or ''} → {each.target}",
            }
            for each in entries
            if each.target and not each.region
        ][-MOST_OF_A_HISTORY:]

    async def _said(self, conversation: str, cause: Envelope | None = None) -> Many:
        """Return the messages of a conversation, and what led to it, also where nobody kept that."""
        async with self._hs.database.reading() as tx:
            given = {"correlation": conversation, "limit": MOST_OF_A_HISTORY}
            rows = await tx.many(QUERIES["messages_of_conversation"], given)
        found = [
            {
                "at": row["at"].isoformat(),
                "who": row["source"].rpartition(":")[2],
                "what": row["type"],
                "to": row["topic"],
                "data": row["data"],
            }
            for row in rows
        ]
        if cause is None or any(row["message_id"] == cause.id for row in rows):
            return found
        asked = {
            "at": cause.time.isoformat(),
            "who": cause.source.rpartition(":")[2],
            "what": cause.type,
            "to": None,
            "data": cause.data,
        }
        return [asked, *found]


def _of_agent(found: Escalation, *, whole: bool = False) -> Shown:
    """Return a ticket of an agent as those of workflows are shown."""
    shown: dict[str, Any] = {
        "ticket": found.ticket,
        "kind": "escalation",
        "entity": found.entity,
        "title": found.reason,
        "status": _STATUS.get(found.status, found.status),
        "severity": found.severity,
        "roles": [],
        "source": found.agent,
        "assignee": found.assignee,
        "instance": None,
        "created_at": found.opened_at.isoformat(),
        "due_at": found.due_at.isoformat(),
        "decision": {"resolved": "answered", "closed": "closed"}.get(found.status),
        "by": found.answered_by,
        "decided_at": None if found.closed_at is None else found.closed_at.isoformat(),
    }
    if whole:
        shown |= {
            "text": found.reason,
            "details": {"attempts": list(found.attempts), "details": found.details},
            "answer": found.answer,
            "notes": "",
            "correlation": found.conversation,
            "heard_at": shown["decided_at"],
            "heard": found.answered_to or "",
        }
    return shown
