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


EVERYWHERE = {
    "test_promise",
    "test_f1_workers_killed_at_random",
    "test_f4_everything_comes_up_to_five_times",
    "test_f8_a_frozen_worker_is_fenced",
    "test_two_hundred_agents",
}
"""What is checked of every channel. The rest is about the table, to which all of them lead."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "rig" in metafunc.fixturenames:
        everywhere = metafunc.function.__name__ in EVERYWHERE
        channels = sorted(CHANNELS) if everywhere else ["postgres"]
        metafunc.parametrize("rig", channels, indirect=True)


@pytest.fixture
async def rig(
    request: pytest.FixtureRequest, messages_url: str, database: Database
) -> AsyncIterator[Rig]:
    async with CHANNELS[request.param](messages_url, database) as rig:
        yield rig
