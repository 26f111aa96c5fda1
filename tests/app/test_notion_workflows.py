import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from tests.notion.conftest import emulator as emulator
from tests.services.network import until
from tests.services.notion.status.story import ONLY, Person

from higherself.app import notion_records, notion_workflows
from higherself.app.notion_sync import opened_sync
from higherself.app.settings import load_settings
from higherself.app.wiring import HigherSelf
from higherself.kernel.tasks import in_background
from higherself.notion.databases.declaration import Declaration
from higherself.services.notion.status import INSTANCES, StatusPolicy
from higherself.workflow.definition import load_text
from notion_emulator.server import Emulator

pytestmark = pytest.mark.postgres

ASKS = """
workflow: asks
version: 1
initial: first
states:
  first: {approval: {roles: [owner], approved: {to: yes_way}, rejected: {to: no_way}}}
  yes_way: {final: true}
  no_way: {final: true}
"""


@pytest.fixture
def settled(
    emulator: Emulator, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(notion_records, "declared", lambda: Declaration([ONLY[INSTANCES]]))
    monkeypatch.setattr(
        notion_workflows, "StatusPolicy", lambda **given: StatusPolicy(**given, settle=timedelta(0), rest=timedelta(0))
    )  # fmt: skip
    for name, value in {
        "DATABASE_URL": database_url,
        "HIGHERSELF_HOME": str(tmp_path),
        "NOTION_TOKEN": emulator.token,
        "NOTION_BASE_URL": emulator.base_url,
        "NOTION_ROLES": "owner: ada@example.org",
    }.items():
        monkeypatch.setenv(name, value)


async def test_the_server_shows_an_instance_and_does_what_is_chosen_there(
    settled: None, emulator: Emulator
) -> None:
    settings, _ = load_settings()
    ada = Person(emulator, "Ada Lovelace", "ada@example.org")
    async with HigherSelf.open(settings) as hs:
        body = {
            "parent": {"workspace": True},
            "properties": {"title": [{"text": {"content": "Top"}}]},
        }
        parent = await hs.notion.gateway.request("POST", "pages", body=body)
        await hs.notion.setup(parent["id"])
        await hs.workflows.add(load_text(ASKS, file="asks.yaml").definition)
        instance = (await hs.workflows.start("asks")).instance
        keeping = notion_workflows.keep_workflows(hs, lambda line: None)
        async with in_background(keeping), opened_sync(hs) as notion, asyncio.timeout(30):
            row = await until(
                lambda: notion_workflows.page_of_instance(hs.database, hs.clock, instance)
            )
            ada.chooses(row["page_id"], "Approve")
            await notion.sync()
            assert (await hs.workflows.get(instance)).instance.state == "yes_way"
            there = (await hs.notion.api.page(row["page_id"]))["properties"]
            while there["Status"]["select"]["name"] != "Completed":
                await asyncio.sleep(0.05)
                there = (await hs.notion.api.page(row["page_id"]))["properties"]
            assert there["Action"]["select"] is None
            assert hs.notion.databases.data_source(INSTANCES) is not None
