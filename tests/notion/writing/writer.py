"""Processes that write to Notion, and may be killed at any moment.

``writer.py DATABASE BASE_URL TOKEN PAGE SOURCE EACH``. For every line that comes in it starts a
process (by fork: nothing is loaded again), says its number, and in the end how it ended. Each
begins with the first write: what was done before is done again, with the same keys.
"""

import asyncio
import os
import sys
from datetime import timedelta
from typing import Any

from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.gateway.budget import BudgetPolicy
from higherself.notion.gateway.connection import NotionConnection, connect
from higherself.notion.writing.writes import Edit


async def write(notion: NotionConnection, page: str, source: str, number: int) -> None:
    """Make one of each kind; ``number`` is in all of them."""
    writes = notion.writes
    name = {"Name": {"title": [{"text": {"content": f"Row {number}"}}]}}
    row = await writes.create_page(
        {"data_source_id": source}, name, key=f"row {number}", markdown=f"About {number}."
    )
    nested: dict[str, Any] = {"toggle": {"rich_text": [{"text": {"content": f"Toggle {number}"}}]}}
    for _ in range(4):  # deeper than a request takes
        nested = {
            "toggle": {
                "rich_text": [{"text": {"content": f"Toggle {number}"}}],
                "children": [nested],
            }
        }
    items = [
        {"paragraph": {"rich_text": [{"text": {"content": f"Line {number}.{line}"}}]}}
        for line in range(3)
    ]
    await writes.append(page, [*items, nested], key=f"append {number}")
    await writes.comment(page, f"Comment {number}", key=f"comment {number}")
    edit = Edit(f"About {number}.", f"About {number}. And more.")
    await writes.edit_markdown(row["id"], [edit], key=f"edit {number}")
    await writes.create_page(
        {"page_id": page}, {"title": [{"text": {"content": f"Sub {number}"}}]}, key=f"sub {number}"
    )


async def main(url: str, base: str, token: str, page: str, source: str, each: str) -> None:
    async with open_database(url, connections=3) as database:
        notion = connect(token, base, BudgetPolicy(requests=100_000), database, SYSTEM_CLOCK, settle=timedelta(seconds=0.3))  # fmt: skip
        for number in range(int(each)):
            # The last write of a round is remembered: then the whole round is.
            if not await notion.writes.is_done(f"sub {number}"):
                await write(notion, page, source, number)
        await notion.close()


if __name__ == "__main__":
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(main(*sys.argv[1:]))
            os._exit(0)
        print(child, flush=True)  # noqa: T201
        print(os.waitpid(child, 0)[1], flush=True)  # noqa: T201
