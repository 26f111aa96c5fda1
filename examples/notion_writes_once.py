"""Read and write Notion from Python: writes that happen once, on a workspace on this machine.

Run it with ``.venv/bin/python examples/notion_writes_once.py``.
"""
# ruff: noqa: T201  an example prints

import asyncio
import os

from higherself import HigherSelf
from notion_emulator.app import create_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings


async def main() -> None:
    """Make a page twice with one key, change it, and read it."""
    with Emulator(create_app(seed_name="empty", settings=Settings(index_lag_s=0))) as workspace:
        os.environ["NOTION_TOKEN"] = workspace.token
        os.environ["NOTION_BASE_URL"] = workspace.base_url
        async with HigherSelf.open(workflows=False) as hs:
            await write_and_read(hs)


async def write_and_read(hs: HigherSelf) -> None:
    """Make a page twice with one key, change it, and read it."""
    api, writes = hs.notion.api, hs.notion.writes
    title = {"title": [{"text": {"content": "House rules"}}]}
    for _ in range(2):
        page = await writes.create_page(
            {"workspace": True}, title, markdown="No smoking.", key="house rules"
        )
        print(page["properties"]["title"]["title"][0]["plain_text"])
    found = [page["id"] async for page in api.search("House rules")]
    print(len(found), "page")

    shown = await writes.insert_markdown(found[0], "Quiet after ten.", key="house rules, quiet")
    print(shown.markdown)


if __name__ == "__main__":
    asyncio.run(main())
