"""Notion as the settings name it: the skills on it, each business by itself, and the doctor."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.notion.conftest import a_page, emulated, text

from higherself import HigherSelf
from higherself.agents.skills import SkillCall
from higherself.app.health import examine
from higherself.app.notion import declared
from higherself.app.settings import Settings
from higherself.kernel.check import Check
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Misconfigured, NotFound, Rejected
from higherself.notion.databases.lookup import Databases
from higherself.notion.databases.setup import SetUp
from notion_emulator.server import Emulator

pytestmark = pytest.mark.postgres


@pytest.fixture
def workspace() -> Iterator[Emulator]:
    with emulated() as emulator:
        yield emulator


@pytest.fixture
def environment(workspace: Emulator, database_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "HIGHERSELF_HOME": str(tmp_path),
        "HIGHERSELF_EMBEDDING_TIERS": "local",
        "NOTION_TOKEN": workspace.token,
        "NOTION_BASE_URL": workspace.base_url,
        "NOTION_ENTITY": "spa",
        "NOTION_PLAN": "enterprise",
    }


@pytest.fixture
async def hs(environment: dict[str, str]) -> AsyncIterator[HigherSelf]:
    tiers = {"HIGHERSELF_EMBEDDING_TIERS": ("local",)}
    settings = Settings.model_validate({**environment, **tiers})
    async with HigherSelf.open(settings, workflows=False) as hs:
        notion, databases = hs.notion, Databases(hs.database, SYSTEM_CLOCK)
        set_up = SetUp(declared(), notion=notion.api, writes=notion.writes, databases=databases)
        await set_up.run(await a_page(notion, "HigherSelf"))
        yield hs


async def run(hs: HigherSelf, skill: str, entity: str = "spa", key: str = "k", **given: Any) -> Any:
    call = SkillCall(key=key, entity=entity, operator=True)
    return await hs.skills.run(skill, given, call)


async def a_business(hs: HigherSelf, slug: str) -> str:
    source = (await Databases(hs.database, SYSTEM_CLOCK).load())["business_entities"]
    values = {"Name": {"title": text(slug)}, "Slug": {"rich_text": text(slug)}}
    page = await hs.notion.writes.create_page(
        {"data_source_id": source.data_source_id}, values, key=slug
    )
    return str(page["id"])


async def test_the_six_skills_work_in_a_workspace(hs: HigherSelf) -> None:
    ana = {"Full Name": "Ana", "Contact Type": "Lead", "Tags": ["New"], "Email": "ana@example.org"}
    made = await run(hs, "create_page", database="contacts_profiles", properties=ana, markdown="Asked for a quote.")  # fmt: skip
    assert made["title"] == "Ana"
    assert ana.items() <= made["properties"].items()
    again = await run(hs, "create_page", database="contacts_profiles", properties=ana, markdown="Asked for a quote.")  # fmt: skip
    assert again["id"] == made["id"], "the same key, the same page"

    page = made["id"]
    changed = await run(
        hs, "update_page", page=made["url"], properties={"Contact Type": "Client"}, key="u"
    )
    assert changed["properties"]["Contact Type"] == "Client"
    await run(hs, "append_to_page", page=page, markdown="## Since\nCame back.", key="a")
    await run(hs, "append_to_page", page=page, markdown="## Since\nCame back.", key="a")
    shown = (await hs.notion.api.markdown(page)).markdown
    assert shown == "Asked for a quote.\n## Since\nCame back."

    task = await run(
        hs, "create_page", database="tasks", properties={"Task Name": "Call Ana"}, key="t"
    )
    parent = await run(
        hs, "create_page", database="tasks", properties={"Task Name": "Sell"}, key="p"
    )
    relation = "Related Workflow Instance"
    instance = await run(hs, "create_page", database="workflow_instances", properties={"Instance ID": "I-1"}, key="i")  # fmt: skip
    for each in (task, parent, task):
        linked = await run(hs, "link_pages", page=each["id"], relation=relation, to=[instance["id"]], key=f"l {each['id']}")  # fmt: skip
        assert linked["properties"][relation] == [instance["id"]]
    said = await run(hs, "comment_on_page", page=page, markdown="Well **done**", key="c")
    comments = [each async for each in hs.notion.api.comments(page)]
    assert [each["id"] for each in comments] == [said["id"]]

    await run(
        hs, "create_page", database="contacts_profiles", properties={"Full Name": "Ben"}, key="b"
    )
    for given in ({"where": {"Contact Type": "Client"}}, {"text": "An"}, {"where": {"Tags": ["New"]}}, {"where": {"Email": "ana@example.org"}}):  # fmt: skip
        found = await run(hs, "find_pages", database="contacts_profiles", **given)
        assert [each["title"] for each in found["pages"]] == ["Ana"], given
    assert len((await run(hs, "find_pages", database="contacts_profiles"))["pages"]) == 2


async def test_a_business_does_not_see_anothers_pages(hs: HigherSelf) -> None:
    contacts = {"database": "contacts_profiles"}
    loose = await run(hs, "create_page", **contacts, properties={"Full Name": "Of nobody else"})
    with pytest.raises(NotFound, match="the business gallery has no row in 'Business Entities"):
        await run(hs, "create_page", "gallery", **contacts, properties={"Full Name": "G"}, key="g0")
    await a_business(hs, "gallery")
    theirs = await run(
        hs, "create_page", "gallery", **contacts, properties={"Full Name": "G"}, key="g"
    )
    assert [each["title"] for each in (await run(hs, "find_pages", **contacts))["pages"]] == [
        "Of nobody else"
    ]
    assert [
        each["title"] for each in (await run(hs, "find_pages", "gallery", **contacts))["pages"]
    ] == ["G"]
    for entity, page in (("spa", theirs["id"]), ("gallery", loose["id"])):
        for skill, given in (
            ("update_page", {"properties": {"City": "Rome"}}),
            ("append_to_page", {"markdown": "x"}),
            ("comment_on_page", {"markdown": "x"}),
            ("link_pages", {"relation": "Business Entity", "to": [page]}),
        ):
            with pytest.raises(NotFound, match=f"no page .* of the business {entity}"):
                await run(hs, skill, entity, page=page, key=skill, **given)
    with pytest.raises(Rejected, match="not changed by a skill"):
        await run(
            hs,
            "update_page",
            "gallery",
            page=theirs["id"],
            properties={"Business Entity": []},
            key="x",
        )


async def test_what_cannot_be_done_says_what_to_do(hs: HigherSelf) -> None:
    with pytest.raises(NotFound, match="contacts_profiles"):
        await run(hs, "find_pages", database="contacts")
    with pytest.raises(Rejected, match="'Colour' is no property of the database"):
        await run(hs, "find_pages", database="contacts_profiles", where={"Colour": "red"})
    await Databases(hs.database, SYSTEM_CLOCK).forget("tasks")
    with pytest.raises(NotFound, match="`higherself notion setup`"):
        await run(hs, "find_pages", database="tasks")


async def test_without_a_token_the_skills_say_where_to_get_one(environment: dict[str, str]) -> None:
    given = {**environment, "HIGHERSELF_EMBEDDING_TIERS": ("local",), "NOTION_TOKEN": None}
    async with HigherSelf.open(Settings.model_validate(given), workflows=False) as hs:
        with pytest.raises(Misconfigured, match=r"NOTION_TOKEN is not set; .*profile/integrations"):
            await run(hs, "find_pages", database="tasks")


async def test_from_the_command_line(hs: HigherSelf, environment: dict[str, str]) -> None:
    await run(hs, "create_page", database="contacts_profiles", properties={"Full Name": "Ana"})
    given = {"database": "contacts_profiles"}
    command = [sys.executable, "-c", "from higherself.cli.main import main; main()", "skills", "run", "find_pages", "--entity", "spa", "--input", json.dumps(given), "--json"]  # fmt: skip
    done = await asyncio.to_thread(subprocess.run, command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [each["title"] for each in json.loads(done.stdout)["result"]["pages"]] == ["Ana"]


OURS = {
    "notion",
    "notion pages",
    "notion plan",
    "notion capabilities",
    "notion parent page",
    "notion budget",
}


async def checked(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], **more: str
) -> dict[str, Check]:
    for name, value in {**environment, **more}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(environment["HIGHERSELF_HOME"])
    checks = [check for check in await examine() if check.name in OURS]
    assert all(check.fix for check in checks if not check.ok)
    assert all(environment["NOTION_TOKEN"] not in repr(check) for check in checks)
    return {check.name: check for check in checks}


async def test_the_doctor_asks_notion(
    environment: dict[str, str], workspace: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**environment, "NOTION_PLAN": "free"}
    checks = await checked(monkeypatch, environment)
    assert "nothing is shared" in checks["notion pages"].detail
    store = workspace.app.store
    async with HigherSelf.open(Settings.model_validate({**environment, "HIGHERSELF_EMBEDDING_TIERS": ("local",)}), workflows=False) as hs:  # fmt: skip
        page = await a_page(hs.notion, "HigherSelf")
    checks = await checked(monkeypatch, environment, NOTION_PARENT_PAGE=page)
    assert [name for name, check in checks.items() if not check.ok] == []
    assert set(checks) == OURS - {"notion pages"}
    assert checks["notion plan"].detail == "free: 180 requests a minute"
    assert "of 180 requests used in the last minute" in checks["notion budget"].detail

    checks = await checked(monkeypatch, environment, NOTION_PLAN="business")
    assert not checks["notion plan"].ok
    assert "NOTION_PLAN=free" in checks["notion plan"].fix
    connection = next(iter(store.connections.values()))
    connection.capabilities = frozenset({"read_content"})
    checks = await checked(monkeypatch, environment)
    assert "may not read comments" in checks["notion capabilities"].detail
    assert "'Read comments'" in checks["notion capabilities"].fix
    gone = "01234567-89ab-4def-8123-456789abcdef"
    checks = await checked(monkeypatch, environment, NOTION_PARENT_PAGE=gone)
    assert not checks["notion parent page"].ok
    connection.revoked = True
    checks = await checked(monkeypatch, environment)
    assert list(checks) == ["notion"]
    assert "does not know the token" in checks["notion"].detail
    assert "copy the connection's token" in checks["notion"].fix
