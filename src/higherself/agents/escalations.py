"""What agents ask people to see to: tickets, and their answers, which come back as messages."""

import base64
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, get_args

from higherself.agents.conversations import Conversations
from higherself.agents.errors import EscalationOver, EscalationUnknown
from higherself.agents.model import (
    ANSWER_WITHIN,
    ANSWERED,
    CLOSED,
    OPENED,
    Escalation,
    EscalationStatus,
    Severity,
    Task,
)
from higherself.agents.roster import QUERIES
from higherself.db.pool import Database, Row, Transaction
from higherself.kernel import telemetry
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonValue, check_json, content_hash, shown
from higherself.messaging.bus import Bus
from higherself.messaging.envelope import Envelope
from higherself.messaging.protocol import AGENTS, REPLY_TO, REQUEST, Identity

KEPT = timedelta(days=365)


class Escalations:
    """Tickets. ``bus`` is what answers go out by."""

    def __init__(self, database: Database, conversations: Conversations, bus: Bus) -> None:
        self._database, self._conversations, self._bus = database, conversations, bus

    async def open(
        self,
        tx: Transaction,
        task: Task,
        agent: str,
        reason: str,
        *,
        key: str,
        severity: Severity = 1,
        attempts: Sequence[str] = (),
        details: JsonValue = None,
        assignee: str | None = None,
    ) -> str:
        """Ask a person, in the caller's transaction, and return the ticket. The same ``key`` asks once.

        Raises
            Rejected: the reason is empty, or there is no such severity.
            NotJson: the details are none.
        """
        if not reason.strip():
            raise Rejected("an escalation needs a reason: what should a person decide or do?")
        if severity not in get_args(Severity):
            raise Rejected(f"severity is {severity}; it is 1, 2, 3 or 4 (4: a person at once)")
        if task.entity is not None:
            await self._bus.exchange.entities.remember(task.entity)
        given: dict[str, Any] = {
            "entity": task.entity,
            "agent": agent,
            "message_id": task.envelope.id,
            "conversation": task.conversation,
            "cause": shown(task.envelope.cloudevent(), indent=None),
            "key": key,
            "severity": severity,
            "reason": reason,
            "attempts": shown(list(attempts), indent=None),
            "details": shown(check_json(details), indent=None),
            "assignee": assignee,
            "within": ANSWER_WITHIN[severity],
        }
        for salt in range(100):
            ticket = _ticket(key, salt)
            if await tx.maybe(QUERIES["open_escalation"], {**given, "ticket": ticket}):
                telemetry.count("agents.escalation.opened", severity=str(severity))
                told: JsonValue = {
                    "ticket": ticket,
                    "agent": agent,
                    "severity": severity,
                    "reason": reason,
                }
                speaking = self._bus.speaking_as(Identity("agent", agent)).about(task.envelope)
                await speaking.within(tx).publish(
                    OPENED, told, subject=ticket, idempotency_key=f"{ticket} opened"
                )
                return ticket
            if (row := await tx.maybe(QUERIES["find_escalation_of_key"], {"key": key})) is not None:
                found: str = row["ticket"]
                return found
        raise AssertionError("a hundred tickets of a key are taken by others")

    async def show(self, ticket: str) -> Escalation:
        """Return an escalation.

        Raises
            EscalationUnknown: there is none of this ticket.
        """
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["show_escalation"], {"ticket": ticket})
        if row is None:
            raise EscalationUnknown(ticket)
        return _escalation(row)

    async def list(
        self,
        *,
        statuses: Sequence[EscalationStatus] | None = None,
        entity: str | None = None,
        conversation: str | None = None,
        limit: int = 50,
    ) -> list[Escalation]:
        """Return escalations: those that are not over first, by when they should be answered."""
        asked = {
            "statuses": None if statuses is None else list(statuses),
            "entity": entity,
            "conversation": conversation,
            "limit": limit,
        }
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["list_escalations"], asked)
        return [_escalation(row) for row in rows]

    async def take(self, ticket: str, assignee: str) -> Escalation:
        """Note that somebody sees to it.

        Raises
            EscalationUnknown, EscalationOver: nothing was changed.
        """
        async with self._database.transaction() as tx:
            taken = {"ticket": ticket, "assignee": assignee}
            if await tx.maybe(QUERIES["take_escalation"], taken) is None:
                raise _over(await tx.maybe(QUERIES["show_escalation"], {"ticket": ticket}), ticket)
        return await self.show(ticket)

    async def answer(self, ticket: str, answer: JsonValue, *, by: Identity) -> Escalation:
        """Send a person's answer to the agent that has the conversation by now; it is resolved.

        The agent gets a message `ANSWERED` in the same conversation, with the ticket and the answer;
        what it returns goes to whoever waited for an answer to the first message.

        Raises
            EscalationUnknown, EscalationOver: nothing was changed.
            NotJson, MessageTooLarge: the answer cannot be sent.
        """
        async with self._database.transaction() as tx:
            row = await tx.maybe(QUERIES["lock_escalation"], {"ticket": ticket})
            if row is None or row["status"] not in ("open", "in_progress"):
                raise _over(row, ticket)
            found = _escalation(row)
            owner = await self._conversations.owner(found.conversation, found.entity)
            to = owner or found.agent
            await self._sent(tx, found, to, answer, by)
            await tx.maybe(
                QUERIES["end_escalation"],
                {
                    "ticket": ticket,
                    "status": "resolved",
                    "answer": shown(check_json(answer), indent=None),
                    "answered_by": by.name,
                    "answered_to": to,
                },
            )
        telemetry.count("agents.escalation.answered")
        return await self.show(ticket)

    async def close(self, ticket: str, *, by: Identity, reason: str = "") -> Escalation:
        """Give a ticket up without an answer; groups that want to know are told.

        Raises
            EscalationUnknown, EscalationOver: nothing was changed.
        """
        async with self._database.transaction() as tx:
            row = await tx.maybe(QUERIES["lock_escalation"], {"ticket": ticket})
            if row is None or row["status"] not in ("open", "in_progress"):
                raise _over(row, ticket)
            ended = {
                "ticket": ticket,
                "status": "closed",
                "answer": shown(reason or None, indent=None),
                "answered_by": by.name,
                "answered_to": None,
            }
            await tx.maybe(QUERIES["end_escalation"], ended)
            found = _escalation(row)
            told: JsonValue = {"ticket": ticket, "agent": found.agent, "reason": reason}
            speaking = self._bus.speaking_as(by).about(Envelope.read(found.cause))
            await speaking.within(tx).publish(
                CLOSED, told, subject=ticket, idempotency_key=f"{ticket} closed"
            )
        return await self.show(ticket)

    async def prune(self) -> None:
        """Delete what was over long ago."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["prune_escalations"], {"age": KEPT})

    async def _sent(
        self, tx: Transaction, found: Escalation, to: str, answer: JsonValue, by: Identity
    ) -> None:
        cause = Envelope.read(found.cause)
        waits = cause.extensions.get(REPLY_TO)
        # Who waits at an agent's inbox still wants the answer; who waited in a request has given up.
        reply_to = None
        if isinstance(waits, str) and waits.startswith(AGENTS):
            reply_to = f"agent:{waits.removeprefix(AGENTS)}"
        speaking = self._bus.speaking_as(by).about(cause)
        await speaking.within(tx).send(
            f"agent:{to}",
            ANSWERED,
            {
                "ticket": found.ticket,
                "answer": answer,
                "by": by.name,
                "type": cause.type,
                "data": cause.data,
                "details": found.details,
            },
            subject=cause.subject,
            idempotency_key=f"{found.ticket} answered",
            reply_to=reply_to,
            request=str(cause.extensions.get(REQUEST, cause.id)) if reply_to else None,
        )


def _ticket(key: str, salt: int) -> str:
    """Return a ticket that is always the same for a key: what is tried again meets what is there."""
    digest = content_hash("escalation", key, str(salt))
    return f"ESC-{base64.b32encode(digest[:5]).decode()}"


def _over(row: Row | None, ticket: str) -> Exception:
    return EscalationUnknown(ticket) if row is None else EscalationOver(ticket, row["status"])


def _escalation(row: Row) -> Escalation:
    return Escalation(**{**row, "attempts": tuple(row["attempts"])})
