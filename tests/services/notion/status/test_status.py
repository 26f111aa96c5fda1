import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.notion.conftest import requests
from tests.services.notion.status.story import AT_ONCE, Story, a_story

from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Misconfigured
from higherself.kernel.tasks import in_background, side_by_side
from higherself.notion.content import region
from higherself.services.notion.status import NotionStatus, StatusPolicy
from notion_emulator.server import Emulator

pytestmark = pytest.mark.postgres

WAITS = """
  first: {on: {go: {to: second}, stay: {set: {count: "context.count + 1"}}}}
  second: {approval: {roles: [owner], question: "Really {{ context.title }}?", approved: {to: done}, rejected: {to: called_off}}}
  done: {final: true}
  called_off: {final: true}
"""
HEAD = 'context: {title: "", count: 0}'


async def begun(story: Story, title: str = "Blue") -> UUID:
    await story.bench.define(WAITS, head=HEAD)
    instance = await story.bench.start(context={"title": title})
    await story.refreshed()
    return instance


def policy(story: Story, **changes: object) -> NotionStatus:
    story.status.policy = replace(story.status.policy, **changes)  # type: ignore[arg-type]
    return story.status


async def test_a_page_follows_its_instance_by_two_requests_each_time(story: Story) -> None:
    await story.bench.define(WAITS, head=HEAD)
    instance = await story.bench.start(context={"title": "Blue *period*"})
    assert await story.refreshed() == 2
    properties, text = await story.shown(instance)
    assert (properties["Status"], properties["Current Step"]) == ("Active", "first")
    assert "Waits for event go or stay." in text

    await story.bench.engine.send(instance, "go")
    assert await story.refreshed() == 2
    properties, text = await story.shown(instance)
    assert (properties["Current Step"], properties["Waits For"]) == ("second", "Person")
    assert r"> Really Blue \*period\*?" in text
    assert text.count("HigherSelf: status") == 1

    await story.bench.engine.approve(instance, by="ada", roles=["owner"])
    assert await story.refreshed() == 2
    properties, text = await story.shown(instance)
    assert (properties["Status"], properties["Progress"]) == ("Completed", 1)
    assert properties["End Date"] is not None


async def test_what_is_as_it_was_costs_nothing(story: Story) -> None:
    instance = await begun(story)
    assert await story.refreshed() == 0
    await story.status.store.mark(instance)
    assert await story.refreshed() == 0


async def test_instances_are_shown_that_were_there_before_the_database(
    emulator: Emulator, database_url: str, database: Database
) -> None:
    async with a_story(emulator, database_url, database) as story:
        source = story.databases.data_source("workflow_instances")
        assert source is not None
        await story.databases.forget("workflow_instances")
        await story.bench.define(WAITS, head=HEAD)
        instance = await story.bench.start()
        assert await story.status.store.page_of(instance) is None
        await story.databases.save(source)
        async with in_background(story.status.run()):
            async with asyncio.timeout(15):
                while not (row := await story.status.store.page_of(instance)) or not row["page_id"]:
                    await SYSTEM_CLOCK.sleep(timedelta(seconds=0.05))


async def test_a_hundred_steps_in_two_seconds_take_three_refreshes_at_most(
    emulator: Emulator, database_url: str, database: Database
) -> None:
    brisk = StatusPolicy(requests=100_000, settle=timedelta(seconds=1), rest=timedelta(seconds=1), every=timedelta(milliseconds=50))  # fmt: skip
    async with a_story(emulator, database_url, database, policy=brisk) as story:
        await story.bench.define(WAITS, head=HEAD)
        instance = await story.bench.start()
        before = len(requests(emulator))
        async with in_background(story.status.run()):
            for _ in range(100):
                await story.bench.engine.send(instance, "stay")
                await asyncio.sleep(0.01)
            async with asyncio.timeout(20):
                while (row := await story.status.store.page_of(instance)) is None or row[
                    "dirty_since"
                ]:
                    await SYSTEM_CLOCK.sleep(timedelta(seconds=0.05))
        properties, _ = await story.shown(instance)
        assert '"count": 100' in properties["Data Payload"]
        assert len(requests(emulator)) - 2 - before <= 2 * 4


