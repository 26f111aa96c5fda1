"""What an agent keeps in mind about a subject: JSON in PostgreSQL, changed by compare-and-set."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from higherself.agents.errors import StateMoved
from higherself.agents.roster import QUERIES
from higherself.db.pool import BRIEF, Database, Transaction
from higherself.kernel.jsonvalue import JsonValue, check_json, shown

TRIES = 20
"""How often `AgentState.change` reads again when somebody else was quicker."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept (JSON), and its version; of what is not kept, the version is 0."""

    value: Any
    version: int


@dataclass(frozen=True, slots=True)
class AgentState:
    """What one agent keeps in mind about one subject of one business."""

    database: Database
    agent: str
    entity: str | None
    subject: str

    def about(self, subject: str) -> "AgentState":
        """Return what is kept about another subject."""
        return replace(self, subject=subject)

    async def read(self, tx: Transaction | None = None) -> Kept:
        """Return what is kept; None if nothing is."""
        async with self._within(tx) as tx:
            row = await tx.maybe(QUERIES["read_state"], self._named())
        return Kept(None, 0) if row is None else Kept(row["value"], row["version"])

    async def write(self, value: JsonValue, *, expected: int, tx: Transaction | None = None) -> int:
        """Keep ``value`` if the version is still ``expected``; return the new version.

        In ``tx`` (that of `AgentContext.once`), it is kept with the other effects of the task, or
        not at all.

        Raises
            StateMoved: somebody else wrote meanwhile; nothing was stored.
            NotJson: it cannot be kept.
        """
        given = {
            **self._named(),
            "value": shown(check_json(value), indent=None),
            "expected": expected,
        }
        query = QUERIES["begin_state" if expected == 0 else "write_state"]
        async with self._within(tx) as tx:
            row = await tx.maybe(query, given)
            if row is None:
                raise await self._moved(tx, expected)
        version: int = row["version"]
        return version

    async def forget(self, *, expected: int, tx: Transaction | None = None) -> None:
        """Keep nothing any more.

        Raises
            StateMoved: somebody else wrote meanwhile; it is as it was.
        """
        async with self._within(tx) as tx:
            if (
                await tx.maybe(QUERIES["drop_state"], {**self._named(), "expected": expected})
                is None
            ):
                raise await self._moved(tx, expected)

    async def change(self, change: Callable[[Any], JsonValue]) -> JsonValue:
        """Keep what ``change`` makes of what is kept, and return it.

        ``change`` is called again, with what is kept by then, whenever somebody else was quicker.

        Raises
            StateMoved: somebody else always was.
        """
        for _ in range(TRIES - 1):
            try:
                return await self._changed(change)
            except StateMoved:
                continue
        return await self._changed(change)

    async def _changed(self, change: Callable[[Any], JsonValue]) -> JsonValue:
        kept = await self.read()
        value = change(kept.value)
        await self.write(value, expected=kept.version)
        return value

    async def _moved(self, tx: Transaction, expected: int) -> StateMoved:
        row = await tx.maybe(QUERIES["read_state"], self._named())
        return StateMoved(self.agent, self.subject, expected, 0 if row is None else row["version"])

    def _named(self) -> dict[str, str | None]:
        return {"agent": self.agent, "entity": self.entity, "subject": self.subject}

    @asynccontextmanager
    async def _within(self, tx: Transaction | None) -> AsyncIterator[Transaction]:
        if tx is not None:
            yield tx
            return
        async with self.database.transaction(entity=self.entity, settings=BRIEF) as own:
            yield own
