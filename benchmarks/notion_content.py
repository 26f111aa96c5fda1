"""Notion's content: milliseconds of CPU for a page of 100 blocks, and how many of its words are kept.

notion-to-md-py runs if `benchmarks/.venv` has it; it gets the same blocks, their children at hand.
"""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from measure import Line, at_least, at_most, finish, parser, say

from higherself.notion.content import (
    canonical,
    from_blocks,
    parse,
    render,
    to_blocks,
    to_knowledge_markdown,
)

HERE = Path(__file__).resolve().parent
PEER_PYTHON = HERE / ".venv" / "bin" / "python"
ROUNDS = 50
TARGET = 2.0  # milliseconds

PART = """## Heading {n}
A paragraph of some length, number {n}a, as people write them, with **bold** words and a [link](https://example.com/{n}).
Another one, number {n}b, with `code`, an equation $`x_{n}`$ and a date <mention-date start="2026-01-02"/>.
Words {n}c that are *slanted* and <span color="red">red</span>, and nothing else.
- item {n}d with a few words in it
\t- item {n}e inside
1. item {n}f that is numbered
- [x] done {n}g
<callout icon="💡">
\tMind this {n}h
</callout>
<table header-row="true">
\t<tr>
\t\t<td>Cell {n}i</td>
\t\t<td>Cell {n}j</td>
\t</tr>
</table>
"""  # ten blocks, a row aside


def page() -> str:
    """Return the markdown of a page of 100 blocks."""
    return "".join(PART.format(n=n) for n in range(10))


def milliseconds(work: Callable[[], object]) -> float:
    """Return the milliseconds of CPU of one call: the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(ROUNDS):
            work()
        best = min(best, (time.process_time() - began) / ROUNDS * 1e3)
    return best


def answered(blocks: list[dict[str, Any]], number: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return blocks as the API answers them: with ids, and all that rich text has."""
    found = []
    for block in blocks:
        number += 1
        identifier = str(UUID(int=number))
        children, number = answered(block.get("children", []), number)
        payload = {key: _whole(value) for key, value in block[block["type"]].items()}
        found.append({"object": "block", "id": identifier, "type": block["type"], "has_children": bool(children), "children": children, block["type"]: payload})  # fmt: skip
    return found, number


def _whole(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], list):
        return [_whole(cell) for cell in value]
    if not (isinstance(value, list) and value and "type" in value[0]):
        return value
    notes = dict.fromkeys(("bold", "italic", "strikethrough", "underline", "code"), False)
    items = []
    for item in value:
        inside = item[item["type"]]
        shown = inside.get("content") or inside.get("expression") or (inside.get("date") or {}).get("start", "")  # fmt: skip
        link = (inside.get("link") or {}).get("url")
        items.append({**item, "annotations": {**notes, "color": "default", **item.get("annotations", {})}, "plain_text": shown, "href": link})  # fmt: skip
    return items


def texts(blocks: list[dict[str, Any]]) -> list[str]:
    """Return every text that a reader of the page sees."""
    found: list[str] = []
    stack: list[Any] = list(blocks)
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if "plain_text" in item:
                found.append(item["plain_text"].strip())
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return [text for text in found if text]


def peer(blocks: list[dict[str, Any]], words: list[str]) -> dict[str, float] | None:
    """Return the figures of notion-to-md-py, or None if it is not installed."""
    say("notion-to-md-py")
    command = [str(PEER_PYTHON), str(HERE / "notion_content_peers.py")]
    try:
        done = subprocess.run(
            command, input=json.dumps([blocks, words]), capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    found: dict[str, float] = json.loads(done.stdout)
    return found


def lines() -> list[Line]:
    """Measure ours and the peer on the same page."""
    markdown = page()
    content = parse(markdown)
    blocks, _ = answered(to_blocks(content))
    words = texts(blocks)
    say("ours")
    ours = {
        "markdown to tree": milliseconds(lambda: parse(markdown)),
        "markdown to what is hashed": milliseconds(lambda: canonical(markdown)),
        "tree to markdown": milliseconds(lambda: render(content)),
        "blocks to Markdown for the hub": milliseconds(
            lambda: to_knowledge_markdown(from_blocks(blocks))
        ),
    }
    written = to_knowledge_markdown(from_blocks(blocks))
    kept = 100 * sum(word in written for word in words) / len(words)
    theirs = peer(blocks, words)
    made = []
    for name, spent in ours.items():
        target = at_most(spent, TARGET) if name.startswith("markdown to") else {}
        made.append(Line(f"page of 100 blocks, {name}", spent, "ms", **target))
    if theirs:
        beside = theirs["milliseconds"]
        spent = ours["blocks to Markdown for the hub"]
        made.append(Line("page of 100 blocks, blocks to Markdown", spent, "ms", "notion-to-md-py", beside, beside / spent))  # fmt: skip
    made.append(
        Line(
            "words of the page that are kept",
            kept,
            "%",
            "notion-to-md-py" if theirs else "",
            100 * theirs["found"] / len(words) if theirs else None,
            **at_least(kept, 100),
        )
    )
    return made


if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    finish(lines(), options.json)
