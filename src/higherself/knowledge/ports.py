"""What the knowledge hub needs from elsewhere."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from higherself.kernel.ids import ChunkId, DocumentId, SpaceId
from higherself.knowledge.care.ports import CareStore
from higherself.knowledge.erasure import Shredded
from higherself.knowledge.lexical import LexicalPlan
from higherself.knowledge.model import (
    Candidate,
    DocumentKey,
    EmbeddingSpace,
    Filter,
    FoundChunk,
    FoundDocument,
    NewDocument,
    SpaceState,
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

    @property
    def blanks(self) -> str | None:
        """The whitespace between its chunks; None if that stays as it is, too."""
        return None if self.revision is None else self.revision.blanks(self.document.text)


Content = tuple[bytes, str]
"""The hash of an embedded text and the entity it belongs to: what names a vector in a space."""


@dataclass(frozen=True, slots=True)
class Filling:
    """What a space gets: vectors, and the reasons of texts its provider refuses.

    ``lacking`` are the texts that had no vector before, and ``waiting`` says that some have none
    after it, either.
    """

    space: StoredSpace
    vectors: Mapping[Content, NDArray[np.float32]]
    refused: Mapping[Content, str] = field(default_factory=dict)
    lacking: Collection[Content] = ()
    waiting: bool = False

    @property
    def left(self) -> int:
        """How many texts have no vector after it."""
        return len(self.lacking) - len(self.vectors) - len(self.refused)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of what is stored a space covers, in chunks.

    ``private`` ones are not for a space that is not on this machine, ``refused`` ones its provider
    will not embed; of all others, those that are not ``covered`` wait.
    """

    chunks: int
    covered: int
    private: int = 0
    refused: int = 0

    @property
    def waiting(self) -> int:
        """Chunks that lack their vector still."""
        return max(0, self.chunks - self.private - self.refused - self.covered)

    @property
    def share(self) -> float:
        """The covered share of what the space is for; 1.0 of nothing."""
        wanted = self.chunks - self.private
        return min(1.0, self.covered / wanted) if wanted else 1.0


class DocumentStore(Protocol):
    """Keeps documents, chunks, vectors and the lexical index, all or nothing."""

    async def spaces(self) -> list[StoredSpace]:
        """Return every embedding space."""
        ...

    async def add_space(
        self,
        space: EmbeddingSpace,
        *,
        tier: str | None = None,
        state: SpaceState = "active",
        on_machine: bool = True,
    ) -> StoredSpace:
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

    async def save(self, changes: Sequence[Change], *, fillings: Sequence[Filling] = ()) -> None:
        """Store ``changes`` with their chunks, postings and vectors: all of it, or nothing.

        Raises
            WriteCollided: a document has changed since it was read; read again.
        """
        ...

    async def fill(self, filling: Filling) -> None:
        """Store vectors of contents that are there already; of what has gone meanwhile, nothing."""
        ...

    async def settle(self, space: StoredSpace) -> bool:
        """Note that nothing waits in ``space`` any more, if that is so; return whether it is."""
        ...

    async def set_state(self, space: StoredSpace, state: SpaceState) -> None:
        """Change the state of a space; one that becomes active takes the place of its tier's other."""
        ...

    async def left_out(self) -> tuple[bool, set[SpaceId]]:
        """Return whether any document must not leave this machine, and where texts are refused."""
        ...

    async def drop_space(self, space: StoredSpace) -> None:
        """Delete a space with all its vectors."""
        ...

    async def delete(
        self, documents: Collection[DocumentId], *, entity: str | None = None
    ) -> "Deleted":
        """Delete documents (of one business, if given) with everything made of them."""
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

    async def index_vectors(self, space: StoredSpace, *, gently: bool = False) -> bool:
        """Build the index of ``space`` if it has grown large enough and lacks one.

        ``gently`` leaves the other processors to whoever searches meanwhile.
        """
        ...


