"""A provider that costs nothing, for tests in which it does not matter what is near to what."""

from collections.abc import Sequence

import numpy as np

from higherself.knowledge.model import EmbeddingSpace
from higherself.knowledge.ports import Purpose, Vectors
from higherself.testing.embeddings import meaning, tokens_of


class WordsProvider:
    """Vectors of the words of a text. Remembers the texts that it embedded as documents."""

    window = 256

    def __init__(self, *, name: str = "words/32", dimensions: int = 32) -> None:
        self.space = EmbeddingSpace(
            name=name, provider="words", model="words", dimensions=dimensions
        )
        self.embedded: list[str] = []
        self.calls = 0

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [tokens_of(text) + 2 for text in texts]

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> Vectors:
        self.calls += 1
        if purpose == "document":
            self.embedded += texts
        dimensions = self.space.dimensions
        vectors = [meaning(text, self.space.name, dimensions) for text in texts]
        return np.array(vectors, np.float32).reshape(-1, dimensions)

    def close(self) -> None: ...
