"""Skills on the knowledge of the business: find what is known about a topic, and add a text to it."""

from typing import Annotated, Any, Protocol

from pydantic import BaseModel, Field

from higherself.agents.ports import Made, Passages
from higherself.agents.skills import SkillCall, skill

KNOWLEDGE = "knowledge_store"
"""The resource of a `SkillCall` that searches the knowledge hub, and takes texts in."""

WORKFLOWS = "workflow"
"""The author of texts that no agent has made."""


class Knowledge(Protocol):
    """Searches the knowledge of a business, and takes in what is made."""

    async def search(self, query: str, *, entity: str, limit: int, tags: Any = ()) -> Passages:
        """Return the passages that answer ``query``."""
        ...

    async def remember(self, made: Made) -> Any:
        """Store a text, embedded, and return its identifier."""
        ...


class Found(BaseModel):
    """A passage of the business's knowledge, and where it is from."""

    number: int
    title: str
    text: str
    source: str
    trust: str
    document: str


class Research(BaseModel):
    """What is known about a topic. ``degraded``: less was searched than usual, ``reason`` says why."""

    topic: str
    passages: list[Found]
    count: int
    degraded: bool
    reason: str | None


@skill(
    description="Find what the business knows about a topic: passages, each with its source.",
    effects="read",
    tags=("knowledge",),
)
async def research_topic(
    topic: Annotated[str, Field(min_length=1, max_length=2_000)],
    call: SkillCall,
    limit: Annotated[int, Field(ge=1, le=20)] = 5,
    tags: list[str] = [],  # noqa: B006  pydantic copies it
) -> Research:
    """Return passages of this business alone, best first."""
    knowledge: Knowledge = call.resource(KNOWLEDGE)
    found = await knowledge.search(topic, entity=call.entity, limit=limit, tags=tags)
    passages = [
        Found(
            number=each.number,
            title=each.title,
            text=each.quote,
            source=each.source,
            trust=each.trust,
            document=str(each.document),
        )
        for each in found.citations
        if not each.local_only
    ]
    return Research(
        topic=topic,
        passages=passages,
        count=len(passages),
        degraded=found.degraded,
        reason=found.reason,
    )


class Kept(BaseModel):
    """A text that is part of the business's knowledge now."""

    document: str
    title: str


@skill(
    description="Add a text to the knowledge of the business, embedded; the same name replaces it.",
    effects="write",
    idempotent=True,
    tags=("knowledge",),
)
async def add_knowledge(
    title: Annotated[str, Field(min_length=1, max_length=500)],
    text: Annotated[str, Field(min_length=1, max_length=500_000)],
    call: SkillCall,
    name: Annotated[str | None, Field(description="Default: one of its own for this run")] = None,
    tags: list[str] = [],  # noqa: B006
    metadata: dict[str, Any] = {},  # noqa: B006
) -> Kept:
    """Keep the text, marked as made by a machine, with the workflow that it came from."""
    knowledge: Knowledge = call.resource(KNOWLEDGE)
    made = Made(
        entity=call.entity,
        agent=call.agent or WORKFLOWS,
        name=name or call.key,
        title=title,
        text=text,
        tags=tuple(tags),
        local_only=False,
        provenance={
            **metadata,
            "workflow": call.workflow,
            "instance": call.instance,
            "state": call.state,
            "correlation": call.correlation,
        },
    )
    return Kept(document=str(await knowledge.remember(made)), title=title)
