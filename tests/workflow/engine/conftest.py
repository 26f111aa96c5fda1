from collections.abc import AsyncIterator

import pytest
from tests.workflow.engine.bench import Bench, opened

from higherself.db.pool import Database


@pytest.fixture
async def bench(database_url: str, database: Database) -> AsyncIterator[Bench]:
    async with opened(database_url, database) as bench:
        yield bench
