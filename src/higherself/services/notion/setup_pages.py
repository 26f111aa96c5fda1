"""Set-ups from Notion: what businesses write on the pages of the library of workflows is set up for them.

A page may have a block of code for each business, beginning with ``setup: NAME``. It is done once for
its text; what came of it stands on the page. What is not on a page any more stays set up: `enabled:
false` disables it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from higherself.db.pool import Database
from higherself.db.queryfile import read_queries
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Misconfigured, Rejected, Unavailable
from higherself.kernel.errors import NotFound as Missing
from higherself.kernel.jsonvalue import JsonObject, content_hash
from higherself.kernel.tasks import raise_if_cancelled
from higherself.notion.content import RegionDamaged, edit_for, marked, region
from higherself.notion.errors import EditConflict
from higherself.notion.following.sightings import Seen, Sighting
from higherself.notion.ids import same_id
from higherself.services.notion.definitions import LIBRARY, TRIES, TextWrites
from higherself.services.notion.setup_blocks import (
    REGION,
    SetupResult,
    SetupUnreadable,
    read_setup,
    setups_body,
    written_setups,
)
from higherself.services.notion.status import PageReads, Places
from higherself.services.setups import SettingsRejected, Setup

QUERIES = read_queries("higherself.services.notion", "setup_pages.sql")


class SetsUp(Protocol):
    """Sets workflows up for businesses (`services.setups.Setups`)."""

    async def set_up(
        self,
        entity: str,
        workflow: str,
        settings: JsonObject,
        *,
        by: str,
        origin: str,
        enabled: bool,
        keep: bool,
    ) -> Setup:
        """Set a workflow up, with these settings alone unless others are kept."""
        ...


class NotionSetups:
    """Watches the library of workflows for set-ups."""

    name = "setups"

    def __init__(
        self,
        setups: SetsUp,
        reads: PageReads,
        writes: TextWrites,
        places: Places,
        database: Database,
        clock: Clock,
    ) -> None:
        self._setups, self._reads, self._writes, self._places = setups, reads, writes, places
        self._database, self._clock = database, clock

    def watches(self, data_source_id: str | None) -> bool:
        """Return whether these are the pages of the library."""
        source = self._places.data_source(LIBRARY)
        return source is not None and same_id(source.data_source_id, data_source_id)

    async def see(self, sightings: Sequence[Sighting]) -> Seen:
        """Set up what these pages ask for, and say there what came of it."""
        failed: dict[str, str] = {}
        updated = 0
        for each in sightings:
            raise_if_cancelled()
            if each.page is None or each.kind != "seen":
                continue
            try:
                updated += await self._looked_at(each.page_id, each.page)
            except (Unavailable, Misconfigured):
                raise
            except HigherSelfError as error:
                failed[each.page_id] = str(error)
        return Seen(
            updated=updated, unchanged=len(sightings) - updated - len(failed), failed=failed
        )

    async def _looked_at(self, page_id: str, page: Mapping[str, Any]) -> bool:
        there = await self._reads.markdown(page_id)
        texts = written_setups(there.markdown)
        known = await self._known(page_id)
        if there.truncated or (not texts and known is None):
            return False
        digest = content_hash(*texts)
        if known == digest:
            return False
        by = f"notion:{(page.get('last_edited_by') or {}).get('id', 'somebody')}"
        results = [await self._done(text, by) for text in texts]
        await self._write(page_id, setups_body(results), digest)
        async with self._database.transaction() as tx:
            given = {"page_id": page_id, "text_hash": digest, "now": self._clock.now()}
            await tx.run(QUERIES["save_setup_page"], given)
        telemetry.count("notion.setups.read", failed=str(any(each.problems for each in results)))
        return True

    async def _done(self, text: str, by: str) -> SetupResult:
        try:
            said = read_setup(text)
        except SetupUnreadable as error:
            return SetupResult("Not set up", tuple(str(error).splitlines()))
        what = f"{said.workflow} for {said.entity}"
        try:
            done = await self._setups.set_up(
                said.entity, said.workflow, said.settings,
                by=by, origin="notion", enabled=said.enabled, keep=False,
            )  # fmt: skip
        except SettingsRejected as rejected:
            return SetupResult(f"Not set up: {what}", rejected.problems)
        except (Rejected, Missing) as error:
            return SetupResult(f"Not set up: {what}", (str(error),))
        state = "Set up" if done.enabled else "Disabled"
        remarks = tuple(f"{name}: {value}" for name, value in done.settings.items())
        return SetupResult(f"{state}: {what}", (), remarks)

    async def _write(self, page_id: str, body: str, digest: bytes) -> None:
        """Put ``body`` into our part of a page."""
        key = f"setups/{page_id}/{digest.hex()[:16]}/{content_hash(body).hex()[:16]}"
        for _ in range(TRIES):
            there = await self._reads.markdown(page_id)
            try:
                if region(there.markdown, REGION) is None:
                    await self._writes.insert_markdown(page_id, marked(REGION, body), key=key)
                elif (edit := edit_for(there.markdown, REGION, body)) is not None:
                    mark = content_hash(edit.old).hex()[:8]
                    await self._writes.edit_markdown(page_id, [edit], key=f"{key}/{mark}")
            except EditConflict:
                continue
            except RegionDamaged as error:
                telemetry.warning("notion.setups.not_written", reason=str(error))
            return
        raise EditConflict(f"the text of {page_id} changes faster than it can be written")

    async def _known(self, page_id: str) -> bytes | None:
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["find_setup_page"], {"page_id": page_id})
        return None if row is None else bytes(row["text_hash"])
