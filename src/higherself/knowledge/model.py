"""The values of the knowledge hub. Pure data; every collection is a tuple."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from higherself.kernel.ids import ChunkId, DocumentId, SpaceId
from higherself.kernel.jsonvalue import JsonValue
from higherself.kernel.values import value

Mode = Literal["hybrid", "vector", "lexical"]
Trust = Literal["own", "generated", "external"]
"""Who wrote a text: the business, a model on its behalf, or somebody outside, who may mean ill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """A document as its source has it, on its way in.

    ``text`` is Markdown or plain text. ``(entity, source, external_id)`` names it for ever:
    adding it again replaces it. ``at`` is when its content last changed, as the source knows.
    A ``local_only`` document is embedded on this machine alone: no provider elsewhere sees it.
    """

    external_id: str
    text: str
    entity: str = "default"
    source: str = "api"
    title: str = ""
    uri: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    at: datetime | None = None
    local_only: bool = False
    trust: Trust = "own"

    @property
    def key(self) -> "DocumentKey":
        """What names it."""
        return DocumentKey(self.entity, self.source, self.external_id)


class DocumentKey(NamedTuple):
    """What names a document: whose it is, which source has it, and its name there."""

    entity: str
    source: str
    external_id: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document's text: ``text == document.text[start:end]``.

    ``headings`` is the path of headings it stands under, outermost first (not those that begin
    inside it). ``tokens`` counts the model's tokens of ``text``.
    """

    ordinal: int
    headings: tuple[str, ...]
    start: int
    end: int
    text: str
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingSpace:
    """What is comparable with what.

    ``name`` identifies it for ever: vendor family, dimensions and, for a local model, the hash
    of its weights. Distance is cosine; every vector in it has unit length.
    """

    name: str
    provider: str
    model: str
    dimensions: int


SpaceState = Literal["filling", "active", "retired"]
"""A space is filled while another answers, searched once active, no longer written once retired."""


@dataclass(frozen=True, slots=True)
class StoredSpace:
    """An embedding space as the database knows it: its number names its table.

    ``tier`` is the embedding tier that fills it; None: the callers of `add_embedded` bring its
    vectors. ``waiting`` says that some texts may lack their vector still.
    """

    space_id: SpaceId
    space: EmbeddingSpace
    tier: str | None = None
    state: SpaceState = "active"
    on_machine: bool = True
    waiting: bool = False

    @property
    def name(self) -> str:
        """What it is called."""
        return self.space.name

    @property
    def table(self) -> str:
        """The table that holds its vectors."""
        return f"embedding_{self.space_id}"


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """What must be known of a stored document to decide what adding it again means."""

    document_id: DocumentId
    version: int
    content_hash: bytes
    attributes_hash: bytes


@dataclass(frozen=True, slots=True)
class StoredChunk:
    """What must be known of a stored chunk to decide whether it can stay."""

    chunk_id: ChunkId
    document_id: DocumentId
    ordinal: int
    content_hash: bytes
    text: str
    title: str
    headings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which chunks may be found; an empty filter lets every chunk pass.

    A tuple lists alternatives, but ``tags`` must all be there. ``metadata`` must be contained.
    ``since`` and ``until`` bound the time the content last changed, half open.
    """

    entity: str | None = None
    sources: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    since: datetime | None = None
    until: datetime | None = None
    phrases: tuple[str, ...] = ()

    @property
    def selects_documents(self) -> bool:
        """Whether anything but the entity narrows the search."""
        return bool(
            self.sources or self.tags or self.metadata or self.since or self.until or self.phrases
        )


@value(frozen=True, slots=True)
class Candidate:
    """A chunk that one way of searching found. A higher score is better."""

    chunk_id: ChunkId
    score: float


@value(frozen=True, slots=True)
class FoundDocument:
    """The document of a hit."""

    id: DocumentId
    entity: str
    source: str
    external_id: str
    title: str
    uri: str | None
    tags: tuple[str, ...]
    metadata: Mapping[str, JsonValue]
    at: datetime | None
    trust: Trust
    local_only: bool


@value(frozen=True, slots=True)
class FoundChunk:
    """The chunk of a hit, with the path of headings it stands under."""

    id: ChunkId
    ordinal: int
    heading: str
    text: str


@value(frozen=True, slots=True)
class Why:
    """Why a chunk was found: its place and score in each list that held it.

    ``rerank_score`` is what a reranker gave it, on a scale of its model's own.
    """

    lexical_rank: int | None = None
    lexical_score: float | None = None
    vector_rank: int | None = None
    similarity: float | None = None
    terms: tuple[str, ...] = ()
    rerank_score: float | None = None


@value(frozen=True, slots=True)
class Hit:
    """A chunk found for a query, with its rank and why. ``before`` and ``after`` are neighbours.

    ``score`` is that of the fusion, also when a reranker decided on the rank.
    """

    rank: int
    score: float
    document: FoundDocument
    chunk: FoundChunk
    why: Why
    before: tuple[FoundChunk, ...] = ()
    after: tuple[FoundChunk, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search returns. ``degraded`` says that less was used than asked for; ``reason`` why.

    ``reranker`` is who put the hits in their order, if it is not that of the search itself.
    """

    query: str
    mode: Mode
    degraded: bool
    reason: str | None
    spaces: tuple[str, ...]
    hits: tuple[Hit, ...]
    milliseconds: float
    reranker: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A document that was not taken in, and why. The others were."""

    path: str
    reason: str


@dataclass(slots=True)
class IngestReport:
    """What became of the documents of one call. ``chunks`` counts those of changed documents.

    ``waiting`` says how many texts lack their vector in which space, and ``reasons`` why: they
    are stored, and embedded when the provider answers again.
    """

    documents: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    chunks: int = 0
    embedded: int = 0
    reused: int = 0
    failed: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    waiting: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
