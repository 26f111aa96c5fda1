"""Collaborations as they are stored and shown. Frozen values. Pure."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from higherself.agents.coordination.model import Plan
from higherself.agents.coordination.state import ENDED, State
from higherself.kernel.jsonvalue import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Activity:
    """The activity of an instance that waits for a collaboration, and which attempt of it."""

    instance: UUID
    key: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One asking: who was meant, who was asked, and what became of it."""

    task: str
    step: str
    kind: str
    attempt: int
    wanted: str
    agent: str
    status: str
    error: str
    cost_micro_usd: int
    asked_at: datetime
    answered_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A collaboration as lists show it. ``question`` is what a person is asked, if one is."""

    id: UUID
    entity: str
    name: str
    pattern: str
    key: str | None
    status: str
    reason: str
    question: JsonObject | None
    instance: UUID | None
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collaboration(Listed):
    """A collaboration with everything that is known of it.

    ``outcome`` has the ``result`` of the pattern, the results of its ``steps``, and more by
    pattern; ``failure`` says of what kind a failure is.
    """

    outcome: JsonValue
    failure: str
    cost_micro_usd: int
    asked: tuple[Asked, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing can happen any more."""
        return self.status in ENDED

    @property
    def result(self) -> JsonValue:
        """What the pattern came to."""
        return self.outcome.get("result") if isinstance(self.outcome, dict) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Where a collaboration is, with what its next change needs. ``now`` is the server's clock."""

    id: UUID
    entity: str
    plan: Plan
    state: State
    sequence: int
    now: datetime
    correlation_id: str
    hop_count: int
    budget_micro_usd: int | None
    budget_tokens: int | None
    cost_micro_usd: int
    activity: Activity | None
