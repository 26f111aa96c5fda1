"""A collection of texts under ids and vectors of somebody else's making, kept in the hub.

What frameworks call a vector store, without the framework. A collection is a business of its own;
the source of its documents is the embedding space that their vectors are in.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonValue
from higherself.knowledge.errors import BadVector
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import EmbeddingSpace, Hit, NewDocument
from higherself.knowledge.revision import checked, checked_name

MOST_DIMENSIONS = 4_000
"""What an index on half-precision vectors takes."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_HASHED = re.compile(r"__[0-9a-f]{12}$")

Vector = Sequence[float] | NDArray[np.floating[Any]]
Wanted = Mapping[str, JsonValue] | None
"""What a document's metadata must contain."""


class CollectionMismatch(Rejected):
    """A collection was opened with another embedding than its vectors are of."""

    def __init__(self, *, collection: str, expected: Sequence[str], got: str) -> None:
        super().__init__(
            f"the collection {collection!r} holds vectors of {' and '.join(expected)}, and these "
            f"are of {got}: use the same embedding or another collection, or delete first what is "
            "there"
        )
        self.collection, self.expected, self.got = collection, tuple(expected), got


class Collection:
    """Texts with ids, metadata and vectors of one embedding.

    ``embedding`` says what makes the vectors, without their dimensions, as in
    ``langchain/OpenAIEmbeddings/text-embedding-3-small``. With other dimensions it is another
    embedding. All methods raise `CollectionMismatch` while the collection has vectors of another
    one that begins with the same word, and `Unavailable` when the database does not answer.
    """

    def __init__(self, name: str, *, embedding: str) -> None:
        self.name = name
        self.entity = entity_of(name)
        self._embedding = embedding
        self._space: EmbeddingSpace | None = None

    def documents(
        self,
        texts: Sequence[str],
        metadatas: Iterable[Mapping[str, JsonValue]],
        ids: Iterable[str],
    ) -> list[NewDocument]:
        """Return what `add` takes, each of them fit to be stored.

        Raises
            DocumentRejected: one is not; the text says which and why.
        """
        return [
            checked(
                checked_name(
                    NewDocument(
                        external_id=name,
                        text=text,
                        entity=self.entity,
                        source=self._embedding,  # until `add` knows the dimensions
                        metadata=metadata,
                    )
                )
            )
            for text, metadata, name in zip(texts, metadatas, ids, strict=True)
        ]

    async def add(
        self, hub: KnowledgeHub, documents: Sequence[NewDocument], vectors: Sequence[Vector]
    ) -> None:
        """Store ``documents``, which replace those of the same ids.

        Raises
            BadVector: the vectors do not fit; nothing was stored.
        """
        matrix = _matrix(documents, vectors)
        dimensions = matrix.shape[1]
        space = await self._stored_space(hub, dimensions) or self._space_of(dimensions)
        incoming = [
            (replace(document, source=space.name), vector)
            for document, vector in zip(documents, matrix, strict=True)
        ]
        report = await hub.add_embedded(incoming, space=space)
        if report.failed:
            told = "; ".join(f"{each.path}: {each.reason}" for each in report.failed[:3])
            raise Rejected(f"{len(report.failed)} of {len(documents)} were not stored: {told}")
        self._space = space

    async def read(self, hub: KnowledgeHub, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the documents of these ids that exist, in their order."""
        space = await self._stored_space(hub)
        return [] if space is None else await hub.read(self.entity, space.name, ids)

    async def delete(self, hub: KnowledgeHub, ids: Sequence[str] | None) -> int:
        """Delete the documents of these ids, or all; return how many there were."""
        space = await self._stored_space(hub)
        if space is None:
            return 0
        if ids is None:
            return await hub.prune(self.entity, space.name, keep=lambda name: False)
        return await hub.delete_named(self.entity, space.name, ids)

    async def nearest(
        self, hub: KnowledgeHub, vector: Vector, *, k: int, wanted: Wanted
    ) -> Sequence[Hit]:
        """Return the ``k`` nearest documents that have what is ``wanted``, best first.

        Raises
            BadVector: ``vector`` points nowhere.
            QueryRejected: ``k`` is not from 1 to 1,000, or what is wanted is no JSON.
        """
        given = np.asarray(vector, dtype=np.float32)
        space = await self._stored_space(hub, given.size)
        if space is None:
            return []
        search = partial(
            hub.search,
            "",
            mode="vector",
            vector=given,
            space=space.name,
            entity=self.entity,
            metadata=wanted,
            limit=k,
        )
        hits = (await search()).hits
        if all(hit.document.source == space.name for hit in hits):
            return hits
        # The business has other documents, too, and one of them has the text, so the vector, of
        # one of ours. To ask for the source every time would take longer.
        return (await search(sources=[space.name])).hits

    async def diverse(
        self,
        hub: KnowledgeHub,
        vector: Vector,
        *,
        k: int,
        of: int,
        relevance: float,
        wanted: Wanted,
    ) -> Sequence[Hit]:
        """Return ``k`` of the nearest ``of``, by `maximal_marginal_relevance`."""
        hits = await self.nearest(hub, vector, k=max(k, of), wanted=wanted)
        if not hits:
            return []
        space = self._space_of(len(vector))
        stored = await hub.vectors([hit.chunk.id for hit in hits], space=space.name)
        hits = [hit for hit in hits if hit.chunk.id in stored]
        vectors = np.array([stored[hit.chunk.id] for hit in hits]).reshape(-1, space.dimensions)
        chosen = maximal_marginal_relevance(np.asarray(vector), vectors, k=k, relevance=relevance)
        return [hits[index] for index in chosen]

    async def _stored_space(
        self, hub: KnowledgeHub, dimensions: int | None = None
    ) -> EmbeddingSpace | None:
        """Return the space that there are vectors of, or None while there are none.

        Raises
            CollectionMismatch: it is not that of our embedding (and ``dimensions``, if given).
        """
        if self._space is None:
            ours = self._embedding.partition("/")[0]
            sources = await hub.sources(self.entity)
            stored = [each for each in sources if each.startswith(f"{ours}/")]
            mine = [
                space
                for space in map(self._space_named, stored)
                if space is not None and dimensions in (None, space.dimensions)
            ]
            if not stored:
                return None
            if len(mine) != 1:
                raise self._mismatch(stored, dimensions)
            (self._space,) = mine
        if dimensions not in (None, self._space.dimensions):
            raise self._mismatch([self._space.name], dimensions)
        return self._space

    def _space_named(self, name: str) -> EmbeddingSpace | None:
        """Return the space of our embedding that has this name, if it is one."""
        embedding, _, dimensions = name.rpartition("/")
        if embedding != self._embedding or not dimensions.isdecimal():
            return None
        return self._space_of(int(dimensions))

    def _space_of(self, dimensions: int) -> EmbeddingSpace:
        if dimensions > MOST_DIMENSIONS:
            raise BadVector(
                f"the vectors have {dimensions:,} dimensions, and {MOST_DIMENSIONS:,} are possible; "
                "ask the model for fewer"
            )
        provider, _, model = self._embedding.partition("/")
        return EmbeddingSpace(
            name=f"{self._embedding}/{dimensions}",
            provider=provider,
            model=model,
            dimensions=dimensions,
        )

    def _mismatch(self, stored: Sequence[str], dimensions: int | None) -> CollectionMismatch:
        got = self._embedding if dimensions is None else f"{self._embedding}/{dimensions}"
        return CollectionMismatch(collection=self.name, expected=stored, got=got)


def entity_of(collection: str) -> str:
    """Return the business that a collection is: itself if it is a slug, else one made of it.

    Two collections never get the same.

    >>> entity_of("faq-2026"), entity_of("What clients ask")
    ('faq-2026', 'what_clients_ask__4bb8a427274d')
    """
    if not collection:
        raise ValueError("a collection needs a name")
    if _SLUG.fullmatch(collection) and not _HASHED.search(collection):
        return collection
    plain = re.sub(r"[^a-z0-9]+", "_", collection.lower()).strip("_")[:40] or "collection"
    return f"{plain}__{hashlib.sha256(collection.encode()).hexdigest()[:12]}"


def maximal_marginal_relevance(
    query: NDArray[np.floating[Any]],
    vectors: NDArray[np.floating[Any]],
    *,
    k: int,
    relevance: float,
) -> list[int]:
    """Return the numbers of up to ``k`` of ``vectors``, near the query and unlike each other.

    The next one is always that with the highest ``relevance`` times its similarity to the query,
    minus ``1 - relevance`` times that to the most similar one chosen before.

    Shapes
        ``query`` has ``d`` numbers, ``vectors`` are of shape ``(n, d)``; none is zero.

    Source: Carbonell, Goldstein, SIGIR 1998.
    """
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    near = unit @ (query / np.linalg.norm(query))
    like_chosen = np.full(len(unit), -np.inf)
    score = near.copy()
    chosen: list[int] = []
    while len(chosen) < min(k, len(unit)):
        best = int(np.argmax(score))
        chosen.append(best)
        like_chosen = np.maximum(like_chosen, unit @ unit[best])
        score = relevance * near - (1 - relevance) * like_chosen
        score[chosen] = -np.inf
    return chosen


def _matrix(documents: Sequence[NewDocument], vectors: Sequence[Vector]) -> NDArray[np.float32]:
    """Return ``vectors`` as an array of shape ``(documents, dimensions)``.

    Raises
        BadVector: they are not as many, not of one length, or one points nowhere.
    """
    if len(vectors) != len(documents):
        raise BadVector(f"there are {len(documents)} texts and {len(vectors)} vectors")
    lengths = {len(vector) for vector in vectors}
    if len(lengths) != 1 or lengths == {0}:
        raise BadVector(f"the vectors have {sorted(lengths)} dimensions; they must agree")
    matrix = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(matrix, axis=1)
    for document, norm in zip(documents, norms.tolist(), strict=True):
        if not 0 < norm < np.inf:
            raise BadVector(
                f"the vector of {document.external_id!r} is zero or has an entry that is no finite "
                "number"
            )
    return matrix
