"""The examination of a database, on the embedded server and through a real transaction pooler."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from tests.conftest import hub_on

from higherself.db import inspection, supabase
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.errors import DatabaseUnavailable
from higherself.db.inspection import Inspection, inspect
from higherself.db.migrate import migrate, status
from higherself.db.migrate import migrations as carried
from higherself.db.pool import open_database
from higherself.db.server import preparation
from higherself.db.supabase import examine
from higherself.kernel.check import Check
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import NewDocument
from higherself.knowledge.providers.local import LocalEmbeddings
from higherself.testing.postgres import create_database, drop_database, in_database

Pooler = Callable[[str, str], str]

pytestmark = pytest.mark.postgres

HEALTHY = [
    "connection",
    "version",
    "pgvector",
    "privileges",
    "pooler",
    "row-level security",
    "writes",
    "schema",
    "forced row-level security",
]


async def examined(url: str, *, migrating: bool = False) -> dict[str, Check]:
    checks = await examine(url, clock=SYSTEM_CLOCK, migrating=migrating)
    password = urlsplit(url).password
    assert password is None or len(password) < 5 or password not in repr(checks)
    assert all(check.fix for check in checks if not check.ok), "each with its fix"
    return {check.name: check for check in checks}


def wrong(checks: dict[str, Check]) -> list[str]:
    return [check.name for check in checks.values() if not check.ok]


@pytest.fixture
def bare(server: EmbeddedPostgres) -> Iterator[str]:
    """A database of the superuser's, for whom somebody else is nobody, without extensions."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    execute(server.admin_url, f"CREATE DATABASE {name}")
    yield in_database(server.url, name)
    drop_database(server.admin_url, name)


