"""What a business keeps beside its rows: JSON under a name, changed by compare-and-set, in PostgreSQL.

What is taken when (so that nothing is booked twice) and which segments there are is kept so. Whoever
changes the same at the same time is answered one after the other.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from higherself.agents.state import AgentState
from higherself.db.pool import Database
from higherself.kernel.ids import checked_entity
from higherself.kernel.jsonvalue import JsonValue

NAME = "shelf"
"""Under whose name it is kept, beside what agents keep in mind."""

T = TypeVar("T")

Change = Callable[[Any], tuple[JsonValue, T]]
"""Makes of what is kept (None: nothing is) what is to be kept, and an answer."""


class KeepsThings(Protocol):
    """Where a business keeps things under names."""

    async def read(self, entity: str, name: str) -> Any:
        """Return what is kept under a name; None if nothing is."""
        ...

    async def change(self, entity: str, name: str, change: Change[T]) -> T:
        """Keep what ``change`` makes of what is kept, and return its answer."""
        ...


class Shelf:
    """Keeps things in PostgreSQL, each business its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, entity: str, name: str) -> Any:
        """Return what is kept under a name; None if nothing is."""
        return (await self._about(entity, name).read()).value

    async def change(self, entity: str, name: str, change: Change[T]) -> T:
        """Keep what ``change`` makes of what is kept, and return its answer.

        ``change`` is called again whenever somebody else was quicker.

        Raises
            StateMoved: somebody else always was.
        """
        answers: list[T] = []

        def changed(kept: Any) -> JsonValue:
            value, answer = change(kept)
            answers.append(answer)
            return value

        await self._about(entity, name).change(changed)
        return answers[-1]

    def _about(self, entity: str, name: str) -> AgentState:
        return AgentState(self._database, NAME, checked_entity(entity), name.strip().lower())
