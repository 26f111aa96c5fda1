"""Who has a conversation, and what was cited in it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from higherself.agents.errors import NotOwner
from higherself.agents.model import Citation, Handoff, Task
from higherself.agents.roster import QUERIES
from higherself.db.pool import BRIEF, Database, Transaction
from higherself.kernel.jsonvalue import shown

KEPT = timedelta(days=90)
"""How long it is kept who had a conversation, and what was cited, after the last change."""


class Conversations:
    """Conversations that were handed from one agent to another."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.handing: set[str] = set()
        """Agents that have handed something on in this process."""

    async def owner(self, conversation: str, entity: str | None) -> str | None:
        """Return who has a conversation; None if nobody has handed it to anybody."""
        asked = {"conversation": conversation, "entity": entity}
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["last_handoff"], asked)
        return None if row is None else row["to_agent"]

    async def successor(self, conversation: str, entity: str | None, agent: str) -> str | None:
        """Return who has a conversation that ``agent`` handed on; None if it did not."""
        asked = {"conversation": conversation, "entity": entity, "agent": agent}
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["successor"], asked)
        return None if row is None else row["to_agent"]

    async def hand_on(
        self, tx: Transaction, task: Task, *, from_agent: str, to_agent: str, reason: str
    ) -> int:
        """Make ``to_agent`` the owner of the task's conversation; return how often it changed hands.

        Raises
            NotOwner: ``from_agent`` has handed it to somebody else already.
        """
        self.handing.add(from_agent)
        asked = {"conversation": task.conversation, "entity": task.entity}
        last = await tx.maybe(QUERIES["last_handoff"], asked)
        if last is not None and last["to_agent"] != from_agent:
            raise NotOwner(from_agent, task.conversation, last["to_agent"])
        sequence = 1 if last is None else last["sequence"] + 1
        handed = {
            **asked,
            "sequence": sequence,
            "from_agent": from_agent,
            "to_agent": to_agent,
            "reason": reason,
            "message_id": task.envelope.id,
        }
        if await tx.maybe(QUERIES["add_handoff"], handed) is None:
            raise NotOwner(from_agent, task.conversation, "another agent")
        return sequence

    async def history(self, conversation: str, *, entity: str | None = None) -> list[Handoff]:
        """Return how a conversation went from hand to hand, the first time first."""
        asked = {"conversation": conversation, "entity": entity}
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["list_handoffs"], asked)
        return [Handoff(**row) for row in rows]

    async def cite(self, task: Task, agent: str, citations: Sequence[Citation]) -> None:
        """Keep what ``agent`` was shown for a task, as long as the documents are there."""
        if not citations or task.entity is None:
            return
        rows = [
            {"number": c.number, "document": c.document, "chunk": c.chunk, "quote": c.quote}
            for c in citations
        ]
        given = {
            "message_id": task.envelope.id,
            "entity": task.entity,
            "agent": agent,
            "citations": shown(rows, indent=None),
        }
        async with self._database.transaction(entity=task.entity, settings=BRIEF) as tx:
            await tx.run(QUERIES["cite"], given)

    async def cited(self, message: UUID) -> list[Citation]:
        """Return what was cited in handling a message, as far as the documents are still there."""
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["list_citations"], {"message_id": message})
        return [Citation(**row) for row in rows]

    async def prune(self) -> None:
        """Delete what is old."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["prune_handoffs"], {"age": KEPT})
            await tx.run(QUERIES["prune_citations"], {"age": KEPT})
