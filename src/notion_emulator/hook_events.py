"""From what happened to what a webhook says: gathered per object, in the published envelope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from notion_emulator.errors import Json
from notion_emulator.settings import Settings
from notion_emulator.store import Connection, Node, Store

_LIFE = frozenset({"created", "deleted", "undeleted"})
_AT_ONCE = frozenset({"page.locked", "page.unlocked"})


@dataclass(frozen=True)
class Change:
    """One line of the event log."""

    type: str
    entity: str
    actor: str
    at: datetime
    facts: Json

    @property
    def kind(self) -> str:
        """What the event is about: ``page``, ``comment``, ..."""
        return self.type.split(".")[0]

    @property
    def at_once(self) -> bool:
        """Whether it is told without waiting for more."""
        return self.type in _AT_ONCE or self.kind in ("comment", "file_upload")


def change_of(line: Json) -> Change:
    """Return a line of the event log as a change."""
    facts = {k: v for k, v in line.items() if k not in ("type", "entity", "actor", "at")}
    return Change(line["type"], line["entity"], line["actor"], datetime.fromisoformat(line["at"]), facts)  # fmt: skip


def gathered(changes: Sequence[Change], *, absorb: bool) -> list[list[Change]]:
    """Return the changes of one object as groups, each of which becomes one event.

    Made and deleted is nothing; deleted and restored as well; of what is deleted only that is
    told. With ``absorb``, what follows the making is part of it.
    """
    life = [c for c in changes if c.type.split(".")[1] in _LIFE]
    groups: dict[str, list[Change]] = {}
    for change in changes:
        if change not in life:
            groups.setdefault(change.type, []).append(change)
    if not life:
        return list(groups.values())
    first, last = (c.type.split(".")[1] for c in (life[0], life[-1]))
    if last == "deleted":
        return [[life[-1]]] if first == "deleted" else []
    if first == "created":
        return [[life[0]]] if absorb else [[life[0]], *groups.values()]
    return [[life[-1]], *groups.values()] if first == "undeleted" else list(groups.values())


def visible(store: Store, change: Change, connection: Connection) -> bool:
    """Tell whether a connection is told of a change at all."""
    if connection.revoked:
        return False
    match change.kind:
        case "comment":
            shown = change.facts.get("page_id", "")
            if "read_comments" not in connection.capabilities:
                return False
        case "view":
            shown = change.facts["parent"]["id"]
        case "file_upload":
            return bool(change.facts.get("by", connection.bot_id) == connection.bot_id)
        case _:
            shown = change.entity
    node = store.nodes.get(shown)
    return node is not None and store.visible(node, connection)


def envelope(
    store: Store, settings: Settings, connection: Connection, group: Sequence[Change], event_id: str
) -> Json:
    """Return the body of an event, but for the subscription and the attempt."""
    last = group[-1]
    actors = list(dict.fromkeys(c.actor for c in group))
    body: Json = {
        "id": event_id,
        "timestamp": last.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "workspace_id": store.workspace_id,
        "workspace_name": store.workspace_name,
        "subscription_id": "",
        "integration_id": connection.integration_id,
        "authors": [_author(store, settings, connection, actor) for actor in actors],
        "attempt_number": 1,
        "api_version": "2026-03-11",
        "entity": {"id": last.entity, "type": last.kind},
        "type": last.type,
    }
    data = _data(store, group)
    return body | ({"data": data} if data is not None else {})


def _author(store: Store, settings: Settings, connection: Connection, actor: str) -> Json:
    kind = store.users.get(actor, {}).get("type", "person")
    own = settings.authors_are_integrations and actor == connection.bot_id
    return {"id": connection.integration_id if own else actor, "type": kind}


def _data(store: Store, group: Sequence[Change]) -> Json | None:
    last = group[-1]
    if last.kind == "file_upload":
        return {"file_import_result": last.facts["result"]} if "result" in last.facts else None
    if last.kind == "comment":
        return {k: last.facts[k] for k in ("parent", "page_id")}
    node = store.nodes.get(last.entity)
    data: Json = {"parent": last.facts.get("parent") or (parent_of(store, node) if node else None)}
    match last.type.split(".", 1)[1]:
        case "content_updated":
            ids = _unique(group, "blocks")
            data["updated_blocks"] = [{"id": i, "type": _block_type(store, i)} for i in ids]
        case "properties_updated":
            data["updated_properties"] = _unique(group, "properties")
        case "schema_updated":
            data["updated_properties"] = _merged_schema(group)
        case "updated":
            data["updated_fields"] = _unique(group, "fields")
        case "created" if last.kind == "view":
            data["view_type"] = last.facts["view_type"]
    return data


def _unique(group: Sequence[Change], fact: str) -> list[Any]:
    return list(dict.fromkeys(item for c in group for item in c.facts.get(fact, [])))


def _merged_schema(group: Sequence[Change]) -> list[Json]:
    found: dict[str, Json] = {}
    for change in group:
        for item in change.facts.get("properties", []):
            before = found.get(item["id"], {}).get("action")
            if before == "created" and item["action"] == "deleted":
                del found[item["id"]]
                continue
            action = "created" if before == "created" else item["action"]
            found[item["id"]] = item | {"action": action}
    return list(found.values())


def _block_type(store: Store, object_id: str) -> str:
    node = store.nodes.get(object_id)
    kind = node.kind if node else "block"
    return "database" if kind == "data_source" else kind


def parent_of(store: Store, node: Node) -> Json:
    """Return the parent as events name it: a row's is its database, with the data source."""
    kind, object_id = node.parent
    match kind:
        case "workspace":
            return {"id": store.workspace_id, "type": "space"}
        case "data_source_id":
            base = store.nodes[object_id].parent[1]
            return {"id": base, "type": "database", "data_source_id": object_id}
        case _:
            return {"id": object_id, "type": kind.removesuffix("_id")}
