"""The checks: each finds one kind of thing that does not fit, and mends what it found."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from higherself.kernel.ids import ChunkId, DocumentId
from higherself.knowledge.care.findings import (
    Misindexed,
    SpaceTable,
    TableFault,
    Text,
    hash_in_context,
    is_stale,
    listed,
    megabytes,
    some,
    table_fault,
    told_table,
    wasted_by_dead_rows,
    wasted_by_index,
)
from higherself.knowledge.care.ports import CareStore
from higherself.knowledge.model import StoredSpace
from higherself.knowledge.ports import Catalogue, DocumentStore

AT_ONCE = 2_000
"""Chunks or documents read together."""

TOLD_EVERY = 20_000
"""Chunks between two lines for whoever waits."""

Fill = Callable[[StoredSpace], Awaitable[None]]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """How many cases are wrong, and a sentence about it."""

    wrong: int
    detail: str


class Check(Protocol):
    """Finds one kind of thing. To mend it is to be asked for right after it was found."""

    @property
    def name(self) -> str:
        """What is looked at."""
        ...

    @property
    def advice(self) -> bool:
        """Whether all works as it is, whatever is found."""
        ...

    async def find(self) -> Found:
        """Return how many cases are wrong."""
        ...

    async def mend(self) -> None:
        """Mend what `find` found last, as far as that can be done without asking anybody."""
        ...


class Separation:
    """Every table with rows of businesses keeps them apart, whoever asks."""

    name = "separation of businesses"
    advice = False

    def __init__(self, store: CareStore) -> None:
        self._store = store
        self._open: list[str] = []

    async def find(self) -> Found:
        """Return how many tables do not."""
        self._open = await self._store.unprotected()
        if not self._open:
            return Found(0, "every table keeps the businesses apart")
        return Found(len(self._open), f"businesses are not kept apart in {listed(self._open)}")

    async def mend(self) -> None:
        """Force row-level security on these tables."""
        await self._store.protect(self._open)


class SpaceTables:
    """Every embedding space has a table for vectors of its dimensions, and no table is without one."""

    name = "tables of vectors"
    advice = False

    def __init__(self, store: CareStore, known: Mapping[str, int]) -> None:
        self._store = store
        self._known = known
        self._faults: list[tuple[SpaceTable, TableFault]] = []

    @property
    def unusable(self) -> set[str]:
        """The spaces whose vectors cannot be looked at."""
        return {
            table.name
            for table, fault in self._faults
            if table.name and fault is TableFault.MISSING
        }

    async def find(self) -> Found:
        """Return how many do not fit."""
        tables = await self._store.space_tables()
        faults = ((table, table_fault(table, self._known)) for table in tables)
        self._faults = [(table, fault) for table, fault in faults if fault is not None]
        told = "; ".join(told_table(table, fault) for table, fault in self._faults)
        return Found(len(self._faults), told or "every space has a table of its dimensions")

    async def mend(self) -> None:
        """Make, make anew, correct or drop, as the fault asks for."""
        for table, fault in self._faults:
            match fault:
                case TableFault.MISSING | TableFault.TABLE_IS_WRONG:
                    await self._store.make_space_table(table)
                case TableFault.STRAY:
                    await self._store.drop_space_table(table)
                case TableFault.SPACE_IS_WRONG:
                    await self._store.correct_space(table)
                case TableFault.UNDECIDED:
                    pass


class Filing:
    """Chunks and labels belong to a document, and to its business."""

    name = "chunks and labels"
    advice = False

    def __init__(self, store: CareStore) -> None:
        self._store = store

    async def find(self) -> Found:
        """Return how many do not."""
        counts = await self._store.misfiled()
        things = {
            "orphaned_chunks": ("chunk", "of no document"),
            "orphaned_labels": ("label", "of no document"),
            "strange_chunks": ("chunk", "under another business than its document"),
            "strange_labels": ("label", "under another business than its document"),
        }
        told = ", ".join(
            f"{some(counts[key], thing)} {where}"
            for key, (thing, where) in things.items()
            if counts[key]
        )
        return Found(sum(counts.values()), told or "every chunk and label is with its document")

    async def mend(self) -> None:
        """Delete those of no document; file the others under their document's business."""
        await self._store.refile()


class Documents:
    """The chunks of a document make up its text."""

    name = "documents"
    advice = False

    def __init__(self, store: CareStore) -> None:
        self._store = store
        self._broken: list[DocumentId] = []

    async def find(self) -> Found:
        """Return of how many they do not."""
        self._broken = await self._store.broken()
        if not self._broken:
            return Found(0, "every document is covered by its chunks")
        shown = listed(self._broken)
        return Found(
            len(self._broken),
            f"chunks do not make up the text of {shown}; add these documents again",
        )

    async def mend(self) -> None:
        """Have them taken in anew when they are added again; their text is not to be had here."""
        await self._store.expect_again(self._broken)


