"""Which database in Notion is which declared one: looked up by everybody, kept by setting up."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from higherself.db.pool import Database, Row
from higherself.db.queryfile import read_queries
from higherself.kernel.clock import Clock
from higherself.messaging.statements import encoded
from higherself.notion.databases.schema import Drift, Mapped, Mappings
from higherself.notion.ids import same_id

QUERIES = read_queries("higherself.notion.databases")

DatabaseState = Literal["ok", "missing", "held"]
"""missing: it is in Notion's trash or out of reach; held: the mass-delete brake has stopped it."""


@dataclass(frozen=True, slots=True)
class DataSource:
    """A declared database and where it is in Notion.

    ``mapping`` gives the property of each declared name, ``views`` the name of each view's id.
    ``revision`` counts what was written to its schema.
    """

    name: str
    database_id: str
    data_source_id: str
    parent_id: str | None = None
    mapping: Mappings = field(default_factory=dict)
    views: Mapping[str, str] = field(default_factory=dict)
    drift: tuple[Drift, ...] = ()
    adopted: bool = False
    state: DatabaseState = "ok"
    reason: str | None = None
    revision: int = 0
    checked_at: datetime | None = None

    def property_id(self, name: str) -> str | None:
        """Return the id of the property of a declared name, if it can be used."""
        mapped = self.mapping.get(name)
        return mapped.id if mapped is not None and mapped.state == "ok" else None

    def changed(self, **changes: Any) -> "DataSource":
        """Return it with some things changed."""
        return replace(self, **changes)


class Databases:
    """Looks up where the declared databases are. Loaded once; `load` looks again."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._known: dict[str, DataSource] = {}

    async def load(self) -> Mapping[str, DataSource]:
        """Read what is known, and return it by name."""
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["list_databases"])
        self._known = {row["name"]: _from_row(row) for row in rows}
        return dict(self._known)

    @property
    def known(self) -> Mapping[str, DataSource]:
        """Those that are known, by name."""
        return dict(self._known)

    def data_source(self, name: str) -> DataSource | None:
        """Return where a declared database is; None: it was never set up."""
        return self._known.get(name)

    def by_source(self, data_source_id: str | None) -> DataSource | None:
        """Return the declared database that a data source is."""
        if data_source_id is None:
            return None
        return next((d for d in self._known.values() if same_id(d.data_source_id, data_source_id)), None)  # fmt: skip

    @asynccontextmanager
    async def exclusively(self) -> AsyncIterator[bool]:
        """Hold, within the block, the right to set up; False: another process has it."""
        async with self._database.transaction() as tx:
            yield bool((await tx.one(QUERIES["lock_setup"]))["locked"])

    async def save(self, source: DataSource, columns: Mapping[str, str] | None = None) -> None:
        """Remember where a database is and what it is like.

        ``columns`` gives the column of each property that rows keep. Those whose property is another
        than before, or can be used again, start anew: their values go to Notion.
        """
        before = self._known.get(source.name)
        anew = [] if before is None else [c for name, c in (columns or {}).items() if _anew(before.mapping.get(name), source.mapping.get(name))]  # fmt: skip
        async with self._database.transaction() as tx:
            if anew:
                await tx.run(QUERIES["reset_fields"], {"name": source.name, "columns": anew})
                await tx.run(QUERIES["queue_database"], {"name": source.name})
            await tx.run(
                QUERIES["save_database"],
                {
                    "name": source.name,
                    "database_id": source.database_id,
                    "data_source_id": source.data_source_id,
                    "parent_id": source.parent_id,
                    "mapping": encoded({n: m.as_json() for n, m in source.mapping.items()}),
                    "views": encoded(dict(source.views)),
                    "drift": encoded([[d.kind, d.property, d.detail] for d in source.drift]),
                    "adopted": source.adopted,
                    "state": source.state,
                    "reason": source.reason,
                    "revision": source.revision,
                    "now": self._clock.now(),
                },
            )
        self._known[source.name] = source

    async def set_state(self, name: str, state: DatabaseState, reason: str | None = None) -> None:
        """Say that the rows of a database are held, that it is missing, or in order again."""
        async with self._database.transaction() as tx:
            await tx.run(
                QUERIES["set_database_state"], {"name": name, "state": state, "reason": reason}
            )
        if name in self._known:
            self._known[name] = self._known[name].changed(state=state, reason=reason)

    async def forget(self, name: str) -> None:
        """Forget which database it was. Nothing happens to it in Notion."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["forget_database"], {"name": name})
        self._known.pop(name, None)


def _anew(before: Mapped | None, now: Mapped | None) -> bool:
    """Return whether a field has come back, or has another property."""
    if before is None or now is None or now.state != "ok":
        return False
    return before.id != now.id or before.state != "ok"


def _from_row(row: Row) -> DataSource:
    return DataSource(
        name=row["name"],
        database_id=row["database_id"],
        data_source_id=row["data_source_id"],
        parent_id=row["parent_id"],
        mapping={name: Mapped.from_json(each) for name, each in row["mapping"].items()},
        views=row["views"],
        drift=tuple(Drift(kind, row["name"], prop, detail) for kind, prop, detail in row["drift"]),
        adopted=row["adopted"],
        state=row["state"],
        reason=row["reason"],
        revision=row["revision"],
        checked_at=row["checked_at"],
    )
