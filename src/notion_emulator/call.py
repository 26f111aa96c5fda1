"""One request as endpoints see it, and the checks they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from notion_emulator.clock import Clock
from notion_emulator.errors import ApiError, Json, invalid, invalid_body, shown
from notion_emulator.ids import dashed
from notion_emulator.richtext import plain
from notion_emulator.settings import Settings
from notion_emulator.store import Connection, Node, Store

NO_BASE = ""  # nobody said: a request that did not come over HTTP


@dataclass(frozen=True)
class Call:
    """The workspace, who asks, and what was sent."""

    store: Store
    clock: Clock
    settings: Settings
    connection: Connection
    version: str
    query: dict[str, list[str]] = field(default_factory=dict)
    body: Json = field(default_factory=dict)
    base: str = NO_BASE  # the address the request came to

    @property
    def old(self) -> bool:
        """Whether the version still has ``archived`` and ``after``."""
        return self.version < "2026-03-11"

    @property
    def now(self) -> datetime:
        """The present, as this server's clock has it."""
        skew = self.settings.clock_skew_s
        return self.clock.now() + timedelta(seconds=skew) if skew else self.clock.now()

    @property
    def actor(self) -> str:
        """The id of the user who acts."""
        return self.connection.bot_id

    def may(self, capability: str) -> None:
        """Check a capability.

        Raises
            ApiError: 403, the connection lacks it.
        """
        if capability not in self.connection.capabilities:
            raise ApiError(403, "restricted_resource", "Insufficient permissions for this endpoint.")  # fmt: skip

    def known(self, *keys: str) -> None:
        """Check that the body has no other keys.

        Raises
            ApiError: it has, and the emulator is not lenient.
        """
        if self.settings.lenient:
            return
        for key in self.body:
            if key not in keys:
                raise invalid_body(key, "not present", self.body[key])

    def find(self, object_id: str, *kinds: str, noun: str | None = None) -> Node:
        """Return what is visible under an id.

        Raises
            ApiError: 404, with the connection's name in the message.
        """
        node = self.store.nodes.get(object_id)
        if node is None or node.kind not in kinds or not self.store.visible(node, self.connection):
            raise self.missing(noun or kinds[0], object_id)
        return node

    def missing(self, noun: str, object_id: str) -> ApiError:
        """Return the 404 for something that is not there or not shared."""
        return ApiError(
            404,
            "object_not_found",
            f"Could not find {noun} with ID: {object_id}. Make sure the relevant pages and "
            f'databases are shared with your integration "{self.connection.name}".',
            additional={"integration_id": self.connection.integration_id},
        )

    def shortened(self, size: int) -> int:
        """Return how many results a page of a list gets: fewer than wanted, if so switched."""
        return size - size // 3 if self.settings.short_pages else size

    def seen(self, nodes: list[Node]) -> list[Node]:
        """Return those of the children of something visible that are not hidden themselves."""
        hidden = self.connection.hidden
        return [n for n in nodes if n.id not in hidden] if hidden else nodes

    def title_of(self, object_id: str) -> str:
        """Return the title of a page, table or user, for mentions."""
        node = self.store.nodes.get(object_id)
        if node is None:
            return str(self.store.users.get(object_id, {}).get("name", "Untitled"))
        return title(node) or "Untitled"

    def editable(self, node: Node) -> Node:
        """Check that nothing above is in the trash, nor the page locked.

        Raises
            ApiError: it is.
        """
        page = self.store.page_of(node) if self.settings.locked_refuses_api else None
        if page is not None and page.is_locked and "is_locked" not in self.body:
            raise invalid(
                "Can't edit page that is locked. You must unlock the page before editing."
            )
        if self.store.trashed(node):
            noun = node.kind.replace("_", " ")
            raise invalid(self.settings.archived_edit_message.format(noun=noun))
        return node


def title(node: Node) -> str:
    """Return the plain title of a page or table."""
    if node.kind == "page":
        return plain(node.data["values"].get("title", []))
    return plain(node.data.get("title", []))


def path_id(name: str, text: str) -> str:
    """Return the dashed id of a path.

    Raises
        ApiError: it is no UUID.
    """
    found = dashed(text)
    if found is None:
        raise invalid(f"path failed validation: path.{name} should be a valid uuid, instead was `{shown(text)}`.")  # fmt: skip
    return found


def body_id(body: Json, key: str, path: str) -> str:
    """Return the dashed id under a key of a body.

    Raises
        ApiError: it is no UUID.
    """
    found = dashed(body.get(key))
    if found is None:
        raise invalid_body(f"{path}.{key}", "a valid uuid", body.get(key))
    return found


def page_size(raw: Any, place: str) -> int:
    """Return how many results are wanted.

    Raises
        ApiError: not 1 to 100.
    """
    if raw is None:
        return 100
    try:
        size = int(raw)
    except (TypeError, ValueError):
        raise invalid(f"{place} failed validation: {place}.page_size should be a number, instead was `{shown(raw)}`.") from None  # fmt: skip
    if size > 100:
        raise invalid(f"{place} failed validation: {place}.page_size should be ≤ `100`, instead was `{size}`.")  # fmt: skip
    if size < 1:
        raise invalid(f"{place} failed validation: {place}.page_size should be ≥ `1`, instead was `{size}`.")  # fmt: skip
    return size


def listing(results: list[Json], kind: str, cursor: str | None = None) -> Json:
    """Return a list answer."""
    return {
        "object": "list",
        "results": results,
        "next_cursor": cursor,
        "has_more": cursor is not None,
        "type": kind,
        kind: {},
    }


def window(items: list[Any], start: int, size: int) -> tuple[list[Any], bool]:
    """Return one page of items, and whether more follow."""
    return items[start : start + size], start + size < len(items)


def bad_cursor(cursor: str) -> ApiError:
    """Return the error of a cursor nobody gave out."""
    return invalid(f"The start_cursor provided is invalid: {cursor}")
