"""What kind of PostgreSQL answers at a URL, and whether we can work with it."""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from higherself.db.errors import (
    AccessDenied,
    DatabaseTooOld,
    DatabaseUnavailable,
    UrlUnreadable,
    VectorMissing,
    translate,
)
from higherself.db.queryfile import read_queries
from higherself.kernel.errors import HigherSelfError

SCHEMA = "higherself"
"""The schema that holds our tables; not `public`, which Supabase serves to the web."""

MINIMUM_SERVER = 150000
MINIMUM_VECTOR = (0, 8)
CONNECT_TIMEOUT = timedelta(seconds=10)

KEEPALIVE: dict[str, Any] = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
"""A connection that a router has forgotten is noticed within a minute, not after hours."""

QUERIES = read_queries("higherself.db")

_REFUSED = re.compile(
    r"authentication failed|no pg_hba.conf|role .* does not exist|database .* does not exist"
    r"|no password supplied|permission denied for database|no such (database|user)"
    r"|[Tt]enant.* not found|does not support SSL|SSL.* required|certificate"
)
"""What servers and poolers (PgBouncer's and Supabase's) say to whom they do not let in."""

_UNREADABLE = re.compile(r"invalid (port number|\w+ value)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Facts about a server, gathered once when we connect."""

    server_version: int
    database: str
    role: str
    superuser: bool
    bypasses_row_security: bool
    read_only: bool
    can_create: bool
    vector_installed: str | None
    vector_available: str | None
    vector_schema: str | None
    pooled: bool
    transaction_pooler: bool

    @property
    def search_path(self) -> str:
        """Where names are looked up: our tables, the vector type, nothing else of others."""
        schemas = [SCHEMA, self.vector_schema or "extensions", "public"]
        return ", ".join(f'"{name}"' for name in dict.fromkeys(schemas))

    def require_usable(self) -> None:
        """Raise `DatabaseTooOld` unless the server, and its pgvector if it has one, will do."""
        self.require_server()
        if self.vector_installed:
            self.require_vector()

    def require_server(self) -> None:
        """Raise `DatabaseTooOld` unless the server is new enough."""
        if self.server_version < MINIMUM_SERVER:
            raise DatabaseTooOld(
                f"the server is PostgreSQL {self.server_version // 10000}, and 15 or newer is "
                "needed; upgrade it, or unset DATABASE_URL to use the embedded one"
            )

    def require_vector(self) -> None:
        """Raise `VectorMissing` or `DatabaseTooOld` unless pgvector is there or can be installed."""
        if self.vector_installed is None and self.vector_available is None:
            raise VectorMissing(
                "the server has no pgvector; install it (Debian: `apt-get install "
                "postgresql-NN-pgvector`; Supabase: enable 'vector' under Database, Extensions), "
                "or unset DATABASE_URL to use the embedded PostgreSQL, which carries it"
            )
        version = self.vector_installed or self.vector_available or ""
        if _version(version) < MINIMUM_VECTOR:
            raise DatabaseTooOld(
                f"the server has pgvector {version}, and 0.8 or newer is needed; upgrade its "
                "package, then run `ALTER EXTENSION vector UPDATE` as a superuser"
            )


async def inspect(url: str) -> Inspection:
    """Connect to ``url`` and return what is there.

    Raises
        DatabaseUnavailable, AccessDenied, UrlUnreadable: nobody answers, or the server refuses us.
    """
    try:
        async with await connect_plainly(url) as connection:
            facts = await _facts(connection)
            backend = facts.pop("backend")
            pooled = backend != connection.info.backend_pid
            transaction_pooler = pooled and await _shares_session(url, connection, backend)
            return Inspection(**facts, pooled=pooled, transaction_pooler=transaction_pooler)
    except psycopg.Error as error:
        raise explain_connection(error) from error


async def connect_plainly(url: str) -> psycopg.AsyncConnection[dict[str, Any]]:
    """Return a connection of its own, outside any pool, that works behind any pooler.

    A server that does not answer is given up after ten seconds, not after the minutes that the
    operating system would wait.

    Raises
        UrlUnreadable: before anything was tried.
    """
    if fault := url_fault(url):
        raise UrlUnreadable(f"the connection URL cannot be read: {fault}")
    return await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        row_factory=dict_row,
        connect_timeout=int(CONNECT_TIMEOUT.total_seconds()),
        prepare_threshold=None,
        application_name="higherself",
        **KEEPALIVE,
    )


def explain_connection(error: psycopg.Error) -> HigherSelfError:
    """Return our error for one met while connecting, where the driver knows only its text."""
    reason = " ".join(str(error).split())
    if _REFUSED.search(reason):
        return AccessDenied(
            f"the database refused the connection ({reason}); check user, password and database "
            "name in DATABASE_URL"
        )
    if _UNREADABLE.search(reason):
        return UrlUnreadable(f"the connection URL is wrong ({reason}); correct DATABASE_URL")
    return translate(error) or DatabaseUnavailable(f"the database does not answer ({reason})")


def url_fault(url: str) -> str | None:
    """Return what is wrong with a connection URL, or None. Nothing of it is quoted.

    A password with an unencoded ``@`` or ``/`` still makes a URL, of another host: connecting
    would send us to a wrong place and print half of the password in the error.

    >>> url_fault("postgresql://me:p%40ss@db.example.org:5432/postgres")
    >>> url_fault("postgresql://me:p@ss@db.example.org:5432/postgres")
    'percent-encode @ : / ? # % [ ] and spaces in the user name and password (@ is %40)'
    """
    encode = "percent-encode @ : / ? # % [ ] and spaces in the user name and password (@ is %40)"
    if not url.startswith(("postgresql://", "postgres://")):
        return "it must begin with postgresql://"
    if "\0" in url:
        return "it contains a NUL character"
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        reason = re.sub(r'"[^"]*"', "...", " ".join(str(error).split()))
        return f"{reason}; {encode}"
    host, port, name = (str(parts.get(key) or "") for key in ("host", "port", "dbname"))
    if "@" in host or "@" in name or not re.fullmatch(r"[\d,]*", port):
        return encode
    return None


async def _facts(connection: psycopg.AsyncConnection[dict[str, Any]]) -> dict[str, Any]:
    cursor = await connection.execute(QUERIES["inspect_server"].statement())
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  a SELECT without FROM has one row
    return row


async def _shares_session(url: str, connection: psycopg.AsyncConnection[Any], backend: int) -> bool:
    """Tell whether others may use the server's session between our statements.

    Behind a transaction pooler they do, so nothing that is set, prepared or listened for in a
    session lasts. Two connections show it: either the second meets the ``backend`` of the first,
    or what it notifies never reaches the first. (A notification of one's own would prove nothing:
    it comes with the answer to NOTIFY.) If there is no second connection to be had, yes is the
    answer that always works.
    """
    slots = {"channel": f"higherself_probe_{secrets.token_hex(8)}"}
    try:
        async with await connect_plainly(url) as other:
            theirs = await other.execute(QUERIES["find_backend"].statement())
            if await theirs.fetchone() == {"backend": backend}:
                return True
            await connection.execute(QUERIES["listen"].statement(slots))
            await other.execute(QUERIES["notify"].statement(slots))
            heard = [each async for each in connection.notifies(timeout=1, stop_after=1)]
            await connection.execute(QUERIES["unlisten"].statement(slots))
            return not heard
    except psycopg.Error:
        return True


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])
