"""Blocks and pages out of recorded traffic of the real API, and block trees built of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

RECORDINGS = Path("/work/shared/notion-recordings")
Json = dict[str, Any]

needs_recordings = pytest.mark.skipif(not RECORDINGS.exists(), reason="no recordings here")


def responses() -> Iterator[tuple[str, Json, Json]]:
    """Recording, request line and answer of everything recorded."""
    for file in sorted(RECORDINGS.glob("*.jsonl")):
        with file.open() as lines:
            for line in lines:
                record = json.loads(line)
                if isinstance(record["response"], dict):
                    yield record["recording"], record, record["response"]


def objects(kind: str) -> Iterator[Json]:
    """Every object of a kind in the answers."""
    for _, _, answer in responses():
        stack: list[Any] = [answer]
        while stack:
            item = stack.pop()
            if isinstance(item, dict):
                if item.get("object") == kind:
                    yield item
                stack.extend(item.values())
            elif isinstance(item, list):
                stack.extend(item)


def trees() -> list[Json]:
    """Recorded blocks, each different one once, with the children that were listed for them."""
    children: dict[str, list[Json]] = {}
    for _, record, answer in responses():
        path = str(record["path"])
        if path.endswith("/children") and answer.get("results"):
            children.setdefault(path.split("/")[-2], answer["results"])
    inside = {child["id"] for found in children.values() for child in found if child["type"] in ("column", "table_row")}  # fmt: skip
    seen: dict[str, Json] = {}
    for block in objects("block"):
        if block.get("type") in (None, "table_row", "column") or block["id"] in inside:
            continue
        seen.setdefault(json.dumps(block[block["type"]], sort_keys=True) + block["type"], block)
    return [_nested(block, children, set()) for block in seen.values()]


def _nested(block: Json, children: dict[str, list[Json]], above: set[str]) -> Json:
    found = [] if block["id"] in above else children.get(block["id"], [])
    return {**block, "children": [_nested(b, children, above | {block["id"]}) for b in found]}


def plain_texts(value: Any) -> Iterator[str]:
    """Every ``plain_text`` and title in JSON."""
    if isinstance(value, dict):
        if isinstance(value.get("plain_text"), str):
            yield value["plain_text"]
        if isinstance(value.get("title"), str):
            yield value["title"]
        for item in value.values():
            yield from plain_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from plain_texts(item)
