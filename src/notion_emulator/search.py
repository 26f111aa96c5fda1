"""The search endpoint: titles only, behind an index that lags and misses."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

from notion_emulator import present
from notion_emulator.call import Call, bad_cursor, listing, page_size, title
from notion_emulator.errors import Json, invalid_body
from notion_emulator.store import Node


def search(call: Call) -> Json:
    """Answer POST /search."""
    call.known("query", "filter", "sort", "page_size", "start_cursor")
    size = call.shortened(page_size(call.body.get("page_size"), "body"))
    kinds = _kinds(call)
    wanted = str(call.body.get("query") or "")
    matches = _has_word if call.settings.search_words else _has_text
    found = [n for n in call.store.nodes.values() if n.kind in kinds and _indexed(call, n) and matches(title(n), wanted)]  # fmt: skip
    in_trash = (call.body.get("filter") or {}).get("in_trash")
    found = [n for n in found if _listed(call, n, in_trash) and call.store.visible(n, call.connection)]  # fmt: skip
    sort = call.body.get("sort") or {}
    found.sort(key=lambda n: n.edited_at, reverse=sort.get("direction") != "ascending")
    cursor = call.body.get("start_cursor")
    start = 0
    if cursor and call.settings.search_order_shifts and found:
        found.insert(0, found.pop())
    if cursor:
        places = {n.id: at for at, n in enumerate(found)}
        if cursor not in places:
            raise bad_cursor(str(cursor))
        start = places[cursor]
    following = found[start + size].id if start + size < len(found) else None
    shown = [
        present.page(call, n) if n.kind == "page" else present.data_source(call, n)
        for n in found[start : start + size]
    ]
    return listing(shown, "page_or_data_source", following)


def _listed(call: Call, node: Node, in_trash: bool | None) -> bool:
    """Tell whether the trash and the archive let a node be found.

    Recorded: unless the filter says otherwise, trashed data sources are found, pages are not.
    """
    if node.is_archived:
        return False
    trashed = call.store.trashed(node)
    return (
        trashed == in_trash if in_trash is not None else node.kind == "data_source" or not trashed
    )


def _has_text(name: str, wanted: str) -> bool:
    return wanted.lower() in name.lower()


def _has_word(name: str, wanted: str) -> bool:
    """Tell whether a title holds any word of the query, as the recordings show."""
    return not wanted or _has_text(name, wanted) or bool(_words(wanted) & _words(name))


def _words(text: str) -> set[str]:
    found = re.findall(r"\w+", text.lower())
    return {w[:-1] if len(w) > 3 and w.endswith("s") else w for w in found}


def _kinds(call: Call) -> tuple[str, ...]:
    given = call.body.get("filter") or {}
    if "value" not in given:
        return ("page", "data_source")
    if given["value"] not in ("page", "data_source"):
        raise invalid_body("filter.value", '`"page"` or `"data_source"`', given["value"])
    return (given["value"],)


def _indexed(call: Call, node: Node) -> bool:
    """Tell whether the index knows the node yet; directly shared ones it always knows."""
    if node.id in call.connection.roots or node.data.get("indexed"):
        return True
    if call.settings.search_miss_rate:
        score = int(hashlib.sha256(node.id.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
        if score < call.settings.search_miss_rate:
            return False
    return call.now - node.created_at >= timedelta(seconds=call.settings.index_lag_s)
