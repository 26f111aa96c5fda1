"""A plan: who is asked what, in which pattern, and what is done when somebody fails. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Literal, get_args

from higherself.kernel.jsonvalue import JsonObject

Pattern = Literal["request", "publish", "delegate", "concurrent", "chain", "handoff", "escalation"]
PATTERNS: tuple[str, ...] = get_args(Pattern)

OnFailure = Literal["fail", "ignore", "retry", "substitute"]
Join = Literal["all", "first"] | int

DEADLINE = timedelta(days=1)
"""How long a collaboration may take whose plan does not say."""

WINDOW = timedelta(seconds=30)
"""How long bids and reactions are collected if the plan does not say."""

RETRIES = 3
"""How often somebody is asked, in all, with ``on_failure: retry``."""


@dataclass(frozen=True, slots=True)
class Target:
    """Who is meant: an agent by name, or whoever has a role or a capability."""

    name: str | None = None
    role: str | None = None
    capability: str | None = None
    entity: str | None = None

    def __str__(self) -> str:
        if self.name is not None:
            return self.name
        said = (("role", self.role), ("capability", self.capability), ("entity", self.entity))
        return ", ".join(f"{word} {value}" for word, value in said if value is not None)


@dataclass(frozen=True, slots=True)
class Compensation:
    """What undoes a step. Without ``agent`` it is whoever did it; it is told the `result`."""

    task: str
    agent: Target | None = None
    input: JsonObject = field(default_factory=dict)
    timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one agent is asked.

    ``attempts`` counts askings of the same agent, ``backoff`` is the wait after the first and
    doubles; then those in ``substitute`` are asked, in order. ``on_failure`` None means what is
    usual in the pattern. With ``hedge``, somebody else is asked as well when so much time has
    passed without an answer, and the first answer counts.
    """

    id: str
    agent: Target
    task: str
    input: JsonObject = field(default_factory=dict)
    timeout: timedelta | None = None
    on_failure: OnFailure | None = None
    attempts: int = 1
    backoff: timedelta = timedelta(seconds=1)
    substitute: tuple[Target, ...] = ()
    compensate: Compensation | None = None
    hedge: timedelta | None = None


@dataclass(frozen=True, slots=True)
class People:
    """Who decides when no agent could; without an answer in time the collaboration fails."""

    roles: tuple[str, ...]
    question: str = ""
    timeout: timedelta = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Preference:
    """What counts how much when bids are compared."""

    price: float = 1.0
    time: float = 1.0
    confidence: float = 1.0


@dataclass(frozen=True)
class Plan:
    """A collaboration to be. ``name`` is what its figures are kept under.

    ``join`` and ``at_once`` (how many branches are under way at a time) are about `concurrent`,
    ``window`` and ``least`` (so many bids or reactions are needed) about `delegate` and `publish`,
    ``prefer`` about `delegate`, ``hops`` about `handoff`, ``people`` about `escalation`.
    """

    pattern: Pattern
    steps: tuple[Step, ...]
    name: str = ""
    input: JsonObject = field(default_factory=dict)
    deadline: timedelta = DEADLINE
    join: Join = "all"
    at_once: int | None = None
    window: timedelta = WINDOW
    least: int = 0
    prefer: Preference = Preference()
    hops: int = 5
    people: People | None = None

    @cached_property
    def by_id(self) -> Mapping[str, Step]:
        """The steps, by what they are called."""
        return {step.id: step for step in self.steps}

    @property
    def needed(self) -> int:
        """How many branches of `concurrent` have to end well."""
        if self.join == "all":
            return len(self.steps)
        return 1 if self.join == "first" else self.join
