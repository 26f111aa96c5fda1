"""Use the knowledge hub as LangChain's vector store.

Run it with ``.venv/bin/python examples/langchain_store.py``, where the extra ``langchain`` is
installed. It takes out again what it put in; the empty embedding space stays.
"""
# ruff: noqa: T201  an example prints

import asyncio

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings

from higherself.integrations.langchain import HigherSelfVectorStore
from higherself.knowledge.providers.local import LocalEmbeddings


class LocalModel(Embeddings):
    """The model that comes with the program, so that the example needs no key."""

    def __init__(self) -> None:
        self._provider = LocalEmbeddings()
        self.model = self._provider.space.model

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return one vector for each text."""
        vectors: list[list[float]] = asyncio.run(self._provider.embed(texts)).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question."""
        return self.embed_documents([text])[0]


DOCUMENTS = [
    Document(
        id="refunds",
        page_content="A deposit is paid back in full up to fourteen days before the retreat.",
        metadata={"kind": "policy", "year": 2026},
    ),
    Document(
        id="lateness",
        page_content="Guests who come more than ten minutes late lose their turn.",
        metadata={"kind": "policy", "year": 2025},
    ),
    Document(
        id="parking",
        page_content="The car park behind the house is free after six in the evening.",
        metadata={"kind": "directions"},
    ),
]


def main() -> None:
    """Add, search, filter, retrieve, and tidy up."""
    with HigherSelfVectorStore(embedding=LocalModel(), collection="docs_example") as store:
        store.add_documents(DOCUMENTS)

        for document, score in store.similarity_search_with_score("can I get my money back?", k=2):
            print(f"{document.id}: {score:.2f}")

        found = store.similarity_search("where do I leave the car?", filter={"kind": "policy"})
        print("policies only:", [document.id for document in found])

        retriever = store.as_retriever(search_type="mmr", search_kwargs={"k": 1})
        print("retrieved:", retriever.invoke("where do I leave the car?")[0].id)

        store.delete()


if __name__ == "__main__":
    main()
