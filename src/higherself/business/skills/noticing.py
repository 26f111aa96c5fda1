"""A skill that lets people know of something: one task that comes back, instead of many."""

from typing import Annotated

from pydantic import BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.kernel.clock import SYSTEM_CLOCK

RECORDS, TASKS = "records", "tasks"


class Notice(BaseModel):
    """The task by which people know."""

    record: str
    about: str


@skill(
    description="Let people know of something: a task in their list; told again, the same one is open again.",
    effects="write",
    idempotent=True,
    tags=("tasks",),
)
async def notify(
    about: Annotated[str, Field(max_length=500, description="What it is about; names the task")],
    text: Annotated[str, Field(min_length=1, max_length=5_000)],
    call: SkillCall,
) -> Notice:
    """Save the task; of the same workflow instance (or agent) and about the same there is one."""
    now = SYSTEM_CLOCK.now()
    asked_by = call.instance or call.agent or call.workflow or "operator"
    values = {
        "task_name": (about or text)[:200],
        "description": text,
        "status": "To Do",
        "priority": "Low",
        "category": "Admin",
        "created_by": call.agent or call.workflow or "operator",
        "last_edited_date": now,
        "source": "Workflow" if call.instance else "Agent" if call.agent else "System",
    }
    row = await call.resource(RECORDS).of(TASKS).save(
        call.entity, values, key=f"notice/{asked_by}/{about}"[:400]
    )  # fmt: skip
    return Notice(record=str(row["record_id"]), about=about)
