"""Skills for tasks: what people have to do, created from templates and changed."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business import tasks as work
from higherself.business.data.rows import TASKS, Record, Row, noted, once, tables, task_named
from higherself.business.skills.following import HAPPENINGS, Happens
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import content_hash
from higherself.services.triggers import Happening


class Task(BaseModel):
    """A task as it is kept."""

    record_id: str
    task_id: str | None = None
    name: str | None = None
    status: str | None = None
    priority: str | None = None
    category: str | None = None
    due: str | None = None
    remind: str | None = None
    overdue: bool = False


@skill(
    description="Create a task for people, from a template or by its name; it appears in Notion.",
    idempotent=True,
    tags=("records", "tasks"),
)
async def create_task(
    call: SkillCall,
    template: Annotated[str | None, Field(description="A task template: lead_followup, ...")] = None,
    task_name: Annotated[str | None, Field(description="Its name; else the template's")] = None,
    description: Annotated[Any, Field(description="What it is about; added to the template's")] = None,
    category: str | None = None,
    priority: Literal["Low", "Medium", "High", "Urgent"] | None = None,
    due: Annotated[str | None, Field(description="2026-03-02T12:00:00Z, or 1d from now")] = None,
    minutes: Annotated[int | None, Field(ge=1, le=10_000)] = None,
    checklist: list[str] = [],  # noqa: B006  pydantic copies it
    tags: list[str] = [],  # noqa: B006
    assignee: Annotated[str | None, Field(description="Who it is for, in words")] = None,
    assigned_to: Annotated[list[str], Field(description="People of Notion, by their ids")] = [],  # noqa: B006
    contact: Annotated[Any, Field(description="Whom it is about: a contact, or an address")] = None,
    client: Annotated[Any, Field(description="The same, as some workflows call it")] = None,
    facts: Annotated[Record, Field(description="What the template's name has places for")] = {},  # noqa: B006
    severity: Annotated[int | None, Field(ge=1, le=4)] = None,
    depends_on: Annotated[list[str], Field(description="Tasks that have to be done first")] = [],  # noqa: B006
    source: Literal["Manual", "Workflow", "Agent", "System", "Integration"] | None = None,
) -> Task:  # fmt: skip
    """Return the task; the same call again makes no second one."""
    now = SYSTEM_CLOCK.now()
    about = contact if contact is not None else client
    made_of = _made_of(template, task_name, category)
    said = "\n\n".join(each for each in (made_of.description, _text(description)) if each)
    made_of = work.replaced(
        made_of,
        name=task_name,
        description=said,
        category=category,
        minutes=minutes,
        checklist=tuple(checklist),
        tags=tuple(tags),
        assignee=assignee,
    )
    vip = isinstance(about, dict) and "VIP" in (about.get("tags") or [])
    who = work.named(about)
    asked = work.wanted(
        made_of,
        {"who": who, "subject": None, "order": None, **facts},
        now=now,
        due=work.due_of(due, now),
        priority=priority,
        vip=vip,
        severity=severity,
    )
    values: Record = {
        "task_name": asked.name,
        "status": "To Do",
        "description": asked.text,
        "priority": asked.priority,
        "category": asked.category,
        "due_date": asked.due,
        "estimated_time": asked.minutes,
        "tags": list(asked.tags),
        "created_by": call.agent or call.workflow or "operator",
        "created_date": now,
        "source": source or ("Workflow" if call.instance else "Agent" if call.agent else "System"),
        "assigned_to": assigned_to,
        "notes": _about(about),
    }
    if call.instance:
        values["related_workflow_instance"] = [call.instance]
    if depends_on:
        values["dependencies"] = [
            str((await task_named(call, each))["record_id"]) for each in depends_on
        ]
    row = await once(call, TASKS, values)
    return _shown(row, now, remind=asked.remind)


@skill(
    description="Change a task: its status, priority, due time; note why.",
    idempotent=True,
    tags=("records", "tasks"),
)
async def update_task(
    task: Annotated[str, Field(min_length=1, description="Its TASK-... id, or its row's")],
    call: SkillCall,
    status: Literal["To Do", "In Progress", "On Hold", "Done", "Cancelled"] | None = None,
    priority: Literal["Low", "Medium", "High", "Urgent"] | None = None,
    due: Annotated[str | None, Field(description="2026-03-02T12:00:00Z, or 1d from now")] = None,
    note: Annotated[str | None, Field(description="Why; added to its notes")] = None,
) -> Task:
    """Return the task as it is then."""
    now = SYSTEM_CLOCK.now()
    row = await task_named(call, task)
    values: Record = {}
    if status is not None and status != row["status"]:
        values["status"] = status
        if status == "Done":
            values["completed_date"] = now
    if priority is not None:
        values["priority"] = priority
    if due is not None:
        values["due_date"] = work.due_of(due, now)
    if note:
        values["notes"] = noted(row["notes"], note, call.key, now)
    if values:
        values["last_edited_date"] = now
        table = tables(call).of(TASKS)
        row = await table.save(call.entity, values, record=row["record_id"])
    if status is not None:
        await _tell(call, row, now)
    return _shown(row, now)


async def _tell(call: SkillCall, row: Row, now: datetime) -> None:
    """Have what waits for a task hear how far it is; also on another attempt, which changes nothing."""
    instances = [str(each) for each in row["related_workflow_instance"]]
    others = [each for each in instances if each != call.instance]
    if not others or HAPPENINGS not in call.resources:
        return
    happens: Happens = call.resource(HAPPENINGS)
    data: Record = {"record": str(row["record_id"]), "status": row["status"], "instances": others}
    await happens.happened(
        Happening(
            type="task_changed",
            entity=call.entity,
            data=data,
            id=f"task/{row['record_id']}/{content_hash(call.key).hex()[:32]}",
            at=now,
            source=f"agent:{call.agent}" if call.agent else "operator",
            correlation=call.correlation or call.key,
        )
    )


def _made_of(template: str | None, name: str | None, category: str | None) -> work.TaskTemplate:
    if template is None:
        if not name:
            raise Rejected("give `template`, or `task_name`: a task has to be called something")
        return work.ad_hoc(name, category)
    if name and template not in work.templates():
        return work.ad_hoc(name, category)  # workflows of a business may have names of their own
    return work.template(template)


def _shown(row: Row, now: datetime, *, remind: datetime | None = None) -> Task:
    due = row["due_date"]
    return Task(
        record_id=str(row["record_id"]),
        task_id=row["task_id"],
        name=row["task_name"],
        status=row["status"],
        priority=row["priority"],
        category=row["category"],
        due=None if due is None else due.isoformat(),
        remind=None if remind is None else remind.isoformat(),
        overdue=work.overdue(due, row["status"], now),
    )


def _about(about: Any) -> str | None:
    if about in (None, "", {}):
        return None
    if isinstance(about, dict):
        said = [work.named(about), about.get("email"), about.get("phone"), about.get("contact_id")]
        return "Contact: " + ", ".join(dict.fromkeys(str(each) for each in said if each))
    return f"Contact: {about}"


def _text(value: Any) -> str:
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(f"- {_text(each)}" for each in value)
    if isinstance(value, dict):
        return "\n".join(f"{name}: {_text(each)}" for name, each in value.items())
    return str(value)