async def test_a_step_while_the_page_is_written_is_not_overlooked(story: Story) -> None:
    instance = await begun(story)
    await story.bench.engine.send(instance, "stay")
    (due,) = await story.status.store.due(settle=timedelta(0), rest=timedelta(0), limit=5)
    await story.bench.engine.send(instance, "stay")
    await story.status.store.save(due)
    assert await story.refreshed() == 2
    assert '"count": 2' in (await story.shown(instance))[0]["Data Payload"]


# --- What people do to the page.


async def test_what_people_write_beside_our_part_stays(story: Story) -> None:
    instance = await begun(story)
    page, ada = await story.page_of(instance), story.person()
    ada.writes(page, "Call the *artist* on Monday")
    await story.bench.engine.send(instance, "go")
    assert await story.refreshed() == 2
    _, text = await story.shown(instance)
    assert text.rstrip().endswith(r"Call the \*artist\* on Monday")


async def test_what_they_write_inside_is_kept_beneath_and_our_part_written_anew(
    story: Story,
) -> None:
    instance = await begun(story)
    page, ada = await story.page_of(instance), story.person()
    ada.replaces(page, "Waits for event go or stay.", "Waits for event go or stay. Ada: I have rung them!")  # fmt: skip
    await story.bench.engine.send(instance, "go")
    assert await story.refreshed() == 4  # refused, read, edited; properties
    _, text = await story.shown(instance)
    ours = region(text, "status") or ""
    assert "Ada:" not in ours
    assert "Waiting for a decision" in ours
    assert "Waits for event go or stay. Ada: I have rung them!" in text
    await story.bench.engine.approve(instance, by="ada", roles=["owner"])
    assert await story.refreshed() == 2
    assert "Ada: I have rung them!" in (await story.shown(instance))[1]


async def test_our_part_may_be_left_as_a_person_has_made_it(story: Story) -> None:
    instance = await begun(story)
    page, ada = await story.page_of(instance), story.person()
    policy(story, when_edited="leave")
    ada.replaces(page, "Waits for event go or stay.", "Mine!")
    await story.bench.engine.send(instance, "go")
    await story.refreshed()
    properties, text = await story.shown(instance)
    assert "Mine!" in text
    assert "Waiting for a decision" not in text
    assert properties["Current Step"] == "second"
    standing = await story.status.store.standing()
    assert standing["pages"] == {"edited": 1}
    assert standing["troubled"][0]["reason"] == "a person has changed the part of the server"


async def test_a_part_that_was_removed_comes_back_at_the_top(story: Story) -> None:
    instance = await begun(story)
    page, ada = await story.page_of(instance), story.person()
    ada.writes(page, "Mine")
    text = (await story.shown(instance))[1]
    ada.replaces(page, text, "Mine")
    await story.bench.engine.send(instance, "go")
    await story.refreshed()
    _, text = await story.shown(instance)
    assert "Waiting for a decision" in (region(text, "status") or "")
    assert text.rstrip().endswith("Mine")


async def test_half_a_part_is_left_alone_and_told(story: Story) -> None:
    instance = await begun(story)
    page, ada = await story.page_of(instance), story.person()
    ada.replaces(page, "**HigherSelf: end of status**", "**The end**")
    await story.bench.engine.send(instance, "go")
    await story.refreshed()
    properties, text = await story.shown(instance)
    assert properties["Current Step"] == "second"
    assert "Waiting for a decision" not in text
    assert (await story.status.store.standing())["pages"] == {"damaged": 1}
    ada.replaces(page, "**The end**", "**HigherSelf: end of status**")
    await story.status.store.mark(instance)
    await story.refreshed()
    assert "Waiting for a decision" in (await story.shown(instance))[1]
    assert (await story.status.store.standing())["pages"] == {"ok": 1}


async def test_a_page_in_the_trash_stays_there_or_another_is_made(story: Story) -> None:
    instance = await begun(story)
    page, ada = await story.page_of(instance), story.person()
    ada.trashes(page)
    await story.bench.engine.send(instance, "stay")
    await story.refreshed()
    row = await story.status.store.page_of(instance)
    assert row is not None
    assert (row["state"], row["page_id"]) == ("gone", page)
    policy(story, when_removed="recreate")
    await story.bench.engine.send(instance, "go")
    await story.refreshed()
    assert await story.page_of(instance) != page
    assert (await story.shown(instance))[0]["Current Step"] == "second"


async def test_the_page_of_a_deleted_instance_goes_to_the_trash(story: Story) -> None:
    instance = await begun(story)
    page = await story.page_of(instance)
    await story.bench.asked("DELETE FROM workflow_instance")
    assert await story.refreshed() == 1
    assert (await story.notion.api.page(page))["in_trash"]
    assert await story.refreshed() == 0


