"""Tiers: the places in the order in which embedding providers are tried.

A tier guards its provider and is one itself. It sends nothing while the provider is to be left
alone, or its day's tokens are used up; whatever goes wrong in there comes out as
`ProviderUnavailable`, so that whoever asks can turn to the next tier. Which one that is, and for
which space, is not decided here: vectors of different spaces are never exchanged for one another.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.errors import HigherSelfError
from higherself.knowledge.errors import ProviderUnavailable, TierPaused
from higherself.knowledge.model import EmbeddingSpace
from higherself.knowledge.ports import (
    EmbeddingProvider,
    Purpose,
    SendsRequests,
    TierLedger,
    Vectors,
)
from higherself.knowledge.tier_health import TierHealth, TierPolicy
from higherself.knowledge.vectors import unit_rows

PROBE = "Does it work?"


class Tier:
    """A provider with its guard, or the ``reason`` why there is none. Safe for concurrent use.

    ``on_machine`` says that no text leaves this machine. Such a tier has no limits, and nothing
    of it is written to the ledger. ``configuration`` is a hash of what the provider was built
    from, see `Standing`.
    """

    def __init__(
        self,
        name: str,
        provider: EmbeddingProvider | None,
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
        self._provider = provider
        self._policy = policy or TierPolicy()
        if on_machine:
            self._policy = replace(self._policy, daily_tokens=None)
        self._health = TierHealth(
            name,
            clock,
            self._policy,
            configuration=configuration,
            ledger=None if on_machine or provider is None else ledger,
            draw=draw,
        )
        self._clock = clock
        self._slots = None if on_machine else asyncio.Semaphore(self._policy.concurrency)
        if isinstance(provider, SendsRequests):
            provider.guard = self._health

    @property
    def live(self) -> bool:
        """Whether there is a provider; it may be paused all the same."""
        return self._provider is not None

    @property
    def space(self) -> EmbeddingSpace:
        """The space its vectors belong to. Only a live tier has one."""
        return self._own().space

    @property
    def window(self) -> int:
        """The most tokens a text may have, special tokens included."""
        return self._own().window

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has for this model, special tokens included."""
        return self._own().count_tokens(texts)

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> Vectors:
        """Return one unit-length vector per text, in the order of ``texts``.

        Documents wait for one of the tier's slots, questions do not.

        Raises
            TierPaused: the tier is off, is left alone, or has used up its tokens of the day; no
                request left.
            ProviderUnavailable: the provider failed, in whatever way.
            TextsRefused: it refuses some texts; the vectors of the others come along.
            TextTooLong: a text exceeds the window.
        """
        provider = self._own()
        if texts:
            self._health.require()
        async with self._slot(purpose):
            try:
                return await self._embedded(provider, texts, purpose)
            except ProviderUnavailable as error:
                if error.retry_after is None:
                    error.retry_after = self._health.pause() or None
                raise
            except HigherSelfError:
                raise
            except Exception as error:  # a provider of somebody else's may raise anything
                raise ProviderUnavailable(
                    f"{self.name} failed: {type(error).__name__}: {error}"
                ) from error

    async def probe(self) -> None:
        """Send one short text, though the tier is left alone: for a person who wants to know.

        Raises
            HigherSelfError: what is wrong.
        """
        self._health.cut_pause_short()
        await self.embed([PROBE], purpose="query")

    def available(self) -> bool:
        """Whether a request may leave: the tier is live, its circuit closed or a probe due."""
        return self.unavailable() is None

    def unavailable(self) -> TierPaused | None:
        """Return why no request may leave now, with when to come back; None if one may."""
        if self._provider is None:
            return self._off()
        return self._health.refusal()

    async def recall(self) -> None:
        """Read what the ledger knows of the tier; to be called once, before the first use."""
        await self._health.recall()

    async def close(self) -> None:
        """Write what is not written yet, and release what the provider holds."""
        await self._health.close()
        if self._provider is not None and (closing := self._provider.close()) is not None:
            await closing

    def described(self) -> dict[str, Any]:
        """Return what there is to show. The counts are those of today, in UTC."""
        space = self._provider.space if self._provider else None
        return {
            "tier": self.name,
            **(self._health.described() if self.live else self._health.described_off(self.reason)),
            "space": space.name if space else None,
            "model": getattr(self._provider, "model", space.model) if space else None,
            "dimensions": space.dimensions if space else None,
            "on_machine": self.on_machine,
        }

    async def _embedded(
        self, provider: EmbeddingProvider, texts: Sequence[str], purpose: Purpose
    ) -> Vectors:
        if not texts or isinstance(provider, SendsRequests):
            return await provider.embed(texts, purpose=purpose)
        if self.on_machine:
            with self._health.request(texts=len(texts), tokens=0):
                return await provider.embed(texts, purpose=purpose)
        tokens = sum(provider.count_tokens(texts))
        with self._health.request(texts=len(texts), tokens=tokens) as spent:
            vectors = np.asarray(await provider.embed(texts, purpose=purpose))
            spent.tokens = tokens
            dimensions = provider.space.dimensions
            return unit_rows(vectors, count=len(texts), dimensions=dimensions, tier=self.name)

    def _slot(self, purpose: Purpose) -> AbstractAsyncContextManager[None]:
        if self._slots is None or purpose == "query":
            return nullcontext()
        return self._slots

    def _own(self) -> EmbeddingProvider:
        if self._provider is None:
            raise self._off()
        return self._provider

    def _off(self) -> TierPaused:
        return TierPaused(f"the embedding tier {self.name} is off: {self.reason}", permanent=True)
