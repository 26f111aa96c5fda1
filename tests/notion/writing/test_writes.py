"""Writes that happen once, on the emulator: each kind, again with the same key, and cut off."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.notion.conftest import (
    Json,
    a_database,
    a_page,
    connected,
    emulated,
    paragraph,
    requests,
    text,
)

from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.content import content_hash
from higherself.notion.errors import EditConflict, NotionRejected
from higherself.notion.gateway.connection import NotionConnection
from higherself.notion.gateway.echoes import properties_hash
from higherself.notion.gateway.postgres import KEPT, PostgresIntents
from higherself.notion.writing.writes import Edit
from higherself.testing.clock import ManualClock
from notion_emulator.server import Emulator

pytestmark = pytest.mark.postgres

DoIt = Callable[[NotionConnection, str, str, str], Awaitable[Any]]


async def create_row(notion: NotionConnection, page: str, source: str, key: str) -> Any:
    parent = {"data_source_id": source}
    made = await notion.writes.create_page(
        parent, {"Name": {"title": text("Ana")}}, key=key, markdown="A **note**."
    )
    return made["id"]


async def create_under_page(notion: NotionConnection, page: str, source: str, key: str) -> Any:
    made = await notion.writes.create_page(
        {"page_id": page}, {"title": text("Below")}, key=key, markdown="- one\n- two"
    )
    return made["id"]


async def append(notion: NotionConnection, page: str, source: str, key: str) -> Any:
    made = await notion.writes.append(page, [paragraph("one"), paragraph("two")], key=key)
    return [each["id"] for each in made]


async def insert(notion: NotionConnection, page: str, source: str, key: str) -> Any:
    return (await notion.writes.insert_markdown(page, "## Added\nwith text", key=key)).markdown


async def edit(notion: NotionConnection, page: str, source: str, key: str) -> Any:
    edits = [Edit("The plan stands.", "The plan stands. And it is good.")]
    return (await notion.writes.edit_markdown(page, edits, key=key)).markdown


async def comment(notion: NotionConnection, page: str, source: str, key: str) -> Any:
    return (await notion.writes.comment(page, "Well **done**", key=key))["id"]


async def create_database(notion: NotionConnection, page: str, source: str, key: str) -> Any:
    made = await notion.writes.create_database(
        {"type": "page_id", "page_id": page}, "Tasks", {"Name": {"title": {}}}, key=key
    )
    return made["id"]


async def create_view(notion: NotionConnection, page: str, source: str, key: str) -> Any:
    database = (await notion.api.data_source(source))["parent"]["database_id"]
    body = {"database_id": database, "data_source_id": source, "name": "All", "type": "table"}
    return (await notion.writes.create_view(body, key=key))["id"]


async def update(notion: NotionConnection, page: str, source: str, key: str) -> Any:
    return (await notion.writes.update_page(page, properties={"title": text("New")}, key=key))["id"]


async def delete(notion: NotionConnection, page: str, source: str, key: str) -> Any:
    await notion.writes.delete_block(page, key=key)


KINDS = [create_row, create_under_page, append, insert, edit, comment, create_database, create_view, update, delete]  # fmt: skip
METHODS = {**dict.fromkeys(KINDS, "POST"), **dict.fromkeys((append, insert, edit, update), "PATCH"), delete: "DELETE"}  # fmt: skip
WAYS: list[Json] = [
    {"kind": "committed", "after_commit": True},
    {"kind": "reset", "after_commit": True},
    {"kind": "error", "status": 500, "after_commit": True},
    {"kind": "truncated"},
    {"kind": "reset"},
    {"kind": "error", "status": 503},
    {"kind": "html", "status": 502},
]


async def place(notion: NotionConnection) -> tuple[str, str]:
    page = await a_page(notion, "Plan", markdown="The plan stands.")
    return page, (await a_database(notion))[1]


def holdings(emulator: Emulator) -> Json:
    """What the workspace has, without what differs from run to run."""
    store = emulator.app.store
    kinds: Json = {}
    for node in store.nodes.values():
        name = node.data.get("type", node.kind)
        kinds[name] = kinds.get(name, 0) + (not node.in_trash)
    return {**kinds, "comments": len(store.comments), "views": len(store.views)}


async def test_the_same_key_again_changes_nothing(
    notion: NotionConnection, emulator: Emulator
) -> None:
    for kind in KINDS:
        page, source = await place(notion)
        first = await kind(notion, page, source, kind.__name__)
        there, asked = holdings(emulator), len(requests(emulator))
        assert await kind(notion, page, source, kind.__name__) == first
        assert holdings(emulator) == there, kind.__name__
        assert all(each["method"] == "GET" for each in requests(emulator)[asked:])


@pytest.mark.parametrize("fault", WAYS, ids=lambda fault: "-".join(map(str, fault.values())))
async def test_a_write_whose_answer_is_lost_happens_once(
    notion: NotionConnection, emulator: Emulator, fault: Json
) -> None:
    for kind in KINDS:
        page, source = await place(notion)
        once = await added(emulator, kind(notion, page, source, f"{kind.__name__} as it is"))
        page, source = await place(notion)
        failing = emulator.app.faults.add({**fault, "method": METHODS[kind], "times": 1})
        assert await added(emulator, kind(notion, page, source, kind.__name__)) == once
        assert failing.hits == 1


async def added(emulator: Emulator, work: Awaitable[Any]) -> Json:
    before = holdings(emulator)
    await work
    after = holdings(emulator)
    return {name: number - before.get(name, 0) for name, number in after.items()}


async def test_a_key_is_for_one_write(notion: NotionConnection) -> None:
    page, _ = await place(notion)
    await notion.writes.comment(page, "one", key="k")
    with pytest.raises(NotionRejected, match="k' was used for another write"):
        await notion.writes.comment(page, "two", key="k")


async def test_an_edit_of_changed_text_is_a_conflict(notion: NotionConnection) -> None:
    page, _ = await place(notion)
    with pytest.raises(EditConflict, match="not there as it was"):
        await notion.writes.edit_markdown(page, [Edit("Something else", "x")], key="k")
    assert (await notion.api.markdown(page)).markdown == "The plan stands."


async def test_the_same_key_elsewhere_is_another_write(
    notion: NotionConnection, database: Database
) -> None:
    """What was tried on an emulator is not done in the workspace."""
    values = {"title": text("Plan")}
    here = await notion.writes.create_page({"workspace": True}, values, key="k")
    with emulated() as elsewhere:
        async with connected(elsewhere, database) as other:
            await other.writes.create_page({"workspace": True}, values, key="k")
            assert len([page async for page in other.api.search("Plan")]) == 1
    assert (await notion.api.page(here["id"]))["id"] == here["id"]


async def test_what_we_wrote_is_known_as_ours(notion: NotionConnection) -> None:
    page, _ = await place(notion)
    echoes = notion.echoes
    before = content_hash((await notion.api.markdown(page)).markdown)
    shown = await notion.writes.insert_markdown(page, "- one\n- two", key="i")
    assert await echoes.seen(page, "content", content_hash(shown.markdown))
    read = (await notion.api.markdown(page)).markdown
    assert await echoes.seen(page, "content", content_hash(read)), "as it is read, too"
    assert not await echoes.seen(page, "content", before)
    assert not await echoes.seen(page, "content", content_hash(read + " and somebody's"))
    changed = await notion.writes.update_page(page, properties={"title": text("New")}, key="u")
    assert await echoes.seen(page, "properties", properties_hash(changed))
    assert await echoes.seen(page, "properties", properties_hash(await notion.api.page(page)))
    other = await notion.gateway.request(
        "PATCH", f"pages/{page}", body={"properties": {"title": text("Theirs")}}
    )
    assert not await echoes.seen(page, "properties", properties_hash(other))
    made = await notion.writes.create_page(
        {"page_id": page}, {"title": text("P")}, markdown="# A\n*b* and c", key="c"
    )
    read = (await notion.api.markdown(made["id"])).markdown
    assert await echoes.seen(made["id"], "content", content_hash(read))
    assert not await echoes.under_way(page)


async def test_old_writes_and_echoes_are_forgotten(
    notion: NotionConnection, database: Database
) -> None:
    page, _ = await place(notion)
    await notion.writes.insert_markdown(page, "more", key="i")
    later = ManualClock(SYSTEM_CLOCK.now() + KEPT * 2)
    assert await notion.writes.is_done("i")
    await PostgresIntents(database, SYSTEM_CLOCK).tidy()
    assert await notion.writes.is_done("i")
    await PostgresIntents(database, later).tidy()
    assert not await notion.writes.is_done("i")
    read = (await notion.api.markdown(page)).markdown
    assert not await notion.echoes.seen(page, "content", content_hash(read))


async def test_two_processes_with_one_key_write_once(
    notion: NotionConnection, emulator: Emulator, database: Database
) -> None:
    page, _ = await place(notion)
    async with connected(emulator, database) as other:
        for number in range(10):
            async with asyncio.TaskGroup() as group:
                for each in (notion, other, notion):
                    blocks = [paragraph(f"{number}")]
                    group.create_task(each.writes.append(page, blocks, key=f"{number}"))
    texts = [
        block["paragraph"]["rich_text"][0]["plain_text"]
        async for block in notion.api.children(page)
    ]
    assert texts == ["The plan stands.", *map(str, range(10))]
