"""Rerankers that are asked over the network: Voyage AI's, and servers with a ``/rerank`` route.

That route is Cohere's and Jina's; vLLM, LiteLLM, Infinity and llama.cpp have it beside OpenAI's
protocol. It is asked through the client of OpenAI's SDK (extra ``openai``), Voyage through its own
(extra ``voyage``); both are loaded on first use.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Protocol

from higherself.kernel.clock import Clock
from higherself.knowledge.errors import ProviderUnavailable
from higherself.knowledge.ports import RequestGuard
from higherself.knowledge.providers.faults import Account, RequestRefused
from higherself.knowledge.providers.openai import OpenAIConnection
from higherself.knowledge.providers.portions import (
    Limits,
    beginning,
    estimated_tokens,
    portions,
)
from higherself.knowledge.providers.remote import HARMLESS, Unguarded
from higherself.knowledge.providers.retrying import FOR_A_QUESTION, Patience, in_time, retried
from higherself.knowledge.providers.voyage import VoyageConnection
from higherself.knowledge.scores import scores_in_order

VOYAGE, OPENAI = "voyage-rerank", "openai-rerank"
"""What they are called where tiers are told apart: the same vendor may embed, too."""

VOYAGE_MODEL = "rerank-2.5"
VOYAGE_WINDOWS = {
    "rerank-2.5": 32_000,
    "rerank-2.5-lite": 32_000,
    "rerank-2": 16_000,
    "rerank-2-lite": 8_000,
}
"""How many tokens question and passage may have together, as Voyage's documentation says."""

WINDOW = 8_000
"""Of a model that this release does not know."""

QUESTION = 4
"""The question's share of the window is one in so many, which is what Voyage allows, too."""

PASSAGES, TOKENS = 100, 300_000
"""The most of one request: half of what Voyage takes, as fewer passages are answered sooner."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What came back: scores with their index, and the tokens to pay for, if it says so."""

    rows: Sequence[tuple[int, float]]
    tokens: int | None


class RerankEndpoint(Protocol):
    """Sends requests to one vendor."""

    async def open(self) -> None:
        """Get ready, once: load the SDK, say."""
        ...

    async def post(self, query: str, passages: Sequence[str]) -> Scored:
        """Send one request, without trying again. It is cancelled when it takes too long.

        Raises
            RequestRefused: there is something about the texts.
            ProviderUnavailable: anything else went wrong.
        """
        ...

    async def close(self) -> None:
        """Release the connections."""
        ...


