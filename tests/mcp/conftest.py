"""A server with skills of our own, that is asked over a real socket."""

from collections.abc import Iterator

import pytest
from tests.mcp import seen

from higherself.db.embedded import EmbeddedPostgres
from higherself.testing.http import Site, running


@pytest.fixture(scope="session")
def all_skills(
    server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = seen.skills_in(tmp_path_factory.mktemp("skills"))
    with running(server, HIGHERSELF_EXTENSIONS=(folder,), HIGHERSELF_MCP="all") as site:
        yield site


@pytest.fixture
def site(all_skills: Site) -> Iterator[Site]:
    with seen.nothing_seen():
        yield all_skills
