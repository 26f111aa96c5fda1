"""Definitions of workflows in Notion's library: those written on pages are loaded, those of files shown.

A page whose Status is Active and that has one definition in a block of code is judged as a file
would be, and loaded; what is wrong is told on the page, with lines. Nothing on a page is ever run but
the language of definitions, which loads into values.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from higherself.db.pool import Database, Row
from higherself.db.queryfile import read_queries
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Misconfigured, NotFound, Unavailable
from higherself.kernel.jsonvalue import content_hash
from higherself.kernel.tasks import raise_if_cancelled
from higherself.notion.content import Edit, RegionDamaged, edit_for, marked, region
from higherself.notion.errors import EditConflict, NotionRejected, PageNotFound
from higherself.notion.following.sightings import Seen, Sighting
from higherself.notion.ids import same_id
from higherself.notion.reading.api import PageMarkdown
from higherself.services.notion.definition_page import (
    REGION,
    Judged,
    definition_body,
    judge,
    steps_of,
    written_definition,
)
from higherself.services.notion.records import Records
from higherself.services.notion.status import PageReads, Places
from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.engine.engine import Engine
from higherself.workflow.errors import DefinitionChanged
from higherself.workflow.lint import Catalogue

QUERIES = read_queries("higherself.services.notion", "definitions.sql")

LIBRARY = "workflows_library"
"""The declared database of the pages."""

SHOWN_EVERY = timedelta(minutes=10)
"""How often the definitions of files, and how many instances they have, are brought to the library."""

TRIES = 3


class TextWrites(Protocol):
    """What is written to Notion here (`notion.writes.Writes`). The same key is done once."""

    async def edit_markdown(self, page: str, edits: Sequence[Edit], *, key: str) -> PageMarkdown:
        """Put new text in the place of old text."""
        ...

    async def insert_markdown(self, page: str, markdown: str, *, key: str) -> PageMarkdown:
        """Add text at the end of a page."""
        ...


class NotionDefinitions:
    """Watches the library of workflows, and keeps it."""

    name = "definitions"

    def __init__(
        self,
        engine: Engine,
        records: Records,
        reads: PageReads,
        writes: TextWrites,
        places: Places,
        database: Database,
        clock: Clock,
        *,
        catalogue: Catalogue | None = None,
        entity: str = "default",
    ) -> None:
        self._engine, self._records = engine, records
        self._reads, self._writes, self._places = reads, writes, places
        self._database, self._clock = database, clock
        self._catalogue, self._entity = catalogue, entity
        self._shown_at: float | None = None

    def watches(self, data_source_id: str | None) -> bool:
        """Return whether these are the pages of the library."""
        source = self._places.data_source(LIBRARY)
        return source is not None and same_id(source.data_source_id, data_source_id)

    async def see(self, sightings: Sequence[Sighting]) -> Seen:
        """Load what stands on these pages, and say there what came of it."""
        failed: dict[str, str] = {}
        updated = 0
        for each in sightings:
            raise_if_cancelled()
            if each.page is None or each.kind != "seen":
                await self._run("definition_page_gone", page_id=each.page_id)
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

    async def tick(self) -> None:
        """Have the library say what came of its pages, and show the definitions of files."""
        if self._places.data_source(LIBRARY) is None:
            return
        await self._tell_rows()
        now = self._clock.monotonic()
        if self._shown_at is None or now - self._shown_at >= SHOWN_EVERY.total_seconds():
            self._shown_at = now
            if await self.show_files():
                self._shown_at = None  # their pages are about to be made

    # --- What stands on pages.

    async def _looked_at(self, page_id: str, page: Mapping[str, Any]) -> bool:
        known = await self._known(page_id)
        if known["origin"] == "file":
            return False
        if self._status(page) != "Active":
            if known["state"] in ("loaded", "refused"):
                await self._save({**known, "state": "draft", "result": ""})
            return False
        there = await self._reads.markdown(page_id)
        texts = written_definition(there.markdown)
        if not texts or there.truncated:
            return False
        digest = content_hash(*texts)
        if known["text_hash"] == digest and known["state"] in ("loaded", "refused"):
            return False
        judged = judge(texts, self._catalogue)
        if judged.definition is not None:
            judged = await self._loaded(judged, judged.definition, texts[0], page_id)
        definition = judged.definition
        known = {
            **known,
            "origin": "page",
            "workflow": definition.name if definition else known["workflow"],
            "version": definition.version if definition else known["version"],
            "text_hash": digest,
            "state": "refused" if judged.problems else "loaded",
            "result": judged.result,
        }
        body = definition_body(
            definition, problems=judged.problems, remarks=judged.remarks, written=True
        )
        known = await self._write(page_id, known, body, there)
        await self._save(known)
        await self._tell_rows()
        telemetry.count("notion.definition.judged", state=known["state"])
        return True

    async def _loaded(
        self, judged: Judged, definition: WorkflowDefinition, text: str, page_id: str
    ) -> Judged:
        """Make a definition known, unless something else has its name and version."""
        try:
            stored = await self._engine.definition(definition.name, definition.version)
        except NotFound:
            stored = None
        if stored is not None and stored.definition != definition:
            known = await self._known(page_id)
            ours = (known["workflow"], known["version"]) == (definition.name, definition.version)
            if not ours:
                said = (
                    f"{definition} is there already with another content, from a file of the server "
                    f"or another page; give this one `version: {definition.version + 1}` or another name"
                )
                return Judged(None, (said,), judged.remarks)
        try:
            await self._engine.add(definition, source=text)
        except DefinitionChanged as changed:
            return Judged(None, (str(changed),), judged.remarks)
        return judged

    def _status(self, page: Mapping[str, Any]) -> str | None:
        source = self._places.data_source(LIBRARY)
        mapped = None if source is None else source.mapping.get("Status")
        if mapped is None:
            return None
        for value in (page.get("properties") or {}).values():
            if value.get("id") == mapped.id:
                chosen = value.get(value.get("type", "")) or {}
                return chosen.get("name") if isinstance(chosen, Mapping) else None
        return None

    async def _tell_rows(self) -> None:
        """Have the rows of the library say what came of their pages; the sync brings that to Notion."""
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["untold"])
        for row in rows:
            values: dict[str, Any] = {"problems": row["result"][:1900]}
            if row["version"] is not None and not row["result"]:
                values["version"] = str(row["version"])
            table = self._records.of(LIBRARY)
            await table.save(row["entity"], values, record=row["record_id"])

    # --- What files define.

    async def show_files(self) -> int:
        """Bring the definitions of files to the library; return how many have no page yet."""
        async with self._database.reading() as tx:
            written = {row["workflow"] for row in await tx.many(QUERIES["written_workflows"])}
            counts = {row["workflow"]: row for row in await tx.many(QUERIES["count_instances_of"])}
        pageless = 0
        for name in await self._engine.workflows():
            raise_if_cancelled()
            if name in written:
                continue
            stored = await self._engine.definition(name)
            definition, count = stored.definition, counts.get(name)
            row = await self._records.of(LIBRARY).save(
                self._entity,
                {
                    "workflow_name": _title(name),
                    "description": " ".join(definition.description.split())[:1900] or None,
                    "version": str(definition.version),
                    "status": "Active",
                    "workflow_steps": steps_of(definition),
                    "active_instances_count": count["unfinished"] if count else 0,
                    "total_instances_count": count["instances"] if count else 0,
                    "created_date": stored.created_at,
                },
                key=f"workflow/{name}",
            )
            async with self._database.reading() as tx:
                page = await tx.maybe(QUERIES["page_of_row"], {"record": row["record_id"]})
            if page is None or page["page_id"] is None:
                pageless += 1
                continue
            try:
                await self._show(page["page_id"], definition)
            except (PageNotFound, NotionRejected, EditConflict) as error:
                telemetry.warning("notion.definition.not_shown", reason=str(error))
        return pageless

    async def _show(self, page_id: str, definition: WorkflowDefinition) -> None:
        body = definition_body(definition, written=False)
        known = await self._known(page_id)
        if known["shown_hash"] == content_hash(body):
            return
        known |= {
            "origin": "file", "workflow": definition.name, "version": definition.version,
            "state": "shown", "result": "",
        }  # fmt: skip
        await self._save(known)
        known = await self._write(page_id, known, body, await self._reads.markdown(page_id))
        await self._save(known)

    # --- Our part of a page.

    async def _write(
        self, page_id: str, known: dict[str, Any], body: str, there: PageMarkdown
    ) -> dict[str, Any]:
        """Put ``body`` into our part of a page; return what is known of it then."""
        digest = content_hash(body)
        key = f"definition/{page_id}/{known['writes']}/{digest.hex()[:16]}"
        for _ in range(TRIES):
            try:
                if region(there.markdown, REGION) is None:
                    await self._writes.insert_markdown(page_id, marked(REGION, body), key=key)
                else:
                    edit = edit_for(there.markdown, REGION, body)
                    if edit is not None:
                        key = f"{key}/{content_hash(edit.old).hex()[:8]}"
                        await self._writes.edit_markdown(page_id, [edit], key=key)
            except EditConflict:
                there = await self._reads.markdown(page_id)
                continue
            except RegionDamaged as error:
                telemetry.warning("notion.definition.not_written", reason=str(error))
                return known
            return {**known, "shown_hash": digest, "writes": known["writes"] + 1}
        raise EditConflict(f"the text of {page_id} changes faster than it can be written")

    async def _known(self, page_id: str) -> dict[str, Any]:
        async with self._database.reading() as tx:
            row: Row | None = await tx.maybe(QUERIES["find_definition_page"], {"page_id": page_id})
        return dict(row) if row else {
            "page_id": page_id, "origin": "page", "workflow": None, "version": None,
            "text_hash": None, "state": "draft", "result": "", "writes": 0, "shown_hash": None,
        }  # fmt: skip

    async def _save(self, known: Mapping[str, Any]) -> None:
        await self._run("save_definition_page", now=self._clock.now(), **known)

    async def _run(self, query: str, **given: Any) -> None:
        async with self._database.transaction() as tx:
            await tx.run(QUERIES[query], given)


def _title(name: str) -> str:
    said = name.replace("_", " ").replace("-", " ")
    return f"{said[:1].upper()}{said[1:]}"
