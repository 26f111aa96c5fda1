"""How much a space covers is counted once at a time, and nobody who searches waits for it twice."""

import asyncio
from typing import Any, cast

from higherself.kernel.ids import SpaceId
from higherself.knowledge.model import EmbeddingSpace, StoredSpace
from higherself.knowledge.ports import Catalogue, Coverage, DocumentStore
from higherself.knowledge.roster import COUNTED, Member, Roster
from higherself.knowledge.tiers import Tier
from higherself.testing.clock import ManualClock

SPACE = StoredSpace(
    SpaceId(1),
    EmbeddingSpace(name="far/8", provider="far", model="far", dimensions=8),
    tier="far",
    waiting=True,
)


class SlowCount:
    """Counts as slowly as a large store does: until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()

    async def coverage(self, space: StoredSpace) -> Coverage:
        self.begun += 1
        await self.go.wait()
        return Coverage(chunks=100, covered=self.begun)


def roster_with(counts: SlowCount, clock: ManualClock) -> Roster:
    nothing: Any = None
    return Roster(cast("DocumentStore", nothing), cast("Catalogue", counts), clock, [])


def test_searches_that_come_together_count_once_and_then_go_by_the_last_count() -> None:
    async def run() -> None:
        counts, clock = SlowCount(), ManualClock()
        roster = roster_with(counts, clock)
        member = Member(Tier("far", None, reason="none"), SPACE)
        covered: list[int] = []

        async def ask() -> None:
            coverage = (await roster.standing(member)).coverage
            assert coverage is not None
            covered.append(coverage.covered)

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(ask())
            await asyncio.sleep(0)
            counts.go.set()
        assert covered == [1] * 20

        counts.go.clear()
        clock.move(2 * COUNTED)
        async with asyncio.TaskGroup() as group:
            group.create_task(ask())  # counts
            await asyncio.sleep(0)
            for _ in range(20):
                await ask()  # goes by what is known
            assert counts.begun == 2
            counts.go.set()
        assert covered == [1] * 40 + [2]

    asyncio.run(run())
