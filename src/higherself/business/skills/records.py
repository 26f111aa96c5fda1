"""Skills that keep records: any row of the business's databases, and notes of what happened.

What they keep is in PostgreSQL at once, and in Notion as soon as it is pushed. Each counts once for
its call, however often that is repeated. Contacts and tasks have skills of their own.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.data.rows import (
    PEOPLE,
    TASKS,
    Record,
    Row,
    identifier,
    noted,
    once,
    tables,
    task_named,
)
from higherself.business.data.rows import people as people_of
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import NotFound


class Kept(BaseModel):
    """A row that was kept."""

    record_id: str
    database: str
    values: Record


@skill(
    description="Keep a row in one of the business's databases: products, campaigns, members, ...",
    idempotent=True,
    tags=("records",),
)
async def save_record(
    database: Annotated[str, Field(min_length=1, description="Its name, like products_services")],
    values: Annotated[Record, Field(description="By column or property: {status: Active}")],
    call: SkillCall,
    key: Annotated[str | None, Field(description="What names the row: saved again, it changes")] = None,
    record: Annotated[str | None, Field(description="The row to change")] = None,
) -> Kept:  # fmt: skip
    """Return the row; without a key or a row, each call makes one."""
    table = tables(call).of(database)
    if record is not None:
        row = await table.save(call.entity, values, record=identifier("record", record))
    elif key is not None:
        row = await table.save(call.entity, values, key=key)
    else:
        row = await once(call, database, values)
    shown = {name: _plain(value) for name, value in row.items() if name != "record_id"}
    return Kept(record_id=str(row["record_id"]), database=database, values=shown)


class Noted(BaseModel):
    """A note that was made. ``already``: it stood there before."""

    record_id: str
    note: str
    already: bool = False


@skill(
    description="Note what happened with a contact, or about a task: a dated line in its notes.",
    idempotent=True,
    tags=("records",),
)
async def note_history(
    text: Annotated[str, Field(min_length=1, max_length=2_000)],
    call: SkillCall,
    email: str | None = None,
    phone: str | None = None,
    contact: Annotated[Any, Field(description="Instead: a contact, with its record_id or email")] = None,
    task: Annotated[str | None, Field(description="Instead: a task's id")] = None,
) -> Noted:  # fmt: skip
    """Return the note; the same call again adds nothing."""
    now = SYSTEM_CLOCK.now()
    if task is not None:
        database, row = TASKS, await task_named(call, task)
    else:
        database, row = PEOPLE, await _contact(call, email, phone, contact)
    written = noted(row["notes"], text, call.key, now)
    already = written == row["notes"]
    if not already:
        values: Record = {"notes": written}
        if database == PEOPLE:
            values["last_interaction"] = now
        await tables(call).of(database).save(call.entity, values, record=row["record_id"])
    return Noted(record_id=str(row["record_id"]), note=text, already=already)


async def _contact(call: SkillCall, email: str | None, phone: str | None, contact: Any) -> Row:
    if isinstance(contact, dict):
        if contact.get("record_id"):
            record = identifier("contact.record_id", str(contact["record_id"]))
            return await tables(call).of(PEOPLE).get(record, entity=call.entity)
        email, phone = email or contact.get("email"), phone or contact.get("phone")
    row = await people_of(call).find(call.entity, email=email, phone=phone)
    if row is None:
        raise NotFound(
            f"contact: nobody is known by {email or phone or 'that'}; save_contact first"
        )
    return row


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, list) else value
