"""Where a collaboration is. Frozen values that are JSON. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, cast

from higherself.agents.coordination.model import Target
from higherself.kernel.codec import from_json, to_json
from higherself.kernel.jsonvalue import JsonObject, JsonValue

Status = Literal["new", "running", "undoing", "completed", "failed", "cancelled"]
ENDED: tuple[Status, ...] = ("completed", "failed", "cancelled")

Kind = Literal["work", "bid", "reaction", "undo"]

TaskStatus = Literal[
    "planned", "asked", "answered", "failed", "refused", "late", "away", "passed", "cancelled"
]
"""``planned``: to be asked when its timer is due. ``late``: it took too long. ``away``: nobody was
there. ``passed``: its owner handed it on."""


@dataclass(frozen=True, slots=True)
class Task:
    """One asking. ``place`` is 0 for the agent of the step, then counts its substitutes.

    ``looks`` counts how often nobody was there.
    """

    step: str
    kind: Kind
    agent: Target
    status: TaskStatus
    place: int = 0
    attempt: int = 1
    looks: int = 0
    by: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A bid that was made."""

    agent: str
    price: float
    seconds: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why it ends badly."""

    status: Literal["failed", "cancelled"]
    reason: str
    type: str


@dataclass(frozen=True, slots=True)
class State:
    """Everything about a collaboration at one moment.

    ``done`` are the steps that came to a result, in the order of their ends, and ``results`` what
    they came to; ``lost`` those that were given up, with the reason. ``queue`` are branches that
    have not begun, ``owners`` all that had it, ``handed`` what the last one passed on.
    ``undo`` are the steps to be undone, the next one first; ``trouble`` is why.
    """

    status: Status = "new"
    tasks: Mapping[str, Task] = field(default_factory=dict)
    timers: Mapping[str, datetime] = field(default_factory=dict)
    results: Mapping[str, JsonValue] = field(default_factory=dict)
    done: tuple[str, ...] = ()
    lost: Mapping[str, str] = field(default_factory=dict)
    queue: tuple[str, ...] = ()
    offers: Mapping[str, Offer] = field(default_factory=dict)
    awarded: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    handed: JsonObject = field(default_factory=dict)
    undo: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    trouble: Trouble | None = None
    deadline: datetime | None = None
    asks_people: bool = False

    def to_json(self) -> JsonObject:
        """Return all of it as JSON."""
        return cast("JsonObject", to_json(self))

    @classmethod
    def from_json(cls, data: JsonObject) -> "State":
        """Return the state that ``data`` is."""
        return cast("State", from_json(cls, data))


NEW = State()
