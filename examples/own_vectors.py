"""Store vectors of your own, and search with one: for whoever embeds elsewhere.

Run it with ``.venv/bin/python examples/own_vectors.py``. It takes out again what it put in; the
empty embedding space stays.
"""
# ruff: noqa: T201  an example prints

import asyncio

from higherself import HigherSelf
from higherself.knowledge.model import EmbeddingSpace, NewDocument

ENTITY = "docs_example"

# The name says for ever what made the vectors. Vectors of two spaces are never compared.
SPACE = EmbeddingSpace(name="example/colours/3", provider="example", model="colours", dimensions=3)

COLOURS = {"tomato": (0.9, 0.2, 0.1), "fern": (0.1, 0.8, 0.2), "sea": (0.1, 0.3, 0.9)}


async def main() -> None:
    """Add three documents with their vectors, then ask for what is nearest to a fourth."""
    async with HigherSelf.open() as hs:
        documents = [
            (NewDocument(external_id=name, text=f"The colour of {name}.", entity=ENTITY), vector)
            for name, vector in COLOURS.items()
        ]
        report = await hs.knowledge.add_embedded(documents, space=SPACE)
        print(f"{report.created} documents added")

        answer = await hs.knowledge.search(
            "a leaf", mode="vector", vector=(0.2, 0.9, 0.3), space=SPACE.name, entity=ENTITY
        )
        for hit in answer.hits:
            print(f"{hit.rank}. {hit.document.external_id}")

        await hs.knowledge.forget(ENTITY)


if __name__ == "__main__":
    asyncio.run(main())
