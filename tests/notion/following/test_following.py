"""The figures, in requests; what is new, changed, moved, away and back; what is read again."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.notion.following.workspace import Workspace, workspace

from higherself.db.pool import Database
from higherself.notion.following.follower import OthersFollow


@pytest.fixture
async def ours(database: Database) -> AsyncIterator[Workspace]:
    async with workspace(database) as ours:
        yield ours


def filled(ours: Workspace, *, rows: int, loose: int, sources: int = 1) -> list[str]:
    """Make a page with databases and pages in it; return the pages, the outermost first."""
    root = ours.page("Root", "The beginning.")
    pages = [root]
    for number in range(sources):
        source = ours.table(f"Table {number}", root)
        share = rows // sources + (number < rows % sources)
        pages += [ours.row(source, f"Row {number}.{i}", f"Text {number}.{i}") for i in range(share)]
    pages += [ours.page(f"Page {i}", f"Loose text {i}", root) for i in range(loose)]
    ours.wait(minutes=10)
    return pages


async def test_the_first_sync_takes_a_request_for_each_page_and_one_for_each_hundred(
    ours: Workspace,
) -> None:
    pages = filled(ours, rows=250, loose=0)
    report, requests = await ours.cycle()
    assert report.created == len(pages) == 251
    assert requests <= 251 + 251 // 100 + 5
    assert requests == report.requests
    assert set(await ours.texts()) == set(pages)


async def test_the_first_sync_of_loose_pages_takes_no_more(ours: Workspace) -> None:
    pages = filled(ours, rows=0, loose=249)
    report, requests = await ours.cycle()
    assert report.created == len(pages)
    assert requests <= 250 + 250 // 100 + 5


async def test_an_idle_cycle_takes_a_request_for_each_source_and_two(ours: Workspace) -> None:
    filled(ours, rows=130, loose=10, sources=3)
    await ours.cycle()
    for _ in range(3):
        ours.wait(seconds=30)
        report, requests = await ours.cycle()
        assert requests == 3 + 2
        assert report.changes == 0


async def test_changes_take_a_request_each_and_one_for_each_hundred(ours: Workspace) -> None:
    pages = filled(ours, rows=230, loose=20, sources=2)
    await ours.cycle()
    ours.wait(minutes=5)
    for page in pages[1:41]:
        ours.write(page, "More.")
    ours.write(pages[-1], "More.")
    ours.wait(minutes=2)
    report, requests = await ours.cycle()
    assert report.updated == 41
    assert requests <= 41 + 0 + 2 + 3
    texts = await ours.texts()
    assert all("More." in texts[page] for page in [*pages[1:41], pages[-1]])


async def test_what_the_search_has_left_is_asked_for_later(ours: Workspace) -> None:
    filled(ours, rows=520, loose=3)
    report, requests = await ours.cycle()
    assert requests <= 524 + 5 + 5
    cycles = 0
    while report.partial:
        ours.wait(seconds=30)
        report, requests = await ours.cycle()
        assert requests <= 1 + 2
        cycles += 1
    assert 1 <= cycles <= 10


async def test_an_edit_in_the_minute_of_the_reading_is_not_lost(ours: Workspace) -> None:
    pages = filled(ours, rows=30, loose=10)
    await ours.cycle()
    ours.wait(minutes=3)
    lost = 0
    for turn in range(7):
        chosen = [pages[(turn * 7 + i * 3) % len(pages)] for i in range(8)]
        for page in chosen:
            ours.write(page, f"before {turn}")
        await ours.cycle()
        for page in chosen:
            ours.write(page, f"after {turn}")
        ours.wait(seconds=70)
        await ours.cycle()
        texts = await ours.texts()
        lost += sum(f"after {turn}" not in texts[page] for page in chosen)
    assert lost == 0


async def test_many_pages_of_the_present_minute_are_waited_for(ours: Workspace) -> None:
    root = ours.page("Root")
    source = ours.table("Table", root)
    for i in range(60):
        ours.row(source, f"Row {i}", "Text")
    report, requests = await ours.cycle(patient=True)
    assert timedelta() < ours.shared.slept <= timedelta(seconds=65)
    assert report.created == 61
    assert requests <= 61 + 0 + 5 + 1
    _, requests = await ours.cycle()
    assert requests == 1 + 2


async def test_many_pages_of_the_present_minute_come_later_if_nobody_waits(ours: Workspace) -> None:
    root = ours.page("Root")
    source = ours.table("Table", root)
    rows = [ours.row(source, f"Row {i}", "Text") for i in range(60)]
    await ours.cycle()
    assert ours.shared.slept == timedelta()
    ours.wait(seconds=70)
    await ours.cycle()
    assert set(await ours.texts()) == {root, *rows}


async def test_touching_a_page_embeds_nothing(ours: Workspace) -> None:
    pages = filled(ours, rows=5, loose=5)
    await ours.cycle()
    ours.wait(minutes=5)
    for page in pages:
        ours.touch(page)
    ours.wait(minutes=2)
    before = len(ours.words.embedded)
    report, _ = await ours.cycle()
    assert (report.updated, report.embedded) == (0, 0)
    assert report.unchanged == len(pages)
    assert len(ours.words.embedded) == before


async def test_a_page_in_the_trash_vanishes_with_what_stands_in_it(ours: Workspace) -> None:
    root = ours.page("Root", "Stays.")
    above = ours.page("Above", "Goes.", root)
    below = ours.page("Below", "Goes too.", above)
    source = ours.table("Table", above)
    row = ours.row(source, "Row", "Goes as well.")
    others = [ours.page(f"Other {i}", "Stays.", root) for i in range(20)]
    ours.wait(minutes=5)
    await ours.cycle()
    ours.wait(minutes=5)
    ours.update(above, in_trash=True)
    report, _ = await ours.cycle()
    assert report.deleted == 3
    assert set(await ours.texts()) == {root, *others}
    ours.wait(minutes=5)
    ours.update(above, in_trash=False)
    await ours.cycle()
    ours.wait(minutes=5)
    await ours.cycle()
    assert {above, below, row} <= set(await ours.texts())


async def test_an_archived_page_vanishes_and_comes_back(ours: Workspace) -> None:
    pages = filled(ours, rows=4, loose=4)
    await ours.cycle()
    ours.wait(minutes=5)
    ours.update(pages[1], is_archived=True)
    await ours.cycle(scope="listing")
    assert set(await ours.texts()) == set(pages) - {pages[1]}
    ours.wait(minutes=5)
    ours.update(pages[1], is_archived=False)
    await ours.cycle()
    assert set(await ours.texts()) == set(pages)


async def test_what_is_not_shared_any_more_is_kept_and_then_held(ours: Workspace) -> None:
    pages = filled(ours, rows=20, loose=20)
    await ours.cycle()
    ours.share()
    for scope in ("changes", "changes", "content", "content", "listing"):
        ours.wait(minutes=5)
        await ours.cycle(scope=scope)
    report = ours.reports[-1]
    assert sum(each.deleted for each in ours.reports) == 0
    assert set(await ours.texts()) == set(pages)
    assert report.held == 21  # of the rows, nobody can tell any more: their table is out of reach
    assert any("deleting is paused" in line for each in ours.reports for line in each.problems)
    ours.share("*")
    ours.wait(minutes=5)
    report, _ = await ours.cycle(scope="listing")
    assert report.held == 0
    assert set(await ours.texts()) == set(pages)


async def test_many_deletions_wait_for_a_person(ours: Workspace) -> None:
    pages = filled(ours, rows=30, loose=10)
    await ours.cycle()
    ours.wait(minutes=5)
    for page in pages[1:21]:
        ours.update(page, in_trash=True)
    report, _ = await ours.cycle()
    assert (report.deleted, report.held) == (0, 20)
    ours.update(pages[30], in_trash=True)  # what goes one by one goes meanwhile
    report, _ = await ours.cycle()
    assert (report.deleted, report.held) == (1, 20)
    ours.update(pages[1], in_trash=False)
    ours.wait(minutes=2)
    report, _ = await ours.cycle()
    assert (report.deleted, report.held) == (0, 19)
    held = [known.page_id for known in await ours.follower.store.held()]
    await ours.follower.store.note("deletes", {"released": True, "pages": held})
    ours.wait(minutes=2)
    report, _ = await ours.cycle()
    assert (report.deleted, report.held) == (19, 0)
    assert set(await ours.texts()) == {pages[0], pages[1], *pages[21:]} - {pages[30]}


async def test_a_moved_page_is_told_by_the_next_listing(ours: Workspace) -> None:
    root = ours.page("Root")
    one, other = ours.table("One", root), ours.table("Other", root)
    row = ours.row(one, "Row", "Text")
    ours.wait(minutes=5)
    await ours.cycle()
    call = ours._call({"parent": {"data_source_id": other}})
    from notion_emulator import page_calls

    page_calls.move(call, row)
    ours.wait(minutes=5)
    await ours.cycle(scope="listing")
    shown = await ours.hub.read("default", "notion", [row])
    assert shown[0]["metadata"]["data_source"] == other


async def test_new_databases_are_found_though_the_index_lags(database: Database) -> None:
    async with workspace(database, index_lag_s=600.0, search_miss_rate=0.5) as ours:
        root = ours.page("Root", "Shared itself.")
        ours.share(root)
        sub = ours.page("Sub", "Inside.", root)
        deep = ours.page("Deep", "Deeper.", sub)
        source = ours.table("Table", deep)
        row = ours.row(source, "Row", "At the end.")
        ours.wait(seconds=100)
        await ours.cycle()
        assert set(await ours.texts()) == {root, sub, deep, row}


async def test_two_do_not_follow_at_once(ours: Workspace) -> None:
    async with ours.follower.store.alone() as alone:
        assert alone
        with pytest.raises(OthersFollow):
            await ours.follower.cycle()
    await ours.follower.cycle()


async def test_a_dry_run_says_what_is_then_done(ours: Workspace) -> None:
    pages = filled(ours, rows=20, loose=20)
    await ours.cycle()
    ours.wait(minutes=5)
    ours.write(pages[1], "More.")
    ours.update(pages[2], in_trash=True)
    ours.page("New", "Text.", pages[0])
    ours.wait(minutes=5)
    plan, _ = await ours.cycle(dry_run=True)
    assert len(await ours.texts()) == len(pages)
    done, _ = await ours.cycle()
    assert (plan.created, plan.deleted) == (done.created, done.deleted) == (1, 1)
    assert (
        plan.updated == done.updated == 2
    )  # the root page was touched, and its text names the new
