"""What the knowledge hub needs from elsewhere."""

from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from higherself.kernel.ids import ChunkId, DocumentId
from higherself.knowledge.lexical import LexicalPlan
from higherself.knowledge.model import (
    Candidate,
    DocumentKey,
    EmbeddingSpace,
    Filter,
    FoundChunk,
    FoundDocument,
    NewDocument,
    StoredChunk,
    StoredDocument,
    StoredSpace,
)
from higherself.knowledge.revision import Revision
from higherself.knowledge.standing import Standing

Vectors = NDArray[np.float32]
Purpose = Literal["document", "query"]


class EmbeddingProvider(Protocol):
    """Turns texts into vectors of one space."""

    @property
    def space(self) -> EmbeddingSpace:
        """The space its vectors belong to."""
        ...

    @property
    def window(self) -> int:
        """The most tokens a text may have, special tokens included."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has for this model, special tokens included."""
        ...

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> Vectors:
        """Return one unit-length vector per text, in the order of ``texts``.

        Shapes
            ``n`` texts in, a float32 array of shape ``(n, space.dimensions)`` out. No text: no
            call, shape ``(0, dimensions)``.
        Raises
            TextTooLong: a text exceeds the window; nothing is ever cut silently.
            TextsRefused: the provider refuses some texts for what they are; the other vectors come along.
            ProviderUnavailable: the provider failed; nothing was returned or stored.
        """
        ...

    def close(self) -> Awaitable[None] | None:
        """Release what it holds; it is not used again. May be a coroutine."""
        ...


@dataclass(slots=True)
class Spent:
    """What a request cost, to be filled in by whoever sends it."""

    tokens: int = 0


class RequestGuard(Protocol):
    """Decides whether a request may leave, and notes how it ended."""

    def request(self, *, texts: int, tokens: int) -> AbstractContextManager[Spent]:
        """Stand around one request for so many texts, of about so many tokens.

        Raises
            TierPaused: no request may leave now; the block was not entered.
        """
        ...

    def pause(self) -> timedelta:
        """Return how long no request may leave; zero if one may."""
        ...


@runtime_checkable
class SendsRequests(Protocol):
    """A provider that needs several requests for one call, and asks ``guard`` before each.

    Its tier puts the guard there. Of any other provider, a call counts as one request.
    """

    guard: RequestGuard


class TierLedger(Protocol):
    """Remembers how tiers stand, for the processes that come after and those beside this one."""

    async def read(self, tier: str, day: date) -> Standing | None:
        """Return how ``tier`` stands, with its usage of ``day``; None if nothing is known."""
        ...

    async def record(self, tier: str, day: date, change: Standing) -> Standing:
        """Add the usage of ``change`` to that of ``day``, and return how the tier stands now.

        Circuit and last error are kept if they are newer than what is there, or of another
        configuration.
        """
        ...


@dataclass(frozen=True, slots=True)
class Change:
    """One document as it is to be stored. ``revision`` is None when its chunks stay as they are."""

    document: NewDocument
    document_id: DocumentId
    version: int
    content_hash: bytes
    attributes_hash: bytes
    revision: Revision | None


Content = tuple[bytes, str]
"""The hash of an embedded text and the entity it belongs to: what names a vector in a space."""


class DocumentStore(Protocol):
    """Keeps documents, chunks, vectors and the lexical index, all or nothing."""

    async def spaces(self) -> list[StoredSpace]:
        """Return every embedding space."""
        ...

    async def add_space(self, space: EmbeddingSpace) -> StoredSpace:
        """Return the stored space of this name, making it first if need be.

        Raises
            SpaceMismatch: the stored one has other dimensions.
        """
        ...

    async def find_stored(self, keys: Collection[DocumentKey]) -> dict[DocumentKey, StoredDocument]:
        """Return what is stored under these names."""
        ...

    async def find_chunks(
        self, documents: Collection[DocumentId]
    ) -> dict[DocumentId, list[StoredChunk]]:
        """Return the chunks of these documents, in order."""
        ...

    async def find_embedded(
        self, space: StoredSpace, contents: Collection[Content]
    ) -> set[Content]:
        """Return those of ``contents`` that have a vector in ``space``."""
        ...

    async def save(
        self,
        changes: Sequence[Change],
        *,
        space: StoredSpace | None,
        vectors: Mapping[Content, NDArray[np.float32]],
    ) -> None:
        """Store ``changes`` with their chunks, postings and ``vectors``: all of it, or nothing.

        Raises
            WriteCollided: a document has changed since it was read; read again.
        """
        ...

    async def add_vectors(
        self, space: StoredSpace, vectors: Mapping[Content, NDArray[np.float32]]
    ) -> None:
        """Store vectors of contents that are there already."""
        ...

    async def drop_space(self, space: StoredSpace) -> None:
        """Delete a space with all its vectors."""
        ...

    async def delete(self, documents: Collection[DocumentId]) -> list[DocumentId]:
        """Delete documents with everything made of them; return those that existed."""
        ...

    async def forget(self, entity: str) -> int:
        """Delete a business with all it knows; return how many documents it had."""
        ...

    async def tidy(self, entity: str, *, changed: int) -> None:
        """Do the upkeep that writes leave behind, ``changed`` documents now. Cheap if there is none."""
        ...

    async def expect_vectors(self, space: StoredSpace, arriving: int) -> None:
        """Prepare ``space`` for so many new vectors, if there is a cheaper way than one by one."""
        ...

    async def index_vectors(self, space: StoredSpace) -> bool:
        """Build the index of ``space`` if it has grown large enough and lacks one."""
        ...


