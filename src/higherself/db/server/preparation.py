"""Make a fresh server ours: the role, its database, the extensions. Runs again after upgrades."""

import psycopg
from psycopg import Connection

from higherself.db.queryfile import read_queries
from higherself.db.server.errors import HomeUnusable, NoAnswer, ServerFailed
from higherself.db.server.home import DATABASE, ROLE

_QUERIES = read_queries("higherself.db.server", "preparation.sql")
_RECIPE = 1
"""Goes up when a release changes the preparation, so that it is done again in every home."""

_PATIENCE_SECONDS = 10

Superuser = Connection[tuple[object, ...]]


def connect(url: str) -> Superuser:
    """Return a connection whose statements are each a transaction of their own.

    Raises
        NoAnswer: nobody accepts a connection just now.
        ServerFailed: the server answers but has no place for us.
        HomeUnusable: the stored password is not the server's.
    """
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=_PATIENCE_SECONDS)
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        if "password authentication failed" in reason:
            raise HomeUnusable(
                "the embedded PostgreSQL refuses the stored password; put back the file `pgpass` "
                "that belongs to the data folder beside it"
            ) from error
        if "too many clients" in reason or "remaining connection slots" in reason:
            raise ServerFailed(
                "the embedded PostgreSQL has no free connection; stop a process that uses it"
            ) from error
        raise NoAnswer(f"the embedded PostgreSQL does not answer ({reason})") from error


def is_prepared(admin: Superuser, version: str) -> bool:
    """Whether this release, with programs of this ``version``, has prepared the server."""
    row = admin.execute(_statement("read_marker"), {"database": DATABASE}).fetchone()
    return row is not None and row[0] == _marker(version)


def prepare_server(admin: Superuser, password: str) -> None:
    """Make our role with its ``password``, and its database if it is missing."""
    verifier = admin.pgconn.encrypt_password(password.encode(), ROLE.encode(), b"scram-sha-256")
    _hand_over(admin, "higherself.verifier", verifier.decode())
    admin.execute(_statement("prepare_role"))
    if admin.execute(_statement("read_marker"), {"database": DATABASE}).fetchone() is None:
        create_database(admin, DATABASE)


def prepare_database(admin: Superuser) -> None:
    """Put the extensions into the database that ``admin`` is connected to, for our role to use."""
    admin.execute(_statement("prepare_database"))


def mark_prepared(admin: Superuser, version: str) -> None:
    """Note on the database that ``admin`` is connected to that all is done."""
    _hand_over(admin, "higherself.marker", _marker(version))
    admin.execute(_statement("write_marker"))


def create_database(admin: Superuser, name: str) -> None:
    """Create an empty database that belongs to our role."""
    admin.execute(_named("create_database", name))


def drop_database(admin: Superuser, name: str) -> None:
    """Drop a database if it exists, with the connections to it."""
    admin.execute(_named("drop_database", name))


def _marker(version: str) -> str:
    return f"prepared by recipe {_RECIPE} for {version}"


def _hand_over(admin: Superuser, name: str, value: str) -> None:
    admin.execute(_statement("hand_over"), {"name": name, "value": value})


def _statement(name: str) -> bytes:
    return _QUERIES[name].statement()


def _named(name: str, database: str) -> bytes:
    return _QUERIES[name].statement({"database": database})
