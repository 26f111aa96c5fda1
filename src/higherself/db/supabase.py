"""Is the PostgreSQL at a URL fit for us, Supabase's or any other? Every finding with its fix.

Whatever is tried out (a table, the extension) is rolled back; only migrating changes anything.
"""

import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg

from higherself.db.errors import translate
from higherself.db.inspection import (
    QUERIES,
    SCHEMA,
    Inspection,
    connect_plainly,
    explain_connection,
    inspect,
    url_fault,
)
from higherself.db.migrate import Step, migrate, status
from higherself.db.queryfile import Query, Slots
from higherself.kernel.check import Check
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError

TRANSACTION_PORT = 6543
"""Where Supabase's pooler hands out server sessions by the transaction; on 5432 for good."""

WEB_ROLES = ("anon", "authenticated")
"""As these, Supabase serves the web."""

ROLE, OTHER_ROLE = "higherself", "higherself_app"

Connection = psycopg.AsyncConnection[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What our role may do in the database and with our schema."""

    can_stage: bool
    schema_exists: bool
    can_extend_schema: bool
    tables_of_others: list[str]
    has_own_role: bool


async def examine(
    url: str,
    *,
    clock: Clock,
    migrating: bool = False,
    report: Callable[[Step], None] = lambda step: None,
) -> list[Check]:
    """Check everything we need of the server at ``url``, and return every finding; never raise.

    ``migrating`` also brings the schema up to date, if nothing stands in the way. No finding
    contains the password.
    """
    if fault := url_fault(url):
        return [Check("url", False, f"the connection URL cannot be read: {fault}", example_url())]
    checks: list[Check] = []
    try:
        async for check in _examined(url, clock, migrating, report):
            checks.append(check)  # noqa: PERF401  what was found before an error counts
    except psycopg.Error as error:
        checks.append(_unreachable(explain_connection(error), url))
    except HigherSelfError as error:
        checks.append(_unreachable(error, url))
    return checks


def version_check(found: Inspection) -> Check:
    """Whether the server is new enough."""
    major, minor = divmod(found.server_version, 10000)
    try:
        found.require_server()
    except HigherSelfError as error:
        return Check("version", False, f"PostgreSQL {major}.{minor}", str(error))
    return Check("version", True, f"PostgreSQL {major}.{minor}")


def connection_kind(found: Inspection) -> str:
    """Return how we are connected, and what follows from it."""
    if found.transaction_pooler:
        return (
            "through a transaction pooler: no LISTEN and no prepared statements, so changes are "
            "noticed by polling"
        )
    return "through a session pooler: LISTEN works" if found.pooled else "direct: LISTEN works"


def row_security_check(found: Inspection, rights: Rights | None = None) -> Check:
    """Whether row-level security binds our role; if not, how to make one that it binds."""
    if not found.bypasses_row_security:
        return Check("row-level security", True, f"binds role {found.role}")
    why = "a superuser" if found.superuser else "BYPASSRLS"
    fix = "connect as a role without SUPERUSER and BYPASSRLS"
    if rights is not None:
        fix = f"{fix}; run this once, then use its name and password in DATABASE_URL (through \
Supabase's pooler, its name is ROLE.PROJECT):\n{role_script(found, rights)}"
    return Check(
        "row-level security",
        True,
        f"does not bind role {found.role} ({why}); queries still filter by business",
        fix,
    )


def role_script(found: Inspection, rights: Rights) -> str:
    """Return the SQL that makes a role of our own, and gives it what is there already."""
    slots: Slots = {
        "role": OTHER_ROLE if rights.has_own_role else ROLE,
        "database": found.database,
        "vector_schema": found.vector_schema or "extensions",
    }
    scripts = [QUERIES["make_role"]]
    if rights.schema_exists:
        scripts.append(QUERIES["hand_over_schema"])
    return "\n".join(f"{script.statement(slots).decode()};" for script in scripts)


def example_url() -> str:
    """Return where to find a connection URL, and what it looks like."""
    return (
        "copy it from the database's dashboard (Supabase: Connect), for example "
        "postgresql://postgres.PROJECT:PASSWORD@aws-0-REGION.pooler.supabase.com:5432/postgres"
    )


async def _examined(
    url: str, clock: Clock, migrating: bool, report: Callable[[Step], None]
) -> AsyncIterator[Check]:
    found = await inspect(url)
    async with await connect_plainly(url) as connection:
        rights = await _rights(connection)
        yield _reached(connection, found)
        yield version_check(found)
        yield await _vector(connection, found)
        yield _privileges(found, rights)
        yield _pooler(connection, found)
        yield row_security_check(found, rights)
        yield await _writes(connection, found, rights)
        if migrating:
            try:
                await migrate(url, clock=clock, report=report)
            except HigherSelfError as error:
                yield Check("migration", False, str(error), "correct what is said, and run again")
        try:
            for check in await _schema(url, connection):
                yield check
        except HigherSelfError as error:
            yield Check("schema", False, str(error), "see `privileges`")


async def _rights(connection: Connection) -> Rights:
    cursor = await connection.execute(QUERIES["inspect_rights"].statement())
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101  a row of constants
    return Rights(**row)


def _reached(connection: Connection, found: Inspection) -> Check:
    info = connection.info
    local = info.host.startswith("/") or not info.host
    sealed = connection.pgconn.ssl_in_use
    how = "a local socket" if local else "TLS" if sealed else "no encryption"
    place = info.host if local else f"{info.host}:{info.port}"
    return Check(
        "connection",
        True,
        f"{place}, database {found.database}, role {found.role}, {how}",
        ""
        if local or sealed or info.host in ("localhost", "127.0.0.1", "::1")
        # psycopg's own default takes TLS when offered; this says that it must be.
        else "add ?sslmode=require to the URL if the server offers TLS",
    )


async def _vector(connection: Connection, found: Inspection) -> Check:
    version = found.vector_installed or found.vector_available
    try:
        found.require_vector()
    except HigherSelfError as error:
        return Check("pgvector", False, version or "not available", str(error))
    if found.vector_installed:
        usual = " (Supabase's place for it is extensions)"
        where = f"{version} in schema {found.vector_schema}"
        return Check("pgvector", True, where + usual * (found.vector_schema != "extensions"))
    reason = await _tried(connection, (QUERIES["try_vector"], {}))
    if reason is None:
        return Check("pgvector", True, f"{version} can be installed by migrating")
    return Check(
        "pgvector",
        False,
        f"{version} is available, but role {found.role} may not install it ({reason})",
        "as the database's owner or a superuser: CREATE SCHEMA IF NOT EXISTS extensions; "
        "CREATE EXTENSION vector WITH SCHEMA extensions; "
        f'GRANT USAGE ON SCHEMA extensions TO "{found.role}"; '
        "(Supabase: enable vector under Database, Extensions)",
    )


def _privileges(found: Inspection, rights: Rights) -> Check:
    grants = []
    if not rights.schema_exists and not found.can_create:
        grants.append(f'GRANT CREATE ON DATABASE "{found.database}" TO "{found.role}";')
    if not rights.can_stage:
        grants.append(f'GRANT TEMPORARY ON DATABASE "{found.database}" TO "{found.role}";')
    if rights.schema_exists and not rights.can_extend_schema:
        grants.append(f'GRANT USAGE, CREATE ON SCHEMA {SCHEMA} TO "{found.role}";')
    if rights.tables_of_others:
        script = QUERIES["hand_over_schema"].statement({"role": found.role}).decode()
        return Check(
            "privileges",
            False,
            f"tables of schema {SCHEMA} belong to another role: "
            + ", ".join(rights.tables_of_others),
            f"connect as the role that migrated, or as that role run:\n{script};",
        )
    if grants:
        return Check(
            "privileges",
            False,
            f"role {found.role} may not create what we need",
            "as the database's owner: " + " ".join(grants),
        )
    what = "may extend our schema" if rights.schema_exists else "may create our schema"
    return Check("privileges", True, f"role {found.role} {what} and temporary tables")


def _pooler(connection: Connection, found: Inspection) -> Check:
    detail = connection_kind(found)
    if not found.transaction_pooler:
        return Check("pooler", True, detail)
    fix = "for a faster reaction, use a direct connection or a session pooler"
    if connection.info.port == TRANSACTION_PORT:
        fix += " (Supabase: the same host with port 5432)"
    return Check("pooler", True, detail, fix)


async def _writes(connection: Connection, found: Inspection, rights: Rights) -> Check:
    if found.read_only:
        return Check(
            "writes",
            False,
            "the database is read-only",
            "connect to the primary, or lift default_transaction_read_only",
        )
    probe = f"higherself_probe_{secrets.token_hex(4)}"
    slots: Slots = {"schema": SCHEMA if rights.schema_exists else probe, "probe": probe}
    names = ["try_table", "try_temporary_table"]
    if not rights.schema_exists:
        names.insert(0, "try_schema")
    reason = await _tried(connection, *((QUERIES[name], slots) for name in names))
    if reason is None:
        return Check("writes", True, "a table was made and written to, and rolled back")
    return Check("writes", False, reason, "see `privileges`, or the server's log")


async def _schema(url: str, connection: Connection) -> list[Check]:
    stands = await status(url)
    pending = ", ".join(str(migration) for migration in stands.pending)
    fix = "run it again with --migrate, or run `higherself db migrate`" if pending else ""
    detail = f"version {stands.version}" + (f"; pending: {pending}" if pending else "")
    checks = [Check("schema", not pending, detail, fix)]
    cursor = await connection.execute(QUERIES["list_tables"].statement())
    tables = await cursor.fetchall()
    if tables:
        checks.append(_forced(tables))
    cursor = await connection.execute(
        QUERIES["list_web_roles"].statement(), {"names": list(WEB_ROLES)}
    )
    if web := [row["name"] for row in await cursor.fetchall()]:
        checks.append(
            Check(
                "web roles",
                False,
                f"{', '.join(web)} can see into schema {SCHEMA}",
                f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC, {', '.join(web)};",
            )
        )
    return checks


def _forced(tables: list[dict[str, Any]]) -> Check:
    business = [table for table in tables if table["of_business"]]
    bare = [table["name"] for table in business if not table["forced"]]
    if not bare:
        return Check("forced row-level security", True, f"on all {len(business)} business tables")
    alter = "; ".join(
        f"ALTER TABLE {SCHEMA}.{name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
        for name in bare
    )
    return Check("forced row-level security", False, f"missing on {', '.join(bare)}", alter)


async def _tried(connection: Connection, *statements: tuple[Query, Slots]) -> str | None:
    """Run ``statements`` in a transaction that is rolled back; return why it failed, or None."""
    try:
        async with connection.transaction(force_rollback=True):
            for query, slots in statements:
                await connection.execute(query.statement(slots))
    except psycopg.Error as error:
        return error.diag.message_primary or str(translate(error) or error)
    return None


def _unreachable(error: HigherSelfError, url: str) -> Check:
    return Check("connection", False, str(error), _advice(str(error), url))


def _advice(reason: str, url: str) -> str:
    """Return what helps with the usual reasons why Supabase cannot be reached."""
    host = urlsplit(url).hostname or ""
    if host.startswith("db.") and host.endswith(".supabase.co"):
        return (
            "Supabase's direct address has IPv6 only; where there is none, take the session "
            "pooler's URL: " + example_url()
        )
    if host.endswith(".pooler.supabase.com"):
        return (
            "behind Supabase's pooler the user is ROLE.PROJECT, and a paused project does not "
            "answer; " + example_url()
        )
    if "refused the connection" in reason:
        return example_url()
    return "check that the server runs, and that host, port and firewall are right"
