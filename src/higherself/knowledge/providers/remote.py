"""What the providers that are asked over the network share: portions, retries, refused texts.

A vendor's module has the endpoint, which sends one request through the vendor's own SDK and says
what came back. Everything else is here, once.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import numpy as np

from higherself.kernel.clock import Clock
from higherself.knowledge.errors import ProviderUnavailable, TextsRefused
from higherself.knowledge.model import EmbeddingSpace
from higherself.knowledge.ports import Purpose, RequestGuard, Spent, Vectors
from higherself.knowledge.providers.faults import RequestRefused
from higherself.knowledge.providers.portions import Limits, estimated_tokens, portions
from higherself.knowledge.providers.retrying import (
    FOR_A_QUESTION,
    FOR_DOCUMENTS,
    Patience,
    in_time,
    retried,
)
from higherself.knowledge.vectors import in_order, unit_rows

HARMLESS = "Does it work?"
"""A text that no provider refuses for what it is."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: the vectors with their index, and the tokens to pay for, if it says so."""

    rows: Sequence[tuple[int, Sequence[float]]]
    tokens: int | None


class Endpoint(Protocol):
    """Sends requests to one vendor."""

    async def open(self) -> None:
        """Get ready, once: load the SDK, say."""
        ...

    async def post(self, texts: Sequence[str], purpose: Purpose) -> Response:
        """Send one request, without trying again. It is cancelled when it takes too long.

        Raises
            RequestRefused: there is something about the texts.
            ProviderUnavailable: anything else went wrong.
        """
        ...

    async def close(self) -> None:
        """Release the connections."""
        ...


class Unguarded:
    """Lets every request leave: for a provider that is used without a tier."""

    def request(self, *, texts: int, tokens: int) -> AbstractContextManager[Spent]:
        """Stand around one request."""
        return nullcontext(Spent())

    def pause(self) -> timedelta:
        """Return zero."""
        return timedelta(0)


@dataclass(slots=True)
class _Call:
    """The texts of one call of `embed`, and what has become of them."""

    texts: Sequence[str]
    purpose: Purpose
    vectors: Vectors
    reasons: dict[int, str] = field(default_factory=dict)
    accepted: bool = False


class RemoteEmbeddings:
    """An `EmbeddingProvider` behind an endpoint. A tier puts its ``guard`` before every request.

    ``model`` is what the vendor calls it; several models may share a space.
    """

    guard: RequestGuard

    def __init__(
        self,
        tier: str,
        endpoint: Endpoint,
        *,
        space: EmbeddingSpace,
        model: str,
        limits: Limits,
        clock: Clock,
        question: Patience = FOR_A_QUESTION,
        documents: Patience = FOR_DOCUMENTS,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.space = space
        self.model = model
        self.window = limits.window
        self.guard = Unguarded()
        self._tier = tier
        self._endpoint = endpoint
        self._limits = limits
        self._clock = clock
        self._patience = {"query": question, "document": documents}
        self._draw = draw

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return about how many tokens each text has, rather too many; see `estimated_tokens`."""
        return [estimated_tokens(text) for text in texts]

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> Vectors:
        """Return one unit-length vector per text, in the order of ``texts``.

        One request after the other, none larger than the vendor takes. A question is tried for
        three seconds, documents for minutes. Loading the SDK, once for each process, comes on top.

        Raises
            TextsRefused: the vendor refuses some texts; the vectors of the others come along.
            ProviderUnavailable: it failed; the vectors of earlier requests of the call are lost.
        """
        shape = len(texts), self.space.dimensions
        call = _Call(texts, purpose, np.full(shape, np.nan, np.float32))
        if texts:
            await self._endpoint.open()
        for portion in portions(texts, self._limits):
            await self._fill(call, portion)
        if call.reasons:
            raise TextsRefused(self._tier, call.reasons, call.vectors)
        return call.vectors

    async def close(self) -> None:
        """Release the connections."""
        await self._endpoint.close()

    async def _fill(self, call: _Call, portion: range) -> None:
        """Embed a portion; when it is refused, find out by halves which of its texts is at fault."""
        texts = call.texts[portion.start : portion.stop]
        try:
            vectors = await self._requested(texts, call.purpose)
        except RequestRefused as refusal:
            if not call.accepted:
                await self._refuses_not_everything(call)
            if len(portion) == 1:
                call.reasons[portion.start] = str(refusal)
                return
            middle = len(portion) // 2
            await self._fill(call, portion[:middle])
            await self._fill(call, portion[middle:])
        else:
            call.accepted = True
            call.vectors[portion.start : portion.stop] = vectors

    async def _refuses_not_everything(self, call: _Call) -> None:
        """Return if a harmless text is taken: so it is not the model or the dimensions.

        Raises
            ProviderUnavailable: that is refused as well, which its guard gets to know.
        """
        await self._requested([HARMLESS], call.purpose, harmless=True)
        call.accepted = True

    async def _requested(
        self, texts: Sequence[str], purpose: Purpose, *, harmless: bool = False
    ) -> Vectors:
        tokens = sum(self.count_tokens(texts))

        async def attempt(within: timedelta) -> Vectors:
            with self.guard.request(texts=len(texts), tokens=tokens) as spent:
                try:
                    answer = self._endpoint.post(texts, purpose)
                    response = await in_time(answer, within, tier=self._tier)
                except RequestRefused as refusal:
                    if not harmless:
                        raise
                    raise ProviderUnavailable(
                        f"{self._tier} refuses every request: {refusal}; check model and "
                        "dimensions",
                        permanent=True,
                    ) from refusal
                spent.tokens = tokens if response.tokens is None else response.tokens
                rows = in_order(response.rows, count=len(texts), tier=self._tier)
                dimensions = self.space.dimensions
                return unit_rows(rows, count=len(texts), dimensions=dimensions, tier=self._tier)

        return await retried(
            attempt,
            patience=self._patience[purpose],
            guard=self.guard,
            clock=self._clock,
            draw=self._draw,
        )
