"""What is seen of Notion's pages, and what a sighting means. Pure.

The follower looks at Notion for everybody and hands what it saw to its watchers, a batch at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from higherself.notion.following.watermarks import closed

Kind = Literal["seen", "gone", "lost"]
State = Literal["live", "archived", "lost", "gone"]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A page as it was seen: changed or new (``seen``), away with proof (``gone``), out of reach (``lost``).

    ``page`` is Notion's page object, None if the page is gone or lost. A loose page has no
    ``data_source_id``. ``properties_changed_by_us`` says that the last change that shows in its
    properties is a write of our own.
    """

    page_id: str
    page: Mapping[str, Any] | None
    data_source_id: str | None = None
    kind: Kind = "seen"
    properties_changed_by_us: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """A page or a database that stands inside a page: how what no search shows is found."""

    kind: Literal["page", "database"]
    id: str
    parent_id: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a watcher did with sightings; all of it is stored. Numbers are of pages.

    ``failed`` names the pages that are to be shown again later, and why; the others are done with.
    ``lost`` are pages that could not be reached. ``children`` stand inside pages that were read.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    embedded: int = 0
    saved: int = 0
    requests: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    lost: frozenset[str] = frozenset()
    children: tuple[Child, ...] = ()


class Watcher(Protocol):
    """Does something with pages, for the data sources that it watches."""

    name: str

    def watches(self, data_source_id: str | None) -> bool:
        """Return whether it wants the pages of a data source; None: pages of none."""
        ...

    async def see(self, sightings: Sequence[Sighting]) -> Seen:
        """Do what is to be done about ``sightings``, and return when all of it is stored.

        The same sighting may come again: that does no harm. A failure of one page is told in
        ``failed``.

        Raises
            Unavailable, NotAuthorised, ...: nothing can be done now; all of them come again.
        """
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """What is stored of a page: its time at Notion when it was read last, and when that was."""

    page_id: str
    edited: datetime | None
    read_at: datetime | None
    state: State
    data_source_id: str | None
    parent_id: str | None
    missing: int = 0
    held: bool = False


Meaning = Literal["new", "changed", "moved", "restored", "again", "same", "archived", "trashed"]
"""``again``: it was read in the minute of its last edit, which is over now: more may have followed."""

HANDLED = frozenset({"new", "changed", "moved", "restored", "again"})
"""What watchers are to see."""


def judge(known: Known | None, page: Mapping[str, Any], now: datetime) -> Meaning:
    """Return what it means to see ``page``, of which ``known`` is stored, at ``now``."""
    if page.get("in_trash"):
        return "trashed"
    if page.get("is_archived"):
        return "archived"
    if known is None or known.read_at is None:
        return "new"
    if known.state != "live" or known.held:
        return "restored"
    edited = edited_at(page)
    if known.edited is not None and edited != known.edited:
        return "changed"
    if known.edited is None and edited is not None and not closed(edited, known.read_at):
        return "changed"
    if parent_of(page) != known.parent_id or data_source_of(page) != known.data_source_id:
        return "moved"
    if edited is not None and not closed(edited, known.read_at) and closed(edited, now):
        return "again"
    return "same"


def edited_at(page: Mapping[str, Any]) -> datetime | None:
    """Return when a page was last edited: the beginning of that minute; None: it does not say."""
    text = page.get("last_edited_time")
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def data_source_of(page: Mapping[str, Any]) -> str | None:
    """Return the data source that a page is a row of, or None."""
    found = (page.get("parent") or {}).get("data_source_id")
    return found if isinstance(found, str) else None


def parent_of(page: Mapping[str, Any]) -> str | None:
    """Return the page, block or data source that a page stands in, or None at the top."""
    parent = page.get("parent") or {}
    found = parent.get(parent.get("type"))
    return found if isinstance(found, str) else None


def title_of(page: Mapping[str, Any]) -> str:
    """Return the title of a page or data source as plain text.

    >>> title_of({"properties": {"Name": {"type": "title", "title": [{"plain_text": "Blue"}]}}})
    'Blue'
    """
    if isinstance(page.get("title"), list):
        return _plain(page["title"])
    for value in (page.get("properties") or {}).values():
        if isinstance(value, Mapping) and value.get("type") == "title":
            return _plain(value.get("title") or ())
    return ""


def entry_of(page: str, inside: str, title: str) -> dict[str, Any]:
    """Return what is known of a page that was only seen inside another, as Notion would tell it.

    When it was edited is not known. It saves a request for each such page of a first sync.
    """
    item = {"type": "text", "plain_text": title, "text": {"content": title, "link": None}}
    return {
        "object": "page",
        "id": page,
        "parent": {"type": "page_id", "page_id": inside},
        "properties": {"title": {"id": "title", "type": "title", "title": [item]}},
        "url": f"https://app.notion.com/p/{page.replace('-', '')}",
        "in_trash": False,
        "is_archived": False,
    }


def _plain(items: Sequence[Mapping[str, Any]]) -> str:
    return "".join(str(item.get("plain_text", "")) for item in items)
