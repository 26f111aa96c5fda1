"""Transactions that see one business, statements outside of any, and results of any length."""

import asyncio

import psycopg
import pytest

from higherself.db.errors import SchemaOutdated, ValueRejected, translate
from higherself.db.pool import Database, open_database
from higherself.db.queryfile import Query

pytestmark = pytest.mark.postgres

SCOPE = Query("scope", "one", "SELECT current_setting('higherself.entity') AS entity")
NUMBERS = Query("numbers", "many", "SELECT generate_series(1, %(most)s::int) AS number")
MANY = 2_500


async def test_a_database_sees_all_businesses_unless_it_is_narrowed(database: Database) -> None:
    for seen, one in ((database, "*"), (database.narrowed("gallery"), "gallery")):
        async with seen.transaction() as tx:
            assert await tx.one(SCOPE) == {"entity": one}
        async with seen.reading() as tx:
            assert await tx.one(SCOPE) == {"entity": one}
    async with database.transaction(entity="practice") as tx:
        assert await tx.one(SCOPE) == {"entity": "practice"}
    async with database.transaction() as tx:
        assert await tx.one(SCOPE) == {"entity": "*"}, "nothing was left behind"


@pytest.mark.parametrize("wider", ["practice", "*", ""])
async def test_a_narrowed_database_never_widens_again(database: Database, wider: str) -> None:
    narrow = database.narrowed("gallery")
    async with narrow.transaction(entity="gallery") as tx:
        assert await tx.one(SCOPE) == {"entity": "gallery"}
    for open_it in (narrow.transaction, narrow.reading):
        with pytest.raises(AssertionError, match="gallery was about to see"):
            async with open_it(entity=wider):
                pass
    with pytest.raises(AssertionError, match="gallery was about to see"):
        narrow.narrowed(wider)


async def test_a_stream_has_every_row_in_order(database: Database) -> None:
    async with database.transaction() as tx:
        rows = [row["number"] async for row in tx.stream(NUMBERS, {"most": MANY}, at_once=100)]
        assert rows == list(range(1, MANY + 1))
        async for row in tx.stream(NUMBERS, {"most": MANY}):
            if row["number"] == 3:
                break  # whoever has enough may go
        assert await tx.one(SCOPE) == {"entity": "*"}


async def test_a_statement_outside_of_a_transaction(database: Database) -> None:
    vacuum = Query("vacuum", "none", "VACUUM {schema}.{table}")
    slots = {"schema": "higherself", "table": "document"}
    assert await database.outside(vacuum, slots) == []
    with pytest.raises(psycopg.errors.ActiveSqlTransaction):
        async with database.transaction() as tx:
            await tx.run(vacuum, slots=slots)


async def test_what_the_server_warns_of_comes_back(database: Database) -> None:
    warning = Query(
        "warning", "none", "DO $$ BEGIN RAISE WARNING 'mind' USING DETAIL = 'it'; END $$"
    )
    assert await database.outside(warning) == [("WARNING", "mind", "it")]
    assert await database.outside(warning) == [("WARNING", "mind", "it")], "and is not kept"


async def test_a_value_too_large_for_an_index_is_refused_and_not_to_be_tried_again(
    database: Database,
) -> None:
    index = "CREATE INDEX ON entity (name)"
    large = (
        "INSERT INTO entity SELECT 'a', string_agg(md5(n::text), ''), now()"
        " FROM generate_series(1, 300) AS n"
    )
    async with database.transaction() as tx:
        await tx.script(index)
        with pytest.raises(psycopg.Error) as raised:
            await tx.script(large)
        assert isinstance(translate(raised.value), ValueRejected)
        raise psycopg.Rollback


async def test_what_is_outside_is_explained_like_the_rest(database_url: str) -> None:
    async with open_database(database_url, connections=1) as database:
        with pytest.raises(SchemaOutdated):
            await database.outside(Query("missing", "none", "VACUUM higherself.nothing_like_it"))


async def test_blocks_that_need_the_database_beside_their_transaction_do_not_starve_each_other(
    database_url: str,
) -> None:
    async with open_database(database_url, connections=3) as database:

        async def one() -> dict[str, object]:
            async with database.lending() as tx:
                await tx.one(SCOPE)
                async with database.reading() as beside:
                    return await beside.one(SCOPE)

        async with asyncio.timeout(10):
            assert await asyncio.gather(*(one() for _ in range(12))) == [{"entity": "*"}] * 12
