"""Whoever keeps the pages is killed at random moments: every choice counts once, every page is right."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest
from tests.services.notion.status.story import Person, Story, plain

pytestmark = pytest.mark.postgres

KEEPING = Path(__file__).with_name("keeping.py")
ROOT = Path(__file__).parents[4]
KILLS = int(os.environ.get("NOTION_STATUS_KILLS", "4"))
"""How often; more with ``NOTION_STATUS_KILLS=50``."""

APPROVALS = 40
CHAIN = "\n".join(
    f"  s{n}: {{approval: {{roles: [owner], question: q{n}, approved: {{to: s{n + 1}}}, rejected: {{to: no_way}}}}}}"
    for n in range(APPROVALS)
)
STATES = f"{CHAIN}\n  s{APPROVALS}: {{final: true}}\n  no_way: {{final: true}}\n"


@pytest.mark.timeout(170)
async def test_killed_at_any_moment(story: Story, database_url: str) -> None:
    await story.bench.define(STATES)
    instances = [await story.bench.start() for _ in range(3)]
    ada = story.person()
    for kind in ("committed", "reset"):  # and answers are lost, too
        story.emulator.app.faults.add({"kind": kind, "method": "PATCH|POST", "route": "pages|comments", "probability": 0.03, "after_commit": True})  # fmt: skip
    facts = [database_url, story.emulator.base_url, story.emulator.token, "owner: ada@example.org"]
    chosen: Counter[str] = Counter()
    commented: Counter[str] = Counter()
    assert await keep(story, facts, ada, chosen, commented) >= KILLS // 2

    story.emulator.app.faults.items.clear()
    await story.refreshed()
    source = story.databases.data_source("workflow_instances")
    assert source is not None
    rows = [row async for row in story.notion.api.query(source.data_source_id)]
    assert len(rows) == len(instances), "one page for each"
    for row in rows:
        values = {name: plain(value) for name, value in row["properties"].items()}
        instance = UUID(values["Supabase ID"])
        history = await story.bench.history(instance)
        approvals = [each for each in history if each.cause == "approval"]
        commands = await story.status.store.commands(instance)
        asked = chosen[row["id"]] + commented[row["id"]]
        assert len(commands) == asked, "none is overlooked, none taken twice"
        # Some are refused, since the server wrote the page in the same moment, and say so.
        refused = [each for each in commands if each["outcome"] == "refused"]
        assert all("Choose it again" in each["answer"] for each in refused)
        wanted = asked - len(refused)
        assert len(approvals) == wanted, "each counts once"
        assert values["Current Step"] == f"s{wanted}"
        text = (await story.notion.api.markdown(row["id"])).markdown
        assert text.count("HigherSelf: status") == 1
        assert f"in `s{wanted}`" in text
        answers = [each async for each in story.notion.api.comments(row["id"])]
        assert len(answers) == 2 * commented[row["id"]], "each comment is answered once"


async def keep(
    story: Story, facts: list[str], ada: Person, chosen: Counter[str], commented: Counter[str]
) -> int:
    """Have pages kept, and whoever keeps them killed; meanwhile somebody chooses and comments."""
    draw, killed, ended, rounds = random.Random(8), 0, -1, 0
    app = story.emulator.app
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(  # noqa: ASYNC220  the workspace is served by a thread
        [sys.executable, str(KEEPING), *facts],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    ) as zygote:  # fmt: skip
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        while rounds <= KILLS or ended != 0:
            await steer(story, ada, chosen, commented, draw)
            zygote.stdin.write("go\n")
            zygote.stdin.flush()
            child = int(zygote.stdout.readline())
            if rounds < KILLS:
                asked, until = app.stats["requests"] + draw.randint(1, 14), time.monotonic() + 3
                while app.stats["requests"] < asked and time.monotonic() < until:
                    time.sleep(0.002)  # noqa: ASYNC251
                time.sleep(draw.random() * 0.02)  # noqa: ASYNC251
                with suppress(ProcessLookupError):  # it has ended
                    os.kill(child, signal.SIGKILL)
            ended = int(zygote.stdout.readline())
            killed += ended == signal.SIGKILL
            rounds += 1
            assert rounds < KILLS + 10
        zygote.stdin.close()
    return killed


async def steer(
    story: Story, ada: Person, chosen: Counter[str], commented: Counter[str], draw: random.Random
) -> None:
    """Choose on every page where nothing is chosen, or comment."""
    source = story.databases.data_source("workflow_instances")
    assert source is not None
    async for page in story.notion.api.query(source.data_source_id):
        if chosen[page["id"]] + commented[page["id"]] >= APPROVALS:
            continue
        if draw.random() < 0.4:
            ada.comments(page["id"], "/approve")
            commented[page["id"]] += 1
        elif plain(page["properties"]["Action"]) is None:
            ada.chooses(page["id"], "Approve")
            chosen[page["id"]] += 1
