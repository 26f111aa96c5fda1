"""What can happen to a collaboration: the inputs of the reducers. Frozen values. Pure.

``task`` names an asking, as `Ask` did. What nobody waits for any more changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from higherself.agents.coordination.model import Target
from higherself.kernel.jsonvalue import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Started:
    """It begins. ``audience`` names, by step, all agents that its target stands for just now."""

    audience: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answered:
    """An agent did what it was asked."""

    task: str
    result: JsonValue = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """An agent could not do it. ``again`` says whether asking once more can help."""

    task: str
    reason: str
    again: bool = True
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """An agent will not do it: it is no use to ask that one again."""

    task: str
    reason: str = ""
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """There is nobody just now who could be asked."""

    task: str
    reason: str


@dataclass(frozen=True, slots=True)
class Bid:
    """An agent offers to do it: at what price, in how many seconds, how sure (0 to 1) it is."""

    task: str
    agent: str
    price: float = 0.0
    seconds: float = 0.0
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class HandedOff:
    """An agent passes the ownership on. Without ``to``, to the next of the plan."""

    task: str
    to: Target | None = None
    reason: str = ""
    data: JsonValue = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class TimerDue:
    """A timer that was set is due."""

    timer: str


@dataclass(frozen=True, slots=True)
class PersonAnswered:
    """A person decided."""

    outcome: Literal["approved", "rejected"]
    by: str
    data: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Nobody wants its outcome any more; what was done is undone."""

    reason: str


Event = (
    Started
    | Answered
    | Failed
    | Refused
    | Unreachable
    | Bid
    | HandedOff
    | TimerDue
    | PersonAnswered
    | Cancelled
)
