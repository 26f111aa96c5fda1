"""A page of Notion as a document of the knowledge hub. Pure.

Text and titles come from whoever can write in the workspace: they are data, and `trust` says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from higherself.kernel.jsonvalue import JsonValue, canonical, content_hash
from higherself.knowledge.model import NewDocument
from higherself.notion.content import to_knowledge_markdown
from higherself.notion.content.rich import plain as plain_rich
from higherself.notion.content.tree import (
    Block,
    Callout,
    ChildDatabase,
    ChildPage,
    Content,
    walk,
)
from higherself.notion.following.sightings import Child, data_source_of, title_of
from higherself.notion.properties import plain, read

SOURCE = "notion"
"""The source of these documents in the hub."""

TELLING = ("Index Status", "Chunks", "Last Embedded", "Related Pages")
"""Properties that say what became of a page here, where a database has them."""

OWN = frozenset({*TELLING, "Supabase ID", "Last Synced", "Needs Sync"})
"""Properties that the server writes: no content of the page."""

MARK = "HigherSelf: "
"""What the marks around a part of ours begin with."""

UNSTABLE = frozenset({"formula", "rollup", "created_time", "created_by", "last_edited_time", "last_edited_by", "button", "verification", "last_visited_time"})  # fmt: skip
"""Types of properties that change without an edit, or say nothing."""


@dataclass(frozen=True, slots=True)
class PageText:
    """A page that was read whole."""

    page_id: str
    entity: str
    page: Mapping[str, Any]
    content: Content
    database: str = ""


def document_of(read_page: PageText, at: datetime | None) -> NewDocument:
    """Return the document that a page makes; ``at`` is when its content last changed."""
    page = read_page.page
    title = title_of(page) or "Untitled"
    shown = properties_of(page)
    body = to_knowledge_markdown(read_page.content)
    lines = [f"{name}: {_said(value)}" for name, value in shown.items() if _said(value)]
    text = "\n\n".join(part for part in ("\n".join(lines), body.strip()) if part)
    metadata: dict[str, JsonValue] = {"page": read_page.page_id}
    if (source := data_source_of(page)) is not None:
        metadata |= {"data_source": source, "properties": shown}
    if read_page.database:
        metadata["database"] = read_page.database
    return NewDocument(
        external_id=read_page.page_id,
        text=(text or title).replace("\0", ""),
        entity=read_page.entity,
        source=SOURCE,
        title=title.replace("\0", ""),
        uri=page.get("url"),
        metadata=metadata,
        at=at,
        trust="external",
    )


def hash_of(document: NewDocument) -> bytes:
    """Return the hash that decides whether a page has changed for the hub."""
    return content_hash(
        document.entity, document.title, document.text, document.uri or "", canonical(document.metadata)
    )  # fmt: skip


def properties_of(page: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return the properties of a page that a person has filled in, as plain JSON, without its title."""
    raw = page.get("properties") or {}
    kept = {
        name: value
        for name, value in raw.items()
        if name not in OWN and value.get("type") not in UNSTABLE and value.get("type") != "title"
    }
    found = read({**page, "properties": kept})
    return {
        name: shown
        for name, value in sorted(found.items())
        if (shown := plain(value)) not in (None, "", [], {})
    }


def children_of(page: str, content: Content) -> tuple[Child, ...]:
    """Return the pages and databases that stand in a page."""
    found = []
    for _, block in walk(content.blocks):
        if isinstance(block, ChildPage) and block.ref:
            found.append(Child("page", block.ref, page, block.title))
        elif isinstance(block, ChildDatabase) and block.ref:
            found.append(Child("database", block.ref, page, block.title))
    return tuple(found)


def without_ours(content: Content) -> tuple[Content, bool]:
    """Return what people have written on a page, without the parts that the server writes.

    The second says whether there were such parts. See `higherself.notion.content.region`.
    """
    kept: list[Block] = []
    skipped: list[Block] = []
    ends = ""
    found = False
    for block in content.blocks:
        name = plain_rich(block.text).partition(" · ")[0] if isinstance(block, Callout) else ""
        if ends:
            skipped.append(block)
            if name == ends:
                ends, skipped, found = "", [], True
        elif name.startswith(MARK) and not name.startswith(f"{MARK}end of "):
            ends, skipped = f"{MARK}end of {name.removeprefix(MARK)}", [block]
        else:
            kept.append(block)
    return Content((*kept, *skipped)), found  # a part that does not end is a person's


def _said(value: JsonValue) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case Mapping():
            return ", ".join(f"{k} {_said(v)}" for k, v in value.items() if _said(v))
        case Sequence():
            return ", ".join(filter(None, map(_said, value)))
        case _:
            return f"{value}"
