"""Connections to PostgreSQL: the pool, and transactions that know whose rows they may see."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import psycopg
from pgvector.psycopg.halfvec import register_halfvec_info
from psycopg import AsyncConnection, AsyncCopy, sql
from psycopg.rows import dict_row, tuple_row
from psycopg.types import TypeInfo
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic_core import from_json

from higherself.db.errors import DatabaseUnavailable, translate
from higherself.db.inspection import (
    KEEPALIVE,
    Inspection,
    connect_plainly,
    explain_connection,
    inspect,
)
from higherself.db.queryfile import Query, Slots

logging.getLogger("psycopg").addHandler(logging.NullHandler())
"""What the driver notes on the way is for a log, if one is kept; the error itself comes to us."""

Row = dict[str, Any]
Parameters = Mapping[str, Any]

BRIEF = {"idle_in_transaction_session_timeout": "10s"}
"""Settings of a transaction that takes rows which others wait for: if its process freezes within it, the
server ends it after that, and the others go on."""

EVERY_ENTITY = "*"
"""The entity scope that sees all businesses: the operator's own view."""


class Notice(NamedTuple):
    """Something that the server said beside its answer. Only ``severity`` is always English."""

    severity: str
    message: str
    detail: str


class Transaction:
    """One transaction. All its statements run in order, and commit or vanish together."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self.connection = connection

    async def many(
        self,
        query: Query,
        parameters: Parameters | None = None,
        slots: Slots | None = None,
    ) -> list[Row]:
        """Return every row of ``query``, in its order."""
        async with self.connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query.statement(slots), parameters)
            return await cursor.fetchall()

    async def tuples(
        self,
        query: Query,
        parameters: Parameters | None = None,
        slots: Slots | None = None,
    ) -> list[tuple[Any, ...]]:
        """Return every row as a tuple: for long, narrow results."""
        async with self.connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(query.statement(slots), parameters)
            return await cursor.fetchall()

    async def maybe(
        self,
        query: Query,
        parameters: Parameters | None = None,
        slots: Slots | None = None,
    ) -> Row | None:
        """Return the only row of ``query``, or None."""
        rows = await self.many(query, parameters, slots)
        if len(rows) > 1:
            raise AssertionError(f"{query.name} returned {len(rows)} rows where one was expected")
        return rows[0] if rows else None

    async def one(
        self,
        query: Query,
        parameters: Parameters | None = None,
        slots: Slots | None = None,
    ) -> Row:
        """Return the one row that ``query`` always has."""
        row = await self.maybe(query, parameters, slots)
        if row is None:
            raise AssertionError(f"{query.name} returned no row where one was expected")
        return row

    async def stream(
        self,
        query: Query,
        parameters: Parameters | None = None,
        slots: Slots | None = None,
        *,
        at_once: int = 200,
    ) -> AsyncIterator[Row]:
        """Yield every row, with few of them in memory: for results of any length."""
        async with self.connection.cursor(
            name=query.name, row_factory=dict_row, scrollable=False
        ) as cursor:
            cursor.itersize = at_once
            await cursor.execute(query.statement(slots), parameters)
            async for row in cursor:
                yield row

    async def run(
        self,
        query: Query,
        parameters: Parameters | None = None,
        slots: Slots | None = None,
    ) -> int:
        """Run ``query`` and return how many rows it touched."""
        async with self.connection.cursor() as cursor:
            await cursor.execute(query.statement(slots), parameters)
            return cursor.rowcount

    async def script(self, text: str) -> None:
        """Run a script of our own (a migration, a table of a new space); no parameters."""
        await self.connection.execute(text.encode())

    @asynccontextmanager
    async def copy(self, query: Query, slots: Slots | None = None) -> AsyncIterator[AsyncCopy]:
        """Open the COPY that ``query`` describes, for bytes in its format."""
        async with (
            self.connection.cursor() as cursor,
            cursor.copy(query.statement(slots)) as copy,
        ):
            yield copy


class Database:
    """A pool of connections to one database. Opened by `open_database`.

    Its transactions see the rows of ``scope``: of all businesses, unless it is `narrowed`.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        inspection: Inspection,
        session: Mapping[str, str],
        lent: asyncio.Semaphore,
        scope: str = EVERY_ENTITY,
    ) -> None:
        self._pool, self._lent = pool, lent
        self.inspection = inspection
        self._session = session
        self.scope = scope

    def narrowed(self, entity: str) -> "Database":
        """Return the same database as ``entity`` sees it; no transaction of it sees another's rows."""
        scope = self._checked(entity)
        return Database(self._pool, self.inspection, self._session, self._lent, scope)

    @asynccontextmanager
    async def transaction(
        self, *, entity: str | None = None, settings: Mapping[str, str] | None = None
    ) -> AsyncIterator[Transaction]:
        """Run the block in a transaction that sees the rows of ``entity`` alone.

        ``settings`` are PostgreSQL settings for this transaction. Everything is set inside the
        transaction, so it holds behind a transaction pooler too.

        Raises
            DatabaseUnavailable, DatabaseFull, ...: see `db.errors`; nothing was stored.
        """
        scope = self._settings(entity, settings)
        async with _our_errors(), self._pool.connection() as connection, connection.transaction():
            await connection.execute(*_set_config(scope, local=True))
            yield Transaction(connection)

    @asynccontextmanager
    async def lending(
        self, *, entity: str | None = None, settings: Mapping[str, str] | None = None
    ) -> AsyncIterator[Transaction]:
        """The same for a block that is not ours: it may need the database beside its transaction.

        If all connections were in such blocks, each would wait for one that none of them returns;
        so some are never lent.
        """
        async with self._lent, self.transaction(entity=entity, settings=settings) as tx:
            yield tx

    @asynccontextmanager
    async def reading(
        self, *, entity: str | None = None, settings: Mapping[str, str] | None = None
    ) -> AsyncIterator[Transaction]:
        """Run a block that only reads, and whose statements may each see another moment.

        It is sent in as few round trips as possible; where what it needs is what the session has
        anyway, there is nothing around its statements at all.

        Raises
            DatabaseUnavailable, ...: see `db.errors`.
        """
        scope = self._settings(entity, settings)
        async with _our_errors(), self._pool.connection() as connection:
            if scope == self._session and not self.inspection.transaction_pooler:
                yield Transaction(connection)
                return
            async with connection.pipeline(), connection.transaction():
                await connection.execute(*_set_config(scope, local=True))
                yield Transaction(connection)

    async def outside(self, query: Query, slots: Slots | None = None) -> list[Notice]:
        """Run a statement that may not stand in a transaction; return what the server said of it.

        Such are VACUUM and REINDEX CONCURRENTLY. Nothing is set for it, so what it names has to
        have its schema.

        Raises
            DatabaseUnavailable, WriteCollided, ...: see `db.errors`.
        """
        notices: list[Notice] = []

        def note(said: psycopg.errors.Diagnostic) -> None:
            severity, message = said.severity_nonlocalized, said.message_primary
            notices.append(Notice(severity or "", message or "", said.message_detail or ""))

        async with _our_errors(), self._pool.connection() as connection:
            connection.add_notice_handler(note)
            try:
                await connection.execute(query.statement(slots), prepare=False)
            finally:
                connection.remove_notice_handler(note)
        return notices

    def _settings(self, entity: str | None, settings: Mapping[str, str] | None) -> dict[str, str]:
        scope = self.scope if entity is None else self._checked(entity)
        return {**self._session, "higherself.entity": scope, **(settings or {})}

    def _checked(self, entity: str) -> str:
        if self.scope not in (EVERY_ENTITY, entity):
            raise AssertionError(f"{self.scope} was about to see the rows of {entity}")
        return entity


