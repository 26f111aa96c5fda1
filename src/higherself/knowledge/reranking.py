"""Putting hits in a better order: by a reranker that reads question and passage together.

A reranker is guarded as a tier is: nothing is sent while it is to be left alone, or its day's
tokens are used up. Whatever it does, the hits of the fusion are there, and their order is the one
to fall back on.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.ids import ChunkId
from higherself.knowledge.errors import ProviderUnavailable, TierPaused
from higherself.knowledge.model import Hit
from higherself.knowledge.ports import Reranker, SendsRequests, TierLedger
from higherself.knowledge.revision import in_context
from higherself.knowledge.scores import scores_in_order
from higherself.knowledge.tier_health import TierHealth, TierPolicy, Work

CANDIDATES = 50
"""Hits that are scored, at least: what an answer needs is seldom further down, and each costs."""

NONE = "none"
PROBE = "Does it work?"
RERANKING = Work("knowledge.reranking", "scored")


class GuardedReranker:
    """A reranker with its guard, or the ``reason`` why there is none. Safe for concurrent use.

    ``on_machine`` says that no text leaves this machine; such a one has no limits, and nothing of
    it is written to the ledger. ``configuration`` is a hash of what the reranker was built from,
    see `Standing`.
    """

    def __init__(
        self,
        name: str,
        reranker: Reranker | None,
        *,
        reason: str | None = None,
        on_machine: bool = False,
        clock: Clock = SYSTEM_CLOCK,
        policy: TierPolicy | None = None,
        configuration: bytes = b"",
        ledger: TierLedger | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.reason = reason
        self.on_machine = on_machine
        self._reranker = reranker
        policy = policy or TierPolicy()
        self._health = TierHealth(
            name,
            clock,
            replace(policy, daily_tokens=None) if on_machine else policy,
            configuration=configuration,
            ledger=None if on_machine or reranker is None else ledger,
            draw=draw,
            work=RERANKING,
        )
        if isinstance(reranker, SendsRequests):
            reranker.guard = self._health

    @property
    def live(self) -> bool:
        """Whether there is a reranker; it may be paused all the same."""
        return self._reranker is not None

    async def rerank(self, query: str, passages: Sequence[str]) -> list[float]:
        """Return one score per passage, in their order: the higher, the better it answers.

        Raises
            TierPaused: there is none, or it is left alone, or has used up its tokens of the day;
                no request left.
            ProviderUnavailable: it failed, in whatever way.
        """
        if self._reranker is None:
            raise self._off()
        if not passages:
            return []
        self._health.require()
        try:
            return await self._reranked(self._reranker, query, passages)
        except ProviderUnavailable:
            raise
        except Exception as error:  # a reranker of somebody else's may raise anything
            said = str(error) if isinstance(error, HigherSelfError) else repr(error)
            raise ProviderUnavailable(f"{self.name} failed: {said}") from error

    async def probe(self) -> None:
        """Ask it something short, though it is left alone: for a person who wants to know.

        Raises
            HigherSelfError: what is wrong.
        """
        self._health.cut_pause_short()
        await self.rerank(PROBE, [PROBE])

    def unavailable(self) -> TierPaused | None:
        """Return why it cannot be asked now, with when to come back; None if it can."""
        return self._off() if self._reranker is None else self._health.refusal()

    async def recall(self) -> None:
        """Read what the ledger knows of it; to be called once, before the first use."""
        await self._health.recall()

    async def close(self) -> None:
        """Write what is not written yet, and release what the reranker holds."""
        await self._health.close()
        if self._reranker is not None and (closing := self._reranker.close()) is not None:
            await closing

    def described(self) -> dict[str, Any]:
        """Return what there is to show. The counts are those of today, in UTC."""
        return {
            "name": None if self.name == NONE else self.name,
            **(self._health.described() if self.live else self._health.described_off(self.reason)),
            "model": self._reranker.model if self._reranker else None,
            "on_machine": self.on_machine,
        }

    async def _reranked(
        self, reranker: Reranker, query: str, passages: Sequence[str]
    ) -> list[float]:
        if isinstance(reranker, SendsRequests):
            scores = await reranker.rerank(query, passages)
            return scores_in_order(enumerate(scores), count=len(passages), reranker=self.name)
        with self._health.request(texts=len(passages), tokens=0):
            scores = await reranker.rerank(query, passages)
            return scores_in_order(enumerate(scores), count=len(passages), reranker=self.name)

    def _off(self) -> TierPaused:
        return TierPaused(f"there is no reranker: {self.reason}", permanent=True)


def no_reranker(reason: str = "HIGHERSELF_RERANKER is not set") -> GuardedReranker:
    """Return none, and why."""
    return GuardedReranker(NONE, None, reason=reason)


@dataclass(frozen=True, slots=True)
class Reordered:
    """Hits, who gave them their order, and why it is that of the fusion if nobody could."""

    hits: Sequence[Hit]
    reranker: str | None = None
    reason: str | None = None


async def reordered(reranker: GuardedReranker, query: str, hits: Sequence[Hit]) -> Reordered:
    """Return ``hits`` as ``reranker`` orders them, or as they are, with the reason.

    A passage that must not leave this machine is shown to no reranker elsewhere. It keeps the
    place that the fusion gave it, and the others are put in order around it.
    """
    if (paused := reranker.unavailable()) is not None:
        return Reordered(hits, reason=f"not reranked: {paused}")
    shown = [hit for hit in hits if reranker.on_machine or not hit.document.local_only]
    if not shown:
        return Reordered(hits)
    try:
        scores = await reranker.rerank(query, [_read(hit) for hit in shown])
    except ProviderUnavailable as error:
        return Reordered(hits, reason=f"not reranked: {error}")
    by_chunk = {hit.chunk.id: score for hit, score in zip(shown, scores, strict=True)}
    return Reordered(by_score(hits, by_chunk), reranker=reranker.name)


def by_score(hits: Sequence[Hit], scores: Mapping[ChunkId, float]) -> list[Hit]:
    """Return ``hits`` by their ``scores``, best first; one that has none keeps its place.

    Hits of the same score keep their order.
    """
    scored = [hit for hit in hits if hit.chunk.id in scores]
    best = iter(sorted(scored, key=lambda hit: -scores[hit.chunk.id]))
    ordered = [next(best) if hit.chunk.id in scores else hit for hit in hits]
    return [
        replace(hit, rank=rank, why=replace(hit.why, rerank_score=scores.get(hit.chunk.id)))
        for rank, hit in enumerate(ordered, start=1)
    ]


def _read(hit: Hit) -> str:
    """Return what a reranker reads of a hit: the passage under its title and headings."""
    return in_context(hit.document.title, hit.chunk.heading.split(" > "), hit.chunk.text)
