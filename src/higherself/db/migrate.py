"""Bring the schema to the version this program carries, or back.

Migrations are numbered SQL files beside this module: ``NN_name.up.sql`` and its way back,
``NN_name.down.sql`` (or, where there is none, a first line ``-- irreversible: why``). Each is
applied once, in order, in a transaction of its own, under a lock, and remembered with its
checksum: one that was applied must never be edited.
"""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any

import psycopg

from higherself.db.errors import MigrationChanged, SchemaOutdated, translate
from higherself.db.inspection import (
    QUERIES,
    SCHEMA,
    Inspection,
    connect_plainly,
    explain_connection,
    inspect,
)
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Misconfigured
from higherself.kernel.jsonvalue import content_hash

_FILE = re.compile(r"^(?P<number>\d+)_(?P<name>[a-z0-9_]+)\.(?P<way>up|down)\.sql$")
_IRREVERSIBLE = re.compile(r"^-- irreversible: *(?P<reason>.+)$", re.MULTILINE)

_BOOTSTRAP = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.schema_migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum bytea NOT NULL,
    applied_at timestamptz NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered change of the schema, and its way back."""

    number: int
    name: str
    up: str
    down: str

    @property
    def checksum(self) -> bytes:
        """Identifies the way up; the way down may still be improved."""
        return content_hash(self.up)

    @property
    def irreversible(self) -> str | None:
        """Why there is no way back, or None if there is one."""
        found = _IRREVERSIBLE.search(self.down)
        return found["reason"] if found else None

    def __str__(self) -> str:
        return f"{self.number:02d}_{self.name}"


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration the database remembers."""

    number: int
    name: str
    checksum: bytes
    applied_at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """One migration to run, up or down."""

    migration: Migration
    up: bool

    @property
    def script(self) -> str:
        """The SQL to run."""
        return self.migration.up if self.up else self.migration.down

    def __str__(self) -> str:
        return f"{'up' if self.up else 'down'} {self.migration}"


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """Where a database stands: its version (0 when empty) and what is still to be applied."""

    version: int
    pending: tuple[Migration, ...]


def migrations() -> tuple[Migration, ...]:
    """Return the migrations this program carries, in order."""
    texts: dict[tuple[int, str], dict[str, str]] = {}
    for entry in files("higherself.db").joinpath("migrations").iterdir():
        if found := _FILE.match(entry.name):
            key = int(found["number"]), found["name"]
            texts.setdefault(key, {})[found["way"]] = entry.read_text(encoding="utf-8")
    return tuple(
        Migration(number, name, ways["up"], ways["down"])
        for (number, name), ways in sorted(texts.items())
    )


def plan(
    carried: Sequence[Migration], applied: Sequence[Applied], *, to: int | None = None
) -> tuple[Step, ...]:
    """Return the steps from what was ``applied`` to version ``to`` (default: the newest carried).

    Versions newer than this program knows are left alone: the previous release must run on the
    next one's schema.

    Raises
        MigrationChanged: an applied migration differs from the carried one.
        Misconfigured: there is no such version, or no way back to it.
    """
    known = {migration.number: migration for migration in carried}
    done = {entry.number for entry in applied}
    for entry in applied:
        mine = known.get(entry.number)
        if mine is not None and mine.checksum != entry.checksum:
            raise MigrationChanged(
                f"migration {mine} was applied to this database in another form; this program and "
                "the database do not belong together: use the release that migrated it, or restore "
                "a backup"
            )
    if to is None:
        return tuple(Step(m, up=True) for m in carried if m.number not in done)
    if to != 0 and to not in known:
        raise Misconfigured(f"there is no schema version {to}; choose 0 to {max(known)}")
    down = [m for m in reversed(carried) if m.number > to and m.number in done]
    for migration in down:
        if migration.irreversible:
            raise Misconfigured(f"cannot go back before {migration}: {migration.irreversible}")
    up = [m for m in carried if m.number <= to and m.number not in done]
    return (*(Step(m, up=False) for m in down), *(Step(m, up=True) for m in up))


