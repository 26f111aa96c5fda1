"""Where an instance is: frozen values that are JSON. Pure."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Literal, cast
from uuid import UUID

from higherself.kernel.ids import InstanceId
from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.kernel.values import value
from higherself.workflow.definition.model import WorkflowDefinition
from higherself.workflow.machine.codec import from_json, to_json
from higherself.workflow.machine.events import Event

Status = Literal["running", "waiting", "paused", "completed", "failed", "cancelled"]
FINISHED: tuple[Status, ...] = ("completed", "cancelled")
"""Nothing can happen any more. What has failed can be retried, so it is not among them."""

Phase = Literal["entering", "working", "open", "leaving", "ended", "lost"]
"""What a region is about in its state.

``entering``: the entry activities run. ``working``: the state's work is under way. ``open``: that
has ended, and a transition is awaited. ``leaving``: exit activities and those of a transition run.
``ended``: a final state was reached. ``lost``: a branch failed, and the join can do without it.
"""


@value(frozen=True, slots=True)
class Position:
    """Where one region is.

    ``entered`` is the sequence with which the state was entered. ``event`` is what expressions
    read as `event`: the data of what led here, or of how the work ended. ``agenda`` are the
    activities to be run before anything else, the first one under ``running`` if it was asked
    for. ``work`` is the key of the state's own work while it is under way. ``to`` is where it
    goes when the agenda is done. ``unmet`` says why no automatic transition was taken.
    """

    state: str
    entered: int
    entered_at: datetime
    phase: Phase
    event: JsonObject = field(default_factory=dict)
    agenda: tuple[str, ...] = ()
    running: str | None = None
    work: str | None = None
    to: str | None = None
    unmet: str = ""


@value(frozen=True, slots=True)
class Pending:
    """Something that was asked for and has not ended, named by its key.

    ``attempt`` counts all attempts, ``tries`` those since a person last intervened. ``due_at``
    is when the attempt may begin, ``error`` why the one before failed.
    """

    kind: Literal["activity", "collaboration", "approval", "child"]
    region: str
    activity: str
    input: JsonValue = None
    attempt: int = 1
    tries: int = 1
    due_at: datetime | None = None
    error: str = ""


@value(frozen=True, slots=True)
class Timer:
    """What becomes due, in which region; ``path`` is that in its state."""

    region: str
    path: str
    due_at: datetime


@value(frozen=True, slots=True)
class Undo:
    """A compensation that may be needed, with the input it had when there was something to undo."""

    region: str
    activity: str
    input: JsonValue


@value(frozen=True, slots=True)
class Failure:
    """Why an instance cannot go on by itself. ``key`` is that of the activity that failed, if any.

    ``again`` says that the state is to be entered anew when it is retried.
    """

    region: str
    state: str
    type: str
    message: str
    key: str | None = None
    again: bool = False


@value(frozen=True, slots=True)
class Parent:
    """The instance that started this one, and under which key."""

    instance: UUID
    key: str


@value(frozen=True, slots=True)
class Snapshot:
    """Everything about an instance at one moment. ``sequence`` is that of its last history entry.

    ``positions`` are by region, those of branches only while they run; ``visits`` are counted of
    states that have a limit. ``kept`` are events that
    wait until the instance can take them, ``seen`` the ids of the latest 50 events (`MOST_SEEN`):
    an id among them is not counted again, and older ones the store remembers.
    """

    instance: InstanceId
    workflow: str
    version: int
    entity: str
    status: Status = "waiting"
    sequence: int = 0
    started_at: datetime | None = None
    context: JsonObject = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict)
    visits: Mapping[str, int] = field(default_factory=dict)
    timers: Mapping[str, Timer] = field(default_factory=dict)
    pending: Mapping[str, Pending] = field(default_factory=dict)
    undo: tuple[Undo, ...] = ()
    kept: tuple[Event, ...] = ()
    seen: tuple[str, ...] = ()
    failure: Failure | None = None
    cancelling: str | None = None
    parent: Parent | None = None

    @property
    def state(self) -> str:
        """The state of the workflow itself; empty before it has started."""
        position = self.positions.get("")
        return position.state if position else ""

    @property
    def finished(self) -> bool:
        """Whether nothing can happen any more."""
        return self.status in FINISHED

    def to_json(self) -> JsonObject:
        """Return all of it as JSON."""
        return cast("JsonObject", to_json(self))

    @classmethod
    def from_json(cls, data: JsonObject) -> "Snapshot":
        """Return the snapshot that ``data`` is."""
        return cast("Snapshot", from_json(cls, data))


def new_instance(
    definition: WorkflowDefinition,
    *,
    instance: InstanceId,
    entity: str,
    parent: Parent | None = None,
) -> Snapshot:
    """Return an instance that has not started; `Started` is the first thing to happen to it."""
    return Snapshot(instance, definition.name, definition.version, entity, parent=parent)
