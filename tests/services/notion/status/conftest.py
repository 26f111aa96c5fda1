from collections.abc import AsyncIterator

import pytest
from tests.notion.conftest import emulator as emulator
from tests.services.notion.status.story import Story, a_story

from higherself.db.pool import Database
from notion_emulator.server import Emulator


@pytest.fixture
async def story(emulator: Emulator, database_url: str, database: Database) -> AsyncIterator[Story]:
    async with a_story(emulator, database_url, database) as story:
        yield story
