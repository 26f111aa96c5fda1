"""Skills that ask people: to review a text before it goes out, to see to what no agent may or can answer."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol
from uuid import UUID

from pydantic import BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.support.triage import ANSWER_WITHIN, Severity
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.services.human_task import Asking, HumanTask

HUMAN_TASKS = "human_tasks"
"""The resource by which skills ask people."""

REVIEW_WITHIN = timedelta(days=2)


class Asks(Protocol):
    """Asks people (`services.human_tasks.HumanTasks`)."""

    async def ask(self, asking: Asking) -> HumanTask:
        """Store what is asked, once for its key."""
        ...


class Submitted(BaseModel):
    """A text in the review queue. ``task``: its row among the tasks, where people decide in Notion."""

    review: str
    status: str
    task: str | None


class Escalated(BaseModel):
    """A request that a person has now. ``due``: until when they should answer."""

    ticket: str
    task: str | None
    due: str | None


@skill(
    description="Put a text into the review queue; the decision comes back as `content_reviewed`.",
    idempotent=True,
    tags=("people", "content"),
)
async def submit_review(
    title: Annotated[str, Field(min_length=1, max_length=500)],
    text: Annotated[str, Field(min_length=1, max_length=200_000)],
    call: SkillCall,
    content_type: Annotated[str, Field(description="blog_post, email, ...")] = "",
    source: Annotated[str | None, Field(description="Who made it; default: who asks")] = None,
    document: Annotated[str | None, Field(description="Where it is kept in the hub")] = None,
    citations: Annotated[list[Any], Field(description="What it rests on")] = [],  # noqa: B006
    roles: Annotated[list[str], Field(description="Who may approve it; none: everybody")] = [],  # noqa: B006
    severity: Annotated[int, Field(ge=1, le=4)] = 2,
    due: datetime | None = None,
) -> Submitted:
    """Return the review."""
    details = {"content_type": content_type, "document": document, "citations": citations}
    found = await _asks(call).ask(
        Asking(
            kind="review",
            entity=call.entity,
            key=call.key,
            title=title,
            text=text,
            details=details,
            roles=tuple(roles),
            severity=severity,
            source=source or _who(call),
            instance=_instance(call),
            correlation=call.correlation,
            due_at=due or SYSTEM_CLOCK.now() + REVIEW_WITHIN,
        )
    )
    return Submitted(review=found.ticket, status=found.status, task=_record(found))


@skill(
    description="Hand a request to a person, with everything said and tried; the answer comes back.",
    idempotent=True,
    tags=("people", "support"),
)
async def escalate_to_person(
    reason: Annotated[str, Field(min_length=1, description="What a person should decide or do")],
    call: SkillCall,
    subject: Annotated[str, Field(max_length=500)] = "A request",
    severity: Annotated[int, Field(ge=1, le=4)] = 2,
    contact: Annotated[dict[str, Any] | None, Field(description="Whom it is about")] = None,
    history: Annotated[list[Any], Field(description="What was said: who, text, at")] = [],  # noqa: B006
    attempts: Annotated[list[Any], Field(description="What was tried, and why that is not enough")] = [],  # noqa: B006
    details: Annotated[dict[str, Any] | None, Field(description="What else helps")] = None,
    role: Annotated[str | None, Field(description="Whose work it is: support, owner")] = None,
) -> Escalated:  # fmt: skip
    """Return the ticket; who answers is noted, and an instance hears `escalation_answered`."""
    kind: Severity = severity  # type: ignore[assignment]  # the field above says so
    found = await _asks(call).ask(
        Asking(
            kind="escalation",
            entity=call.entity,
            key=call.key,
            title=subject or "A request",
            text=reason,
            details={
                **(details or {}),
                "contact": contact,
                "history": history,
                "attempts": attempts,
            },
            severity=severity,
            source=_who(call),
            instance=_instance(call),
            correlation=call.correlation,
            assignee=role,
            due_at=SYSTEM_CLOCK.now() + ANSWER_WITHIN[kind],
        )
    )
    due = found.asked.due_at
    return Escalated(
        ticket=found.ticket, task=_record(found), due=None if due is None else due.isoformat()
    )


def _asks(call: SkillCall) -> Asks:
    found: Asks = call.resource(HUMAN_TASKS)
    return found


def _who(call: SkillCall) -> str:
    return call.agent or call.workflow or "operator"


def _instance(call: SkillCall) -> UUID | None:
    return None if call.instance is None else UUID(call.instance)


def _record(found: HumanTask) -> str | None:
    return None if found.task_record is None else str(found.task_record)
