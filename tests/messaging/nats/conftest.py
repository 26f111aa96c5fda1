"""A real NATS server for the tests of its roads."""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.messaging.rig import Rig, nats_for_tests, nats_rig

from higherself.db.pool import Database
from higherself.messaging.nats import Nats, open_nats
from higherself.testing.nats import NatsServer, nats_server


@pytest.fixture
def steady() -> NatsServer:
    """The server of this test process, which is not to be killed."""
    return nats_for_tests()


@pytest.fixture
def mortal() -> Iterator[NatsServer]:
    """A server of this test alone."""
    with nats_server() as server:
        yield server


@pytest.fixture
def key() -> bytes:
    """The key of an installation that nobody else has."""
    return secrets.token_bytes(32)


@pytest.fixture
async def nats(steady: NatsServer, key: bytes) -> AsyncIterator[Nats]:
    async with open_nats(steady.settings(), key) as nats:
        yield nats


@pytest.fixture
async def drained(messages_url: str, database: Database) -> AsyncIterator[Rig]:
    """A rig whose messages come through NATS."""
    async with nats_rig(messages_url, database) as rig:
        yield rig
