"""Check after check: what is wrong, and what of it was mended."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from higherself.knowledge.care import checks
from higherself.knowledge.care.findings import Finding
from higherself.knowledge.model import StoredSpace
from higherself.knowledge.ports import Catalogue, DocumentStore


@dataclass(frozen=True, slots=True)
class Ground:
    """What is to be checked: ``spaces`` are all there are, ``filled`` those that should be covered.

    ``dimensions`` says how many the vectors of a space have, as far as its provider is known, and
    ``fill`` embeds what waits for a space.
    """

    spaces: Sequence[StoredSpace]
    filled: Sequence[StoredSpace]
    fill: checks.Fill
    dimensions: Mapping[str, int] = field(default_factory=dict)


class Care:
    """Checks the store, and repairs what can be repaired without asking anybody."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def verify(
        self,
        catalogue: Catalogue,
        ground: Ground,
        *,
        whole: bool = True,
        repair: bool = False,
        progress: checks.Progress = lambda line: None,
    ) -> list[Finding]:
        """Return a finding for every check; with ``repair``, after mending what was wrong.

        What was mended is looked at again, so that it counts only if it is well now. Without
        ``whole``, only rows are checked, as ``catalogue`` knows them, and not the tables.
        """
        findings: list[Finding] = []
        broken: set[str] = set()
        for check in self._checks(catalogue, ground, broken, whole, progress):
            found = await check.find()
            left = found
            if repair and found.wrong:
                await check.mend()
                left = await check.find()
            if isinstance(check, checks.SpaceTables):
                broken |= check.unusable
            mended = max(0, found.wrong - left.wrong)
            findings.append(Finding(check.name, found.wrong, mended, found.detail, check.advice))
            progress(f"{check.name}: {found.detail}{' (mended)' if mended else ''}")
        return findings

    def _checks(
        self,
        catalogue: Catalogue,
        ground: Ground,
        broken: set[str],
        whole: bool,
        progress: checks.Progress,
    ) -> Iterator[checks.Check]:
        """Yield the checks in an order in which each may rely on those before it."""
        store = catalogue.care
        if whole:
            yield checks.Separation(store)
            yield checks.SpaceTables(store, ground.dimensions)
            yield checks.Filing(store)
        yield checks.Documents(store)
        yield checks.Texts(store, progress)
        yield checks.Labels(store)
        yield checks.LexicalIndex(store)
        spaces = [space for space in ground.spaces if space.name not in broken]
        for space in spaces:
            if not space.on_machine:
                yield checks.PrivateVectors(store, space)
            yield checks.Lengths(store, space)
            yield checks.Orphans(store, catalogue, space)
            if space in ground.filled:
                yield checks.Coverage(catalogue, space, ground.fill)
        if whole:
            yield checks.Indexes(store, self._store, spaces)
            yield checks.Bloat(store)
