"""What was changed here and in Notion at once: both versions are kept until a person decides."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from higherself.db.pool import Database
from higherself.db.queryfile import read_queries
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Conflict, NotFound
from higherself.kernel.ids import new_id

QUERIES = read_queries("higherself.services.notion", "conflicts.sql")

Keep = Literal["notion", "store"]


@dataclass(frozen=True, slots=True)
class PageConflict:
    """One part of a page that has two versions: ``ours``, and ``theirs`` in Notion."""

    conflict_id: UUID
    entity: str
    page_id: str
    title: str
    part: str
    ours: str
    theirs: str
    opened_at: datetime
    kept: str | None = None


class PageConflicts:
    """Keeps them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def open(
        self, *, entity: str, page: str, title: str, part: str, ours: str, theirs: str
    ) -> None:
        """Note a conflict; one of the same part that is open gets the newer versions."""
        now = self._clock.now()
        values: dict[str, Any] = {
            "conflict": new_id(now),
            "entity": entity,
            "page": page,
            "title": title,
            "part": part,
            "ours": ours,
            "theirs": theirs,
            "at": now,
        }
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["open_notion_conflict"], values)

    async def all(self) -> list[PageConflict]:
        """Return those that are open, the oldest first."""
        async with self._database.transaction() as tx:
            rows = await tx.many(QUERIES["open_notion_conflicts"])
        return [PageConflict(**row) for row in rows]

    async def one(self, conflict: str) -> PageConflict:
        """Return an open conflict.

        Raises
            NotFound: there is none of this name.
            Conflict: it was decided before.
        """
        try:
            identifier = UUID(conflict)
        except ValueError:
            raise NotFound(f"there is no conflict {conflict!r}") from None
        async with self._database.transaction() as tx:
            row = await tx.maybe(QUERIES["notion_conflict"], {"conflict": identifier})
        if row is None:
            raise NotFound(f"there is no conflict {conflict}")
        if row["kept"] is not None:
            raise Conflict(f"this was decided: the version of {row['kept']} was kept")
        return PageConflict(**row)

    async def resolve(self, conflict: PageConflict, keep: Keep) -> None:
        """Note the decision."""
        values = {"conflict": conflict.conflict_id, "kept": keep, "at": self._clock.now()}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["resolve_notion_conflict"], values)

    async def count(self) -> int:
        """Return how many are open."""
        async with self._database.transaction() as tx:
            return int((await tx.one(QUERIES["count_notion_conflicts"]))["open"])
