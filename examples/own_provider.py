"""Embed with a model of your own: a provider is a class with five members.

This one counts letters, so that the example needs no model; yours would call one. Run it with
``.venv/bin/python examples/own_provider.py``. It takes out again what it put in; the empty
embedding space stays.
"""
# ruff: noqa: T201  an example prints

import asyncio
from collections.abc import Sequence

import numpy as np

from higherself import HigherSelf
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.catalogue_postgres import PostgresCatalogue
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import EmbeddingSpace, NewDocument
from higherself.knowledge.ports import Purpose, Vectors
from higherself.knowledge.postgres import PostgresDocuments
from higherself.knowledge.search_postgres import PostgresSearch
from higherself.knowledge.tiers import Tier

ENTITY = "docs_example"


class LetterEmbeddings:
    """Embeds a text as how often it has each letter."""

    space = EmbeddingSpace(
        name="example/letters/26", provider="example", model="letters", dimensions=26
    )
    window = 1_000

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has for this model: characters, here."""
        return [len(text) for text in texts]

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> Vectors:
        """Return one vector of length one for each text."""
        vectors = np.zeros((len(texts), 26), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for letter in filter(str.isascii, filter(str.isalpha, text.lower())):
                vector[ord(letter) - ord("a")] += 1
            vector /= np.linalg.norm(vector)
        return vectors

    def close(self) -> None:
        """Release what it holds: nothing."""


def hub_with(hs: HigherSelf, provider: LetterEmbeddings) -> KnowledgeHub:
    """Return the knowledge hub of ``hs``, with ``provider`` instead of the usual tiers."""
    return KnowledgeHub(
        store=PostgresDocuments(hs.database, SYSTEM_CLOCK),
        index=PostgresSearch(hs.database),
        catalogue=PostgresCatalogue(hs.database),
        clock=SYSTEM_CLOCK,
        tiers=[Tier("letters", provider, on_machine=True)],
    )


async def main() -> None:
    """Add two documents through the provider, and search."""
    async with HigherSelf.open() as hs:
        hub = hub_with(hs, LetterEmbeddings())
        await hub.add(
            NewDocument(external_id=word, text=word, entity=ENTITY) for word in ("listen", "banana")
        )
        answer = await hub.search("silent", mode="vector", entity=ENTITY)
        for hit in answer.hits:
            print(f"{hit.rank}. {hit.document.external_id}, similarity {hit.why.similarity:.1f}")
        await hub.forget(ENTITY)


if __name__ == "__main__":
    asyncio.run(main())
