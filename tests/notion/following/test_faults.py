"""Whatever goes wrong: nothing is deleted that is there, and one reconcile puts everything right."""

import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.notion.following.workspace import Workspace, workspace

from higherself.db.pool import Database
from higherself.kernel.errors import HigherSelfError
from higherself.notion.errors import NotAuthorised


@pytest.fixture
async def ours(database: Database) -> AsyncIterator[Workspace]:
    async with workspace(database) as ours:
        yield ours


def filled(ours: Workspace) -> dict[str, str]:
    """Make pages; return the text that each is to be found by."""
    root = ours.page("Root", "The beginning.")
    source = ours.table("Table", root)
    rows = {
        ours.row(source, f"Row {i}", f"Words of row {i}"): f"Words of row {i}" for i in range(30)
    }
    loose = {
        ours.page(f"Page {i}", f"Words of page {i}", root): f"Words of page {i}" for i in range(15)
    }
    ours.wait(minutes=10)
    return {root: "The beginning.", **rows, **loose}


async def assert_same(ours: Workspace, wanted: dict[str, str]) -> None:
    texts = await ours.texts()
    assert set(texts) == set(wanted)
    assert all(words in texts[page] for page, words in wanted.items())


async def until_calm(ours: Workspace, **how: Any) -> None:
    with contextlib.suppress(HigherSelfError):
        await ours.cycle(**how)


FAULTS: dict[str, list[dict[str, Any]]] = {
    "errors": [{"kind": "error", "status": 500, "probability": 0.2}],
    "cut": [{"kind": "truncated", "probability": 0.15}],
    "resets": [{"kind": "reset", "probability": 0.1}],
    "all of it": [
        {"kind": "error", "status": 503, "probability": 0.1},
        {"kind": "reset", "probability": 0.05},
        {"kind": "truncated", "probability": 0.05},
    ],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
async def test_nothing_is_lost_under_faults(ours: Workspace, faults: list[dict[str, Any]]) -> None:
    wanted = filled(ours)
    for fault in faults:
        ours.fault(**fault)
    for _ in range(2):
        await until_calm(ours)
        ours.wait(minutes=2)
    assert sum(report.deleted for report in ours.reports) == 0
    ours.healthy()
    ours.wait(hours=2)
    await ours.cycle(scope="content")
    await assert_same(ours, wanted)


async def test_pages_that_cannot_be_read_hold_up_no_other(ours: Workspace) -> None:
    wanted = filled(ours)
    poison = list(wanted)[5:6]
    for page in poison:
        ours.fault("error", status=500, route=f"/pages/{page}/markdown")
    report, _ = await ours.cycle()
    assert report.failed == len(poison)
    assert set(await ours.texts()) == set(wanted) - set(poison)
    ours.healthy()
    ours.wait(minutes=2)
    report, _ = await ours.cycle()
    assert report.created == len(poison)
    await assert_same(ours, wanted)


async def test_a_404_alone_deletes_nothing(ours: Workspace) -> None:
    wanted = filled(ours)
    await ours.cycle()
    page = list(wanted)[3]
    ours.write(page, "Changed.")
    ours.wait(minutes=2)
    roots = set(wanted) - {page}
    ours.share(*roots)
    report, _ = await ours.cycle()
    assert report.deleted == 0
    assert set(await ours.texts()) == set(wanted)
    ours.share("*")
    ours.wait(minutes=2)
    await ours.cycle(scope="listing")
    assert "Changed." in (await ours.texts())[page]


async def test_a_page_that_is_read_in_part_keeps_its_text(database: Database) -> None:
    async with workspace(database) as ours:
        lines = "\n".join(f"Line {i}" for i in range(80))
        page = ours.page("Long", lines)
        ours.wait(minutes=5)
        await ours.cycle()
        ours.app.settings = ours.app.settings.changed(max_markdown_blocks=50)
        ours.fault("error", status=500, route="/blocks/")
        ours.fault("error", status=500, route=rf"/pages/(?!{page})[^/]+/markdown")
        ours.write(page, "Line 80")
        ours.wait(minutes=2)
        report, _ = await ours.cycle()
        assert report.failed == 1
        assert "Line 79" in (await ours.texts())[page]
        ours.healthy()
        ours.wait(minutes=5)
        await ours.cycle()
        text = (await ours.texts())[page]
        assert all(f"Line {i}" in text for i in range(81))


async def test_a_token_that_is_revoked_stops_everything_and_deletes_nothing(
    ours: Workspace,
) -> None:
    wanted = filled(ours)
    await ours.cycle()
    ours.app.store.connections[ours.token].revoked = True
    with pytest.raises(NotAuthorised):
        await ours.cycle()
    ours.app.store.connections[ours.token].revoked = False
    await ours.cycle(scope="content")
    await assert_same(ours, wanted)


async def test_edits_that_do_not_move_the_time_are_found_by_the_daily_reading(
    database: Database,
) -> None:
    async with workspace(database, bump_page_on_api_content_edit=False) as ours:
        page = ours.page("Page", "Before.")
        ours.wait(minutes=5)
        await ours.cycle()
        ours.write(page, "After.")
        ours.wait(minutes=5)
        await ours.cycle(scope="content")
        assert "After." in (await ours.texts())[page]


@pytest.mark.parametrize("seed", [1, 2])
async def test_people_at_work_and_a_bad_line_come_to_the_same_in_the_end(
    ours: Workspace, seed: int
) -> None:
    chance = random.Random(seed)
    wanted = filled(ours)
    root = next(iter(wanted))
    ours.fault("error", status=503, probability=0.05)
    ours.fault("reset", probability=0.03)
    away: set[str] = set()
    for turn in range(12):
        for _ in range(chance.randrange(1, 5)):
            page = chance.choice([p for p in wanted if p not in away and p != root])
            what = chance.random()
            if what < 0.6:
                words = f"Turn {turn} of {chance.randrange(10_000)}"
                ours.write(page, words)
                wanted[page] = words
            elif what < 0.75 and len(away) < 3:
                ours.update(page, in_trash=True)
                away.add(page)
            elif away:
                back = chance.choice(sorted(away))
                ours.update(back, in_trash=False)
                away.discard(back)
        ours.wait(seconds=chance.randrange(10, 90))
        await until_calm(ours)
    ours.healthy()
    ours.wait(minutes=10)
    await ours.cycle(scope="content")
    await assert_same(ours, {p: w for p, w in wanted.items() if p not in away})
