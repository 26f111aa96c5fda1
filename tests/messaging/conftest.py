"""A channel on the database of this test process."""

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.messaging.rig import CHANNELS, Rig, drop_effects, make_effects

from higherself.db.pool import Database


@pytest.fixture
def messages_url(database_url: str) -> Iterator[str]:
    """The URL of an empty database with a table of effects."""
    make_effects(database_url)
    yield database_url
    drop_effects(database_url)


@pytest.fixture(params=sorted(CHANNELS))
async def rig(
    request: pytest.FixtureRequest, messages_url: str, database: Database
) -> AsyncIterator[Rig]:
    async with CHANNELS[request.param](messages_url, database) as rig:
        yield rig
