"""One page of an instance, while it is brought up to date; see `notion_status`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from higherself.kernel.errors import NotFound
from higherself.kernel.jsonvalue import canonical, content_hash
from higherself.notion.content import Edit, RegionDamaged, edit_for, marked, region, whole_region
from higherself.notion.databases.fields import to_notion
from higherself.notion.databases.lookup import DataSource
from higherself.notion.errors import EditConflict, NotionRejected, PageNotFound
from higherself.notion.ports import JsonObject
from higherself.notion.reading.api import PageMarkdown
from higherself.services.notion.status_kept import kept_words, says_the_same
from higherself.services.notion.status_page import REGION, Related, StatusPage, status_page
from higherself.services.notion.status_store import Shown
from higherself.workflow.view.page import status_report

if TYPE_CHECKING:
    from higherself.services.notion.status import NotionStatus

WhenEdited = Literal["replace", "leave"]
"""What becomes of our part when a person has changed it: it is written anew and their words are kept
beneath it, or it is left as it is."""

WhenRemoved = Literal["leave", "recreate"]
"""What becomes of a page that a person has put into the trash: it stays there, or another is made."""

TRIES = 3


class PageWrites(Protocol):
    """What is written to Notion here (`notion.writes.Writes`). The same key is done once."""

    async def create_page(
        self, parent: JsonObject, properties: JsonObject, *, key: str, markdown: str, icon: str
    ) -> JsonObject:
        """Make a page."""
        ...

    async def update_page(
        self,
        page: str,
        *,
        key: str,
        properties: JsonObject | None = None,
        icon: str | None = None,
        in_trash: bool | None = None,
    ) -> JsonObject:
        """Change a page."""
        ...

    async def edit_markdown(self, page: str, edits: Sequence[Edit], *, key: str) -> PageMarkdown:
        """Put new text in the place of old text."""
        ...

    async def insert_markdown(
        self, page: str, markdown: str, *, key: str, first: bool = False
    ) -> PageMarkdown:
        """Add text to a page."""
        ...


class PageReads(Protocol):
    """What is read of Notion here (`notion.api.Notion`)."""

    async def page(self, page: str) -> JsonObject:
        """Return a page."""
        ...

    async def markdown(self, block: str) -> PageMarkdown:
        """Return what stands on a page."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPolicy:
    """How pages are kept. ``requests`` in a minute are this work's share of the budget.

    A page is written ``settle`` after the first step that it does not show, and then not again for
    ``rest``; ``at_once`` pages are written side by side.
    """

    requests: int = 90
    settle: timedelta = timedelta(seconds=2)
    rest: timedelta = timedelta(seconds=5)
    at_once: int = 4
    when_edited: WhenEdited = "replace"
    when_removed: WhenRemoved = "leave"
    every: timedelta = timedelta(seconds=1)
    refused: timedelta = timedelta(minutes=5)


