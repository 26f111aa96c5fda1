"""What goes away at Notion: put away here only with proof, and never much of it unasked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from higherself.kernel import telemetry
from higherself.notion.following.brake import Brake
from higherself.notion.following.looking import Look
from higherself.notion.following.sightings import Known, Meaning, Sighting
from higherself.notion.following.watermarks import AT_ONCE
from higherself.notion.ports import JsonObject


@dataclass(slots=True)
class Removal:
    """Gathers in a cycle what is gone, and deletes it at the end, if that is not too much."""

    look: Look
    brake: Brake
    proven: dict[str, Known] = field(default_factory=dict)
    unproven: dict[str, Known] = field(default_factory=dict)

    def gone(self, pages: Sequence[Known], *, proven: bool) -> None:
        """Take note of pages that are gone: in the trash, or missed twice without a proof."""
        kept = {k.page_id: k for k in pages if k.state != "gone" and k.read_at is not None}
        (self.proven if proven else self.unproven).update(kept)

    def alive(self, page: str) -> None:
        """Take note that a page is there after all."""
        self.proven.pop(page, None)
        self.unproven.pop(page, None)

    async def source_gone(self, source: str) -> None:
        """Take note that a data source is in the trash, with all its pages."""
        if not self.look.dry:
            await self.look.store.source_state(source, "gone", "it is in the trash")
            self.look.sources = await self.look.store.sources()
        self.gone(await self.look.store.below([source], ["live", "lost"]), proven=True)

    async def put_away(
        self,
        pages: Sequence[JsonObject],
        meanings: Mapping[str, Meaning],
        known: Mapping[str, Known],
    ) -> None:
        """Take pages whose own entry says that they are in the trash or archived."""
        entries = [known[page["id"]] for page in pages if page["id"] in known]
        self.gone([k for k in entries if meanings[k.page_id] == "trashed"], proven=True)
        archived = [
            k
            for k in entries
            if meanings[k.page_id] == "archived" and k.state not in ("archived", "gone") and k.read_at
        ]  # fmt: skip
        if not archived:
            return
        if self.look.dry:
            self.look.report.deleted += len(archived)
            return
        seen = await self.look.show([_away(k) for k in archived])
        self.look.report.add(seen)
        await self.look.store.away([k.page_id for k in archived], "archived")

    async def unreachable(self, pages: Sequence[Known], *, missed: bool) -> None:
        """Note that pages are out of reach; one that a second full listing misses counts as gone."""
        if not pages or self.look.dry:
            return
        lost = [k for k in pages if k.state != "lost" and k.read_at is not None]
        if lost:
            self.look.report.lost += len(lost)
            await self.look.show(
                [Sighting(k.page_id, None, k.data_source_id, "lost") for k in lost]
            )
        await self.look.store.away([k.page_id for k in pages], "lost", missed=missed)
        twice = [k for k in pages if missed and k.missing >= 1 and k.state == "lost"]
        self.gone(twice, proven=False)

    async def flush(self) -> None:
        """Delete what is gone, or hold it until a person says so."""
        proven = {**self.proven, **await self._below(self.proven)}
        gone = {**proven, **self.unproven}
        self.proven, self.unproven = {}, {}
        fresh = {page: known for page, known in gone.items() if not known.held}
        if not fresh:
            return
        if self.look.dry:
            self.look.report.deleted += len(fresh)
            return
        counted = await self.look.store.count()
        of = counted["live"] + counted["lost"]
        unproven = [page for page in fresh if page not in proven]
        many = self.brake.holds(len(fresh), of=of, proven=True)
        if many or self.brake.holds(len(unproven), of=of, proven=False):
            held = fresh if many else {page: fresh[page] for page in unproven}
            await self.look.store.hold(held)
            self.look.trouble(
                f"deleting is paused: {counted['held'] + len(held)} pages would go; look at "
                "`higherself notion status`, then run `higherself notion resume --deletes`"
            )
            fresh = {page: known for page, known in fresh.items() if page not in held}
        await self.delete(list(fresh.values()))

    async def released(self) -> None:
        """Delete what a person has said may go, unless it is alive again."""
        word = await self.look.store.checkpoint("deletes")
        if self.look.dry or not word:
            return
        allowed = set(word.get("pages") or ())
        await self.delete([k for k in await self.look.store.held() if k.page_id in allowed])
        await self.look.store.note("deletes", None)

    async def delete(self, pages: Sequence[Known]) -> None:
        """Have watchers delete pages."""
        for start in range(0, len(pages), AT_ONCE):
            batch = pages[start : start + AT_ONCE]
            seen = await self.look.show([_away(k) for k in batch])
            self.look.report.add(seen)
            failed = {page for each in seen for page in each.failed}
            done = [k.page_id for k in batch if k.page_id not in failed]
            await self.look.store.away(done, "gone")
        telemetry.count("notion.page.deleted", len(pages))

    async def _below(self, gone: Mapping[str, Known]) -> dict[str, Known]:
        """Return what stands in pages that are gone, in their databases too, however deep."""
        found: dict[str, Known] = {}
        above = list(gone)
        taken: set[str] = set()
        while above:
            below = {k.page_id: k for k in await self.look.store.below(above, ["live", "lost"])}
            fresh = {page: known for page, known in below.items() if page not in found}
            found |= fresh
            over = {*above, *fresh}
            sources = [
                s.data_source_id
                for s in self.look.sources.values()
                if s.parent_id in over and s.data_source_id not in taken
            ]
            taken.update(sources)
            for source in sources if not self.look.dry else ():
                await self.look.store.source_state(source, "gone", "it is in the trash")
            above = sources
        if taken and not self.look.dry:
            self.look.sources = await self.look.store.sources()
        return {page: known for page, known in found.items() if known.read_at is not None}


def _away(known: Known) -> Sighting:
    return Sighting(known.page_id, None, known.data_source_id, "gone")
