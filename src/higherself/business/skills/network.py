"""Skills of the network itself: sequences of several agents, and how engaged somebody is."""

from collections.abc import Mapping
from typing import Annotated, Any, Protocol
from uuid import UUID

from pydantic import BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business import sequences
from higherself.business.insight import engagement
from higherself.kernel.errors import Rejected

COLLABORATIONS = "collaborations"
"""The resource of a `SkillCall` that has agents work together."""


class Collaborating(Protocol):
    """Has agents work together (`services.collaboration.Collaborations`)."""

    async def start(
        self, plan: Mapping[str, Any], input: Any, *, entity: str, key: str, correlation: str | None
    ) -> UUID:
        """Begin, once for a key, and return the identifier."""
        ...


class Begun(BaseModel):
    """A sequence of several agents that goes on by itself, and the steps that it has."""

    sequence: str
    collaboration: str
    steps: list[str]


@skill(
    description="Begin a named sequence of several agents, once for a conversation.",
    effects="write",
    idempotent=True,
    tags=("network",),
)
async def run_sequence(
    name: Annotated[str, Field(description="lead_to_booking, content_lifecycle, retreat_booking")],
    call: SkillCall,
    data: dict[str, Any] = {},  # noqa: B006  pydantic copies it
    done: Annotated[str | None, Field(description="A step that was done: go on after it")] = None,
    previous: Annotated[Any, Field(description="What that step came to")] = None,
    conversation: Annotated[str | None, Field(description="It begins once for each")] = None,
) -> Begun:
    """Begin a sequence. Asked for again in the same conversation, it is the one that runs already."""
    sequence = sequences.sequence(name)
    plan = sequences.plan(sequence, done=done)
    if plan is None:
        raise Rejected(f"after {done} nothing is left of the sequence {name}")
    collaborations: Collaborating = call.resource(COLLABORATIONS)
    talk = conversation or call.correlation or call.key
    given = sequences.given(data, previous)
    id = await collaborations.start(
        plan, given, entity=call.entity, key=f"sequence/{name}/{talk}"[:500], correlation=talk
    )
    return Begun(
        sequence=name, collaboration=str(id), steps=[str(each["task"]) for each in plan["steps"]]
    )


class Engagement(BaseModel):
    """How engaged somebody is, and what that is made of."""

    score: int
    level: str
    reasons: list[dict[str, Any]]
    unknown: list[str]


@skill(
    description="Say how engaged somebody is, by the rules of the business: what they did, how often, who they are.",
    effects="read",
    tags=("insight",),
)
def rate_engagement(
    member: Annotated[
        dict[str, Any],
        Field(description="{activities: {post: 3, ...}, active_days, days, roles, tier}"),
    ],
    call: SkillCall,
) -> Engagement:
    """Return the score, with the reasons."""
    found = engagement.rated(member, engagement.rules(call.entity))
    return Engagement(
        score=found.score,
        level=found.level,
        reasons=[{"points": each.points, "because": each.because} for each in found.reasons],
        unknown=list(found.unknown),
    )
