"""What the reducers ask the shell to do. Frozen values; each is named, and counts once. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from higherself.agents.coordination.model import Target
from higherself.agents.coordination.state import Kind
from higherself.kernel.jsonvalue import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask an agent: for its work, a bid, its reaction, or to undo something.

    ``task`` names the asking; ``type`` is what the agent is asked to do. What comes after
    ``deadline`` is too late.
    """

    task: str
    step: str
    kind: Kind
    to: Target
    type: str
    data: JsonObject
    deadline: datetime
    attempt: int


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Nobody waits for this any more."""

    task: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Tell an agent that what it offered is not needed; ``task`` is the asking that it bid for.

    Said when all has ended: until then it may have to step in for whoever was chosen.
    """

    task: str
    agent: str
    type: str
    reason: str


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Send `TimerDue` at ``due_at``."""

    timer: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Nobody waits for this timer any more."""

    timer: str


@dataclass(frozen=True, slots=True)
class Escalate:
    """Have somebody with one of ``roles`` decide."""

    roles: tuple[str, ...]
    question: str
    data: JsonObject
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class End:
    """It has ended. ``type`` says of what kind the failure is."""

    status: Literal["completed", "failed", "cancelled"]
    outcome: JsonValue
    reason: str = ""
    type: str = ""


Command = Ask | CancelTask | Reject | SetTimer | CancelTimer | Escalate | End
