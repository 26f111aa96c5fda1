"""What the skills that keep records work with: rows, and the people among them."""

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from higherself.agents.skills import SkillCall
from higherself.kernel.errors import NotFound, Rejected
from higherself.kernel.jsonvalue import content_hash

RECORDS, CONTACTS = "records", "contacts"
"""The resources of a `SkillCall` that have the rows, and the people among them."""

TASKS, PEOPLE = "tasks", "contacts_profiles"
Row = dict[str, Any]
Record = dict[str, Any]


class Table(Protocol):
    """The rows of one database."""

    async def get(self, record: UUID, *, entity: str | None = None) -> Row:
        """Return a row."""
        ...

    async def find(
        self, where: Record | None = None, *, entity: str | None = None, text: str | None = None,
        limit: int = 100,
    ) -> list[Row]:  # fmt: skip
        """Return rows that have these values."""
        ...

    async def keyed(self, entity: str, key: str) -> Row | None:
        """Return the row that was saved under a key, if one was."""
        ...

    async def save(
        self, entity: str, values: Record, *, key: str | None = None, record: UUID | None = None
    ) -> Row:
        """Add a row, or change one, and return it."""
        ...


class Tables(Protocol):
    """The rows of all databases."""

    def of(self, database: str) -> Table:
        """Return the rows of one."""
        ...


class People(Protocol):
    """The contacts of businesses."""

    async def find(
        self, entity: str, *, email: str | None = None, phone: str | None = None
    ) -> Row | None:
        """Return the contact of an address or a number."""
        ...

    async def save(
        self, entity: str, given: Record, *, replace: Any = (), first: Record | None = None
    ) -> Row:
        """Keep what is known of somebody."""
        ...

    def shown(self, row: Row) -> Record:
        """Return a contact as others read it."""
        ...


def tables(call: SkillCall) -> Tables:
    """Return the rows of all databases."""
    found: Tables = call.resource(RECORDS)
    return found


def people(call: SkillCall) -> People:
    """Return the people that businesses know."""
    found: People = call.resource(CONTACTS)
    return found


async def once(call: SkillCall, database: str, values: Record) -> Row:
    """Return the row that this call has made, and make it if it has not: later edits of it stay."""
    table, key = tables(call).of(database), f"skill/{call.key}"
    known = await table.keyed(call.entity, key)
    return known or await table.save(call.entity, values, key=key)


async def task_named(call: SkillCall, named: str) -> Row:
    """Return a task by its TASK-... identifier, or by that of its row.

    Raises
        NotFound: there is none, or it is another business's.
    """
    table = tables(call).of(TASKS)
    try:
        return await table.get(UUID(named), entity=call.entity)
    except ValueError:
        rows = await table.find({"task_id": named}, entity=call.entity, limit=1)
    if not rows:
        raise NotFound(f"task: there is no task {named!r}; `find_tasks` says which there are")
    return rows[0]


def noted(notes: str | None, text: str, key: str, now: datetime) -> str:
    """Return notes with one more dated line, unless it is there: its mark is made of the call."""
    mark = content_hash("note", key).hex()[:6]
    if notes and f"[{mark}]" in notes:
        return notes
    line = f"{now:%Y-%m-%d %H:%M} {' '.join(text.split())} [{mark}]"
    return f"{notes}\n{line}" if notes else line


def identifier(field: str, text: str) -> UUID:
    """Return the identifier of a row.

    Raises
        Rejected: it is none; ``field`` is named.
    """
    try:
        return UUID(text)
    except ValueError:
        raise Rejected(f"{field}: {text!r} is no identifier of a row") from None