Descriptions = dict[ChunkId, tuple[FoundDocument, FoundChunk]]
"""What the hits of some chunks show."""


class SearchReader(Protocol):
    """Finds chunks that one filter allows, by words and by vectors, as one look at the store."""

    async def some_allowed(self, *, limit: int) -> list[ChunkId]:
        """Return the chunks that the filter allows, at most ``limit``."""
        ...

    async def count_terms(self, terms: Collection[str]) -> tuple[dict[str, int], int, int]:
        """Return the chunks that have each term, the number of chunks, and their total length."""
        ...

    async def score_terms(
        self, plan: LexicalPlan, *, among: Sequence[ChunkId] | None, limit: int
    ) -> list[Candidate]:
        """Return the best chunks by BM25; ``among`` these, if given, else as the filter allows."""
        ...

    async def nearest(
        self,
        space: StoredSpace,
        vector: NDArray[np.float32],
        *,
        among: Sequence[ChunkId] | None,
        limit: int,
        described: bool,
    ) -> tuple[list[Candidate], Descriptions]:
        """Return the chunks of the nearest vectors; exact when ``among`` is given.

        With ``described`` also what their hits show, in the same round trip.
        """
        ...

    async def nearest_few(
        self, space: StoredSpace, vector: NDArray[np.float32], *, few: int, limit: int
    ) -> tuple[list[Candidate], Descriptions] | None:
        """Return the same, exact, if the filter allows at most ``few`` chunks; else None."""
        ...

    async def describe(self, chunks: Collection[ChunkId]) -> Descriptions:
        """Return what a hit shows, for those of ``chunks`` that still exist."""
        ...

    async def neighbours(
        self, chunks: Collection[ChunkId], *, distance: int
    ) -> dict[ChunkId, list[FoundChunk]]:
        """Return the chunks within ``distance`` places of each, in order."""
        ...


class SearchIndex(Protocol):
    """What can be searched."""

    def reading(self, filter: Filter, *, depth: int) -> AbstractAsyncContextManager[SearchReader]:
        """Open one look at the store, for up to ``depth`` candidates that ``filter`` allows."""
        ...


class Catalogue(Protocol):
    """Lists, counts and checks what is stored; returns plain values, ready to be shown."""

    async def show(self, document: DocumentId) -> dict[str, Any] | None:
        """Return a document with its chunks, or None."""
        ...

    async def named(self, external_id: str, entity: str | None) -> list[DocumentId]:
        """Return the documents whose name at their source is ``external_id`` (ten at most)."""
        ...

    async def page(
        self, *, entity: str | None, source: str | None, after: DocumentId | None, limit: int
    ) -> list[dict[str, Any]]:
        """Return up to ``limit`` documents, newest first, after the one given."""
        ...

    async def names(self, entity: str, source: str) -> dict[str, DocumentId]:
        """Return every document of a source by its name there."""
        ...

    async def stats(self) -> dict[str, Any]:
        """Return how much there is, in all and by source."""
        ...

    async def coverage(self, space: StoredSpace) -> tuple[int, int]:
        """Return how many chunks have a vector in ``space``, and how many there are."""
        ...

    async def uncovered(self, space: StoredSpace, *, limit: int) -> list[tuple[bytes, str, str]]:
        """Return contents without a vector in ``space``: hash, entity, the text to embed."""
        ...

    async def problems(self, space: StoredSpace) -> tuple[int, int]:
        """Return the chunks of ``space`` without a vector, and the vectors without a chunk."""
        ...

    async def drop_orphans(self, space: StoredSpace) -> int:
        """Delete the vectors of ``space`` that belong to no chunk."""
        ...

    async def miscounted(self) -> list[dict[str, Any]]:
        """Return the businesses whose lexical index does not hold exactly their chunks."""
        ...

    async def broken(self) -> list[DocumentId]:
        """Return the documents whose chunks do not follow one another."""
        ...

    async def rebuild_lexical(self, entity: str) -> int:
        """Make the lexical index of a business anew, and return its chunks. All or nothing."""
        ...

    def documents(self, entity: str | None) -> AsyncIterator[dict[str, Any]]:
        """Yield every document with its whole text, newest first."""
        ...

    async def sources(self, entity: str) -> list[str]:
        """Return the sources that a business has documents from."""
        ...

    async def read(
        self, entity: str, source: str, external_ids: Collection[str]
    ) -> list[dict[str, Any]]:
        """Return the documents of these names that exist, in their order, with the whole text."""
        ...

    async def vectors(
        self, space: StoredSpace, chunks: Collection[ChunkId]
    ) -> dict[ChunkId, NDArray[np.float32]]:
        """Return the vectors in ``space`` of those of ``chunks`` that have one."""
        ...
