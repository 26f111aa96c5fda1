"""People at work in the workspace: edits that no connection makes.

``act`` does one thing as a named person; whoever is not known yet joins the workspace. With
``"bump": false`` nothing gets a new time of last edit, as Notion is said to leave it sometimes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from notion_emulator import (
    block_calls,
    blocks,
    comment_calls,
    journal,
    markdown_calls,
    markdown_parse,
    page_calls,
    present,
    props,
    table_calls,
    writing,
)
from notion_emulator.call import Call
from notion_emulator.errors import ApiError, Json, invalid
from notion_emulator.ids import dashed
from notion_emulator.settings import VERSIONS
from notion_emulator.store import Connection, Node, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from notion_emulator.app import Emulated


def act(app: Emulated, action: str, given: Json) -> Json:
    """Do one thing as the person ``as`` names, or the first there is.

    Raises
        ApiError: there is no such action, or it cannot be done.
    """
    if action not in ACTIONS:
        raise invalid(f"unknown action; choose one of {', '.join(ACTIONS)}")
    app.revision += 1
    call = call_of(app, given.get("as"))
    with app.history.changing(app, _names(given)):
        if given.get("bump", True):
            return ACTIONS[action](call, given)
        with _times_kept(call, given):
            return ACTIONS[action](call, given)


def _names(given: Json) -> str:
    """Return the ids that an action is about, as a path."""
    parent = given.get("parent")
    ids = [given.get("id"), *(parent.values() if isinstance(parent, dict) else [parent])]
    return "/".join(i for i in ids if isinstance(i, str))


def call_of(app: Emulated, who: str | None = None, body: Json | None = None) -> Call:
    """Return a call of a person, who sees everything."""
    known = person(app.store, who)
    actor = Connection("human", known["id"], "", known["name"], roots={"*"})
    settings = app.settings.changed(bump_page_on_api_content_edit=True, lenient=True, locked_refuses_api=False)  # fmt: skip
    return Call(app.store, app.clock, settings, actor, VERSIONS[-1], {}, body or {})


def person(store: Store, who: str | None) -> Json:
    """Return a person by name or id; a new one if the name is not known."""
    people = [u for u in store.users.values() if u["type"] == "person"]
    if who is None and people:
        return people[0]
    found = next((u for u in people if who in (u["id"], u["name"])), None)
    if found is not None:
        return found
    name = who or "Robin Ash"
    email = re.sub(r"\W+", ".", name.lower()).strip(".") + "@example.com"
    made: Json = {"object": "user", "id": store.ids.uuid(), "name": name, "avatar_url": None, "type": "person", "person": {"email": email}}  # fmt: skip
    store.users[made["id"]] = made
    return made


@contextmanager
def _times_kept(call: Call, given: Json) -> Iterator[None]:
    node = call.store.nodes.get(dashed(given.get("id")) or "")
    kept = [node, *call.store.ancestors(node)] if node else []
    before = [(n, n.edited_at, n.edited_by) for n in kept]
    yield
    for one, at, by in before:
        one.edited_at, one.edited_by = at, by


def _with(call: Call, body: Json) -> Call:
    return Call(call.store, call.clock, call.settings, call.connection, call.version, {}, body)


def _node(call: Call, given: Json, key: str = "id") -> Node:
    node = call.store.nodes.get(dashed(given.get(key)) or "")
    if node is None:
        raise ApiError(404, "object_not_found", f"there is nothing with the {key} {given.get(key)}")
    return node


def _shown(call: Call, node: Node) -> Json:
    shown = {"page": present.page, "database": present.database, "data_source": present.data_source}
    return shown.get(node.kind, present.block)(call, node)


def rich(text: str) -> list[Json]:
    """Return a text as a request would send it."""
    return [{"text": {"content": text[n : n + 1000]}} for n in range(0, len(text), 1000)]


def _edit_text(call: Call, given: Json) -> Json:
    node = _node(call, given)
    kind, payload = node.data.get("type", ""), node.data.get("payload") or {}
    if kind == "table_row":
        cells = list(payload["cells"])
        place = int(given.get("cell", 0))
        cells[place] = _changed_text(cells[place], given)
        return block_calls.update(_with(call, {kind: {"cells": cells}}), node.id)
    if "rich_text" not in payload:
        raise invalid(f"a {kind or node.kind} has no text")
    sent = {"rich_text": _changed_text(payload["rich_text"], given)}
    return block_calls.update(_with(call, {kind: sent}), node.id)


def _changed_text(old: list[Json], given: Json) -> list[Json]:
    if "text" in given:
        return rich(given["text"])
    return [*rich(given.get("prepend", "")), *old, *rich(given.get("append", ""))]


def _edit_markdown(call: Call, given: Json) -> Json:
    if "markdown" in given:
        body: Json = {"type": "replace_content", "replace_content": {"new_str": given["markdown"], "allow_deleting_content": True}}  # fmt: skip
    else:
        edit = {"old_str": given["old"], "new_str": given["new"]}
        body = {"type": "update_content", "update_content": {"content_updates": [edit]}}
    return markdown_calls.update(_with(call, body), given["id"])


def _add_block(call: Call, given: Json) -> Json:
    parent = call.editable(_node(call, given))
    after, first = given.get("after"), bool(given.get("first"))
    if "blocks" in given:
        body: Json = {"children": given["blocks"]}
        if after or first:
            body["position"] = {"type": "after_block", "after_block": {"id": after}} if after else {"type": "start"}  # fmt: skip
        return block_calls.append(_with(call, body), parent.id)
    kind = given.get("type", "paragraph")
    if "markdown" in given:
        items = markdown_parse.parse(given["markdown"])
    else:
        items = blocks.drafts([{kind: {"rich_text": rich(given.get("text", ""))}}], "blocks", call.title_of)  # fmt: skip
    made = writing.add_blocks(call, parent, items, after=dashed(after), first=first)
    writing.touch(call, parent, content=True)
    journal.content(call, parent, [m.id for m in made])
    return {"results": [present.block(call, m) for m in made]}


def _move_block(call: Call, given: Json) -> Json:
    node = call.editable(_node(call, given))
    if node.kind != "block":
        raise invalid(f"this is a {node.kind}: use move")
    parent = _node(call, given, "parent") if given.get("parent") else call.store.nodes[node.parent[1]]  # fmt: skip
    if parent.id == node.id or any(a.id == node.id for a in call.store.ancestors(parent)):
        raise invalid("A block cannot be moved into itself.")
    left = node.parent[1]
    call.store.remove_child(node)
    node.parent = ("page_id" if parent.kind == "page" else "block_id", parent.id)
    call.store.add(node, after=dashed(given.get("after")), first="after" not in given)
    for place in dict.fromkeys((left, parent.id)):
        writing.touch(call, call.store.nodes[place], content=True)
        journal.content(call, call.store.nodes[place], [node.id])
    return present.block(call, node)


def _set_property(call: Call, given: Json) -> Json:
    node = _node(call, given)
    prop = props.need(present.schema_of(call, node), given["property"])
    sent = {prop["type"]: _sent(call, prop["type"], given.get("value"))}
    return page_calls.update(_with(call, {"properties": {prop["id"]: sent}}), node.id)


def _sent(call: Call, kind: str, value: Any) -> Any:
    """Return a value as a request sends it; what has that form already stays."""
    match kind, value:
        case (("title" | "rich_text"), str()):
            return rich(value)
        case (("select" | "status"), str()):
            return {"name": value}
        case "multi_select", [*names]:
            return [{"name": n} if isinstance(n, str) else n for n in names]
        case "date", str():
            return {"start": value}
        case "relation", [*ids]:
            return [{"id": i} if isinstance(i, str) else i for i in ids]
        case "people", [*names]:
            return [{"id": person(call.store, n)["id"]} if isinstance(n, str) else n for n in names]
        case _:
            return value


def _rename(call: Call, given: Json) -> Json:
    node = _node(call, given)
    if node.kind == "page":
        schema = present.schema_of(call, node)
        key = next(p["id"] for p in schema.values() if p["type"] == "title")
        return page_calls.update(_with(call, {"properties": {key: {"title": rich(given["title"])}}}), node.id)  # fmt: skip
    return _update(call, node, {"title": rich(given["title"])})


def _update(call: Call, node: Node, body: Json) -> Json:
    update = {
        "page": page_calls.update,
        "database": table_calls.update_database,
        "data_source": table_calls.update_source,
        "block": block_calls.update,
    }[node.kind]
    return update(_with(call, body), node.id)


def _trash(call: Call, given: Json) -> Json:
    return _update(call, _node(call, given), {"in_trash": True})


def _restore(call: Call, given: Json) -> Json:
    return _update(call, _node(call, given), {"in_trash": False})


def _move(call: Call, given: Json) -> Json:
    node, parent = _node(call, given), given["parent"]
    if node.kind == "database":
        return _update(call, node, {"parent": parent})
    if not parent.get("workspace"):
        return page_calls.move(_with(call, {"parent": parent}), node.id)
    call.store.remove_child(node)
    node.parent = ("workspace", "")
    journal.note(call, "page.moved", node.id)
    return present.page(call, node)


def _comment(call: Call, given: Json) -> Json:
    body: Json = {"rich_text": rich(given["text"])}
    if "discussion" in given:
        return comment_calls.create(_with(call, body | {"discussion_id": given["discussion"]}))
    node = _node(call, given)
    key = "page_id" if node.kind == "page" else "block_id"
    return comment_calls.create(_with(call, body | {"parent": {key: node.id}}))


def _set(key: str, value: bool) -> Callable[[Call, Json], Json]:
    return lambda call, given: _update(call, _node(call, given), {key: value})


def _touch(call: Call, given: Json) -> Json:
    node = _node(call, given)
    writing.touch(call, node, content=True)
    return _shown(call, node)


def _create_page(call: Call, given: Json) -> Json:
    if "body" in given:
        return page_calls.create(_with(call, given["body"]))
    body: Json = {"parent": given.get("parent", {"workspace": True}), "properties": {}}
    made = page_calls.create(_with(call, body))
    if "title" in given:
        _rename(call, {"id": made["id"], "title": given["title"]})
    for name, value in (given.get("properties") or {}).items():
        _set_property(call, {"id": made["id"], "property": name, "value": value})
    if given.get("markdown"):
        _add_block(call, {"id": made["id"], "markdown": given["markdown"]})
    return present.page(call, call.store.nodes[made["id"]])


def _share(call: Call, given: Json) -> Json:
    return _shared(call, given, True)


def _unshare(call: Call, given: Json) -> Json:
    return _shared(call, given, False)


def _shared(call: Call, given: Json, wanted: bool) -> Json:
    """Share a page or table with a connection, or take it from it, with all that is inside."""
    node = _node(call, given)
    token = given.get("token") or next(iter(call.store.connections))
    connection = call.store.connections[token]
    if wanted:
        connection.hidden.discard(node.id)
        if not call.store.visible(node, connection):
            connection.roots.add(node.id)
    else:
        connection.roots.discard(node.id)
        if call.store.visible(node, connection):
            connection.hidden.add(node.id)
    return {"id": node.id, "visible": call.store.visible(node, connection)}


def _revoke(call: Call, given: Json) -> Json:
    token = given.get("token") or next(iter(call.store.connections))
    call.store.connections[token].revoked = bool(given.get("revoked", True))
    return {"token": token, "revoked": call.store.connections[token].revoked}


def _change_schema(call: Call, given: Json) -> Json:
    """Add, rename, retype or remove properties, as PATCH /data_sources does."""
    return _update(call, _node(call, given), {"properties": given["properties"]})


def _option(call: Call, given: Json) -> tuple[Node, Json, Json]:
    source = _node(call, given)
    prop = props.need(source.data["schema"], given["property"])
    options = prop[prop["type"]].get("options", [])
    found = next((o for o in options if given["option"] in (o["id"], o["name"])), None)
    if found is None:
        raise invalid(f"{given['property']} has no option {given['option']}")
    return source, prop, found


def _delete_option(call: Call, given: Json) -> Json:
    source, prop, option = _option(call, given)
    prop[prop["type"]]["options"].remove(option)
    for row in (call.store.nodes[i] for i in source.children):
        value = row.data["values"].get(prop["id"])
        if isinstance(value, list):
            row.data["values"][prop["id"]] = [v for v in value if v.get("id") != option["id"]]
        elif value and value.get("id") == option["id"]:
            row.data["values"][prop["id"]] = props.empty(prop)
    return _schema_changed(call, source, prop)


def _rename_option(call: Call, given: Json) -> Json:
    source, prop, option = _option(call, given)
    option["name"] = given["name"]
    for row in (call.store.nodes[i] for i in source.children):
        value = row.data["values"].get(prop["id"])
        for one in value if isinstance(value, list) else [value]:
            if one and one.get("id") == option["id"]:
                one["name"] = given["name"]
    return _schema_changed(call, source, prop)


def _schema_changed(call: Call, source: Node, prop: Json) -> Json:
    writing.touch(call, source)
    change = {"id": prop["id"], "name": prop["name"], "action": "updated"}
    journal.note(call, "data_source.schema_updated", source.id, properties=[change])
    return present.data_source(call, source)


def _plain(endpoint: Callable[[Call, str], Json]) -> Callable[[Call, Json], Json]:
    """Return an action that does what an endpoint does with ``id`` and ``body``."""
    return lambda call, given: endpoint(_with(call, given.get("body", {})), given["id"])


ACTIONS: dict[str, Callable[[Call, Json], Json]] = {
    "edit_text": _edit_text,
    "edit_markdown": _edit_markdown,
    "add_block": _add_block,
    "remove_block": _trash,
    "move_block": _move_block,
    "set_property": _set_property,
    "rename": _rename,
    "trash": _trash,
    "restore": _restore,
    "move": _move,
    "comment": _comment,
    "lock": _set("is_locked", True),
    "unlock": _set("is_locked", False),
    "archive": _set("is_archived", True),
    "unarchive": _set("is_archived", False),
    "touch": _touch,
    "create_page": _create_page,
    "share": _share,
    "unshare": _unshare,
    "revoke": _revoke,
    "change_schema": _change_schema,
    "delete_option": _delete_option,
    "rename_option": _rename_option,
    "add_blocks": _plain(block_calls.append),
    "edit_block": _plain(block_calls.update),
    "update_page": _plain(page_calls.update),
    "move_page": _plain(page_calls.move),
}
