"""Deleting for good: whatever was made of a document goes too, and afterwards it is looked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from higherself.kernel.ids import DocumentId
from higherself.knowledge.errors import TracesLeft


@dataclass(frozen=True, slots=True)
class Erased:
    """Documents that were deleted, and the proof: how many rows of them each table still has.

    All those numbers are 0. Their identifiers are given unless a whole business was forgotten.
    """

    documents: int
    proof: Mapping[str, int]
    ids: tuple[DocumentId, ...] = ()


@dataclass(frozen=True, slots=True)
class Shredded:
    """What was written anew, so that no byte of what was deleted is in its files any more.

    ``skipped`` says what was not, and why; ``unseen`` counts deleted rows that stay for now,
    because a transaction that began before still sees them.
    """

    tables: int
    skipped: tuple[str, ...] = ()
    unseen: Mapping[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing of what was deleted is left in any table's file."""
        return not self.skipped and not any(self.unseen.values())


def proven(erased: Erased) -> Erased:
    """Return ``erased`` if nothing is left.

    Raises
        TracesLeft: something is; the text says where.
    """
    left = {table: rows for table, rows in erased.proof.items() if rows}
    if left:
        raise TracesLeft(left)
    return erased
