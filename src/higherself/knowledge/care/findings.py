"""What is wrong and what is not, decided from facts that were counted elsewhere. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from higherself.kernel.ids import ChunkId, DocumentId
from higherself.kernel.jsonvalue import JsonValue, content_hash
from higherself.knowledge.labels import labels
from higherself.knowledge.revision import in_context

UNIT_TOLERANCE = 0.01
"""How far from 1 the length of a vector may be. In half precision, 0.001 is usual."""

WORTH_MENDING = 8 * 1024 * 1024
"""Bytes to be won back; for fewer, nobody writes a table or an index anew."""

DEAD_SHARE = 0.4
"""Of the rows that live, how many may be dead: twice what autovacuum lets pass."""

INDEX_GROWTH = 2.0
"""How many times the size it had when new an index may have. Filled at random, it has 1.4."""

_PAGE, _PAGE_HEAD, _SPECIAL = 8192, 24, 16
_FILL = 0.9
_ENTRY = 8 + 4  # its head, and the pointer to it


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: how many cases are wrong, and how many of them were mended.

    With ``advice`` it works as it is, and better once it is mended.
    """

    name: str
    wrong: int
    mended: int
    detail: str
    advice: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is left that has to be mended."""
        return self.advice or self.wrong == self.mended


def some(number: int, thing: str, things: str | None = None) -> str:
    """Return so many of a thing.

    >>> some(1, "vector"), some(1200, "index", "indexes")
    ('1 vector', '1,200 indexes')
    """
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def listed(names: Collection[object], *, most: int = 3) -> str:
    """Return the first of ``names``, and how many more there are.

    >>> listed(["a", "b"]), listed("abcde")
    ('a, b', 'a, b, c and 2 more')
    """
    shown = ", ".join(str(name) for name in list(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


# --- Tables of embedding spaces.


@dataclass(frozen=True, slots=True)
class SpaceTable:
    """An embedding space beside the table that is there for it, or one of them alone.

    ``name`` and ``expected`` dimensions are those of the space, ``dimensions`` those that the
    table's vectors have (0 if it takes any).
    """

    space_id: int
    name: str | None
    expected: int | None
    dimensions: int | None


class TableFault(Enum):
    """What can be wrong with the table of a space, and what mends it."""

    MISSING = auto()  # make it
    STRAY = auto()  # drop it: what its vectors are of, nobody knows
    SPACE_IS_WRONG = auto()  # correct the dimensions of the space
    TABLE_IS_WRONG = auto()  # make it anew
    UNDECIDED = auto()  # the vectors are a caller's: he has to say


def table_fault(table: SpaceTable, known: Mapping[str, int]) -> TableFault | None:
    """Return what is wrong with ``table``. ``known`` says the dimensions that providers make."""
    if table.name is None:
        return TableFault.STRAY
    if table.dimensions is None:
        return TableFault.MISSING
    if table.dimensions == table.expected:
        return None
    truth = known.get(table.name)
    if truth == table.dimensions:
        return TableFault.SPACE_IS_WRONG
    return TableFault.TABLE_IS_WRONG if truth == table.expected else TableFault.UNDECIDED


def told_table(table: SpaceTable, fault: TableFault) -> str:
    """Return what is wrong as a sentence."""
    name = f"embedding_{table.space_id}"
    match fault:
        case TableFault.STRAY:
            return f"{name} belongs to no space"
        case TableFault.MISSING:
            return f"{name}, the table of {table.name}, is missing"
        case _:
            said = f"{name} holds vectors of {table.dimensions} dimensions, and {table.name} has "
            advice = "; embed it anew into a space of its own" * (fault is TableFault.UNDECIDED)
            return f"{said}{table.expected}{advice}"


# --- Texts and the facts of documents.


@dataclass(frozen=True, slots=True)
class Text:
    """A chunk with what is embedded of it, and the hash under which its vector is kept."""

    chunk_id: ChunkId
    entity: str
    content_hash: bytes
    title: str
    headings: Sequence[str]
    text: str


def hash_in_context(chunk: Text) -> bytes:
    """Return the hash of ``chunk`` under its title and headings: what is mostly embedded."""
    return content_hash(in_context(chunk.title, chunk.headings, chunk.text))


def is_alone(chunk: Text) -> bool:
    """Return whether the passage alone was embedded: it came as a whole, or no more fitted."""
    return chunk.content_hash == content_hash(chunk.text)


def is_stale(chunk: Text) -> bool:
    """Return whether the vector of ``chunk`` is of another text than it has now."""
    return not is_alone(chunk) and chunk.content_hash != hash_in_context(chunk)


@dataclass(frozen=True, slots=True)
class Facts:
    """The tags and metadata of a document, and the labels that it is found by."""

    document_id: DocumentId
    tags: Sequence[str]
    metadata: Mapping[str, JsonValue]
    labels: Collection[str]

    def expected(self) -> list[str]:
        """Return the labels it should have."""
        return labels(self.tags, self.metadata)

    def fit(self) -> bool:
        """Return whether it has exactly those."""
        return set(self.labels) == set(self.expected())


@dataclass(frozen=True, slots=True)
class Misindexed:
    """A business whose lexical index does not say what its chunks do.

    ``missing`` counts chunks that are not indexed, ``orphaned`` what is indexed and gone, ``uneven``
    chunks whose postings do not add up.
    """

    entity: str
    missing: int
    orphaned: int
    uneven: int

    def told(self) -> str:
        """Return that as a sentence."""
        parts = [
            f"{some(self.missing, 'chunk')} not indexed" if self.missing else "",
            f"{some(self.orphaned, 'entry', 'entries')} of nothing" if self.orphaned else "",
            f"{some(self.uneven, 'chunk')} indexed in part" if self.uneven else "",
        ]
        return f"{self.entity} has {', '.join(filter(None, parts))}"


# --- Bloat.

Method = Literal["btree", "hnsw"] | str


@dataclass(frozen=True, slots=True)
class Table:
    """What is known of a table's rows and file. ``dead`` rows are deleted, their space not free."""

    name: str
    live: int
    dead: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Index:
    """What is known of an index. ``key_bytes`` is what its columns take in a row, on average."""

    name: str
    table: str
    method: Method
    valid: bool
    bytes: int
    entries: int
    key_bytes: float

    @property
    def is_left_over(self) -> bool:
        """Whether it is what an interrupted REINDEX CONCURRENTLY left behind."""
        return not self.valid and ("_ccnew" in self.name or "_ccold" in self.name)