@pytest.fixture
def changed_database(server: EmbeddedPostgres) -> Iterator[str]:
    """A database of the test's own: it is given to another role."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    create_database(server.admin_url, name)
    yield in_database(server.url, name)
    drop_database(server.admin_url, name)


def execute(url: str, script: str) -> None:
    with preparation.connect(url) as connection:
        connection.execute(script.encode())


def as_superuser(server: EmbeddedPostgres, url: str) -> str:
    return in_database(server.admin_url, urlsplit(url).path[1:])


async def test_a_healthy_database(worker_database: str) -> None:
    checks = await examined(worker_database)
    assert list(checks) == HEALTHY
    assert wrong(checks) == []
    assert not any(check.fix for check in checks.values())
    assert "in schema extensions" in checks["pgvector"].detail
    assert checks["pooler"].detail == "direct: LISTEN works"
    assert checks["schema"].detail == f"version {carried()[-1].number}"
    assert checks["row-level security"].detail == "binds role higherself"


async def test_an_empty_database_is_changed_only_when_asked_to(empty_database: str) -> None:
    checks = await examined(empty_database)
    assert wrong(checks) == ["schema"]
    assert "pending: 01_core" in checks["schema"].detail
    assert "--migrate" in checks["schema"].fix
    assert (await status(empty_database)).version == 0
    assert names_of_schemas(empty_database).isdisjoint({"higherself"})

    checks = await examined(empty_database, migrating=True)
    assert list(checks) == HEALTHY
    assert wrong(checks) == []


def names_of_schemas(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace").fetchall()
    return {name for (name,) in rows}


async def test_missing_privileges_are_named_with_the_statements_that_grant_them(
    server: EmbeddedPostgres, bare: str
) -> None:
    execute(
        as_superuser(server, bare),
        f"REVOKE TEMPORARY ON DATABASE {urlsplit(bare).path[1:]} FROM PUBLIC",
    )
    checks = await examined(bare, migrating=True)
    assert {"pgvector", "privileges", "writes", "migration", "schema"} == set(wrong(checks))
    grants = checks["privileges"].fix.removeprefix("as the database's owner: ")
    extension = checks["pgvector"].fix.split(": ", 1)[1].rpartition(" (Supabase")[0]
    execute(as_superuser(server, bare), grants)
    execute(as_superuser(server, bare), extension)
    assert wrong(await examined(bare, migrating=True)) == []


async def test_a_superuser_may_install_pgvector(server: EmbeddedPostgres, bare: str) -> None:
    checks = await examined(as_superuser(server, bare))
    assert checks["pgvector"].ok
    assert "can be installed" in checks["pgvector"].detail
    assert names_of_schemas(bare).isdisjoint({"extensions"}), "it was only tried"


async def test_pgvector_in_another_schema_will_do(server: EmbeddedPostgres, bare: str) -> None:
    execute(
        as_superuser(server, bare),
        'CREATE SCHEMA "Odd one"; CREATE EXTENSION vector SCHEMA "Odd one"; '
        f'GRANT USAGE ON SCHEMA "Odd one" TO higherself; '
        f"GRANT ALL ON DATABASE {urlsplit(bare).path[1:]} TO higherself",
    )
    checks = await examined(bare, migrating=True)
    assert wrong(checks) == []
    assert "in schema Odd one" in checks["pgvector"].detail
    async with open_database(bare) as database, database.transaction() as tx:
        await tx.script("SELECT '[1,2]'::halfvec <=> '[2,1]'::halfvec")


@pytest.mark.parametrize("has_data", [False, True], ids=["an empty database", "one with data"])
async def test_the_script_for_a_role_of_our_own_does_what_it_promises(
    server: EmbeddedPostgres,
    changed_database: str,
    local_model: LocalEmbeddings,
    has_data: bool,
) -> None:
    admin = as_superuser(server, changed_database)
    if has_data:
        await migrate(admin, clock=SYSTEM_CLOCK)
        await use_hub(admin, local_model)
    checks = await examined(admin)
    assert checks["row-level security"].ok, "it works, so it is advice"
    assert "a superuser" in checks["row-level security"].detail

    role = f"test_{uuid.uuid4().hex[:12]}"
    script = checks["row-level security"].fix.split(":\n")[1]
    execute(admin, script.replace("higherself_app", role))
    try:
        own = as_role(changed_database, role, "put-a-long-random-password-here")
        checks = await examined(own, migrating=True)
        assert wrong(checks) == []
        assert checks["row-level security"].detail == f"binds role {role}"
        await use_hub(own, local_model, again=has_data)
        with psycopg.connect(own) as connection:
            rows = connection.execute("SELECT count(*) FROM higherself.document").fetchone()
        assert rows == (0,), "without a business named, nothing is visible"
    finally:
        execute(admin, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def as_role(url: str, role: str, password: str) -> str:
    return urlsplit(url)._replace(netloc=f"{role}:{quote(password)}@").geturl()


async def use_hub(url: str, model: LocalEmbeddings, *, again: bool = False) -> None:
    """Add, search, verify: whatever the hub does with a database."""
    async with open_database(url, connections=3) as database:
        hub = hub_on(database, model)
        report = await hub.add([a_document("a.md", "Deposits are due two weeks before the event.")])
        assert (report.created, report.unchanged) == ((0, 1) if again else (1, 0))
        assert (await hub.search("when is the deposit due")).hits
        assert all(finding.ok for finding in await hub.verify())


def a_document(name: str, text: str, entity: str = "default") -> NewDocument:
    return NewDocument(external_id=name, text=text, entity=entity, source="test")


async def test_a_read_only_database(server: EmbeddedPostgres, worker_database: str) -> None:
    setting = f"ALTER DATABASE {urlsplit(worker_database).path[1:]}"
    execute(server.admin_url, f"{setting} SET default_transaction_read_only = on")
    try:
        checks = await examined(worker_database)
    finally:
        execute(server.admin_url, f"{setting} RESET default_transaction_read_only")
    assert wrong(checks) == ["writes"]
    assert "default_transaction_read_only" in checks["writes"].fix


async def test_a_table_without_forced_row_security_is_found(
    server: EmbeddedPostgres, empty_database: str
) -> None:
    await migrate(empty_database, clock=SYSTEM_CLOCK)
    execute(
        as_superuser(server, empty_database),
        "ALTER TABLE higherself.chunk NO FORCE ROW LEVEL SECURITY; "
        "ALTER TABLE higherself.document DISABLE ROW LEVEL SECURITY",
    )
    checks = await examined(empty_database)
    assert wrong(checks) == ["forced row-level security"]
    assert checks["forced row-level security"].detail == "missing on chunk, document"
    execute(empty_database, checks["forced row-level security"].fix)
    assert wrong(await examined(empty_database)) == []


async def test_every_table_with_business_rows_is_protected(
    database_url: str, local_model: LocalEmbeddings
) -> None:
    """Those that are made at run time, too: one for each embedding space."""
    await use_hub(database_url, local_model)
    checks = await examined(database_url)
    assert checks["forced row-level security"].ok
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'higherself'::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity) "
            "ORDER BY 1"
        ).fetchall()
    of_no_business = [
        "embedding_provider",
        "embedding_space",
        "embedding_usage",
        "schema_migration",
        "workflow_definition",
    ]
    assert [name for (name,) in rows] == of_no_business


async def test_roles_of_the_web_see_nothing_of_ours(
    server: EmbeddedPostgres, changed_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = f"test_{uuid.uuid4().hex[:12]}"
    monkeypatch.setattr(supabase, "WEB_ROLES", (web,))
    await migrate(changed_database, clock=SYSTEM_CLOCK)
    admin = as_superuser(server, changed_database)
    execute(admin, f"CREATE ROLE {web}")
    try:
        assert wrong(await examined(changed_database)) == []
        execute(admin, f"GRANT USAGE ON SCHEMA higherself TO {web}")
        checks = await examined(changed_database)
        assert wrong(checks) == ["web roles"]
        execute(admin, checks["web roles"].fix)
        assert wrong(await examined(changed_database)) == []
    finally:
        execute(admin, f"DROP ROLE {web}")


@pytest.mark.parametrize("to", [1, None], ids=["half migrated", "migrated"])
async def test_a_schema_of_another_role_can_be_handed_over(
    server: EmbeddedPostgres, changed_database: str, to: int | None
) -> None:
    admin = as_superuser(server, changed_database)
    execute(admin, f"ALTER DATABASE {urlsplit(admin).path[1:]} OWNER TO postgres")
    await migrate(admin, clock=SYSTEM_CLOCK, to=to)
    checks = await examined(changed_database)
    assert {"privileges", "writes", "schema"} == set(wrong(checks))
    assert "belong to another role: " in checks["privileges"].detail
    assert "entity" in checks["privileges"].detail
    execute(admin, f"GRANT CREATE ON DATABASE {urlsplit(admin).path[1:]} TO higherself")
    execute(admin, checks["privileges"].fix.split(":\n")[1])
    assert wrong(await examined(changed_database, migrating=True)) == []


async def test_an_old_server(worker_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "MINIMUM_SERVER", 990000)
    checks = await examined(worker_database)
    assert wrong(checks) == ["version"]
    assert "upgrade it" in checks["version"].fix


async def test_a_server_without_pgvector(
    worker_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server can be made to lack it for one database, so only what it says is changed."""

    async def without(url: str) -> Inspection:
        return replace(
            await inspect(url), vector_installed=None, vector_available=None, vector_schema=None
        )

    monkeypatch.setattr(supabase, "inspect", without)
    checks = await examined(worker_database)
    assert wrong(checks) == ["pgvector"]
    assert "enable 'vector'" in checks["pgvector"].fix


