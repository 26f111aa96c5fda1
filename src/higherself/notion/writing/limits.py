"""What fits into one request, and how what does not is cut. Pure.

Limits as in Notion's reference ("Request limits", "Append block children", 2026): text of 2,000
UTF-16 units, 100 pieces of text, 100 blocks in a list, two levels inside a block, 1,000 blocks and
500 KB in a request, 100 relations.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from higherself.notion.errors import NotionRejected
from higherself.notion.ports import JsonObject

TEXT = 2_000
PIECES = 100
CHILDREN = 100
GENERATIONS = 3
"""A block in a request, those inside it, and those inside these."""

BLOCKS = 900
BYTES = 400_000
RELATIONS = 100
NEED_CHILDREN = frozenset({"table", "column_list"})


def units(text: str) -> int:
    """Return how many UTF-16 units ``text`` has, which is what Notion counts.

    >>> units("a"), units("😀")
    (1, 2)
    """
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, most: int = TEXT) -> Iterator[str]:
    """Yield ``text`` in pieces of at most ``most`` UTF-16 units; no character is cut in two.

    >>> list(cut("ab😀", 3))
    ['ab', '😀']
    """
    if units(text) <= most:
        yield text
        return
    start = used = 0
    for place, character in enumerate(text):
        size = 2 if ord(character) > 0xFFFF else 1
        if used + size > most:
            yield text[start:place]
            start, used = place, 0
        used += size
    yield text[start:]


def pieces(rich_text: Sequence[JsonObject]) -> list[JsonObject]:
    """Return rich text whose pieces are short enough, however many they are."""
    fitting: list[JsonObject] = []
    for item in rich_text:
        content = (item.get("text") or {}).get("content")
        if not isinstance(content, str) or units(content) <= TEXT:
            fitting.append(item)
            continue
        bare = {key: value for key, value in item.items() if key not in ("plain_text", "text")}
        fitting += [{**bare, "text": {**item["text"], "content": part}} for part in cut(content)]
    return fitting


def fitted_properties(properties: JsonObject) -> JsonObject:
    """Return the properties of a page as Notion takes them: long texts in pieces.

    Raises
        NotionRejected: a text is longer than 200,000, or there are more than 100 relations; with
            the property's name.
    """
    return {name: _fitted_property(name, value) for name, value in properties.items()}


def _fitted_property(name: str, value: Any) -> Any:
    if isinstance(value, list):  # short for a title
        return _few(name, pieces(value))
    if not isinstance(value, dict):
        return value
    fitted = dict(value)
    for kind in ("title", "rich_text"):
        if isinstance(fitted.get(kind), list):
            fitted[kind] = _few(name, pieces(fitted[kind]))
    for kind in ("relation", "people", "multi_select", "files"):
        if isinstance(fitted.get(kind), list) and len(fitted[kind]) > RELATIONS:
            advice = "; link the others from the other side" if kind == "relation" else ""
            raise NotionRejected(
                f"{name} has {len(fitted[kind])} values; Notion takes {RELATIONS} in a request, and "
                f"the next would replace them{advice}"
            )
    return fitted


def _few(name: str, items: list[JsonObject]) -> list[JsonObject]:
    if len(items) > PIECES:
        raise NotionRejected(
            f"{name} is too long: Notion takes {PIECES} pieces of {TEXT} characters in a property"
        )
    return items


@dataclass(frozen=True, slots=True)
class Rest:
    """Blocks that go, in further requests, into the block at ``path`` of a portion.

    The path counts from 0: ``(2, 0)`` is the first block inside the third.
    """

    path: tuple[int, ...]
    blocks: list[JsonObject]


@dataclass(slots=True)
class Portion:
    """What one request appends, and what is left for those after it."""

    blocks: list[JsonObject] = field(default_factory=list)
    rests: list[Rest] = field(default_factory=list)


def portions(blocks: Sequence[JsonObject]) -> Iterator[Portion]:
    """Yield what to append, request by request; nothing is lost, and the order stays.

    Raises
        NotionRejected: a cell of a table, or a caption, is longer than Notion takes.
    """
    portion, count, size = Portion(), 0, 0
    for block in (part for whole in blocks for part in _short(whole)):
        fitted, rests = _fit(block)
        more, larger = _count(fitted), _bytes(fitted)
        full = len(portion.blocks) >= CHILDREN or count + more > BLOCKS or size + larger > BYTES
        if portion.blocks and full:
            yield portion
            portion, count, size = Portion(), 0, 0
        place = len(portion.blocks)
        portion.blocks.append(fitted)
        portion.rests += [Rest((place, *rest.path), rest.blocks) for rest in rests]
        count, size = count + more, size + larger
    if portion.blocks:
        yield portion


def _fit(block: JsonObject) -> tuple[JsonObject, list[Rest]]:
    """Return ``block`` with as much inside it as a request takes, and the rest."""
    for generations in range(GENERATIONS, 0, -1):
        fitted, rests = _cut_off(block, generations, CHILDREN)
        if _count(fitted) <= BLOCKS and _bytes(fitted) <= BYTES:
            return fitted, rests
    return _cut_off(block, 1, 1)  # the first row of a table, the columns without what they have


def _cut_off(block: JsonObject, generations: int, most: int) -> tuple[JsonObject, list[Rest]]:
    inside = [part for whole in children_of(block) for part in _short(whole)]
    needed = kind_of(block) in NEED_CHILDREN
    if not inside:
        return block, []
    too_deep = generations <= 1 or (
        generations == 2 and any(kind_of(child) in NEED_CHILDREN for child in inside)
    )
    if too_deep and not needed:
        return with_children(block, []), [Rest((), inside)]
    least = max(most, 2) if kind_of(block) == "column_list" else most
    kept: list[JsonObject] = []
    rests: list[Rest] = []
    for place, child in enumerate(inside[:least]):
        fitted, below = _cut_off(child, generations - 1, most)
        kept.append(fitted)
        rests += [Rest((place, *rest.path), rest.blocks) for rest in below]
    if inside[least:]:
        rests.append(Rest((), inside[least:]))
    return with_children(block, kept), rests


def kind_of(block: JsonObject) -> str:
    """Return the type of a block, also where only its content names it."""
    if "type" in block:
        return str(block["type"])
    return next(key for key in block if key not in ("object", "children"))


def children_of(block: JsonObject) -> list[JsonObject]:
    """Return the blocks inside a block to be sent."""
    content = block.get(kind_of(block)) or {}
    return list(content.get("children") or block.get("children") or [])


def with_children(block: JsonObject, children: list[JsonObject]) -> JsonObject:
    """Return ``block`` with others inside it."""
    kind = kind_of(block)
    content = {key: value for key, value in (block.get(kind) or {}).items() if key != "children"}
    if children:
        content["children"] = children
    return {**{key: value for key, value in block.items() if key != "children"}, kind: content}


def _short(block: JsonObject) -> list[JsonObject]:
    """Return a block as one, or as several of its kind if its text is too long for one."""
    kind = kind_of(block)
    content = block.get(kind) or {}
    if "cells" in content:
        cells = [_few("a cell of the table", pieces(cell)) for cell in content["cells"]]
        return [{**block, kind: {**content, "cells": cells}}]
    changed = dict(content)
    if isinstance(content.get("caption"), list):
        changed["caption"] = _few(f"the caption of a {kind}", pieces(content["caption"]))
    if not isinstance(content.get("rich_text"), list):
        return [block] if changed == content else [{**block, kind: changed}]
    items = pieces(content["rich_text"])
    parts = list(_blockfuls(items)) or [items]
    split = [{**block, kind: {**changed, "rich_text": part}} for part in parts]
    return [with_children(part, []) for part in split[:-1]] + split[-1:]


def _blockfuls(items: Sequence[JsonObject]) -> Iterator[list[JsonObject]]:
    """Yield pieces of text, as many as a block takes: also of an alphabet of three bytes a letter."""
    few: list[JsonObject] = []
    size = 0
    for item in items:
        length = _bytes(item)
        if few and (len(few) >= PIECES or size + length > BYTES // 2):
            yield few
            few, size = [], 0
        few.append(item)
        size += length
    if few:
        yield few


def _count(block: JsonObject) -> int:
    return 1 + sum(_count(child) for child in children_of(block))


def _bytes(block: JsonObject) -> int:
    return len(json.dumps(block, ensure_ascii=False, separators=(",", ":")).encode())


def markdown_parts(markdown: str, most: int = BYTES) -> list[str]:
    """Return markdown in parts that fit into a request each, cut between blocks.

    A cut comes before a line that is not indented, outside of a fence and of a tag that is open.

    Raises
        NotionRejected: a single block is larger than a request.
    """
    if len(markdown.encode()) <= most:
        return [markdown]
    parts: list[str] = []
    lines: list[str] = []
    size = 0
    for piece in _top_level(markdown):
        length = len(piece.encode())
        if length > most:
            raise NotionRejected(f"a block of the text has {length} bytes; Notion takes {most}")
        if size + length > most and lines:
            parts.append("".join(lines))
            lines, size = [], 0
        lines.append(piece)
        size += length
    parts.append("".join(lines))
    return parts


def _top_level(markdown: str) -> Iterator[str]:
    """Yield the blocks of the first level, each with the end of its last line."""
    block: list[str] = []
    fence, depth = False, 0
    for line in markdown.splitlines(keepends=True):
        if block and not fence and depth == 0 and not line.startswith(("\t", "</")):
            yield "".join(block)
            block = []
        block.append(line)
        bare = line.strip()
        if bare.startswith("```"):
            fence = not fence
        elif not fence:
            depth = max(0, depth + _opened(bare))
    if block:
        yield "".join(block)


_TAGS = ("details", "callout", "columns", "column", "table", "synced_block")


def _opened(line: str) -> int:
    """Return how many tags that span lines a line opens, less those that it closes."""
    return sum(
        line.count(f"<{tag}>") + line.count(f"<{tag} ") - line.count(f"</{tag}>") for tag in _TAGS
    )