class Texts:
    """The vector of a chunk is of the text that it has now."""

    name = "texts"
    advice = False

    def __init__(self, store: CareStore, progress: Progress) -> None:
        self._store = store
        self._progress = progress
        self._stale: dict[ChunkId, tuple[bytes, bytes]] = {}
        self._entities: set[str] = set()

    async def find(self) -> Found:
        """Return of how many chunks it is of another one."""
        self._stale, self._entities = {}, set()
        chunks, read, after = await self._store.count_chunks(), 0, ChunkId(0)
        while texts := await self._store.texts(after=after, limit=AT_ONCE):
            for text in filter(is_stale, texts):
                self._note(text)
            read, after = read + len(texts), texts[-1].chunk_id
            if read // TOLD_EVERY > (read - len(texts)) // TOLD_EVERY:
                self._progress(f"{read:,} of {chunks:,} texts read")
        if not self._stale:
            return Found(0, "every chunk is embedded and indexed as it stands")
        return Found(
            len(self._stale), f"{some(len(self._stale), 'chunk')} embedded before the text changed"
        )

    async def mend(self) -> None:
        """Expect other vectors for them, and index their businesses anew."""
        numbers = list(self._stale)
        for start in range(0, len(numbers), AT_ONCE):
            portion = numbers[start : start + AT_ONCE]
            await self._store.rehash({number: self._stale[number] for number in portion})
        for entity in sorted(self._entities):
            await self._store.rebuild_lexical(entity)

    def _note(self, text: Text) -> None:
        self._stale[text.chunk_id] = text.content_hash, hash_in_context(text)
        self._entities.add(text.entity)


class Labels:
    """A document has the labels of its tags and metadata, and no others."""

    name = "labels"
    advice = False

    def __init__(self, store: CareStore) -> None:
        self._store = store
        self._wrong: list[DocumentId] = []

    async def find(self) -> Found:
        """Return how many documents have not."""
        self._wrong = []
        after: DocumentId | None = None
        while facts := await self._store.facts(after=after, limit=AT_ONCE):
            self._wrong += [each.document_id for each in facts if not each.fit()]
            after = facts[-1].document_id
        if not self._wrong:
            return Found(0, "every document is found by its tags and metadata")
        told = f"{some(len(self._wrong), 'document')} not found by what their tags and metadata say"
        return Found(len(self._wrong), told)

    async def mend(self) -> None:
        """Write their labels anew."""
        for start in range(0, len(self._wrong), AT_ONCE):
            await self._store.relabel(self._wrong[start : start + AT_ONCE])


class LexicalIndex:
    """The lexical index says of each chunk which words it has, and of nothing else."""

    name = "lexical index"
    advice = False

    def __init__(self, store: CareStore) -> None:
        self._store = store
        self._wrong: list[Misindexed] = []

    async def find(self) -> Found:
        """Return of how many businesses it does not."""
        self._wrong = await self._store.misindexed()
        told = "; ".join(each.told() for each in self._wrong)
        return Found(len(self._wrong), told or "every chunk is indexed by its words")

    async def mend(self) -> None:
        """Make it anew for them."""
        for each in self._wrong:
            await self._store.rebuild_lexical(each.entity)


class PrivateVectors:
    """No vector made elsewhere is of a text that must not leave this machine."""

    advice = False

    def __init__(self, store: CareStore, space: StoredSpace) -> None:
        self.name = f"privacy of {space.name}"
        self._store = store
        self._space = space

    async def find(self) -> Found:
        """Return how many are."""
        wrong = await self._store.private(self._space)
        if not wrong:
            return Found(0, "nothing private was embedded elsewhere")
        what = some(wrong, "vector of a private text", "vectors of private texts")
        return Found(wrong, f"{what} made by a provider elsewhere, which has seen the text")

    async def mend(self) -> None:
        """Delete them."""
        await self._store.drop_private(self._space)


