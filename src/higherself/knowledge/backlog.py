"""What waits for a provider is embedded when it answers again: resumable, gently, to the last text.

There is no queue that could lose anything: what waits is found by comparing what is stored with
what has a vector. Deleting a document therefore leaves nothing queued.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.knowledge.embedding import embed
from higherself.knowledge.model import StoredSpace
from higherself.knowledge.ports import Catalogue, Content, DocumentStore, EmbeddingProvider, Filling
from higherself.knowledge.roster import Roster

AT_ONCE = 96
"""Texts embedded and stored together."""

NOTHING: Content = (b"", "")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one space is."""

    space: str
    done: int
    waiting: int


@dataclass(slots=True)
class Filled:
    """What became of what waited for one space. ``reason`` says why something waits still."""

    space: str
    embedded: int = 0
    refused: int = 0
    waiting: int = 0
    reason: str | None = None
    refusals: list[str] = field(default_factory=list)


Report = Callable[[Progress], None]


class Backlog:
    """Embeds what waits. One instance serves any number of callers."""

    def __init__(
        self, store: DocumentStore, catalogue: Catalogue, roster: Roster, clock: Clock
    ) -> None:
        self._store = store
        self._clock = clock
        self._catalogue = catalogue
        self._roster = roster

    async def fill(
        self,
        space: StoredSpace,
        provider: EmbeddingProvider,
        *,
        report: Report = lambda progress: None,
        gently: bool = False,
    ) -> Filled:
        """Embed what waits for ``space``, until nothing does or the provider fails.

        What is embedded is stored batch by batch, so a second call goes on where one was stopped.
        ``gently`` leaves half of the time to whoever searches meanwhile.
        """
        filled = Filled(space.name)
        filled.waiting = (await self._catalogue.coverage(space)).waiting
        await self._store.expect_vectors(space, filled.waiting)
        while filled.reason is None and not await self._store.settle(space):
            before = filled.embedded + filled.refused
            await self._pass(space, provider, filled, report, gently=gently)
            if filled.embedded + filled.refused == before:
                break
        await self._store.index_vectors(space, gently=gently)
        self._roster.forget()
        filled.waiting = (await self._catalogue.coverage(space)).waiting
        telemetry.gauge("knowledge.backlog.waiting", filled.waiting, space=space.name)
        return filled

    async def catch_up(
        self, *, report: Report = lambda progress: None, gently: bool = False
    ) -> list[Filled]:
        """Fill every space in which something waits, of the tiers that may be asked now."""
        due = [
            member
            for member in await self._roster.writing()
            if member.stored.waiting and member.tier.available()
        ]
        return [
            await self.fill(member.stored, member.tier, report=report, gently=gently)
            for member in due
        ]

    async def _pass(
        self,
        space: StoredSpace,
        provider: EmbeddingProvider,
        filled: Filled,
        report: Report,
        *,
        gently: bool,
    ) -> None:
        """Go once through what waits, in the order of the hashes."""
        after = NOTHING
        while waiting := await self._catalogue.uncovered(space, after=after, limit=AT_ONCE):
            began = self._clock.monotonic()
            made = await embed(provider, dict(waiting))
            await self._store.fill(Filling(space, made.vectors, made.refused))
            filled.embedded += len(made.vectors)
            filled.refused += len(made.refused)
            filled.refusals = [*filled.refusals, *made.refused.values()][:5]
            filled.waiting = max(0, filled.waiting - len(made.vectors) - len(made.refused))
            report(Progress(space.name, filled.embedded, filled.waiting))
            telemetry.count("knowledge.backlog.embedded", len(made.vectors), space=space.name)
            telemetry.gauge("knowledge.backlog.waiting", filled.waiting, space=space.name)
            if made.reason is not None:
                filled.reason = made.reason
                return
            after = waiting[-1][0]
            if gently:
                await self._clock.sleep(timedelta(seconds=self._clock.monotonic() - began))
