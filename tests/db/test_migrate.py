import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import psycopg
import pytest

from higherself.db.errors import MigrationChanged, SchemaOutdated
from higherself.db.migrate import (
    Applied,
    Migration,
    Step,
    dry_run_steps,
    migrate,
    migrations,
    plan,
    require_current,
    status,
)
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Misconfigured

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ONE = Migration(1, "one", "up 1", "down 1")
TWO = Migration(2, "two", "up 2", "down 2")
FOUR = Migration(4, "four", "up 4", "-- irreversible: it drops a column\n")
CARRIED = (ONE, TWO, FOUR)

CATALOGUE = """
SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'higherself'
UNION ALL SELECT schemaname, tablename, indexname, indexdef, '', '' FROM pg_indexes
WHERE schemaname = 'higherself'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', ''
FROM pg_constraint WHERE connamespace = 'higherself'::regnamespace
UNION ALL SELECT 'policy', tablename, policyname, qual, coalesce(with_check, ''), ''
FROM pg_policies WHERE schemaname = 'higherself'
UNION ALL SELECT 'security', relname, relrowsecurity::text, relforcerowsecurity::text, '', ''
FROM pg_class WHERE relnamespace = 'higherself'::regnamespace
UNION ALL SELECT 'extension', extname, '', '', '', '' FROM pg_extension
ORDER BY 1, 2, 3, 4
"""


def applied(*done: Migration) -> list[Applied]:
    return [Applied(m.number, m.name, m.checksum, NOON) for m in done]


@pytest.mark.parametrize(
    ("done", "to", "expected"),
    [
        pytest.param([], None, [("up", 1), ("up", 2), ("up", 4)], id="an empty database gets all"),
        pytest.param([ONE], None, [("up", 2), ("up", 4)], id="only what is missing"),
        pytest.param([ONE, FOUR], None, [("up", 2)], id="one that came late is not forgotten"),
        pytest.param([ONE, TWO], 1, [("down", 2)], id="back by one"),
        pytest.param([ONE, TWO], 0, [("down", 2), ("down", 1)], id="back to nothing, newest first"),
        pytest.param([], 2, [("up", 1), ("up", 2)], id="forward to a version"),
        pytest.param([ONE, TWO, FOUR], None, [], id="nothing to do"),
    ],
)
def test_plan(done: list[Migration], to: int | None, expected: list[tuple[str, int]]) -> None:
    steps = plan(CARRIED, applied(*done), to=to)
    assert [("up" if step.up else "down", step.migration.number) for step in steps] == expected


def test_a_changed_migration_is_refused() -> None:
    with pytest.raises(MigrationChanged, match="01_one"):
        plan((replace(ONE, up="something else"),), applied(ONE))


def test_the_way_down_may_be_improved() -> None:
    assert plan((replace(ONE, down="better"),), applied(ONE)) == ()


def test_a_newer_release_may_have_migrated_further() -> None:
    assert plan((ONE,), applied(ONE, TWO)) == ()


def test_there_is_no_way_back_over_an_irreversible_one() -> None:
    with pytest.raises(Misconfigured, match="drops a column"):
        plan(CARRIED, applied(*CARRIED), to=2)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(Misconfigured, match="no schema version 3"):
        plan(CARRIED, [], to=3)


def test_every_migration_has_a_way_back_and_a_head() -> None:
    for migration in migrations():
        assert migration.up.startswith(f"-- {migration}"), "the head says what it is"
        assert migration.down.strip()


def catalogue(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(CATALOGUE.encode()).fetchall()


@pytest.mark.postgres
async def test_up_down_up_gives_the_same_catalogue(empty_database: str) -> None:
    await migrate(empty_database, clock=SYSTEM_CLOCK)
    first = catalogue(empty_database)
    await migrate(empty_database, clock=SYSTEM_CLOCK, to=0)
    assert (await status(empty_database)).version == 0
    await migrate(empty_database, clock=SYSTEM_CLOCK)
    assert catalogue(empty_database) == first


@pytest.mark.postgres
async def test_a_dry_run_changes_nothing(empty_database: str) -> None:
    before = catalogue_of_nothing(empty_database)
    steps = await dry_run_steps(empty_database)
    assert [step.migration.number for step in steps] == [m.number for m in migrations()]
    assert catalogue_of_nothing(empty_database) == before


def catalogue_of_nothing(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT nspname FROM pg_namespace ORDER BY 1").fetchall()


@pytest.mark.postgres
async def test_two_processes_may_migrate_at_once(empty_database: str) -> None:
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(migrate(empty_database, clock=SYSTEM_CLOCK)) for _ in range(2)]
    steps: list[Step] = [step for one in both for step in one.result()]
    assert sorted(step.migration.number for step in steps) == [m.number for m in migrations()]


@pytest.mark.postgres
async def test_a_database_that_lacks_a_migration_is_named_with_the_fix(empty_database: str) -> None:
    await migrate(empty_database, clock=SYSTEM_CLOCK, to=1)
    with pytest.raises(SchemaOutdated, match=r"03_enable_vector_extension.*higherself db migrate"):
        await require_current(empty_database)


@pytest.mark.postgres
async def test_the_extension_need_not_be_created_if_it_is_there(empty_database: str) -> None:
    """The role of the test may not create it (it is no superuser); it is found in its schema."""
    await migrate(empty_database, clock=SYSTEM_CLOCK)
    with psycopg.connect(empty_database) as connection:
        (schema,) = connection.execute(
            "SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
            "WHERE extname = 'vector'"
        ).fetchone() or ("",)
    assert schema == "extensions"
