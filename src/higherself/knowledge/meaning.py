"""What is near in meaning: in one space, or in two that are searched apart.

The second space answers for the chunks that the first has no vector of: what is private, or waits
to be embedded. Similarities of different spaces cannot be compared: each is taken as a share of the
best, and only shares are put together.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from higherself.kernel.ids import ChunkId
from higherself.knowledge.model import Candidate, StoredSpace
from higherself.knowledge.ports import Descriptions, SearchReader


@dataclass(frozen=True, slots=True)
class Question:
    """The vector of a query, and the space it belongs to."""

    space: StoredSpace
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class View:
    """In which spaces a question is asked (at most two), and whether that is less than there is."""

    questions: tuple[Question, ...] = ()
    degraded: bool = False
    reason: str | None = None


Near = tuple[list[Candidate], Descriptions]


class Meaning(Protocol):
    """Finds what is near."""

    @property
    def cosines(self) -> dict[ChunkId, float]:
        """The similarity of what was found so far, each in its own space."""
        ...

    async def nearest(
        self, *, among: Sequence[ChunkId] | None, limit: int, described: bool = False
    ) -> Near:
        """Return the nearest chunks; exact when ``among`` is given. See `SearchReader.nearest`."""
        ...

    async def nearest_few(self, *, few: int, limit: int) -> Near | None:
        """Return the same, exact, if the filter allows at most ``few`` chunks; else None."""
        ...


def meaning_in(reader: SearchReader, questions: Sequence[Question]) -> Meaning | None:
    """Return what finds the nearest by these questions, if there are any."""
    spaces = [OneSpace(reader, question) for question in questions]
    if len(spaces) < 2:
        return next(iter(spaces), None)
    return TwoSpaces(reader, spaces[0], spaces[1])


class OneSpace:
    """Finds what is near in one space; scores are cosines."""

    def __init__(self, reader: SearchReader, question: Question) -> None:
        self._reader = reader
        self._question = question
        self.cosines: dict[ChunkId, float] = {}

    @property
    def space(self) -> StoredSpace:
        """The space."""
        return self._question.space

    async def nearest(
        self, *, among: Sequence[ChunkId] | None, limit: int, described: bool = False
    ) -> Near:
        """Return the nearest chunks."""
        asked = self._question
        near, descriptions = await self._reader.nearest(
            asked.space, asked.vector, among=among, limit=limit, described=described
        )
        self._note(near)
        return near, descriptions

    async def nearest_few(self, *, few: int, limit: int) -> Near | None:
        """Return the nearest chunks if the filter allows but few."""
        asked = self._question
        found = await self._reader.nearest_few(asked.space, asked.vector, few=few, limit=limit)
        if found is not None:
            self._note(found[0])
        return found

    def _note(self, near: Sequence[Candidate]) -> None:
        self.cosines |= {candidate.chunk_id: candidate.score for candidate in near}


class TwoSpaces:
    """Finds what is near in one space, and in another what the first lacks; scores are shares.

    The second space covers everything. So it also tells how the best that the first one has
    compares with the best there is: by as much the shares of the first are lowered.
    """

    def __init__(self, reader: SearchReader, first: OneSpace, second: OneSpace) -> None:
        self._reader = reader
        self._first = first
        self._second = second
        self._scale: _Scale | None = None
        self.cosines: dict[ChunkId, float] = {}

    async def nearest(
        self, *, among: Sequence[ChunkId] | None, limit: int, described: bool = False
    ) -> Near:
        """Return the nearest chunks of both, each compared in one of the spaces."""
        first, _ = await self._first.nearest(among=among, limit=limit)
        second, _ = await self._second.nearest(among=among, limit=limit)
        lacking = await self._reader.lacking(self._first.space, [c.chunk_id for c in second])
        if self._scale is None:  # by the first, widest look
            self._scale = scale_of(first, second, lacking)
        rest = [candidate for candidate in second if candidate.chunk_id in lacking]
        self.cosines |= {candidate.chunk_id: candidate.score for candidate in (*first, *rest)}
        shares = [Candidate(c.chunk_id, max(c.score, 0.0) * self._scale.first) for c in first]
        shares += [Candidate(c.chunk_id, max(c.score, 0.0) * self._scale.second) for c in rest]
        best = sorted(shares, key=lambda c: (-c.score, c.chunk_id))[:limit]
        found = [candidate.chunk_id for candidate in best]
        return best, await self._reader.describe(found) if described and found else {}

    async def nearest_few(self, *, few: int, limit: int) -> Near | None:
        """Return the same, exact, if the filter allows at most ``few`` chunks; else None."""
        allowed = await self._reader.some_allowed(limit=few + 1)
        if len(allowed) > few:
            return None
        return await self.nearest(among=allowed, limit=limit, described=True)


@dataclass(frozen=True, slots=True)
class _Scale:
    """What turns the similarities of two spaces into shares that can be compared."""

    first: float
    second: float


def scale_of(
    first: Sequence[Candidate], second: Sequence[Candidate], lacking: Collection[ChunkId]
) -> _Scale:
    """Return the scale of two lists, best first, of which the second one covers everything.

    ``lacking`` are the chunks that the first space has no vector of. The best of all has share 1;
    the best of those that the first space has gets the share that it has in the second.

    >>> near = [Candidate(ChunkId(1), 0.8)]
    >>> everything = [Candidate(ChunkId(2), 0.5), Candidate(ChunkId(1), 0.25)]
    >>> scale_of(near, everything, {ChunkId(2)})
    _Scale(first=0.625, second=2.0)
    """
    best = max((c.score for c in second), default=0.0)
    own = max((c.score for c in first), default=0.0)
    if best <= 0:
        return _Scale(1 / own if own > 0 else 0.0, 0.0)
    # None of them among the second's: then they are no nearer than the last of it.
    shared = [c.score for c in second if c.chunk_id not in lacking] or [second[-1].score]
    return _Scale(max(shared) / best / own if own > 0 else 0.0, 1 / best)
