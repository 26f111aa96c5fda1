"""Businesses: known from the first row on that is their own."""

from datetime import datetime

from higherself.db.inspection import QUERIES
from higherself.db.pool import Database, Transaction
from higherself.kernel.clock import Clock
from higherself.kernel.ids import checked_entity


async def remember_entity(tx: Transaction, slug: str, now: datetime) -> None:
    """Store a business, unless it is there.

    Raises
        Rejected: this cannot be the name of one.
    """
    name = checked_entity(slug).replace("_", " ").replace("-", " ").title()
    await tx.run(QUERIES["remember_entity"], {"slug": slug, "name": name, "now": now})


class Entities:
    """Remembers businesses for those that write a row at a time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._known: set[str] = set()

    async def remember(self, slug: str, *, again: bool = False) -> None:
        """Store a business not seen before; ``again``: another process may have forgotten it.

        Raises
            Rejected: this cannot be the name of one.
        """
        if again or slug not in self._known:
            async with self._database.transaction(entity=slug) as tx:
                await remember_entity(tx, slug, self._clock.now())
            self._known.add(slug)
