"""What the engine hands out: instances, pages of them, and what a step is to be stored with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from higherself.kernel.ids import InstanceId
from higherself.kernel.jsonvalue import JsonObject
from higherself.messaging.envelope import MessageId
from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.machine import HistoryEntry, Snapshot, Step
from higherself.workflow.machine.snapshot import Status

ACTIVITIES, SIGNALS = "workflow.activity", "workflow.signal"
"""The topics of the engine's own messages: work that takes long, and what moves instances on."""

COLLABORATIONS = "collaboration"
"""The topic on which collaborations hear that nobody waits for them any more."""

WaitsFor = Literal["activity", "approval", "child", "event", "guard", "person", "timer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance as lists show it. ``reason`` says what it waits for, or how it ended.

    ``obstacle`` says why what it asks for cannot be done just now, if that is so.
    """

    instance: InstanceId
    workflow: str
    version: int
    entity: str
    key: str | None
    status: Status
    state: str
    sequence: int
    reason: str
    waits_for: WaitsFor | None
    parent: UUID | None
    started_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    def to_json(self) -> dict[str, Any]:
        """Return it as the edges show it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """An instance with everything that is known of it."""

    instance: Instance
    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which instances a list is to have; what is not given leaves none out."""

    status: Status | None = None
    workflow: str | None = None
    state: str | None = None
    entity: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, the latest first. ``next`` is where the next part begins.

    ``total`` counts up to a limit; ``counted_all`` says whether that was enough.
    """

    instances: tuple[Instance, ...]
    total: int
    next: InstanceId | None
    counted_all: bool = True


@dataclass(frozen=True, slots=True)
class Handled:
    """The message that led to a step. It ends with the step, unless it ``goes_on`` as what follows."""

    message: MessageId
    lease: int
    correlation_id: str
    goes_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A step that is to be stored, and how.

    ``key`` is that of an instance which begins, ``digest`` the hash of the definition that it
    begins with: should that have been replaced meanwhile, it does not.
    """

    definition: WorkflowDefinition
    before: int
    step: Step
    handled: Handled | None = None
    key: str | None = None
    digest: bytes | None = None
    event_id: str | None = None

    @property
    def snapshot(self) -> Snapshot:
        """Where the instance is after it."""
        return self.step.snapshot


@dataclass(frozen=True, slots=True)
class StoredDefinition:
    """A version of a workflow; ``source`` is its text, if it was read from one."""

    definition: WorkflowDefinition
    content_hash: bytes
    source: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """A workflow in a list: its versions, the latest first, and how many of its instances go on."""

    name: str
    versions: tuple[int, ...]
    description: str
    unfinished: int


@dataclass(frozen=True, slots=True)
class Moment:
    """An instance as it was after an entry of its history."""

    sequence: int
    status: Status
    state: str
    states: Mapping[str, str]
    context: JsonObject
    entry: HistoryEntry