async def test_so_it_does_when_its_business_is_forgotten(story: Story) -> None:
    instance = await begun(story)
    page = await story.page_of(instance)
    await story.bench.asked("DELETE FROM entity")
    assert await story.bench.asked("SELECT 1 FROM notion_status") == []
    await story.refreshed()
    assert (await story.notion.api.page(page))["in_trash"]


# --- Trouble.


async def test_workflows_do_not_wait_for_notion_and_its_pages_catch_up(story: Story) -> None:
    instance = await begun(story)
    story.emulator.app.faults.add({"kind": "blocked"})
    await story.bench.engine.send(instance, "go")
    with pytest.raises(Misconfigured):
        await story.status.refresh()
    await story.bench.engine.approve(instance, by="ada", roles=["owner"])
    story.emulator.app.faults.items.clear()
    await story.refreshed()
    assert (await story.shown(instance))[0]["Status"] == "Completed"


async def test_requests_stay_within_their_share(story: Story) -> None:
    await story.bench.define(WAITS, head=HEAD)
    for _ in range(5):
        await story.bench.start()
    limited = NotionStatus(
        story.bench.engine, story.status.store, story.notion.api, story.notion.writes,
        story.databases, story.status.declared, story.status._clock,
        policy=replace(AT_ONCE, requests=7),
    )  # fmt: skip
    before = len(requests(story.emulator))
    while (await limited.refresh()).handled:
        pass
    assert len(requests(story.emulator)) - before == 6
    assert (await limited.store.standing())["waiting"] == 2


# --- Both at once.


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["write", "edit", "inside", "ours"]), min_size=3, max_size=12))
async def test_nothing_that_a_person_writes_is_ever_lost(story: Story, doings: list[str]) -> None:
    await both_at_once(story, doings)


async def both_at_once(story: Story, doings: list[str]) -> None:
    """Have a person and the server write to one page in this order; all words of theirs must be there."""
    instance = await begun(story)
    page, ada = await story.page_of(instance), story.person()
    block = ada.writes(page, "note 0")
    words, last = set(), "note 0"
    for number, doing in enumerate(doings):
        match doing:
            case "write":
                words.add(f"written {number};")
                ada.writes(page, f"written {number};")
            case "edit":
                last = f"note {number}"
                ada.edits(block, last)
            case "inside":
                words.add(f"inside {number};")
                ada.replaces(page, "### Where it is", f"inside {number};\n### Where it is")
            case _:
                await story.bench.engine.send(instance, "stay")
                await story.refreshed()
    await story.bench.engine.send(instance, "stay")
    await story.refreshed()
    _, text = await story.shown(instance)
    missing = [each for each in (*words, last) if each not in text]
    assert not missing
    assert text.count("HigherSelf: status") == 1


EDITS = int(os.environ.get("NOTION_STATUS_EDITS", "40"))
"""Edits of a person while the server writes; more with ``NOTION_STATUS_EDITS=500``."""


async def test_nothing_is_lost_while_both_write_at_once(story: Story) -> None:
    instance = await begun(story)
    page, words = await story.page_of(instance), set()
    send, done = story.notion.gateway.request, asyncio.Event()

    async def a_person() -> None:
        for number in range(EDITS):
            word = f"word {number};"
            if number % 5:
                block = {"paragraph": {"rich_text": [{"text": {"content": word}}]}}
                await send("PATCH", f"blocks/{page}/children", body={"children": [block]})
            else:  # inside our part
                change = {"old_str": "### Where it is", "new_str": f"{word}\n### Where it is"}
                changes = {"content_updates": [change]}
                body = {"type": "update_content", "update_content": changes}
                await send("PATCH", f"pages/{page}/markdown", body=body)
            words.add(word)
        done.set()

    async def the_server() -> None:
        while not done.is_set():
            await story.bench.engine.send(instance, "stay")
            refreshed = await story.status.refresh()
            assert not refreshed.failed, refreshed.failed

    await side_by_side(a_person(), the_server())
    await story.bench.engine.send(instance, "go")
    await story.refreshed()
    _, text = await story.shown(instance)
    assert [each for each in words if each not in text] == []
    assert len(words) == EDITS
    assert "Waiting for a decision" in (region(text, "status") or "")
