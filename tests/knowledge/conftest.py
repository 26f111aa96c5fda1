"""Somebody who may do anything to the database of this test process."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from higherself.db.embedded import EmbeddedPostgres
from higherself.testing.postgres import in_database

Damage = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def damage(server: EmbeddedPostgres, database_url: str) -> Iterator[Damage]:
    """Runs a statement as a superuser, with no constraint or trigger in the way."""
    name = urlsplit(database_url).path.strip("/")
    connection = psycopg.connect(in_database(server.admin_url, name), autocommit=True)
    connection.execute("SET search_path = higherself, extensions")
    connection.execute("SET session_replication_role = replica")

    def run(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        cursor = connection.execute(statement.encode(), parameters or None)
        rows = cursor.fetchall() if cursor.description else []
        connection.execute("SELECT pg_stat_force_next_flush()")
        return rows

    with connection:
        yield run
