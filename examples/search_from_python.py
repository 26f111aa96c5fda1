"""Add two documents and ask a question, from Python.

Run it with ``.venv/bin/python examples/search_from_python.py``. It uses the database of this
installation (the embedded one, unless DATABASE_URL is set), and takes out again what it put in.
"""
# ruff: noqa: T201  an example prints

import asyncio

from higherself import HigherSelf
from higherself.knowledge.model import NewDocument

ENTITY = "docs_example"

DOCUMENTS = [
    NewDocument(
        external_id="refunds",
        entity=ENTITY,
        title="Refund policy",
        text="A deposit is refunded in full up to fourteen days before the retreat.\n\n"
        "Later, half of it becomes a credit for another date.",
        tags=("policy",),
    ),
    NewDocument(
        external_id="parking",
        entity=ENTITY,
        title="Getting here",
        text="The car park behind the house is free after six in the evening.",
    ),
]


async def main() -> None:
    """Add, search, show why, and tidy up."""
    async with HigherSelf.open() as hs:
        report = await hs.knowledge.add(DOCUMENTS)
        print(f"{report.created} documents added, {report.embedded} passages embedded")

        answer = await hs.knowledge.search("can I get my money back?", entity=ENTITY)
        for hit in answer.hits:
            print(f"{hit.rank}. {hit.document.title} (meaning: rank {hit.why.vector_rank})")
        print(answer.hits[0].chunk.text.splitlines()[0])

        again = await hs.knowledge.add(DOCUMENTS)
        print(f"added again: {again.unchanged} unchanged, {again.embedded} embedded")

        await hs.knowledge.forget(ENTITY)


if __name__ == "__main__":
    asyncio.run(main())
