"""The knowledge hub as a vector store for LangChain. Needs the extra ``langchain``.

Texts and metadata are documents of the hub, so `higherself knowledge search` finds them by their
words, too; vectors come from the embedding that the caller brings.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from weakref import finalize

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore

from higherself.app.settings import Settings
from higherself.app.wiring import HigherSelf
from higherself.integrations.bridge import Bridge, OwnLoop, SharedLoop, Use
from higherself.integrations.collection import Collection, Vector, Wanted
from higherself.knowledge.errors import QueryRejected
from higherself.knowledge.model import Hit, NewDocument

_MODEL = ("model_name", "model", "model_id", "model_path", "repo_id", "endpoint_name")
"""Where classes of embeddings keep the name of their model."""


class HigherSelfVectorStore(VectorStore):
    """A LangChain vector store in HigherSelf's PostgreSQL.

    >>> from langchain_core.embeddings import DeterministicFakeEmbedding
    >>> store = HigherSelfVectorStore(DeterministicFakeEmbedding(size=3), collection="faq")
    >>> store.entity
    'faq'

    A **collection** is a business of its own in the hub (`entity`): row-level security keeps
    collections apart. Its documents have the ids that LangChain gives them, and as their source
    the name of the **embedding space** their vectors are in: the class and model of ``embedding``
    and its dimensions, or ``space`` and the dimensions. A collection has vectors of one space; to
    open it with another embedding raises `CollectionMismatch`, and vectors never mix.

    Every method works with and without a running event loop. Without ``hs`` the store opens a
    `HigherSelf` by ``settings`` (from the environment unless given) in a thread of its own at the
    first call; leave it with `close`, or use it as a context manager. With ``hs``, made in the
    event loop that ``hs`` was opened in, it uses that.

    Scores are cosine similarities: 1 is the same direction.
    """

    def __init__(
        self,
        embedding: Embeddings,
        collection: str = "langchain",
        settings: Settings | None = None,
        *,
        hs: HigherSelf | None = None,
        space: str | None = None,
    ) -> None:
        if hs is not None and settings is not None:
            raise ValueError("give either `settings` or `hs`, which has its own")
        self.embedding = embedding
        self._collection = Collection(
            collection, embedding=f"langchain/{space or model_of(embedding)}"
        )
        self._bridge: Bridge = OwnLoop(settings) if hs is None else SharedLoop(hs)
        finalize(self, self._bridge.leave).atexit = False

    @property
    def entity(self) -> str:
        """The business that the collection is."""
        return self._collection.entity

    @property
    def embeddings(self) -> Embeddings:
        """The embedding that makes the vectors."""
        return self.embedding

    # Adding

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Embed and store ``texts``; return their ids, made up where none is given.

        An id that is stored already is replaced. Either all texts are stored or, when one of them
        cannot be, none. What other stores take besides (``batch_size``) is ignored.

        Raises
            ValueError: the numbers of texts, metadatas and ids differ.
            Rejected: a text is empty, or metadata are no JSON; nothing was embedded.
            CollectionMismatch: the collection holds vectors of another embedding.
            Unavailable: the database does not answer.
        """
        documents = self._documents(texts, metadatas, ids)
        if not documents:
            return []
        vectors = self.embedding.embed_documents([each.text for each in documents])
        self._bridge.run(self._adding(documents, vectors))
        return _ids(documents)

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Do what `add_texts` does."""
        documents = self._documents(texts, metadatas, ids)
        if not documents:
            return []
        vectors = await self.embedding.aembed_documents([each.text for each in documents])
        await self._bridge.arun(self._adding(documents, vectors))
        return _ids(documents)

    def add_embeddings(
        self,
        texts: Iterable[str],
        embeddings: Sequence[Vector],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        """Store ``texts`` whose vectors you have from the same embedding; else as `add_texts`."""
        documents = self._documents(texts, metadatas, ids)
        if documents:
            self._bridge.run(self._adding(documents, embeddings))
        return _ids(documents)

    async def aadd_embeddings(
        self,
        texts: Iterable[str],
        embeddings: Sequence[Vector],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
    ) -> list[str]:
        """Do what `add_embeddings` does."""
        documents = self._documents(texts, metadatas, ids)
        if documents:
            await self._bridge.arun(self._adding(documents, embeddings))
        return _ids(documents)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Return a store with ``texts`` added; the other arguments are those of the class."""
        store = cls(embedding=embedding, **kwargs)
        try:
            store.add_texts(texts, metadatas, ids=ids)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Do what `from_texts` does."""
        store = cls(embedding=embedding, **kwargs)
        try:
            await store.aadd_texts(texts, metadatas, ids=ids)
        except BaseException:
            store._bridge.leave()
            raise
        return store

    # By id

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents of these ids that exist, in their order."""
        return _documents(self._bridge.run(self._reading(ids)))

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Do what `get_by_ids` does."""
        return _documents(await self._bridge.arun(self._reading(ids)))

    def delete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> bool:
        """Delete the documents of these ids, or all of the collection; ids unknown are ignored."""
        self._bridge.run(self._deleting(ids))
        return True

    async def adelete(self, ids: Sequence[str] | None = None, **kwargs: Any) -> bool:
        """Do what `delete` does."""
        await self._bridge.arun(self._deleting(ids))
        return True

    # Searching

    def similarity_search(
        self, query: str, k: int = 4, filter: Wanted = None, **kwargs: Any
    ) -> list[Document]:
        """Return the ``k`` documents nearest to ``query``, of those that ``filter`` lets pass.

        ``filter`` is what a document's metadata must contain: ``{"author": "Ada"}``; of a list,
        what must be among its items. ``k`` is at most 1,000.

        Raises
            QueryRejected: an argument makes no sense; the text says which.
            CollectionMismatch: the collection holds vectors of another embedding.
            Unavailable: the database does not answer.
        """
        return _without_scores(self.similarity_search_with_score(query, k, filter, **kwargs))

    async def asimilarity_search(
        self, query: str, k: int = 4, filter: Wanted = None, **kwargs: Any
    ) -> list[Document]:
        """Do what `similarity_search` does."""
        return _without_scores(await self.asimilarity_search_with_score(query, k, filter, **kwargs))

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Wanted = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return as `similarity_search`, each with its cosine similarity."""
        return self.similarity_search_with_score_by_vector(
            self.embedding.embed_query(query), k, filter, **kwargs
        )

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, filter: Wanted = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Do what `similarity_search_with_score` does."""
        return await self.asimilarity_search_with_score_by_vector(
            await self.embedding.aembed_query(query), k, filter, **kwargs
        )

    def similarity_search_by_vector(
        self, embedding: Vector, k: int = 4, filter: Wanted = None, **kwargs: Any
    ) -> list[Document]:
        """Return as `similarity_search`, for a vector of the same embedding."""
        return _without_scores(
            self.similarity_search_with_score_by_vector(embedding, k, filter, **kwargs)
        )

    async def asimilarity_search_by_vector(
        self, embedding: Vector, k: int = 4, filter: Wanted = None, **kwargs: Any
    ) -> list[Document]:
        """Do what `similarity_search_by_vector` does."""
        return _without_scores(
            await self.asimilarity_search_with_score_by_vector(embedding, k, filter, **kwargs)
        )

    def similarity_search_with_score_by_vector(
        self, embedding: Vector, k: int = 4, filter: Wanted = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return as `similarity_search_with_score`, for a vector of the same embedding."""
        return _scored(self._bridge.run(self._nearest(embedding, k, filter, kwargs)))

    async def asimilarity_search_with_score_by_vector(
        self, embedding: Vector, k: int = 4, filter: Wanted = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Do what `similarity_search_with_score_by_vector` does."""
        return _scored(await self._bridge.arun(self._nearest(embedding, k, filter, kwargs)))

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Wanted = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return ``k`` of the ``fetch_k`` nearest documents, near and different from each other.

        The next one is always that with the highest ``lambda_mult`` times its similarity to the
        query, minus ``1 - lambda_mult`` times that to the most similar one chosen before.
        """
        return self.max_marginal_relevance_search_by_vector(
            self.embedding.embed_query(query), k, fetch_k, lambda_mult, filter, **kwargs
        )

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Wanted = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Do what `max_marginal_relevance_search` does."""
        return await self.amax_marginal_relevance_search_by_vector(
            await self.embedding.aembed_query(query), k, fetch_k, lambda_mult, filter, **kwargs
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: Vector,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Wanted = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return as `max_marginal_relevance_search`, for a vector of the same embedding."""
        chosen = self._diverse(embedding, k, fetch_k, lambda_mult, filter, kwargs)
        return _without_scores(_scored(self._bridge.run(chosen)))

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: Vector,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Wanted = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Do what `max_marginal_relevance_search_by_vector` does."""
        chosen = self._diverse(embedding, k, fetch_k, lambda_mult, filter, kwargs)
        return _without_scores(_scored(await self._bridge.arun(chosen)))

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """Return what makes a share from 0 to 1 of a cosine similarity: what points away is 0."""
        return lambda similarity: min(1.0, max(0.0, similarity))

    # Closing

    def close(self) -> None:
        """Leave the database; what is under way is finished first. May be called again."""
        self._bridge.close()

    async def aclose(self) -> None:
        """Do what `close` does, without blocking the loop."""
        await asyncio.to_thread(self._bridge.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _documents(
        self,
        texts: Iterable[str],
        metadatas: Sequence[dict[str, Any]] | None,
        ids: Sequence[str | None] | None,
    ) -> list[NewDocument]:
        """Return what is to be stored, checked, with an id each."""
        texts = list(texts)
        for name, given in (("metadatas", metadatas), ("ids", ids)):
            if given is not None and len(given) != len(texts):
                raise ValueError(f"there are {len(texts)} texts and {len(given)} {name}")
        named = [name or str(uuid.uuid4()) for name in ids or [None] * len(texts)]
        return self._collection.documents(texts, metadatas or [{}] * len(texts), named)

    def _adding(self, documents: Sequence[NewDocument], vectors: Sequence[Vector]) -> Use[None]:
        return lambda hs: self._collection.add(hs.knowledge, documents, vectors)

    def _reading(self, ids: Sequence[str]) -> Use[list[dict[str, Any]]]:
        return lambda hs: self._collection.read(hs.knowledge, ids)

    def _deleting(self, ids: Sequence[str] | None) -> Use[int]:
        return lambda hs: self._collection.delete(hs.knowledge, ids)

    def _nearest(
        self, vector: Vector, k: int, filter: Wanted, others: Mapping[str, Any]
    ) -> Use[Sequence[Hit]]:
        wanted = _wanted(filter, others)
        return lambda hs: self._collection.nearest(hs.knowledge, vector, k=k, wanted=wanted)

    def _diverse(
        self,
        vector: Vector,
        k: int,
        fetch_k: int,
        lambda_mult: float,
        filter: Wanted,
        others: Mapping[str, Any],
    ) -> Use[Sequence[Hit]]:
        wanted = _wanted(filter, others)
        return lambda hs: self._collection.diverse(
            hs.knowledge, vector, k=k, of=fetch_k, relevance=lambda_mult, wanted=wanted
        )


def model_of(embedding: Embeddings) -> str:
    """Return the class of ``embedding`` and its model, if it says which it is.

    A wrapper that caches is looked through.
    """
    while isinstance(inner := getattr(embedding, "underlying_embeddings", None), Embeddings):
        embedding = inner
    # Azure names models by their deployment; the attribute `model` keeps its default there.
    names = ("deployment", *_MODEL) if hasattr(embedding, "azure_endpoint") else _MODEL
    found = (getattr(embedding, name, None) for name in names)
    model = next((name for name in found if isinstance(name, str) and name), None)
    return "/".join(filter(None, (type(embedding).__name__, model)))


def _wanted(filter: Any, others: Mapping[str, Any]) -> Wanted:
    """Return what the metadata must contain.

    Nothing passes unheeded: a misspelt filter, or one in another store's language, would let
    documents pass that were to be kept back.
    """
    if others:
        raise TypeError(f"unknown argument of a search: {', '.join(sorted(others))}")
    if filter is None or (isinstance(filter, Mapping) and not _has_operators(filter)):
        return filter
    raise QueryRejected(
        f"the filter {filter!r} is none of ours: give what the metadata must contain, as in "
        '{"author": "Ada"}; there are no operators, and functions are not called'
    )


def _has_operators(value: Any) -> bool:
    """Return whether a name that begins with a dollar occurs, as in other stores' filters."""
    if not isinstance(value, Mapping):
        return False
    return any(str(key).startswith("$") or _has_operators(item) for key, item in value.items())


def _ids(documents: Iterable[NewDocument]) -> list[str]:
    return [document.external_id for document in documents]


def _documents(rows: Iterable[Mapping[str, Any]]) -> list[Document]:
    return [
        Document(id=row["external_id"], page_content=row["text"], metadata=row["metadata"])
        for row in rows
    ]


def _scored(hits: Iterable[Hit]) -> list[tuple[Document, float]]:
    return [
        (
            Document(
                id=hit.document.external_id,
                page_content=hit.chunk.text,
                metadata=dict(hit.document.metadata),
            ),
            hit.score,
        )
        for hit in hits
    ]


def _without_scores(found: Iterable[tuple[Document, float]]) -> list[Document]:
    return [document for document, _ in found]
