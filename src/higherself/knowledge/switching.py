"""Which space of a tier answers: added, filled beside the old one, compared with it, switched to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from higherself.kernel.errors import Conflict
from higherself.knowledge.model import Filter, StoredSpace
from higherself.knowledge.ports import Catalogue, DocumentStore, SearchIndex
from higherself.knowledge.roster import Member, Roster

SAMPLE = 50
"""Texts that both spaces are asked for."""
FOUND_AMONG = 10
WORSE = 0.05
"""The share of the sample by which a new space may find less than the old one."""
WORDS_OF_A_QUESTION = 12


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many of a sample of passages each space finds among ten, asked with words from them."""

    sample: int
    old: str | None
    old_recall: float | None
    new: str
    new_recall: float

    @property
    def acceptable(self) -> bool:
        """Whether the new space is about as good, at least."""
        return self.old_recall is None or self.new_recall >= self.old_recall - WORSE


class Switching:
    """Changes which space answers for a tier."""

    def __init__(
        self, store: DocumentStore, catalogue: Catalogue, index: SearchIndex, roster: Roster
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._index = index
        self._roster = roster

    async def activate(self, space: StoredSpace, *, force: bool = False) -> Comparison | None:
        """Make ``space`` the one that answers for its tier, once it is covered and good enough.

        Searches under way end in the space they began in; from the next one on it is the new one.
        Returns what was compared; None if ``force`` is to do without.

        Raises
            Conflict: something waits in the space still, its tier is off, or it finds less.
        """
        if space.tier is None:
            raise Conflict(f"{space.name} belongs to no tier: its vectors come with the documents")
        comparison = None
        if not force:
            coverage = await self._catalogue.coverage(space)
            if coverage.waiting:
                raise Conflict(
                    f"{space.name} covers {coverage.share:.1%} of the chunks and {coverage.waiting} "
                    f"wait; fill it first: `higherself knowledge reembed --space {space.name}`"
                )
            comparison = await self._compared(space)
            if not comparison.acceptable:
                raise Conflict(
                    f"{space.name} finds {comparison.new_recall:.0%} of a sample of "
                    f"{comparison.sample} passages, {comparison.old} {comparison.old_recall:.0%}; "
                    "say --force to switch all the same"
                )
        await self._store.set_state(space, "active")
        self._roster.forget()
        return comparison

    async def retire(self, space: StoredSpace) -> None:
        """Fill ``space`` no longer, and search it no longer; its vectors stay until it is dropped.

        Raises
            Conflict: it is the only one that answers for its tier.
        """
        members = await self._roster.writing()
        answers = any(member.stored.name == space.name for member in members)
        if answers and space.state == "active":
            raise Conflict(
                f"{space.name} answers for the tier {space.tier}; activate another of its spaces "
                "first, or take the tier out of HIGHERSELF_EMBEDDING_TIERS"
            )
        await self._store.set_state(space, "retired")
        self._roster.forget()

    async def drop(self, space: StoredSpace) -> None:
        """Delete ``space`` with all its vectors.

        Raises
            Conflict: it is not retired.
        """
        if space.tier is not None and space.state != "retired":
            raise Conflict(
                f"{space.name} is {space.state}; retire it first: "
                f"`higherself knowledge spaces retire {space.name}`"
            )
        await self._store.drop_space(space)
        self._roster.forget()

    async def _compared(self, space: StoredSpace) -> Comparison:
        members = await self._roster.writing()
        new = next((m for m in members if m.stored.name == space.name), None)
        if new is None:
            raise Conflict(f"nobody here embeds into {space.name}; see `knowledge providers`")
        old = next(
            (
                m
                for m in members
                if m.stored.tier == space.tier and m.stored.state == "active" and m is not new
            ),
            None,
        )
        sample = await self._catalogue.sample(on_machine=space.on_machine, limit=SAMPLE)
        found = await self._recall(new, sample)
        before = None if old is None else await self._recall(old, sample)
        return Comparison(len(sample), old.stored.name if old else None, before, space.name, found)

    async def _recall(self, member: Member, sample: Sequence[tuple[int, str]]) -> float:
        if not sample:
            return 1.0
        questions = [" ".join(text.split()[:WORDS_OF_A_QUESTION]) for _, text in sample]
        vectors = await member.tier.embed(questions, purpose="query")
        found = 0
        async with self._index.reading(Filter(), depth=FOUND_AMONG) as reader:
            for (chunk, _), vector in zip(sample, np.asarray(vectors), strict=True):
                near, _ = await reader.nearest(
                    member.stored, vector, among=None, limit=FOUND_AMONG, described=False
                )
                found += any(candidate.chunk_id == chunk for candidate in near)
        return round(found / len(sample), 4)