class Lengths:
    """Every vector has length 1, so that nearness is its direction alone."""

    advice = False

    def __init__(self, store: CareStore, space: StoredSpace) -> None:
        self.name = f"lengths of {space.name}"
        self._store = store
        self._space = space

    async def find(self) -> Found:
        """Return how many have not."""
        zero, off = await self._store.lengths(self._space)
        told = [
            f"{some(zero, 'vector')} that point nowhere" if zero else "",
            f"{some(off, 'vector')} of another length than 1" if off else "",
        ]
        return Found(zero + off, ", ".join(filter(None, told)) or "every vector has length 1")

    async def mend(self) -> None:
        """Delete the zeros, scale the others."""
        await self._store.mend_lengths(self._space)


class Orphans:
    """Nothing is kept of a content that no chunk has."""

    advice = False

    def __init__(self, store: CareStore, catalogue: Catalogue, space: StoredSpace) -> None:
        self.name = f"orphans of {space.name}"
        self._store = store
        self._catalogue = catalogue
        self._space = space

    async def find(self) -> Found:
        """Return how many vectors and refusals are."""
        _, vectors = await self._catalogue.problems(self._space)
        if not self._space.on_machine:
            vectors -= await self._store.private(self._space)  # told of by `PrivateVectors`
        refusals = await self._store.orphaned_refusals(self._space)
        told = [
            f"{some(vectors, 'vector')} of no chunk" if vectors else "",
            f"{some(refusals, 'refusal')} of no chunk" if refusals else "",
        ]
        return Found(vectors + refusals, ", ".join(filter(None, told)) or "no vector without chunk")

    async def mend(self) -> None:
        """Delete them."""
        await self._catalogue.drop_orphans(self._space)
        await self._store.drop_orphaned_refusals(self._space)


class Coverage:
    """Every chunk has the vector that it should have in a space."""

    advice = False

    def __init__(self, catalogue: Catalogue, space: StoredSpace, fill: Fill) -> None:
        self.name = f"vectors of {space.name}"
        self._catalogue = catalogue
        self._space = space
        self._fill = fill

    async def find(self) -> Found:
        """Return how many lack it."""
        wrong, _ = await self._catalogue.problems(self._space)
        if not wrong:
            return Found(0, "every chunk has its vector")
        return Found(wrong, f"{some(wrong, 'chunk lacks', 'chunks lack')} a vector")

    async def mend(self) -> None:
        """Embed them, as far as the provider answers."""
        await self._fill(self._space)


class Indexes:
    """Every index works, and every large space has one."""

    name = "indexes"
    advice = False

    def __init__(
        self, store: CareStore, documents: DocumentStore, spaces: Sequence[StoredSpace]
    ) -> None:
        self._store = store
        self._documents = documents
        self._spaces = spaces

    async def find(self) -> Found:
        """Return how many do not, and how many spaces lack theirs."""
        invalid = [index.name for index in await self._store.indexes() if not index.valid]
        lacking = [space for space in self._spaces if await self._store.lacks_index(space)]
        lacking = [space for space in lacking if f"{space.table}_nearest" not in invalid]
        told = [
            f"not usable: {listed(invalid)}" if invalid else "",
            f"no index on {listed([space.name for space in lacking])}" if lacking else "",
        ]
        detail = "; ".join(filter(None, told)) or "every index is there and works"
        return Found(len(invalid) + len(lacking), detail)

    async def mend(self) -> None:
        """Drop what was left over, build the others."""
        for index in await self._store.indexes():
            if index.is_left_over:
                await self._store.drop_index(index)
            elif not index.valid:
                await self._store.rebuild_index(index)
        for space in self._spaces:
            await self._documents.index_vectors(space)


class Bloat:
    """Tables and indexes take about the space that what is in them needs."""

    name = "size of tables and indexes"
    advice = True

    def __init__(self, store: CareStore) -> None:
        self._store = store

    async def find(self) -> Found:
        """Return how many are much larger."""
        tables = {each.name: wasted_by_dead_rows(each) for each in await self._store.tables()}
        indexes = {each.name: wasted_by_index(each) for each in await self._store.indexes()}
        tables = {name: size for name, size in tables.items() if size}
        indexes = {name: size for name, size in indexes.items() if size}
        told = [
            f"{megabytes(tables.values())} of deleted rows in {listed(tables)}" if tables else "",
            f"{megabytes(indexes.values())} too much in {listed(indexes)}" if indexes else "",
        ]
        detail = "; ".join(filter(None, told)) or "no table or index is much larger than need be"
        return Found(len(tables) + len(indexes), detail)

    async def mend(self) -> None:
        """Free the space of dead rows, and build the indexes anew, while everything is used."""
        for table in await self._store.tables():
            if wasted_by_dead_rows(table):
                await self._store.vacuum(table)
        for index in await self._store.indexes():
            if wasted_by_index(index) and index.valid:
                await self._store.rebuild_index(index)
