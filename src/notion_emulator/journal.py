"""What happened, written down as events: the webhooks, the viewer and tests read them.

Endpoints call these right after a change. What an event says beyond its type and entity is in its
facts: ``blocks``, ``properties``, ``page_id``, ``parent``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from notion_emulator.call import Call
from notion_emulator.errors import Json
from notion_emulator.store import Node

State = Mapping[str, tuple[object, bool]]


def content(call: Call, node: Node, blocks: Iterable[str]) -> None:
    """Note that blocks of the page that a node is on have changed."""
    page = call.store.page_of(node)
    if page is not None:
        note(call, "page.content_updated", page.id, blocks=list(blocks))


def inside(call: Call, node: Node) -> None:
    """Note that a page or database came into its parent, or left it."""
    above = call.store.nodes.get(node.parent[1])
    if above is None:
        return
    if above.kind == "data_source":
        note(call, "data_source.content_updated", above.id, blocks=[node.id])
    elif above.kind in ("page", "block") and call.settings.child_page_changes_parent:
        content(call, above, [node.id])


def properties(call: Call, page: Node, changed: Iterable[str]) -> None:
    """Note that values of a page have changed; a title is content as well."""
    ids = list(changed)
    note(call, "page.properties_updated", page.id, properties=ids)
    if "title" in ids and call.settings.title_changes_content:
        note(call, "page.content_updated", page.id, blocks=[page.id])


def note(call: Call, kind: str, entity: str, **facts: Any) -> None:
    """Write an event down."""
    call.store.record(kind, entity, call.actor, call.clock.now(), **facts)


def state(call: Call, page: Node) -> State:
    """Return what the blocks of a page are now, for ``differences``."""
    found: dict[str, tuple[object, bool]] = {}
    waiting = [page]
    while waiting:
        node = waiting.pop()
        for child in (call.store.nodes[i] for i in node.children):
            found[child.id] = (child.data.get("payload"), child.in_trash)
            if child.kind == "block":
                waiting.append(child)
    return found


def differences(before: State, after: State) -> list[str]:
    """Return the blocks that are new, changed or in the trash."""
    return [i for i, now in after.items() if i not in before or before[i][1] != now[1] or before[i][0] is not now[0]]  # fmt: skip


def schema_changes(before: Mapping[str, Json], after: Mapping[str, Json]) -> list[Json]:
    """Return the properties of a schema that are another than before.

    >>> schema_changes({"a": {"name": "A"}}, {"b": {"name": "B"}})
    [{'id': 'b', 'name': 'B', 'action': 'created'}, {'id': 'a', 'name': 'A', 'action': 'deleted'}]
    """
    made: list[Json] = []
    for key, prop in after.items():
        if key not in before or before[key] != prop:
            action = "updated" if key in before else "created"
            made.append({"id": key, "name": prop["name"], "action": action})
    gone = [{"id": k, "name": p["name"], "action": "deleted"} for k, p in before.items() if k not in after]  # fmt: skip
    return made + gone
