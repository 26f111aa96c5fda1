import asyncio
import socket
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlsplit

import psycopg
import pytest

from higherself.db import inspection
from higherself.db.errors import (
    AccessDenied,
    DatabaseTooOld,
    DatabaseUnavailable,
    UrlUnreadable,
    VectorMissing,
)
from higherself.db.inspection import (
    Inspection,
    connect_plainly,
    explain_connection,
    inspect,
    url_fault,
)
from higherself.db.migrate import status
from higherself.kernel.errors import HigherSelfError, Misconfigured, Unavailable

Pooler = Callable[[str, str], str]


def an_inspection(**facts: object) -> Inspection:
    usual: dict[str, object] = {
        "server_version": 170004,
        "database": "postgres",
        "role": "higherself",
        "superuser": False,
        "bypasses_row_security": False,
        "read_only": False,
        "can_create": True,
        "vector_installed": "0.8.0",
        "vector_available": "0.8.0",
        "vector_schema": "extensions",
        "pooled": False,
        "transaction_pooler": False,
    }
    return Inspection(**usual | facts)  # type: ignore[arg-type]


@pytest.mark.postgres
async def test_a_direct_connection_is_told_from_a_pooled_one(worker_database: str) -> None:
    found = await inspect(worker_database)
    assert (found.pooled, found.transaction_pooler) == (False, False)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("mode", "shared"), [("transaction", True), ("statement", True), ("session", False)]
)
async def test_the_mode_of_a_pooler_is_told(
    worker_database: str, pooler: Pooler, mode: str, shared: bool
) -> None:
    found = await inspect(pooler(worker_database, mode))
    assert (found.pooled, found.transaction_pooler) == (True, shared)


@pytest.mark.postgres
async def test_the_mode_is_told_though_others_are_busy(
    worker_database: str, pooler: Pooler
) -> None:
    """Then the probe's two connections may well meet two server sessions."""
    url = pooler(worker_database, "transaction")

    async def work() -> None:
        async with await connect_plainly(url) as connection:
            while True:
                await connection.execute("SELECT pg_sleep(0.001)")

    async with asyncio.TaskGroup() as group:
        busy = [group.create_task(work()) for _ in range(3)]
        found = [await inspect(url) for _ in range(3)]
        for task in busy:
            task.cancel()
    assert [each.transaction_pooler for each in found] == [True] * 3


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        pytest.param("postgresql://me:k@db.example.org:5432/postgres", None, id="an ordinary one"),
        pytest.param("postgres://me:p%40%2F%23k@h/db?sslmode=require", None, id="encoded"),
        pytest.param("postgresql://me:k@/db?host=%2Frun%2Fx&port=6543", None, id="a socket"),
        pytest.param("postgresql://me:k@one:1,two:2/db", None, id="two hosts"),
        pytest.param("mysql://me:SEC@h/db", "postgresql://", id="another database"),
        pytest.param("host=h user=me password=SEC", "postgresql://", id="key and value"),
        pytest.param("postgresql://me:SEC RET@h/db", "percent-encode", id="a space"),
        pytest.param("postgresql://me:SEC%RET@h/db", "percent-encode", id="a percent sign"),
        pytest.param("postgresql://me:SEC@RET@h/db", "percent-encode", id="an at sign"),
        pytest.param("postgresql://me:SEC/RET@h:5/db", "percent-encode", id="a slash"),
        pytest.param("postgresql://me:12/RET@h:5/db", "percent-encode", id="a slash after digits"),
        pytest.param("postgresql://me:SEC\0RET@h/db", "NUL", id="a NUL"),
        pytest.param("postgresql://me:SEC@[::1/db", "cannot|matching|percent", id="a bracket"),
        pytest.param("postgresql://me:SEC@h/db?colour=red", "query parameter", id="a parameter"),
    ],
)
async def test_an_unreadable_url_is_refused_without_quoting_it(url: str, fault: str | None) -> None:
    found = url_fault(url)
    if fault is None:
        assert found is None
        return
    with pytest.raises(UrlUnreadable, match=fault) as raised:
        await inspect(url)
    with pytest.raises(UrlUnreadable):
        await status(url)
    assert "SEC" not in str(raised.value)
    assert "RET" not in str(raised.value)


@pytest.mark.parametrize(
    ("reason", "family"),
    [
        ('FATAL:  password authentication failed for user "me"', Misconfigured),
        ('FATAL:  database "nope" does not exist', Misconfigured),
        ("FATAL:  Tenant or user not found", Misconfigured),
        ("FATAL:  no such user: me", Misconfigured),
        ("server does not support SSL, but SSL was required", Misconfigured),
        ('invalid sslmode value: "bogus"', Misconfigured),
        ("FATAL:  sorry, too many clients already", Unavailable),
        ("FATAL:  the database system is starting up", Unavailable),
        ("connection refused", Unavailable),
        ("", Unavailable),
    ],
)
def test_why_a_connection_failed(reason: str, family: type[HigherSelfError]) -> None:
    assert isinstance(explain_connection(psycopg.OperationalError(reason)), family)


async def test_nobody_listening_is_unavailable_at_once() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(DatabaseUnavailable, match="refused"):
            await inspect(f"postgresql://me:k@127.0.0.1:{port}/db")


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "CONNECT_TIMEOUT", timedelta(seconds=2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = f"postgresql://me:k@127.0.0.1:{port}/db"
        with pytest.raises(DatabaseUnavailable, match="timeout"):
            await status(url)


@pytest.mark.postgres
async def test_a_wrong_password_is_refused(worker_database: str) -> None:
    url = urlsplit(worker_database)._replace(netloc="higherself:wrong@").geturl()
    with pytest.raises(AccessDenied, match=r"password authentication failed.*DATABASE_URL"):
        await inspect(url)


def test_an_old_server_is_refused() -> None:
    with pytest.raises(DatabaseTooOld, match=r"PostgreSQL 14, and 15 or newer"):
        an_inspection(server_version=140012).require_usable()


def test_an_old_pgvector_is_refused() -> None:
    with pytest.raises(DatabaseTooOld, match=r"has pgvector 0.7.4.*ALTER EXTENSION vector UPDATE"):
        an_inspection(vector_installed="0.7.4").require_usable()


def test_an_old_pgvector_that_is_not_installed_yet_is_refused_too() -> None:
    found = an_inspection(vector_installed=None, vector_available="0.7.4")
    found.require_usable()
    with pytest.raises(DatabaseTooOld, match=r"has pgvector 0.7.4"):
        found.require_vector()


def test_a_server_without_pgvector_is_refused() -> None:
    with pytest.raises(VectorMissing, match=r"apt-get install.*Supabase"):
        an_inspection(vector_installed=None, vector_available=None).require_vector()


def test_pgvector_that_can_be_installed_will_do() -> None:
    found = an_inspection(vector_installed=None, vector_schema=None)
    found.require_vector()
    assert found.search_path == '"higherself", "extensions", "public"'
