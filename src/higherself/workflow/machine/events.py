"""What can happen to an instance: the inputs of the machine. Frozen values that are JSON. Pure."""

from dataclasses import field
from typing import Literal, cast

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.kernel.values import value
from higherself.workflow.machine.codec import from_json, to_json


@value(frozen=True, slots=True)
class Started:
    """The instance begins. ``context`` comes on top of the definition's defaults."""

    context: JsonObject = field(default_factory=dict)


@value(frozen=True, slots=True)
class Received:
    """An event came from outside. The same ``id`` counts once; without one, every time.

    The machine remembers the latest 50 ids of an instance; the engine's store remembers them all.
    """

    name: str
    data: JsonObject = field(default_factory=dict)
    id: str | None = None


@value(frozen=True, slots=True)
class ActivityCompleted:
    """An activity, or a collaboration, ended well. ``key`` is its idempotency key."""

    key: str
    result: JsonValue = None
    agent: str | None = None
    milliseconds: float | None = None


@value(frozen=True, slots=True)
class ActivityFailed:
    """An attempt of an activity failed.

    ``types`` names the error's class first, then what it descends from; ``retryable`` says whether
    trying again can help at all.
    """

    key: str
    attempt: int
    message: str
    types: tuple[str, ...] = ()
    retryable: bool = True
    agent: str | None = None
    milliseconds: float | None = None


@value(frozen=True, slots=True)
class ActivityTimedOut:
    """An attempt of an activity took longer than it may."""

    key: str
    attempt: int
    agent: str | None = None


@value(frozen=True, slots=True)
class TimerDue:
    """A timer that was set has become due."""

    timer: str


@value(frozen=True, slots=True)
class Decided:
    """A person decided. ``approval`` is its key; None means the one that waits."""

    outcome: Literal["approved", "rejected"]
    by: str
    roles: tuple[str, ...] = ()
    comment: str = ""
    approval: str | None = None


@value(frozen=True, slots=True)
class ChildFinished:
    """A sub-workflow ended, in ``state``, with ``context``. ``key`` is what it was started with."""

    key: str
    status: Literal["completed", "cancelled"]
    state: str
    context: JsonObject


@value(frozen=True, slots=True)
class Paused:
    """Nothing is to happen until the instance is resumed; what comes meanwhile is kept."""

    by: str = ""


@value(frozen=True, slots=True)
class Resumed:
    """A paused instance goes on."""

    by: str = ""


@value(frozen=True, slots=True)
class Cancelled:
    """The instance is to end; what it did is compensated, last first."""

    reason: str
    by: str = ""


@value(frozen=True, slots=True)
class Retried:
    """A person has the instance go on where it failed, or from ``state``.

    ``context`` is the whole context, edited. What failed is then asked for anew, under a new key.
    """

    state: str | None = None
    context: JsonObject | None = None
    by: str = ""


Event = (
    Started
    | Received
    | ActivityCompleted
    | ActivityFailed
    | ActivityTimedOut
    | TimerDue
    | Decided
    | ChildFinished
    | Paused
    | Resumed
    | Cancelled
    | Retried
)

DEADLINE = "deadline"
"""The timer of an instance's deadline."""


def event_to_json(event: Event) -> JsonObject:
    """Return ``event`` as JSON."""
    return cast("JsonObject", to_json(event, Event))


def event_from_json(data: JsonObject) -> Event:
    """Return the event that ``data`` is."""
    return cast("Event", from_json(Event, data))
