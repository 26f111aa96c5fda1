"""A database apart: if a test fails, what it broke stays broken for the tests of this folder alone."""

from collections.abc import Iterator

import pytest
from tests.conftest import migrated_database

from higherself.db.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def worker_database(server: EmbeddedPostgres) -> Iterator[str]:
    with migrated_database(server) as url:
        yield url
