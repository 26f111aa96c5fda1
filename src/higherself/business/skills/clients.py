"""Skills that look at one client: how far they have come, to which segments they belong; and at tasks."""

from collections import Counter
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.campaigns.criteria import criteria
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Rejected

RECORDS = "records"
STAGES = ("unknown", "contact", "engaged", "client", "loyal")
OPEN = ("To Do", "In Progress", "On Hold")


class Journey(BaseModel):
    """How far somebody has come with the business, and what was found of them."""

    email: str
    stage: str
    since: str | None
    status: str | None
    feedback: int
    member: dict[str, Any] | None


@skill(
    description="Say how far a client has come: contact, community, feedback.",
    effects="read",
    tags=("clients",),
)
async def journey_of(
    email: Annotated[str, Field(min_length=3, max_length=320)], call: SkillCall
) -> Journey:
    """Return what the rows of the business say of them."""
    found = await _contact(call, email)
    if found is None:
        return Journey(
            email=email,
            stage="unknown",
            since=None,
            status=None,
            feedback=0,
            member=None,
        )
    record = str(found["record_id"])
    members = await _rows(call, "community_members", {"member_email": found["email"]})
    feedback = await _rows(call, "feedback_surveys", {"contact": [record]})
    status = found.get("status")
    member = members[0] if members else None
    stage = _stage(str(status or ""), member is not None, len(feedback))
    return Journey(
        email=email,
        stage=stage,
        since=_text(found.get("created_at")),
        status=status,
        feedback=len(feedback),
        member=None
        if member is None
        else {
            "level": member.get("membership_level"),
            "score": member.get("engagement_score"),
            "last_active": _text(member.get("last_active_date")),
        },
    )


def _stage(status: str, is_member: bool, feedback: int) -> str:
    low = status.lower()
    if "client" in low and "potential" not in low:
        return "loyal" if is_member and feedback else "client"
    return "engaged" if is_member or feedback or "qualified" in low else "contact"


class Matched(BaseModel):
    """The segments that somebody belongs to."""

    segments: list[str]


@skill(
    description="Say to which audience segments a contact belongs.",
    effects="read",
    tags=("clients",),
)
async def match_segments(
    email: Annotated[str, Field(min_length=3, max_length=320)], call: SkillCall
) -> Matched:
    """Return their names, of those that are active."""
    found = await _contact(call, email)
    if found is None:
        return Matched(segments=[])
    listed: Any = await call.skill("list_segments")
    contact = {name: _plain(value) for name, value in found.items() if value is not None}
    names = []
    for each in listed["segments"]:
        try:
            if criteria(each["criteria"], now=SYSTEM_CLOCK.now())(contact):
                names.append(str(each["name"]))
        except Rejected:
            continue  # one that cannot be read matches nobody
    return Matched(segments=names)


class Task(BaseModel):
    """A task, as a list shows it."""

    record_id: str
    task_id: str | None
    task_name: str | None
    status: str | None
    priority: str | None
    due: str | None


class Tasks(BaseModel):
    """Tasks; how many are open and overdue among all, and how many have which status."""

    tasks: list[Task]
    open: int
    overdue: int
    by_status: dict[str, int]


@skill(
    description="Find tasks of the business by status, name or number, and count them.",
    effects="read",
    tags=("tasks",),
)
async def find_tasks(
    call: SkillCall,
    text: str = "",
    task_id: str = "",
    status: list[str] = [],  # noqa: B006  pydantic copies it
    limit: Annotated[int, Field(ge=1, le=500)] = 50,
) -> Tasks:
    """Return the tasks, what is due first before the rest."""
    rows = (
        await call.resource(RECORDS)
        .of("tasks")
        .find(
            {"task_id": task_id} if task_id else {},
            entity=call.entity,
            text=text or None,
            limit=5_000,
        )
    )
    now = SYSTEM_CLOCK.now()
    fitting = [row for row in rows if not status or row["status"] in status]
    fitting.sort(key=lambda row: (row["due_date"] is None, row["due_date"] or now))
    is_open = [row for row in rows if row["status"] in (None, *OPEN)]
    return Tasks(
        tasks=[
            Task(
                record_id=str(row["record_id"]),
                task_id=row["task_id"],
                task_name=row["task_name"],
                status=row["status"],
                priority=row["priority"],
                due=_text(row["due_date"]),
            )
            for row in fitting[:limit]
        ],
        open=len(is_open),
        overdue=sum(row["due_date"] is not None and row["due_date"] < now for row in is_open),
        by_status=dict(Counter(str(row["status"] or "none") for row in rows)),
    )


async def _contact(call: SkillCall, email: str) -> dict[str, Any] | None:
    for written in dict.fromkeys((email.strip(), email.strip().lower())):
        rows = await _rows(call, "contacts_profiles", {"email": written})
        if rows:
            return dict(rows[0])
    return None


async def _rows(call: SkillCall, database: str, where: dict[str, Any]) -> list[Any]:
    found: list[Any] = (
        await call.resource(RECORDS).of(database).find(where, entity=call.entity, limit=100)
    )
    return found


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _text(value: Any) -> str | None:
    return (
        value.isoformat() if isinstance(value, datetime) else None if value is None else str(value)
    )
