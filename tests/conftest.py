"""Fixtures for everybody: one PostgreSQL for the run, one database for each test process.

Coroutine tests run on asyncio. A test that writes gets the database of its process to itself and
leaves it empty.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from hypothesis import settings as hypothesis_settings

from higherself.db.embedded import EmbeddedPostgres
from higherself.db.migrate import migrate
from higherself.db.pool import Database, open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.catalogue_postgres import PostgresCatalogue
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.ports import EmbeddingProvider
from higherself.knowledge.postgres import PostgresDocuments
from higherself.knowledge.providers.local import LocalEmbeddings
from higherself.knowledge.search_postgres import SESSION_SETTINGS, PostgresSearch
from higherself.knowledge.tiers import Tier
from higherself.testing.postgres import create_database, drop_database, in_database, shared_server

hypothesis_settings.register_profile("default", deadline=None, max_examples=60)
hypothesis_settings.register_profile(
    "repeatable", hypothesis_settings.get_profile("default"), derandomize=True
)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

for _name in [name for name in os.environ if name.startswith("HIGHERSELF_")]:
    if _name != "HIGHERSELF_TEST_HOME":
        del os.environ[_name]
os.environ.pop("DATABASE_URL", None)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    """The PostgreSQL server of this test run, shared by its processes.

    It does not wait for the disk: that guards against the machine losing power, which no test can
    show. Tests that kill servers have their own, as users have them.
    """
    with shared_server() as server:
        with psycopg.connect(server.admin_url, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET fsync = off")
            admin.execute("SELECT pg_reload_conf()")
        yield server


@pytest.fixture(scope="session")
def worker_database(server: EmbeddedPostgres) -> Iterator[str]:
    """The URL of the migrated database of this test process."""
    with migrated_database(server) as url:
        yield url


@contextmanager
def migrated_database(server: EmbeddedPostgres) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    create_database(server.admin_url, name)
    url = in_database(server.url, name)
    asyncio.run(_migrated(url))
    yield url
    drop_database(server.admin_url, name)


@pytest.fixture
def empty_database(server: EmbeddedPostgres, spare_database: str) -> Iterator[str]:
    """The URL of a database without our schema: for tests of migrations.

    One for each test process, emptied afterwards: to drop a database takes a checkpoint.
    """
    yield in_database(server.url, spare_database)
    with psycopg.connect(in_database(server.admin_url, spare_database)) as connection:
        connection.execute("DROP SCHEMA IF EXISTS higherself CASCADE")


@pytest.fixture(scope="session")
def spare_database(server: EmbeddedPostgres) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    create_database(server.admin_url, name)
    yield name
    drop_database(server.admin_url, name)


@pytest.fixture
def database_url(worker_database: str) -> Iterator[str]:
    """The URL of a migrated database that is empty before and after the test."""
    yield worker_database
    with psycopg.connect(worker_database, autocommit=True) as connection:
        connection.execute("SET higherself.entity = '*'")
        spaces = connection.execute("SELECT space_id FROM higherself.embedding_space").fetchall()
        for (space,) in spaces:
            connection.execute(f"DROP TABLE higherself.embedding_{space}".encode())
        filled = connection.execute(
            "SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') FROM pg_tables"
            " WHERE schemaname = 'higherself' AND tablename <> 'schema_migration'"
            " AND pg_relation_size(format('%I.%I', schemaname, tablename)::regclass) > 0"
        ).fetchone()
        if filled is not None and filled[0] is not None:
            connection.execute(f"TRUNCATE {filled[0]} CASCADE".encode())


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with open_database(database_url, connections=4, settings=SESSION_SETTINGS) as database:
        yield database


@pytest.fixture(scope="session")
def local_model() -> Iterator[LocalEmbeddings]:
    """The real model, loaded once."""
    provider = LocalEmbeddings()
    yield provider
    provider.close()


def as_tier(provider: EmbeddingProvider) -> Tier:
    """Return a tier on this machine around ``provider``."""
    return Tier("local", provider, on_machine=True)


def hub_on(database: Database, provider: EmbeddingProvider | None) -> KnowledgeHub:
    return KnowledgeHub(
        store=PostgresDocuments(database, SYSTEM_CLOCK),
        index=PostgresSearch(database),
        catalogue=PostgresCatalogue(database),
        clock=SYSTEM_CLOCK,
        tiers=[] if provider is None else [as_tier(provider)],
    )


@pytest.fixture
def hub(database: Database, local_model: LocalEmbeddings) -> KnowledgeHub:
    """An empty knowledge hub with the real model."""
    return hub_on(database, local_model)


async def _migrated(url: str) -> None:
    await migrate(url, clock=SYSTEM_CLOCK)