@dataclass(frozen=True, slots=True)
class Deleted:
    """Documents that were deleted, and the chunks they were made of, by business."""

    documents: tuple[DocumentId, ...]
    chunks: Mapping[str, Sequence[StoredChunk]]


class Erasure(Protocol):
    """Looks for what is left of what was deleted, in every table that could hold it."""

    async def left_of(self, deleted: Deleted) -> dict[str, int]:
        """Return how many rows each table still has of deleted documents.

        A vector counts unless another document of the business has the same content.
        """
        ...

    async def left_of_entity(self, entity: str) -> dict[str, int]:
        """Return how many rows each table still has of a business."""
        ...

    async def shred(self, *, progress: Callable[[str], None]) -> Shredded:
        """Write every table anew without what was deleted."""
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

    async def lacking(self, space: StoredSpace, chunks: Collection[ChunkId]) -> set[ChunkId]:
        """Return those of ``chunks`` that have no vector in ``space``."""
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
    """Lists and counts what is stored; returns plain values, ready to be shown."""

    @property
    def care(self) -> CareStore:
        """Counts what does not fit together, and mends it."""
        ...

    @property
    def erasure(self) -> "Erasure":
        """Looks for what is left of what was deleted."""
        ...

    def within(self, entity: str) -> "Catalogue":
        """Return the catalogue of one business alone."""
        ...

    async def show(self, document: DocumentId) -> dict[str, Any] | None:
        """Return a document with its chunks, or None."""
        ...

    async def existing(self, documents: Collection[DocumentId]) -> set[DocumentId]:
        """Return those of ``documents`` that exist."""
        ...

    async def named(self, external_id: str) -> list[DocumentId]:
        """Return the documents whose name at their source is ``external_id`` (ten at most)."""
        ...

    async def page(
        self, *, source: str | None, after: DocumentId | None, limit: int
    ) -> list[dict[str, Any]]:
        """Return up to ``limit`` documents, newest first, after the one given."""
        ...

    async def names(self, entity: str, source: str) -> dict[str, DocumentId]:
        """Return every document of a source by its name there."""
        ...

    async def stats(self) -> dict[str, Any]:
        """Return how much there is, in all and by source."""
        ...

    async def coverage(self, space: StoredSpace) -> Coverage:
        """Return how much ``space`` covers."""
        ...

    async def uncovered(
        self, space: StoredSpace, *, after: Content, limit: int
    ) -> list[tuple[Content, str]]:
        """Return contents that wait for a vector in ``space``, each with the text to embed.

        They come in the order of their hashes; ``after`` is the last one seen.
        """
        ...

    async def sample(self, *, on_machine: bool, limit: int) -> list[tuple[ChunkId, str]]:
        """Return some chunks with their texts, picked by chance; without ``on_machine`` no private ones."""
        ...

    async def refusals(self, space: StoredSpace) -> list[dict[str, Any]]:
        """Return why the provider of ``space`` refuses how many texts, by business."""
        ...

    async def problems(self, space: StoredSpace) -> tuple[int, int]:
        """Return the chunks of ``space`` without a vector, and the vectors without a chunk."""
        ...

    async def drop_orphans(self, space: StoredSpace) -> int:
        """Delete the vectors of ``space`` that belong to no chunk."""
        ...

    def documents(self) -> AsyncIterator[dict[str, Any]]:
        """Yield every document with its whole text, newest first, as they are at one instant."""
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


class Reranker(Protocol):
    """Says how well passages answer a question. It reads both together, unlike an embedding model."""

    @property
    def name(self) -> str:
        """What it is called where tiers are told apart."""
        ...

    @property
    def model(self) -> str:
        """The model. Scores of different models cannot be compared."""
        ...

    async def rerank(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        """Return one finite score per passage, in their order: the higher, the better it answers.

        Of what is longer than the model takes, it reads the beginning. No passage: no call.

        Raises
            ProviderUnavailable: it failed, or refuses these passages.
        """
        ...

    def close(self) -> Awaitable[None] | None:
        """Release what it holds; it is not used again. May be a coroutine."""
        ...
