"""A syncing process may be killed at any moment: the next one comes to the same."""

import os
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.notion.following.workspace import Workspace, workspace

from higherself.db.pool import Database

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("HIGHERSELF_TEST_KILLS", "2"))


def syncing(ours: Workspace, url: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.notion.following.syncing", url, ours.emulator.base_url, ours.token],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    return process


async def test_a_killed_sync_is_finished_by_the_next(database: Database, database_url: str) -> None:
    chance = random.Random(11)
    async with workspace(database) as ours:
        ours.clock.instant = datetime(2026, 7, 4, tzinfo=UTC)
        root = ours.page("Root", "The beginning.")
        source = ours.table("Table", root)
        wanted = {ours.row(source, f"Row {i}", f"Start {i}"): f"Start {i}" for i in range(150)}
        wanted |= {ours.page(f"Page {i}", f"Loose {i}", root): f"Loose {i}" for i in range(30)}
        away: set[str] = set()
        broken = 0
        for turn in range(KILLS):
            ours.wait(minutes=5)
            for page in chance.sample(sorted(wanted.keys() - away), 15):
                wanted[page] = f"Turn {turn} {page[:4]}"
                ours.write(page, wanted[page])
            if turn % 2 and len(away) < 5:
                away.add(page := chance.choice(sorted(wanted.keys() - away)))
                ours.update(page, in_trash=True)
            process = syncing(ours, database_url)
            try:
                process.wait(chance.uniform(0.05, 0.7))
            except subprocess.TimeoutExpired:
                process.kill()
                broken += 1
            process.communicate()
        assert broken > 0
        ours.wait(minutes=5)
        last = syncing(ours, database_url)
        last.communicate(timeout=60)
        assert last.returncode == 0
        texts = await ours.texts()
        assert set(texts) == {root, *wanted} - away
        assert all(words in texts[page] for page, words in wanted.items() if page not in away)
        again = syncing(ours, database_url)
        assert again.communicate(timeout=60)[0] == "0 0 0\n"