async def status(url: str) -> SchemaStatus:
    """Return where the database at ``url`` stands."""
    async with _connect(url) as connection:
        applied = await _applied(connection)
    steps = plan(migrations(), applied)
    version = max((entry.number for entry in applied), default=0)
    return SchemaStatus(version, tuple(step.migration for step in steps))


async def dry_run_steps(url: str, *, to: int | None = None) -> tuple[Step, ...]:
    """Return the steps that `migrate` would run, and change nothing."""
    async with _connect(url) as connection:
        return plan(migrations(), await _applied(connection), to=to)


async def require_current(url: str) -> None:
    """Raise `SchemaOutdated` if migrations are pending on ``url``."""
    found = await status(url)
    if found.pending:
        names = ", ".join(str(migration) for migration in found.pending)
        raise SchemaOutdated(
            f"the database schema is at version {found.version} and lacks {names}; "
            "run `higherself db migrate`"
        )


async def migrate(
    url: str,
    *,
    clock: Clock,
    to: int | None = None,
    report: Callable[[Step], None] = lambda step: None,
) -> tuple[Step, ...]:
    """Bring the database at ``url`` to version ``to`` (default: the newest), and return the steps.

    Each step commits by itself: after a failure the steps before it stand and nothing of the
    failed one does. Two processes may call it at once.

    Raises
        VectorMissing, DatabaseTooOld, AccessDenied, ...: why it cannot be done, and the fix.
    """
    inspection = await inspect(url)
    inspection.require_usable()
    inspection.require_vector()
    done: list[Step] = []
    async with _connect(url) as connection:
        await _bootstrap(connection)
        while step := await _next_step(connection, inspection, clock, to):
            done.append(step)
            report(step)
    return tuple(done)


async def _bootstrap(connection: psycopg.AsyncConnection[Any]) -> None:
    cursor = await connection.execute(QUERIES["find_schema"].statement())
    row = await cursor.fetchone()
    if row and row["migrated"]:
        return
    async with connection.transaction():
        await connection.execute(QUERIES["lock_migrations"].statement())
        await connection.execute(_BOOTSTRAP.encode())


async def _next_step(
    connection: psycopg.AsyncConnection[Any], inspection: Inspection, clock: Clock, to: int | None
) -> Step | None:
    """Run the first step that is due, and return it; None when all is done."""
    async with connection.transaction():
        await connection.execute(QUERIES["lock_migrations"].statement())
        steps = plan(migrations(), await _applied(connection), to=to)
        if not steps:
            return None
        step, migration = steps[0], steps[0].migration
        await connection.execute(
            b"SELECT set_config('search_path', %s, true)", [inspection.search_path]
        )
        await connection.execute(step.script.encode())
        if step.up:
            await connection.execute(
                QUERIES["record_migration"].statement(),
                {
                    "number": migration.number,
                    "name": migration.name,
                    "checksum": migration.checksum,
                    "applied_at": clock.now(),
                },
            )
        else:
            await connection.execute(
                QUERIES["forget_migration"].statement(), {"number": migration.number}
            )
        return step


async def _applied(connection: psycopg.AsyncConnection[Any]) -> list[Applied]:
    cursor = await connection.execute(QUERIES["find_schema"].statement())
    row = await cursor.fetchone()
    if row is None or not row["migrated"]:
        return []
    cursor = await connection.execute(QUERIES["list_applied"].statement())
    return [Applied(**found) for found in await cursor.fetchall()]


@asynccontextmanager
async def _connect(url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """Yield a plain connection outside the pool; the driver's errors become ours."""
    try:
        connection = await connect_plainly(url)
    except psycopg.Error as error:
        raise explain_connection(error) from error
    try:
        async with connection:
            yield connection
    except psycopg.Error as error:
        if (ours := translate(error)) is not None:
            raise ours from error
        raise