async def test_nobody_answers() -> None:
    checks = await examined("postgresql://me:sEcReT@127.0.0.1:1/db")
    assert list(checks) == wrong(checks) == ["connection"]


async def test_a_wrong_password(worker_database: str) -> None:
    checks = await examined(as_role(worker_database, "higherself", "sEcReT"))
    assert list(checks) == wrong(checks) == ["connection"]
    assert "password authentication failed" in checks["connection"].detail


async def test_an_unreadable_url() -> None:
    checks = await examined("postgresql://me:sEc ReT@127.0.0.1:1/db")
    assert list(checks) == wrong(checks) == ["url"]
    assert "percent-encode" in checks["url"].detail


@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ("db.abcdefgh.supabase.co:5432", "IPv6"),
        ("aws-0-eu-west-1.pooler.supabase.com:6543", "ROLE.PROJECT"),
        ("db.example.org", "firewall"),
    ],
)
async def test_what_helps_depends_on_whose_address_it_is(
    host: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(url: str) -> Inspection:
        raise DatabaseUnavailable("the database does not answer (no route)")

    monkeypatch.setattr(supabase, "inspect", nobody)
    checks = await examined(f"postgresql://me:sEcReT@{host}/postgres")
    assert advice in checks["connection"].fix


# Through a transaction pooler


async def test_a_transaction_pooler_is_told_with_what_follows(
    worker_database: str, pooler: Pooler
) -> None:
    checks = await examined(pooler(worker_database, "transaction"))
    assert wrong(checks) == []
    assert checks["pooler"].detail.startswith("through a transaction pooler: no LISTEN")
    assert "port 5432" in checks["pooler"].fix
    checks = await examined(pooler(worker_database, "session"))
    assert checks["pooler"].detail == "through a session pooler: LISTEN works"


async def test_the_whole_hub_works_through_a_transaction_pooler(
    empty_database: str, pooler: Pooler, local_model: LocalEmbeddings
) -> None:
    """Three server sessions for two programs with four connections each, all of them busy."""
    url = pooler(empty_database, "transaction")
    checks = await examined(url, migrating=True)
    assert wrong(checks) == []
    async with (
        open_database(url, connections=4) as one,
        open_database(url, connections=4) as another,
        asyncio.TaskGroup() as group,
    ):
        hubs = [hub_on(one, local_model), hub_on(another, local_model)]
        for number in range(6):
            group.create_task(add_and_find(hubs[number % 2], f"business_{number % 3}", number))
    async with open_database(url, connections=4) as database:
        hub = hub_on(database, local_model)
        stats = await hub.stats()
        assert stats["documents"] == 6 * 8
        assert all(finding.ok for finding in await hub.verify())
        assert [row["coverage"] for row in await hub.spaces()] == [1.0]
        assert (await hub.forget("business_0")).documents == 16
        assert all(finding.ok for finding in await hub.verify())
    await migrate(url, clock=SYSTEM_CLOCK, to=0)
    assert (await status(url)).version == 0
    await migrate(url, clock=SYSTEM_CLOCK)


async def add_and_find(hub: KnowledgeHub, entity: str, number: int) -> None:
    topics = ("deposits", "towels", "parking", "music", "candles", "tea", "shoes", "mirrors")
    documents = [
        a_document(f"{number}-{topic}", f"All about {topic} of room {number}.", entity)
        for topic in topics
    ]
    assert (await hub.add(documents)).created == len(topics)
    answer = await hub.search(f"parking of room {number}", entity=entity)
    assert answer.hits[0].document.external_id == f"{number}-parking"
    assert {hit.document.entity for hit in answer.hits} == {entity}
    changed = [replace(document, text=f"{document.text} Ask us.") for document in documents]
    assert (await hub.add(changed)).updated == len(topics)


async def test_two_programs_may_migrate_at_once_through_a_transaction_pooler(
    empty_database: str, pooler: Pooler
) -> None:
    url = pooler(empty_database, "transaction")
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(migrate(url, clock=SYSTEM_CLOCK)) for _ in range(2)]
    steps = [step for one in both for step in one.result()]
    assert sorted(step.migration.number for step in steps) == [m.number for m in carried()]
