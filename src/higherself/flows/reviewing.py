"""The flow in which a person decides in Notion: a text waits among the tasks, and is let go there."""

import asyncio
from typing import Any
from uuid import UUID

from higherself.app.demo_notion import OWNER
from higherself.app.notion_sync import opened_sync
from higherself.flows.scenarios import drafted_and_submitted, published
from higherself.flows.stage import BUSINESS, PATIENCE, QUERIES, SOON, Stage, require
from higherself.services.human_task import HumanTask


async def in_notion(stage: Stage) -> None:
    """Notion is set up from nothing; then a text is reviewed there."""
    async with stage.step("The databases of the business are made in Notion"):
        made = await stage.hs.notion.setup(adopt={}, progress=lambda step: None)
        require(made.databases, "databases")
    await reviewed_in_notion(stage)


async def reviewed_in_notion(stage: Stage) -> None:
    """A text waits among the tasks in Notion; a person changes it there and lets it go."""
    instance, review = await drafted_and_submitted(stage, "reviewed")
    async with stage.step(f"{OWNER} changes it in Notion, and sets it to Done"):
        await _changed_in_notion(stage, review, f"{review.asked.text}\n\nSee you on Sunday.")
    async with stage.step("The server sees it, and goes on"):
        found = await _heard(stage, instance)
        require(found["decision"]["by"] == OWNER, f"that {OWNER} approved it")
    await published(stage, found)


async def _changed_in_notion(stage: Stage, review: HumanTask, text: str) -> None:
    workspace = stage.workspace
    require(workspace is not None and review.task_record is not None, "a task in Notion")
    assert workspace is not None  # noqa: S101  it was required
    page = await _page_of(stage, review.task_record)
    for name, value in (("Description", text), ("Status", "Done")):
        await workspace.act("set_property", id=page, property=name, value=value, **{"as": OWNER})


async def _page_of(stage: Stage, record: UUID | None) -> str:
    """Return the page of a row, once it is in Notion."""
    async with asyncio.timeout(PATIENCE):
        while True:
            await stage.hs.notion.push()
            async with stage.hs.database.reading(entity=BUSINESS) as tx:
                row = await tx.maybe(QUERIES["page_of_record"], {"record": record})
            if row is not None:
                return str(row["page_id"])
            await stage.hs.clock.sleep(SOON)


async def _heard(stage: Stage, instance: UUID) -> dict[str, Any]:
    """Have the server look at Notion now, as it does every half minute; return what the instance knows."""
    async with opened_sync(stage.hs) as following:
        await following.follower.cycle()
        return await stage.until(instance, "monitoring")
