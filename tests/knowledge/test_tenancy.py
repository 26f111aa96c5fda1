"""Two businesses on one server never see each other's rows, whatever the query forgets to ask."""

from dataclasses import replace

import psycopg
import pytest
from tests.knowledge.business_rows import ROWS

from higherself.db.pool import Database
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import NewDocument

pytestmark = pytest.mark.postgres

MINE = NewDocument(
    external_id="price.md", text="The heron costs 7,400 dollars.", entity="gallery", tags=("price",)
)
THEIRS = replace(MINE, text="An hour of advice costs 200 dollars.", entity="practice")


@pytest.fixture
async def filled(hub: KnowledgeHub, database: Database) -> KnowledgeHub:
    """Two businesses with a row in every table there is."""
    await hub.add([MINE, THEIRS])
    async with database.transaction() as tx:
        await tx.connection.execute(
            "INSERT INTO embedding_refusal "
            "SELECT space_id, content_hash, entity, 'too long', now() FROM chunk, embedding_space"
        )
        for statement in ROWS:
            await tx.connection.execute(statement.encode())
    return hub


async def tables_of(database: Database) -> list[str]:
    async with database.transaction() as tx:
        cursor = await tx.connection.execute(
            "SELECT table_name FROM information_schema.columns "
            "WHERE table_schema = 'higherself' AND column_name = 'entity'"
        )
        return sorted(row[0] for row in await cursor.fetchall())


async def test_every_table_with_an_entity_is_under_forced_row_level_security(
    filled: KnowledgeHub, database: Database
) -> None:
    async with database.transaction() as tx:
        cursor = await tx.connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'higherself'::regnamespace "
            "AND relrowsecurity AND relforcerowsecurity"
        )
        secured = {row[0] for row in await cursor.fetchall()}
    tables = await tables_of(database)
    assert len(tables) >= 5
    assert {*tables, "entity"} <= secured


@pytest.mark.parametrize(
    ("scope", "seen"),
    [
        pytest.param("gallery", {"gallery"}, id="its own"),
        pytest.param("practice", {"practice"}, id="the other its own"),
        pytest.param("*", {"gallery", "practice"}, id="the operator all"),
        pytest.param("nobody", set(), id="a stranger nothing"),
        pytest.param("", set(), id="without a scope nothing"),
    ],
)
async def test_a_query_that_forgets_the_entity_sees_only_the_scope(
    filled: KnowledgeHub, database: Database, scope: str, seen: set[str]
) -> None:
    for table in await tables_of(database):
        async with database.transaction(entity=scope) as tx:
            cursor = await tx.connection.execute(f"SELECT DISTINCT entity FROM {table}".encode())
            assert {row[0] for row in await cursor.fetchall()} == seen, table


async def test_a_session_of_the_owner_without_the_setting_sees_nothing(
    filled: KnowledgeHub, database: Database, database_url: str
) -> None:
    with psycopg.connect(database_url) as connection:
        for table in await tables_of(database):
            row = connection.execute(f"SELECT count(*) FROM higherself.{table}".encode()).fetchone()
            assert row == (0,), table


async def test_nobody_writes_into_another_business(
    filled: KnowledgeHub, database: Database
) -> None:
    for statement in (
        "INSERT INTO entity VALUES ('practice2', 'x', now())",
        "INSERT INTO lexical_posting VALUES ('x', 'practice', 1, 1, 0, 0, '{}')",
    ):
        with pytest.raises(Exception, match="row-level security"):
            async with database.transaction(entity="gallery") as tx:
                await tx.connection.execute(statement.encode())
    async with database.transaction(entity="gallery") as tx:
        cursor = await tx.connection.execute("UPDATE document SET title = 'mine now'")
        assert cursor.rowcount == 1


@pytest.mark.parametrize("mode", ["hybrid", "vector", "lexical"])
async def test_search_stays_inside_the_business(filled: KnowledgeHub, mode: str) -> None:
    for entity in ("gallery", "practice"):
        answer = await filled.search("costs dollars", mode=mode, entity=entity, tags=["price"])  # type: ignore[arg-type]
        assert {hit.document.entity for hit in answer.hits} == {entity}


async def test_forgetting_a_business_leaves_the_other_whole(filled: KnowledgeHub) -> None:
    assert (await filled.forget("gallery")).documents == 1
    assert all(finding.ok for finding in await filled.verify())
    (hit,) = (await filled.search("costs dollars")).hits
    assert hit.document.entity == "practice"
    assert [row["slug"] for row in (await filled.stats())["entities"]] == ["practice"]
