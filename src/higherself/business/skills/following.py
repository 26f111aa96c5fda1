"""Skills by which workflows go on with others: telling what happened, and the next step of a sequence."""

from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import AwareDatetime, BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.contact_sequences import Wanted
from higherself.business.contact_sequences import next_step as step_after
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.services.outcomes import Outcome
from higherself.services.triggers import Happening

HAPPENINGS = "happenings"
"""The resource of a `SkillCall` that takes in what happens."""


class Happens(Protocol):
    """Takes in what happens."""

    async def happened(self, happening: Happening) -> Outcome:
        """Have it done what follows."""
        ...


class Announced(BaseModel):
    """What came of an announcement: what it started and told."""

    happening: str
    status: str
    started: list[dict[str, Any]]
    sent: list[dict[str, Any]]


@skill(
    description="Tell that something has happened (lead_captured, task_needed, ...): agents hear of it, "
    "workflows start or are told.",
    idempotent=True,
    tags=("workflow",),
)
async def announce(
    type: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{1,99}$", description="What happened")],
    call: SkillCall,
    data: Annotated[dict[str, Any], Field(description="contact, and what else is known")] = {},  # noqa: B006
    id: Annotated[str | None, Field(max_length=250, description="What names it once and for all")] = None,
) -> Announced:  # fmt: skip
    """Return what followed; the same call again tells nothing twice."""
    happens: Happens = call.resource(HAPPENINGS)
    by = f"workflow:{call.workflow}" if call.workflow else f"agent:{call.agent or 'operator'}"
    outcome = await happens.happened(
        Happening(
            type=type,
            entity=call.entity,
            data=data,
            id=id or f"skill/{call.key}",
            at=SYSTEM_CLOCK.now(),
            source=by,
            correlation=call.correlation or call.key,
        )
    )
    said = outcome.to_json()
    return Announced.model_validate({name: said[name] for name in Announced.model_fields})


class NextStep(BaseModel):
    """The step that comes next: what is to be done, and when. ``done``: there is none left."""

    done: bool
    number: int
    at: str | None = None
    do: Literal["email", "task", "notify", ""] = ""
    template: str | None = None
    subject: str | None = None
    text: str | None = None
    urgent: bool = False
    left: int = 0


@skill(
    description="Say which step of a sequence of contact comes next, and when: by the sequence's name, "
    "its steps, or days of following up.",
    effects="pure",
    tags=("workflow", "contacts"),
)
def next_step(
    taken: Annotated[int, Field(ge=0, description="Steps that are done")],
    since: Annotated[AwareDatetime, Field(description="When the sequence began")],
    sequence: str | None = None,
    steps: list[dict[str, Any]] = [],  # noqa: B006  pydantic copies it
    days: list[float] = [],  # noqa: B006
    now: Annotated[
        AwareDatetime | None, Field(description="Pass over what is long overdue")
    ] = None,
) -> NextStep:
    """Return the next step, or that there is none."""
    due = step_after(
        Wanted(sequence=sequence, steps=steps, days=days).read(), taken, since, now=now
    )
    if due is None:
        return NextStep(done=True, number=taken)
    at: datetime = due.at
    step = due.step
    return NextStep(
        done=False,
        number=due.number,
        at=at.isoformat(),
        do=step.do,
        template=step.template,
        subject=step.subject,
        text=step.text,
        urgent=step.urgent,
        left=due.left,
    )
