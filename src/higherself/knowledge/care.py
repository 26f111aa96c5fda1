"""Care of the store: find what does not fit together, and mend it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from higherself.knowledge.model import StoredSpace
from higherself.knowledge.ports import Catalogue, DocumentStore, EmbeddingProvider

EMBEDDED_AT_ONCE = 96


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: how many cases are wrong, and how many of them were mended."""

    name: str
    wrong: int
    mended: int
    detail: str

    @property
    def ok(self) -> bool:
        """Whether nothing is left to mend."""
        return self.wrong == self.mended


class Care:
    """Checks the store, and repairs what can be repaired without asking anybody."""

    def __init__(
        self, catalogue: Catalogue, store: DocumentStore, provider: EmbeddingProvider | None
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._provider = provider

    async def verify(
        self,
        spaces: Sequence[StoredSpace],
        *,
        repair: bool = False,
        progress: Callable[[str], None] = lambda line: None,
    ) -> list[Finding]:
        """Return a finding for every check; with ``repair``, after mending what was wrong."""
        findings = [await self._documents()]
        progress("documents checked")
        findings.append(await self._lexical_index(repair=repair))
        progress("lexical index checked")
        for space in spaces:
            findings += await self._vectors(space, repair=repair)
            progress(f"space {space.space.name} checked")
        return findings

    async def fill(
        self, space: StoredSpace, *, progress: Callable[[int], None] = lambda done: None
    ) -> int:
        """Embed every content that lacks a vector in ``space``; return how many were embedded.

        What is embedded is stored batch by batch, so a second call goes on where one was stopped.
        """
        if self._provider is None or self._provider.space != space.space:
            return 0
        done = 0
        while missing := await self._catalogue.uncovered(space, limit=EMBEDDED_AT_ONCE):
            made = await self._provider.embed([text for _, _, text in missing])
            contents = [(digest, entity) for digest, entity, _ in missing]
            await self._store.add_vectors(space, dict(zip(contents, made, strict=True)))
            done += len(missing)
            progress(done)
        await self._store.index_vectors(space)
        return done

    async def _documents(self) -> Finding:
        broken = await self._catalogue.broken()
        shown = ", ".join(str(document) for document in broken[:3])
        detail = (
            f"chunks do not follow one another in {shown}; add these documents again"
            if broken
            else "every document is covered by its chunks"
        )
        return Finding("documents", len(broken), 0, detail)

    async def _lexical_index(self, *, repair: bool) -> Finding:
        wrong = await self._catalogue.miscounted()
        if repair:
            for row in wrong:
                await self._catalogue.rebuild_lexical(row["entity"])
        detail = "; ".join(
            f"{row['entity']} has {row['chunks']} chunks and {row['indexed']} indexed"
            for row in wrong
        )
        return Finding(
            "lexical index",
            len(wrong),
            len(wrong) if repair else 0,
            detail or "every chunk is indexed by its words",
        )

    async def _vectors(self, space: StoredSpace, *, repair: bool) -> list[Finding]:
        uncovered, orphans = await self._catalogue.problems(space)
        mended = dropped = 0
        if repair and orphans:
            dropped = await self._catalogue.drop_orphans(space)
        if repair and uncovered:
            await self.fill(space)
            mended = uncovered - (await self._catalogue.problems(space))[0]
        name = space.space.name
        return [
            Finding(
                f"vectors of {name}",
                uncovered,
                mended,
                f"{uncovered} chunks lack a vector" if uncovered else "every chunk has its vector",
            ),
            Finding(
                f"orphans of {name}",
                orphans,
                dropped,
                f"{orphans} vectors belong to no chunk" if orphans else "no vector without a chunk",
            ),
        ]
