"""Reading: whole lists, whatever happens on the way, on the emulator."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.notion.conftest import (
    Json,
    a_database,
    a_page,
    connected,
    paragraph,
    text,
)

from higherself.db.pool import Database
from higherself.notion.errors import NotionRejected, NotionUnavailable, PageNotFound
from higherself.notion.gateway.connection import NotionConnection
from higherself.notion.reading.listing import listed, pages
from notion_emulator.app import create_app
from notion_emulator.clock import VirtualClock
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings

pytestmark = pytest.mark.postgres


@pytest.fixture
async def capped(database: Database) -> AsyncIterator[tuple[NotionConnection, VirtualClock]]:
    """A workspace in which a query gives fifty rows at most, in short pages, and a clock."""
    clock = VirtualClock()
    settings = Settings(rate_mode="off", query_cap=50, short_pages=True)
    with Emulator(create_app(seed_name="empty", settings=settings, clock=clock)) as emulator:
        async with connected(emulator, database) as notion:
            yield notion, clock


async def rows_in(
    notion: NotionConnection, clock: VirtualClock, number: int, *, a_minute: int
) -> str:
    _, source = await a_database(notion, {"Even": {"checkbox": {}}})
    for one in range(number):
        values = {"Name": {"title": text(f"{one}")}, "Even": {"checkbox": one % 2 == 0}}
        body = {"parent": {"data_source_id": source}, "properties": values}
        await notion.gateway.request("POST", "pages", body=body)
        if one % a_minute == a_minute - 1:
            clock.advance(timedelta(minutes=1))
    return source


async def test_every_row_beyond_what_a_query_gives(
    capped: tuple[NotionConnection, VirtualClock],
) -> None:
    notion, clock = capped
    source = await rows_in(notion, clock, 180, a_minute=20)
    rows = [row async for row in notion.api.query(source)]
    assert sorted(map(name, rows), key=int) == [str(number) for number in range(180)], "each once"
    made = [row["created_time"] for row in rows]
    assert made == sorted(made)
    latest = [{"timestamp": "last_edited_time", "direction": "descending"}]
    some = {"property": "Even", "checkbox": {"equals": True}}
    found = [name(row) async for row in notion.api.query(source, filter=some, sorts=latest)]
    assert sorted(found, key=int) == [str(number) for number in range(0, 180, 2)], "each once"


async def test_too_many_rows_of_one_minute_are_not_taken_for_all(
    capped: tuple[NotionConnection, VirtualClock],
) -> None:
    notion, clock = capped
    source = await rows_in(notion, clock, 120, a_minute=200)
    with pytest.raises(NotionUnavailable, match="were made at"):
        _ = [row async for row in notion.api.query(source)]


def name(row: Json) -> str:
    return str(row["properties"]["Name"]["title"][0]["plain_text"])


async def test_a_cursor_that_is_not_valid_any_more_begins_again() -> None:
    asked: list[Any] = []

    async def ask(more: Json) -> Json:
        asked.append(more.get("start_cursor"))
        if asked.count("b") == 1 and asked[-1] == "b":
            raise NotionRejected("The start_cursor provided is invalid: b")
        place = {None: 0, "a": 1, "b": 2}[more.get("start_cursor")]
        items = [{"id": f"{place}{number}"} for number in range(2)]
        following = [None, "a", "b"][place + 1] if place < 2 else None
        return {"results": items, "has_more": following is not None, "next_cursor": following}

    assert [item["id"] async for item in listed(ask)] == ["00", "01", "10", "11", "20", "21"]
    assert asked == [None, "a", "b", None, "a", "b"]


async def test_cursors_that_are_never_valid_or_go_in_a_circle_end() -> None:
    async def circle(more: Json) -> Json:
        return {"results": [], "has_more": True, "next_cursor": "a"}

    async def refused(more: Json) -> Json:
        if "start_cursor" in more:
            raise NotionRejected("The start_cursor provided is invalid: a")
        return {"results": [], "has_more": True, "next_cursor": "a"}

    for ask in (circle, refused):
        with pytest.raises(NotionUnavailable, match="again later"):
            _ = [page async for page in pages(ask)]


async def test_children_and_trees_are_whole(notion: NotionConnection, emulator: Emulator) -> None:
    page = await a_page(notion)
    deep: Json = paragraph("deepest")
    for level in range(12):
        deep = {
            "type": "toggle",
            "toggle": {"rich_text": text(f"level {level}"), "children": [deep]},
        }
    await notion.writes.append(page, [paragraph(f"{n}") for n in range(250)], key="flat")
    await notion.writes.append(page, [deep], key="deep")
    assert len([each async for each in notion.api.children(page)]) == 251
    tree = await notion.api.tree(page)
    assert tree.count == 263
    assert not tree.truncated
    block = tree.blocks[-1]
    for _ in range(12):
        block = block["children"][0]
    assert block["paragraph"]["rich_text"][0]["plain_text"] == "deepest"
    cut = await notion.api.tree(page, blocks=100)
    assert (cut.count, cut.truncated) == (100, True)
    shallow = await notion.api.tree(page, depth=3)
    assert (shallow.count, len(shallow.unread)) == (253, 1)


async def test_what_a_synced_block_shows_is_read_once(notion: NotionConnection) -> None:
    page = await a_page(notion)
    inside = {"synced_from": None, "children": [paragraph("once")]}
    original = (await notion.writes.append(page, [{"type": "synced_block", "synced_block": inside}], key="o"))[0]  # fmt: skip
    copy = {"type": "synced_block", "synced_block": {"synced_from": {"type": "block_id", "block_id": original["id"]}}}  # fmt: skip
    await notion.writes.append(page, [copy, copy], key="c")
    await notion.writes.append(original["id"], [copy], key="inside itself")
    tree = await notion.api.tree(page)
    assert tree.count == 5, "the original with its text and its copy, and two copies"
    assert not tree.truncated


async def test_relations_and_long_properties_are_whole(notion: NotionConnection) -> None:
    _, there = await a_database(notion, title="There")
    relation = {"relation": {"data_source_id": there, "type": "single_property", "single_property": {}}}  # fmt: skip
    _, here = await a_database(notion, {"Links": relation, "Count": {"number": {}}}, title="Here")
    others = []
    for number in range(60):
        body = {"parent": {"data_source_id": there}, "properties": {"Name": {"title": text(f"{number}")}}}  # fmt: skip
        others.append((await notion.gateway.request("POST", "pages", body=body))["id"])
    long = "word " * 6_000
    values = {"Name": {"title": text(long)}, "Links": {"relation": [{"id": each} for each in others]}, "Count": {"number": 7}}  # fmt: skip
    page = await notion.writes.create_page({"data_source_id": here}, values, key="k")
    assert await notion.api.related(page, "Links") == others
    titles = await notion.api.property_values(page["id"], "title")
    assert "".join(each["title"]["plain_text"] for each in titles) == long
    count = await notion.api.property_values(page["id"], page["properties"]["Count"]["id"])
    assert [each["number"] for each in count] == [7]
    more = (await notion.gateway.request("POST", "pages", body={"parent": {"data_source_id": there}, "properties": {"Name": {"title": text("new")}}}))["id"]  # fmt: skip
    linked = await notion.writes.link(page["id"], "Links", [more, others[0]], key="l")
    assert await notion.api.related(linked, "Links") == [*others, more]


async def test_search_finds_what_is_there_and_what_is_in_the_trash(
    notion: NotionConnection, emulator: Emulator
) -> None:
    made = [await a_page(notion, f"Plan {number}") for number in range(130)]
    await notion.writes.update_page(made[0], in_trash=True, key="k")
    found = {page["id"] async for page in notion.api.search("Plan", object="page")}
    assert found == set(made[1:])
    gone = [page["id"] async for page in notion.api.search(in_trash=True)]
    assert gone == made[:1]


async def test_users_comments_views_and_files(notion: NotionConnection) -> None:
    page = await a_page(notion)
    assert (await notion.api.me())["id"] in [user["id"] async for user in notion.api.users()]
    for number in range(3):
        await notion.writes.comment(page, f"{number}", key=f"{number}")
    said = [each["rich_text"][0]["plain_text"] async for each in notion.api.comments(page)]
    assert said == ["0", "1", "2"]
    database, _ = await a_database(notion)
    assert len([view async for view in notion.api.views(database)]) == 1
    upload = await notion.writes.upload("plan.txt", "text/plain", b"The plan")
    assert (await notion.api.file_upload(upload))["status"] == "uploaded"
    assert (await notion.api.file_upload(upload))["content_length"] == 8


async def test_a_page_that_is_not_there_and_a_tree_that_is_not_all_shared(
    notion: NotionConnection,
) -> None:
    with pytest.raises(PageNotFound):
        await notion.api.tree("01234567-89ab-4def-8123-456789abcdef")