@dataclass(slots=True)
class Refreshed:
    """What was done: pages by what became of them, and the requests that it took."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    trashed: int = 0
    left: int = 0
    put_off: int = 0
    requests: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def handled(self) -> int:
        """How many pages were looked at."""
        return self.created + self.updated + self.unchanged + self.trashed + self.left + self.put_off + len(self.failed)  # fmt: skip


class Refreshing:
    """One page, while it is brought up to date."""

    def __init__(
        self, status: "NotionStatus", shown: Shown, source: DataSource, done: Refreshed
    ) -> None:
        self._on, self._shown, self._source, self._done = status, shown, source, done
        self._store, self._writes, self._reads = status.store, status.writes, status.reads
        self._wrote = False

    async def run(self) -> None:
        """Do what is to be done; note how far it is before and after every write."""
        policy = self._on.policy
        if self._shown.state in ("gone", "lost"):
            if policy.when_removed == "leave" or self._shown.state == "lost":
                await self._store.save(self._shown)
                self._done.left += 1
                return
            self._begin_anew()
        try:
            page = await self._wanted()
        except NotFound:
            return  # the instance is no more: its page is about to go
        try:
            if self._shown.page_id is None:
                await self._create(page)
            else:
                await self._update(page)
        except PageNotFound as error:
            await self._removed("lost", str(error))
        except NotionRejected as error:
            if not await self._is_in_trash():
                raise
            await self._removed("gone", f"the page is in the trash ({error})")

    async def _wanted(self) -> StatusPage:
        """Return what the page is to be like."""
        engine, instance = self._on.engine, self._shown.instance_id
        stored = await engine.get(instance)
        definition = await engine.pinned(stored.snapshot)
        history = await engine.history(instance)
        report = status_report(definition, stored.snapshot, history, reason=stored.instance.reason)
        row, children = await self._store.related(instance, report.agent)
        pages = {
            "Workflow": row.get("definition"),
            "Business Entity": row.get("business"),
            "Assigned Agent": row.get("agent"),
        }
        parent = None if stored.instance.parent is None else (row.get("parent") or "another workflow", row.get("parent_page"))  # fmt: skip
        related = Related(
            pages={name: [page] if page else [] for name, page in pages.items()},
            definition=row.get("definition"),
            parent=parent,
            children=[(child["workflow"], child["page_id"]) for child in children],
            dashboard=self._on.dashboard(instance),
        )
        return status_page(report, stored.snapshot, key=stored.instance.key, related=related)

    # --- A new page.

    def _begin_anew(self) -> None:
        self._shown = self._shown.changed(
            page_id=None, url=None, state="new", reason="", body_hash=None, region=None,
            properties=None, sending=None, pages=self._shown.pages + 1,
        )  # fmt: skip

    async def _create(self, wanted: StatusPage) -> None:
        """Make the page: what was sent once is sent again, so that it is one page whatever happens."""
        sending = self._shown.sending
        if sending is None:
            sending = {
                "properties": self._properties(wanted),
                "markdown": marked(REGION, wanted.body),
                "icon": wanted.icon,
                "values": dict(wanted.properties),
                "hash": _hash(wanted.body).hex(),
            }
            self._shown = self._shown.changed(sending=sending)
            await self._store.note(self._shown)
        self._on.spend(self._done)
        made = await self._writes.create_page(
            {"type": "data_source_id", "data_source_id": self._source.data_source_id},
            dict(sending["properties"]),
            key=f"status/{self._shown.instance_id}/page/{self._shown.pages}",
            markdown=sending["markdown"],
            icon=sending["icon"],
        )
        self._shown = self._shown.changed(
            page_id=made["id"], url=made.get("url"), state="ok", sending=None,
            body_hash=bytes.fromhex(sending["hash"]),
            properties={**sending["values"], "icon": sending["icon"]},
        )  # fmt: skip
        await self._store.note(self._shown)
        there = await self._read()
        self._shown = self._shown.changed(region=whole_region(there.markdown, REGION), reason="")
        await self._store.save(self._shown)
        self._done.created += 1

    # --- A page that is there.

    async def _update(self, wanted: StatusPage) -> None:
        new = _hash(wanted.body)
        leaves = self._shown.state == "edited" and self._on.policy.when_edited == "leave"
        if new != self._shown.body_hash and not leaves:
            await self._edit(wanted, new)
        values = {**wanted.properties, "icon": wanted.icon}
        if canonical(values) != canonical(dict(self._shown.properties or {})):
            await self._write_properties(wanted, values)
        if self._shown.state in ("new", "ok"):
            self._shown = self._shown.changed(state="ok", reason="")
        await self._store.save(self._shown.changed(sending=None))
        if self._wrote:
            self._done.updated += 1
        else:
            self._done.unchanged += 1

    async def _write_properties(self, wanted: StatusPage, values: dict[str, Any]) -> None:
        properties = self._properties(wanted)
        digest = content_hash(canonical([properties, wanted.icon])).hex()[:16]
        self._on.spend(self._done)
        self._wrote = True
        page = await self._writes.update_page(
            self._page,
            key=f"status/{self._shown.instance_id}/{self._shown.writes}/p/{digest}",
            properties=properties,
            icon=wanted.icon,
        )
        if page.get("in_trash"):
            await self._removed("gone", "the page is in the trash")
            return
        self._shown = self._shown.changed(properties=values, writes=self._shown.writes + 1)
        await self._store.note(self._shown)

    def _properties(self, wanted: StatusPage) -> JsonObject:
        """Return the properties as they are sent: of those that the database has."""
        found: JsonObject = {}
        for name, value in wanted.properties.items():
            mapped = self._source.mapping.get(name)
            if mapped is not None and self._on.can_say(name, value):
                found[mapped.id] = to_notion(self._on.declared.properties[name], mapped.type, value)
        return found

    async def _edit(self, wanted: StatusPage, new: bytes) -> None:
        """Put the new text into our part, which nobody has changed since; else look what has become of it."""
        before, body = self._shown.region, wanted.body
        mine = [] if self._shown.sending is None else [str(self._shown.sending.get("body", ""))]
        self._shown = self._shown.changed(sending={"body": body})
        await self._store.note(self._shown)
        for attempt in range(TRIES):
            if before is None or attempt:
                edit = await self._looked(body, mine)
                if edit is None:
                    return
            else:
                found = edit_for(before, REGION, body)
                if found is None:
                    self._shown = self._shown.changed(body_hash=new)
                    return
                edit = found
            try:
                there = await self._edited(edit)
            except EditConflict:
                before = None
                continue
            await self._wrote_body(there, new)
            return
        raise EditConflict(f"the text of {self._page} changes faster than it can be written")

    async def _edited(self, edit: Edit) -> PageMarkdown:
        digest = content_hash(canonical([edit.old, edit.new])).hex()[:16]
        self._on.spend(self._done)
        self._wrote = True
        key = f"status/{self._shown.instance_id}/{self._shown.writes}/b/{digest}"
        return await self._writes.edit_markdown(self._page, [edit], key=key)

    async def _wrote_body(self, there: PageMarkdown, new: bytes) -> None:
        try:
            ours = None if there.truncated else whole_region(there.markdown, REGION)
        except RegionDamaged:
            ours = None
        self._shown = self._shown.changed(
            body_hash=new, region=ours, writes=self._shown.writes + 1, state="ok", reason="",
            sending=None,
        )  # fmt: skip
        await self._store.note(self._shown)

    async def _looked(self, body: str, mine: Sequence[str]) -> Edit | None:
        """Read the page; return the edit that puts ``body`` there, or None if it is not to be."""
        there = await self._read()
        if there.truncated:
            self._damaged("the page is too long to be read whole")
            return None
        try:
            inside = region(there.markdown, REGION)
        except RegionDamaged as error:
            self._damaged(str(error))
            return None
        before = self._shown.region
        known = [text for text in (before and region(before, REGION), *mine) if text]
        is_ours = inside is not None and (not known or says_the_same(inside, known))
        if not is_ours and self._on.policy.when_edited == "leave":
            why = "a person has changed the part of the server" if inside is not None else "a person has removed the part of the server"  # fmt: skip
            self._shown = self._shown.changed(state="edited", reason=why, sending=None)
            return None
        if inside is None:
            await self._insert(body)
            return None
        edit = edit_for(there.markdown, REGION, body) or Edit("", "")
        kept = "" if is_ours else kept_words(inside, known)
        if kept:
            old = whole_region(there.markdown, REGION) or ""
            return Edit(old, f"{edit.new or old}\n{kept}")
        if not edit.old:  # it is there already: written by us, and not noted
            await self._wrote_body(there, _hash(body))
            return None
        return edit

    async def _insert(self, body: str) -> None:
        """Put our part at the top of a page that has none."""
        self._on.spend(self._done)
        self._wrote = True
        key = f"status/{self._shown.instance_id}/{self._shown.writes}/i/{_hash(body).hex()[:16]}"
        there = await self._writes.insert_markdown(
            self._page, marked(REGION, body), key=key, first=True
        )
        await self._wrote_body(there, _hash(body))

    def _damaged(self, reason: str) -> None:
        self._shown = self._shown.changed(state="damaged", reason=reason, sending=None)

    # --- How it is at Notion.

    @property
    def _page(self) -> str:
        if self._shown.page_id is None:
            raise AssertionError("the page has been made")
        return self._shown.page_id

    async def _read(self) -> PageMarkdown:
        self._on.spend(self._done)
        return await self._reads.markdown(self._page)

    async def _is_in_trash(self) -> bool:
        if self._shown.page_id is None:
            return False
        self._on.spend(self._done)
        return bool((await self._reads.page(self._page)).get("in_trash"))

    async def _removed(self, state: Literal["gone", "lost"], reason: str) -> None:
        self._shown = self._shown.changed(state=state, reason=reason, sending=None)
        again = state == "gone" and self._on.policy.when_removed == "recreate"
        await self._store.save(self._shown)
        if again:
            await self._store.mark(self._shown.instance_id)
        self._done.left += 1


def _hash(body: str) -> bytes:
    return content_hash(body)
