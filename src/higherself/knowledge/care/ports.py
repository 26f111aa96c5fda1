"""What care looks at in the store, and what it mends there."""

from collections.abc import Collection, Mapping
from typing import Protocol

from higherself.kernel.ids import ChunkId, DocumentId
from higherself.knowledge.care.findings import (
    Facts,
    Index,
    Misindexed,
    SpaceTable,
    Table,
    Text,
)
from higherself.knowledge.model import StoredSpace


class CareStore(Protocol):
    """Counts what does not fit, and mends it; of one business, or of all."""

    # The tables themselves.

    async def unprotected(self) -> list[str]:
        """Return the tables with rows of businesses that are not kept apart by forced security."""
        ...

    async def protect(self, tables: Collection[str]) -> None:
        """Keep the businesses apart in these tables, as in all others."""
        ...

    async def space_tables(self) -> list[SpaceTable]:
        """Return every embedding space with its table, and every such table without a space."""
        ...

    async def make_space_table(self, table: SpaceTable) -> None:
        """Make the table of a space, empty, in the place of the one there may be."""
        ...

    async def drop_space_table(self, table: SpaceTable) -> None:
        """Drop a table of vectors."""
        ...

    async def correct_space(self, table: SpaceTable) -> None:
        """Give a space the dimensions that its table has."""
        ...

    async def indexes(self) -> list[Index]:
        """Return every index, measured."""
        ...

    async def lacks_index(self, space: StoredSpace) -> bool:
        """Return whether ``space`` has grown large enough for an index, and has none that works."""
        ...

    async def rebuild_index(self, index: Index) -> None:
        """Build an index anew beside itself, while it is used."""
        ...

    async def drop_index(self, index: Index) -> None:
        """Drop an index, while its table is used."""
        ...

    async def tables(self) -> list[Table]:
        """Return every table, measured."""
        ...

    async def vacuum(self, table: Table) -> None:
        """Free the space of a table's dead rows."""
        ...

    # Their rows.

    async def misfiled(self) -> dict[str, int]:
        """Return how many rows belong to no document, or to another business than theirs."""
        ...

    async def refile(self) -> None:
        """Delete rows of no document; give the others to the business of their document."""
        ...

    async def broken(self) -> list[DocumentId]:
        """Return the documents whose chunks do not make up a text."""
        ...

    async def expect_again(self, documents: Collection[DocumentId]) -> None:
        """Have these documents taken in anew when they are added again."""
        ...

    async def count_chunks(self) -> int:
        """Return how many chunks there are."""
        ...

    async def texts(self, *, after: ChunkId, limit: int) -> list[Text]:
        """Return chunks with what is embedded of them, in order, after a given one."""
        ...

    async def rehash(self, hashes: Mapping[ChunkId, tuple[bytes, bytes]]) -> None:
        """Give chunks that still have the first hash the second one."""
        ...

    async def facts(self, *, after: DocumentId | None, limit: int) -> list[Facts]:
        """Return the facts of documents, in order, after a given one."""
        ...

    async def relabel(self, documents: Collection[DocumentId]) -> None:
        """Give documents exactly the labels of their facts, if they still exist."""
        ...

    async def misindexed(self) -> list[Misindexed]:
        """Return the businesses whose lexical index does not say what their chunks do."""
        ...

    async def rebuild_lexical(self, entity: str) -> int:
        """Make the lexical index of a business anew, and return its chunks. All or nothing."""
        ...

    # The vectors of a space.

    async def lengths(self, space: StoredSpace) -> tuple[int, int]:
        """Return how many vectors of ``space`` are zero, and how many have another length than 1."""
        ...

    async def mend_lengths(self, space: StoredSpace) -> None:
        """Give every vector length 1; delete those that are zero."""
        ...

    async def private(self, space: StoredSpace) -> int:
        """Return how many vectors of ``space`` are of texts that must not leave this machine."""
        ...

    async def drop_private(self, space: StoredSpace) -> None:
        """Delete those."""
        ...

    async def orphaned_refusals(self, space: StoredSpace) -> int:
        """Return how many refusals of texts are noted that no chunk has any more."""
        ...

    async def drop_orphaned_refusals(self, space: StoredSpace) -> None:
        """Delete those."""
        ...