def wasted_by_dead_rows(table: Table) -> int:
    """Return the bytes that dead rows take up, if they are worth a VACUUM; else 0."""
    if table.dead <= DEAD_SHARE * table.live:
        return 0
    wasted = table.bytes * table.dead // (table.live + table.dead)
    return wasted if wasted >= WORTH_MENDING else 0


def wasted_by_index(index: Index) -> int:
    """Return the bytes that an index would be smaller if built anew, if that is worth it; else 0."""
    expected = expected_bytes(index)
    wasted = index.bytes - expected
    if not expected or wasted < WORTH_MENDING or index.bytes < INDEX_GROWTH * expected:
        return 0
    return wasted


def expected_bytes(index: Index) -> int:
    """Return about how large ``index`` is when it is new; 0 if that cannot be told.

    A B-tree that keeps equal keys once is smaller, so this errs on the large side.

    Source: PostgreSQL documentation, "B-Tree Structure"; pgvector's hnsw.h, HnswElementTupleData
    and HnswNeighborTupleData, with m = 16.
    """
    room = _PAGE - _PAGE_HEAD - _SPECIAL
    match index.method:
        case "btree":
            entry = _aligned(8 + index.key_bytes) + 4
            pages = index.entries * entry / (room * _FILL)
        case "hnsw":
            element, neighbours = _aligned(72 + index.key_bytes), _aligned(4 + 2 * 16 * 6)
            pages = index.entries / max(1, room // (element + neighbours + 8))
        case _:
            return 0
    return _PAGE * (int(pages) + 2)


def _aligned(size: float) -> int:
    return -(-int(size + 0.999) // 8) * 8


def megabytes(sizes: Iterable[int]) -> str:
    """Return the sum of ``sizes`` (bytes).

    >>> megabytes([3_000_000, 500_000])
    '3.5 MB'
    """
    return f"{sum(sizes) / 1e6:,.1f} MB"
