"""Which page is which row, for relations, across all databases."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from higherself.db.pool import Transaction
from higherself.services.notion.record_store import QUERIES


class Links(Protocol):
    """Knows the pages of rows that are kept elsewhere than in a declared table."""

    async def pages_of(self, tx: Transaction, records: Sequence[UUID]) -> Mapping[UUID, str]:
        """Return pages by row, as far as there are any."""
        ...

    async def records_of(self, tx: Transaction, pages: Sequence[str]) -> Mapping[str, UUID]:
        """Return rows by page, as far as there are any."""
        ...


class InstanceLinks:
    """Knows the pages of instances of workflows: they are kept with their status."""

    async def pages_of(self, tx: Transaction, records: Sequence[UUID]) -> Mapping[UUID, str]:
        """Return pages by instance, as far as there are any."""
        rows = await tx.many(QUERIES["pages_of_instances"], {"instances": list(records)})
        return {row["instance_id"]: row["page_id"] for row in rows}

    async def records_of(self, tx: Transaction, pages: Sequence[str]) -> Mapping[str, UUID]:
        """Return instances by page, as far as there are any."""
        rows = await tx.many(QUERIES["instances_of_pages"], {"pages": list(pages)})
        return {row["page_id"]: row["instance_id"] for row in rows}


class LinkBook:
    """Translates relations. ``elsewhere`` knows databases that have no records of ours, by name."""

    def __init__(self, elsewhere: Mapping[str, Links] | None = None) -> None:
        self._elsewhere = dict(elsewhere or {})

    async def records_of(
        self, tx: Transaction, database: str, pages: Sequence[str]
    ) -> list[str] | None:
        """Return the rows of pages, sorted; None if one of them is not known (yet)."""
        if not pages:
            return []
        if database in self._elsewhere:
            found = dict(await self._elsewhere[database].records_of(tx, pages))
        else:
            rows = await tx.many(QUERIES["records_of"], {"database": database, "pages": list(pages)})  # fmt: skip
            found = {row["page_id"]: row["record_id"] for row in rows}
        return sorted(str(r) for r in found.values()) if set(pages) <= found.keys() else None

    async def pages_of(
        self, tx: Transaction, database: str, records: Sequence[str]
    ) -> list[str] | None:
        """Return the pages of rows; None if one of them has none (yet)."""
        if not records:
            return []
        wanted = [UUID(each) for each in records]
        if database in self._elsewhere:
            found = dict(await self._elsewhere[database].pages_of(tx, wanted))
        else:
            rows = await tx.many(QUERIES["pages_of"], {"database": database, "records": wanted})
            found = {row["record_id"]: row["page_id"] for row in rows}
        return [found[each] for each in wanted] if set(wanted) <= found.keys() else None
