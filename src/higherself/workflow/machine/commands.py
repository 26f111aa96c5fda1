"""What the machine asks the shell to do. Frozen values that are JSON. Pure.

Everything is named by a key; asking twice with the same key is asking once.
"""

from dataclasses import field
from datetime import datetime, timedelta
from typing import Literal, cast
from uuid import UUID

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.kernel.values import value
from higherself.workflow.definition.model import AgentSelector
from higherself.workflow.machine.codec import from_json, to_json


@value(frozen=True, slots=True)
class RunActivity:
    """Run a skill, not before ``due_at``.

    ``key`` is the idempotency key, made of instance, sequence and activity: the same on every
    attempt. ``activity`` is the path in the definition. ``secrets`` are the places in ``input`` of
    the texts in which ``{{ secrets.NAME }}`` is to be replaced, and nowhere else. The answer is
    `ActivityCompleted`, `ActivityFailed` or, once it ran for ``timeout``, `ActivityTimedOut`.
    """

    key: str
    activity: str
    skill: str
    input: JsonValue
    attempt: int
    due_at: datetime
    timeout: timedelta | None = None
    agent: AgentSelector | None = None
    secrets: tuple[tuple[str | int, ...], ...] = ()


@value(frozen=True, slots=True)
class AgentTask:
    """What one agent of a collaboration is asked to do.

    ``terms`` are the keys of its step beside that, as the normal form of a definition has them.
    """

    agent: AgentSelector
    task: str
    input: JsonValue
    terms: JsonObject = field(default_factory=dict)


@value(frozen=True, slots=True)
class RunCollaboration:
    """Have agents work together in a pattern, on its ``terms``. For the rest, see `RunActivity`."""

    key: str
    activity: str
    pattern: str
    tasks: tuple[AgentTask, ...]
    input: JsonValue
    attempt: int
    due_at: datetime
    timeout: timedelta | None = None
    terms: JsonObject = field(default_factory=dict)


@value(frozen=True, slots=True)
class CancelActivity:
    """Nobody waits for this activity or collaboration any more."""

    key: str


@value(frozen=True, slots=True)
class SetTimer:
    """Send `TimerDue` at ``due_at``."""

    timer: str
    due_at: datetime


@value(frozen=True, slots=True)
class CancelTimer:
    """Nobody waits for this timer any more."""

    timer: str


@value(frozen=True, slots=True)
class AskApproval:
    """Ask somebody with one of ``roles`` to decide. The answer is `Decided`."""

    key: str
    state: str
    roles: tuple[str, ...]
    question: str
    expires_at: datetime | None = None


@value(frozen=True, slots=True)
class WithdrawApproval:
    """Nobody waits for this decision any more."""

    key: str


@value(frozen=True, slots=True)
class StartChild:
    """Start another workflow, once for this key. The answer is `ChildFinished`."""

    key: str
    workflow: str
    version: int | None
    context: JsonObject


@value(frozen=True, slots=True)
class CancelChild:
    """Cancel the instance that was started with this key."""

    key: str
    reason: str


@value(frozen=True, slots=True)
class NotifyParent:
    """Send `ChildFinished` to the instance that started this one."""

    parent: UUID
    key: str
    status: Literal["completed", "cancelled"]
    state: str
    context: JsonObject


Command = (
    RunActivity
    | RunCollaboration
    | CancelActivity
    | SetTimer
    | CancelTimer
    | AskApproval
    | WithdrawApproval
    | StartChild
    | CancelChild
    | NotifyParent
)


def command_to_json(command: Command) -> JsonObject:
    """Return ``command`` as JSON."""
    return cast("JsonObject", to_json(command, Command))


def command_from_json(data: JsonObject) -> Command:
    """Return the command that ``data`` is."""
    return cast("Command", from_json(Command, data))
