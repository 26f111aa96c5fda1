"""What skills need of a database: results that all processes share, and what is counted of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from higherself.agents.skills.model import Skill


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to make a result; held until its lease ends, which the holder renews."""

    entity: str
    key: bytes
    holder: UUID


@dataclass(frozen=True, slots=True)
class Tally:
    """How often a version of a skill was asked for, and what came of it.

    ``seconds`` are those of the ``runs``; a ``hit`` took none. ``failures`` are among the runs.
    """

    skill: str
    version: str
    runs: int = 0
    hits: int = 0
    failures: int = 0
    seconds: float = 0.0

    def plus(
        self, *, runs: int = 0, hits: int = 0, failures: int = 0, seconds: float = 0.0
    ) -> "Tally":
        """Return it with more added."""
        return Tally(
            self.skill,
            self.version,
            self.runs + runs,
            self.hits + hits,
            self.failures + failures,
            self.seconds + seconds,
        )

    @property
    def hit_rate(self) -> float | None:
        """The share of answers that came from the cache; None if there was none."""
        asked = self.runs + self.hits
        return self.hits / asked if asked else None


@dataclass(frozen=True, slots=True)
class Kept:
    """How many results of a version of a skill are kept for a business, and their size."""

    skill: str
    version: str
    entity: str
    results: int
    bytes: int
    expires_at: datetime


class SharedResults(Protocol):
    """Results that all processes share. Whoever makes one claims it first, so that one does."""

    lease: timedelta
    """How long a claim holds without being renewed."""

    async def find(self, entity: str, key: bytes) -> bytes | None:
        """Return the result under ``key`` unless its time is over."""
        ...

    async def claim(self, skill: Skill, entity: str, key: bytes) -> Claim | bytes | None:
        """Return the right to make the result, or the result if there is one.

        None: somebody else makes it now; ask again later.
        """
        ...

    async def renew(self, claim: Claim) -> bool:
        """Hold the claim for another lease; False if it is no longer ours."""
        ...

    async def finish(self, claim: Claim, skill: Skill, text: bytes, lifetime: timedelta) -> bool:
        """Store the result and give the claim back; False if it was no longer ours."""
        ...

    async def give_up(self, claim: Claim) -> None:
        """Give the claim back without a result."""
        ...


class SkillRecords(Protocol):
    """What is remembered of skills across processes."""

    async def count(self, tallies: Sequence[Tally]) -> None:
        """Add to what was counted today."""
        ...

    async def clearings(self, since: int) -> Sequence[tuple[int, str | None, str | None]]:
        """Return the orders to forget results after number ``since``: number, skill, business."""
        ...

    async def prune(self) -> int:
        """Delete results whose time is over, and what was counted long ago."""
        ...
