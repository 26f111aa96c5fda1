"""A process that writes is killed at random moments: in the end everything is there once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.notion.conftest import a_database, a_page

from higherself.notion.gateway.connection import NotionConnection
from notion_emulator.server import Emulator

pytestmark = pytest.mark.postgres

WRITING = Path(__file__).with_name("writer.py")
KILLS = int(os.environ.get("NOTION_KILLS", "10"))
"""How often; more with ``NOTION_KILLS=50``."""

EACH = KILLS


@pytest.mark.timeout(170)
async def test_killed_at_any_moment(
    notion: NotionConnection, emulator: Emulator, database_url: str
) -> None:
    page, (_, source) = await a_page(notion), await a_database(notion)
    for kind in ("committed", "reset"):  # and answers are lost, too
        emulator.app.faults.add({"kind": kind, "method": "PATCH", "probability": 0.05, "after_commit": True})  # fmt: skip
        emulator.app.faults.add({"kind": kind, "method": "POST", "route": "pages|comments", "probability": 0.05, "after_commit": True})  # fmt: skip
    facts = [database_url, emulator.base_url, emulator.token, page, source, str(EACH)]
    killed = killed_until_it_ends(emulator, facts)
    assert killed >= KILLS // 2, "there was something left to do"

    emulator.app.faults.items.clear()
    numbers = range(EACH)
    rows = [row async for row in notion.api.query(source)]
    assert Counter(title(row) for row in rows) == Counter(f"Row {n}" for n in numbers)
    for row in rows:
        about = (await notion.api.markdown(row["id"])).markdown
        assert about == f"About {title(row).split()[1]}. And more."
    tree = await notion.api.tree(page)
    texts = Counter(texts_of(tree.blocks))
    lines = [f"Line {n}.{line}" for n in numbers for line in range(3)]
    assert texts == Counter(lines + [f"Toggle {n}" for n in numbers] * 5 + [f"Sub {n}" for n in numbers])  # fmt: skip
    order = [text for text in texts_of(tree.blocks) if text.startswith("Line")]
    assert order == lines, "and in order"
    comments = [each["rich_text"][0]["plain_text"] async for each in notion.api.comments(page)]
    assert Counter(comments) == Counter(f"Comment {n}" for n in numbers)


def killed_until_it_ends(emulator: Emulator, facts: list[str]) -> int:
    """Start it, and kill it after some requests, again and again; then let it end."""
    draw, killed, ended = random.Random(8), 0, -1
    with subprocess.Popen(
        [sys.executable, str(WRITING), *facts],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as zygote:
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        while ended != 0:
            zygote.stdin.write("go\n")
            zygote.stdin.flush()
            child = int(zygote.stdout.readline())
            if killed < KILLS:
                asked = emulator.app.stats["requests"] + draw.randint(1, 12)
                while emulator.app.stats["requests"] < asked:
                    time.sleep(0.002)
                time.sleep(draw.random() * 0.02)
                os.kill(child, signal.SIGKILL)
            ended = int(zygote.stdout.readline())
            killed += ended == signal.SIGKILL
            assert ended in (0, signal.SIGKILL)
        zygote.stdin.close()
    return killed


def title(row: dict) -> str:  # type: ignore[type-arg]
    return "".join(part["plain_text"] for part in row["properties"]["Name"]["title"])


def texts_of(blocks: list[dict]) -> list[str]:  # type: ignore[type-arg]
    found = []
    for block in blocks:
        content = block[block["type"]]
        found.append(content.get("title") or "".join(t["plain_text"] for t in content["rich_text"]))
        found += texts_of(block.get("children", []))
    return found