@asynccontextmanager
async def _our_errors() -> AsyncIterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise DatabaseUnavailable(
            f"no database connection became free in time ({error}); check that the server "
            "runs: `higherself doctor` tells more"
        ) from error
    except psycopg.Error as error:
        if (ours := translate(error)) is not None:
            raise ours from error
        raise


def _set_config(settings: Mapping[str, str], *, local: bool) -> tuple[bytes, list[str]]:
    calls = ", ".join([f"set_config(%s, %s, {str(local).lower()})"] * len(settings))
    values = [part for setting in settings.items() for part in setting]
    return f"SELECT {calls}".encode(), values


@asynccontextmanager
async def open_database(
    url: str, *, connections: int = 8, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Database]:
    """Connect to ``url``, look at what kind of server answers, and yield a pool.

    ``settings`` are PostgreSQL settings that most statements want.

    Raises
        DatabaseUnavailable, AccessDenied, DatabaseTooOld: the server cannot be used, and why.
    """
    inspection = await inspect(url)
    inspection.require_usable()
    halfvec = await _halfvec(url, inspection)
    session = {
        "search_path": inspection.search_path,
        "higherself.entity": EVERY_ENTITY,
        **(settings or {}),
    }

    async def configure(connection: AsyncConnection[Any]) -> None:
        if inspection.transaction_pooler:
            connection.prepare_threshold = None
        else:
            await connection.execute(*_set_config(session, local=False))
        if halfvec is not None:
            register_halfvec_info(connection, halfvec)
        # Reads bytes as they come, five times as fast as json: a hit of a search has such a column.
        set_json_loads(from_json, connection)

    pool = AsyncConnectionPool(
        url,
        min_size=1,
        max_size=connections,
        open=False,
        configure=configure,
        timeout=30,
        kwargs={"autocommit": True, "application_name": "higherself", **KEEPALIVE},
    )
    try:
        await pool.open(wait=True)
    except PoolTimeout as error:
        await inspect(url)  # says why, if it is still so
        raise DatabaseUnavailable(f"the database does not answer ({error})") from error
    try:
        kept = max(connections // 4, 1)
        lent = asyncio.Semaphore(max(connections - kept, 1))
        yield Database(pool, inspection, session, lent)
    finally:
        await pool.close()


async def _halfvec(url: str, inspection: Inspection) -> TypeInfo | None:
    """Return what the driver must know of the vector type, or None before it is installed."""
    if inspection.vector_schema is None:
        return None
    try:
        async with await connect_plainly(url) as connection:
            return await TypeInfo.fetch(
                connection, sql.Identifier(inspection.vector_schema, "halfvec")
            )
    except psycopg.Error as error:
        raise explain_connection(error) from error
