"""Rows of the databases in Notion from Python, on a workspace on this machine.

Run it with ``.venv/bin/python examples/notion_rows.py``.
"""
# ruff: noqa: T201  an example prints

import asyncio
import os

from higherself import HigherSelf
from notion_emulator.app import create_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings


async def main() -> None:
    """Set the databases up, save a row, and look at its page."""
    app = create_app(seed_name="empty", settings=Settings(index_lag_s=0, rate_mode="off"))
    with Emulator(app) as workspace:
        os.environ["NOTION_TOKEN"] = workspace.token
        os.environ["NOTION_BASE_URL"] = workspace.base_url
        os.environ["NOTION_PLAN"] = "business"
        async with HigherSelf.open(workflows=False) as hs:
            title = {"title": [{"text": {"content": "HigherSelf"}}]}
            page = await hs.notion.writes.create_page({"workspace": True}, title, key="home")
            await save_and_look(hs, page["id"])


async def save_and_look(hs: HigherSelf, parent: str) -> None:
    """Set the databases up, save a row, and look at its page."""
    report = await hs.notion.setup(parent)
    print(len(report.databases), "databases")

    contacts = hs.notion.records("contacts_profiles")
    values = {"full_name": "Ana Ferreira", "email": "ana@example.org", "tags": ["VIP"]}
    ana = await contacts.save("gallery", values, key="ana@example.org")
    await contacts.save("gallery", {"status": "Qualified Lead"}, key="ana@example.org")
    pushed = await hs.notion.push()
    print(pushed.created, "pages made: Ana's, and that of her business")

    [found] = await contacts.find({"tags": ["VIP"]}, entity="gallery")
    print(found["full_name"], found["status"], found["record_id"] == ana["record_id"])


if __name__ == "__main__":
    asyncio.run(main())