class RemoteReranker:
    """A `Reranker` behind an endpoint. Whoever guards it puts a ``guard`` before every request.

    ``window`` is how many tokens question and passage may have together, by the estimate.
    """

    guard: RequestGuard

    def __init__(
        self,
        name: str,
        endpoint: RerankEndpoint,
        *,
        model: str,
        window: int,
        clock: Clock,
        question: Patience = FOR_A_QUESTION,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.model = model
        self.window = window
        self.guard = Unguarded()
        self._endpoint = endpoint
        self._limits = Limits(window=window, texts=PASSAGES, tokens=TOKENS)
        self._clock = clock
        self._patience = question
        self._draw = draw

    async def rerank(self, query: str, passages: Sequence[str]) -> list[float]:
        """Return one score per passage, in their order: the higher, the better it answers.

        Of a question beyond a quarter of the window, and of a passage beyond what that leaves, the
        beginning is sent. One request after the other, each with at most a hundred passages and
        tried for three seconds. Loading the SDK, once for each process, comes on top.

        Raises
            ProviderUnavailable: it failed, or refuses these texts.
        """
        if not passages:
            return []
        await self._endpoint.open()
        query = beginning(query, self.window // QUESTION)
        beside = estimated_tokens(query)
        texts = [beginning(passage, self.window - beside) for passage in passages]
        scores: list[float] = []
        for portion in portions(texts, self._limits, beside=beside):
            scores += await self._scored(query, texts[portion.start : portion.stop])
        return scores

    async def close(self) -> None:
        """Release the connections."""
        await self._endpoint.close()

    async def _scored(self, query: str, texts: Sequence[str]) -> list[float]:
        try:
            return await self._requested(query, texts, self._patience)
        except RequestRefused as refusal:
            await self._refuses_not_everything()
            raise ProviderUnavailable(str(refusal)) from refusal

    async def _refuses_not_everything(self) -> None:
        """Return if a harmless request is taken: so it is not the model.

        Raises
            ProviderUnavailable: that is refused as well, which its guard gets to know.
        """
        once = replace(self._patience, tries=1)
        await self._requested(HARMLESS, [HARMLESS], once, harmless=True)

    async def _requested(
        self, query: str, texts: Sequence[str], patience: Patience, *, harmless: bool = False
    ) -> list[float]:
        tokens = sum(map(estimated_tokens, texts)) + len(texts) * estimated_tokens(query)

        async def attempt(within: timedelta) -> list[float]:
            with self.guard.request(texts=len(texts), tokens=tokens) as spent:
                try:
                    answer = self._endpoint.post(query, texts)
                    scored = await in_time(answer, within, tier=self.name)
                except RequestRefused as refusal:
                    if not harmless:
                        raise
                    raise ProviderUnavailable(
                        f"{self.name} refuses every request: {refusal}; check the model",
                        permanent=True,
                    ) from refusal
                spent.tokens = tokens if scored.tokens is None else scored.tokens
                return scores_in_order(scored.rows, count=len(texts), reranker=self.name)

        return await retried(
            attempt, patience=patience, guard=self.guard, clock=self._clock, draw=self._draw
        )


def voyage_reranker(
    key: str, *, base_url: str, model: str, window: int | None, clock: Clock, **patience: Any
) -> RemoteReranker:
    """Return Voyage's. No ``window``: the model's own. ``patience`` is passed on."""
    account = Account(
        tier=VOYAGE,
        key=key,
        key_setting="VOYAGE_API_KEY",
        url_setting="VOYAGE_BASE_URL",
        model_setting="HIGHERSELF_RERANKER_MODEL",
        answer="list of scores",
    )
    return RemoteReranker(
        VOYAGE,
        VoyageReranking(VoyageConnection(account, base_url=base_url, clock=clock), model=model),
        model=model,
        window=window or VOYAGE_WINDOWS.get(model, WINDOW),
        clock=clock,
        **patience,
    )


def openai_reranker(
    key: str,
    *,
    key_setting: str,
    base_url: str,
    url_setting: str,
    model: str,
    window: int | None,
    clock: Clock,
    **patience: Any,
) -> RemoteReranker:
    """Return that of a server with the route ``/rerank``. ``patience`` is passed on."""
    account = Account(
        tier=OPENAI,
        key=key,
        key_setting=key_setting,
        url_setting=url_setting,
        model_setting="HIGHERSELF_RERANKER_MODEL",
        answer="list of scores",
    )
    return RemoteReranker(
        OPENAI,
        OpenAIReranking(OpenAIConnection(account, base_url=base_url, clock=clock), model=model),
        model=model,
        window=window or WINDOW,
        clock=clock,
        **patience,
    )


class VoyageReranking:
    """Asks Voyage AI for scores."""

    def __init__(self, connection: VoyageConnection, *, model: str) -> None:
        self._connection = connection
        self._model = model

    async def open(self) -> None:
        """Load the SDK."""
        await self._connection.open()

    async def post(self, query: str, passages: Sequence[str]) -> Scored:
        """Send one request.

        Raises
            RequestRefused: there is something about the texts, or the model.
            ProviderUnavailable: anything else went wrong.
        """
        asked = {
            "query": query,
            "documents": list(passages),
            "model": self._model,
            "truncation": False,  # what is cut, is cut here
        }
        return await self._connection.ask("Reranking", asked, _scored_by_voyage)

    async def close(self) -> None:
        """Release the connections."""
        await self._connection.close()


class OpenAIReranking:
    """Asks a server with the route ``/rerank`` for scores."""

    def __init__(self, connection: OpenAIConnection, *, model: str) -> None:
        self._connection = connection
        self._model = model

    async def open(self) -> None:
        """Load the SDK."""
        await self._connection.open()

    async def post(self, query: str, passages: Sequence[str]) -> Scored:
        """Send one request. The SDK knows no such route, but its client posts to any.

        Raises
            RequestRefused: there is something about the texts, or the model.
            ProviderUnavailable: anything else went wrong.
        """
        asked = {
            "model": self._model,
            "query": query,
            "documents": list(passages),
            "top_n": len(passages),  # all of them: some give fewer unless asked
        }
        return await self._connection.ask(
            lambda client: client.post("/rerank", cast_to=object, body=asked), _scored
        )

    async def close(self) -> None:
        """Release the connections."""
        await self._connection.close()


def _scored_by_voyage(answer: Any) -> Scored:
    rows = [(int(row.index), float(row.relevance_score)) for row in answer.data]
    return Scored(rows, int(answer.usage.total_tokens))


def _scored(answer: Any) -> Scored:
    rows = [(int(row["index"]), float(row["relevance_score"])) for row in answer["results"]]
    # Not all of them say, and Cohere counts in units of its own.
    usage = answer.get("usage") or {}
    tokens = usage.get("total_tokens")
    return Scored(rows, None if tokens is None else int(tokens))
