"""What agents make, as pages: written once, written again, and never over a person's change."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.notion.following.workspace import Workspace, workspace

from higherself.db.pool import Database
from higherself.knowledge.model import NewDocument
from higherself.notion.content import region
from higherself.services.notion.generated import REGION, GeneratedPages, decide
from notion_emulator import markdown_calls


@pytest.fixture
async def ours(database: Database) -> AsyncIterator[Workspace]:
    async with workspace(database) as ours:
        yield ours


def pages(ours: Workspace, **more: Any) -> tuple[GeneratedPages, str]:
    parent = ours.page("Made by agents")
    made = GeneratedPages(
        ours.hub,
        ours.connection.api,
        ours.connection.writes,
        ours.database,
        ours.shared,
        parent=parent,
        **more,
    )
    return made, parent


async def remember(ours: Workspace, text: str) -> None:
    document = NewDocument(
        external_id="brief", text=text, source="agent:nyra", title="Brief", trust="generated"
    )
    report = await ours.hub.add([document])
    assert not report.failed


def children(ours: Workspace, parent: str) -> list[str]:
    return list(ours.app.store.nodes[parent].children)


def shown(ours: Workspace, page: str) -> str:
    return str(markdown_calls.read(ours._call({}), page)["markdown"])


def edit(ours: Workspace, page: str, old: str, new: str) -> None:
    updates = [{"old_str": old, "new_str": new}]
    body = {"type": "update_content", "update_content": {"content_updates": updates}}
    markdown_calls.update(ours._call(body), page)


async def test_what_an_agent_made_is_shown_once_and_kept_up_to_date(ours: Workspace) -> None:
    made, parent = pages(ours)
    await remember(ours, "# Leads\n\nAna wants to buy.")
    for _ in range(3):
        await made.push()
    assert len(children(ours, parent)) == 1
    page = children(ours, parent)[0]
    edit(ours, page, shown(ours, page), f"A person's line.\n{shown(ours, page)}")
    await remember(ours, "# Leads\n\nAna has bought.")
    assert (await made.push()).updated == 1
    text = shown(ours, page)
    assert "Ana has bought." in text
    assert "Ana wants to buy." not in text
    assert "A person's line." in text
    ours.wait(minutes=5)
    before = len(ours.words.embedded)
    await ours.cycle()
    documents = await ours.texts()
    assert "A person's line." in documents[page]
    assert "Ana has bought." not in documents[page]  # it is in the hub as what an agent made
    assert all("Ana" not in text for text in ours.words.embedded[before:])


@pytest.mark.parametrize(
    ("keep", "left"), [("notion", "Ana hesitates."), ("store", "Ana has bought.")]
)
async def test_a_change_in_our_part_is_never_written_over_unseen(
    ours: Workspace, keep: Any, left: str
) -> None:
    made, parent = pages(ours)
    await remember(ours, "Ana wants to buy.")
    await made.push()
    page = children(ours, parent)[0]
    edit(ours, page, "Ana wants to buy.", "Ana hesitates.")
    await remember(ours, "Ana has bought.")
    assert (await made.push()).conflicts == 1
    assert (await made.push()).done == 0
    assert "Ana hesitates." in shown(ours, page)
    conflict = (await made.conflicts.all())[0]
    assert ("Ana has bought." in conflict.ours, "Ana hesitates." in conflict.theirs) == (True, True)
    await decide(ours.database, ours.shared, conflict, keep)
    await made.push()
    assert left in (region(shown(ours, page), REGION) or "")
    assert await made.conflicts.all() == []


@pytest.mark.parametrize(
    ("policy", "left"), [("notion_wins", "Ana hesitates."), ("store_wins", "Ana has bought.")]
)
async def test_a_policy_decides_and_both_versions_are_kept(
    ours: Workspace, policy: Any, left: str
) -> None:
    made, parent = pages(ours, policy=policy)
    await remember(ours, "Ana wants to buy.")
    await made.push()
    page = children(ours, parent)[0]
    edit(ours, page, "Ana wants to buy.", "Ana hesitates.")
    await remember(ours, "Ana has bought.")
    await made.push()
    assert left in (region(shown(ours, page), REGION) or "")
    assert await made.conflicts.all() == []
    async with ours.database.transaction() as tx:
        row = await (
            await tx.connection.execute("SELECT ours, theirs, kept FROM notion_conflict")
        ).fetchone()
    assert row is not None
    assert ("bought" in row[0], "hesitates" in row[1]) == (True, True)
    assert row[2] == ("notion" if policy == "notion_wins" else "store")
