"""What a step asks for, as messages; and the rows that a step is stored as. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, assert_never

from higherself.db.notifications import RELAXED_POLL
from higherself.kernel.jsonvalue import JsonValue
from higherself.messaging.envelope import MessageId
from higherself.messaging.model import LONGEST_NAME, identifier_of_key
from higherself.workflow.engine.model import (
    ACTIVITIES,
    COLLABORATIONS,
    SIGNALS,
    Instance,
    WaitsFor,
    Write,
)
from higherself.workflow.machine import (
    AskApproval,
    CancelActivity,
    CancelChild,
    CancelTimer,
    Command,
    NotifyParent,
    RunActivity,
    RunCollaboration,
    SetTimer,
    Snapshot,
    StartChild,
    WithdrawApproval,
    waits_for,
)
from higherself.workflow.machine.codec import to_json
from higherself.workflow.machine.snapshot import FINISHED

RUN, LOST = "workflow.activity.run", "workflow.activity.lost"
ENDED_ELSEWHERE = "workflow.activity.ended"
CANCEL_COLLABORATION = "collaboration.cancel"
TIMER = "workflow.timer.due"
CHILD_STARTS, CHILD_ENDS = "workflow.child.start", "workflow.child.finished"
CHILD_CANCELLED = "workflow.child.cancel"

SOON = RELAXED_POLL
"""How soon something must be due for its consumers to be told of it."""

Rows = list[dict[str, Any]]


@dataclass(slots=True)
class StoredAs:
    """The rows of some steps, as `store_steps` takes them; ``topics`` are those to be woken."""

    steps: Rows = field(default_factory=list)
    history: Rows = field(default_factory=list)
    rewritten: Rows = field(default_factory=list)
    withdrawn: Rows = field(default_factory=list)
    added: Rows = field(default_factory=list)


def follow_up(write: Write) -> RunActivity | RunCollaboration | None:
    """Return what the worker that made this step goes on with, if anything.

    That is the first activity that can begin at once: its message takes the place of the one that
    was handled, with the same lease, so nobody has to claim it.
    """
    if write.handled is None or not write.handled.goes_on:
        return None
    for command in write.step.commands:
        if isinstance(command, RunActivity | RunCollaboration) and command.due_at <= _at(write):
            return command
    return None


def stored_as(writes: Sequence[Write]) -> StoredAs:
    """Return the rows of ``writes``, each named by its place among them."""
    rows = StoredAs()
    for n, write in enumerate(writes):
        follow = follow_up(write)
        rows.steps.append(_step(n, write, ends=follow is None))
        rows.history += _history(n, write)
        if follow is not None:
            rows.rewritten.append({"n": n, "type": RUN, **_asks(write, follow)})
        for command in write.step.commands:
            if command is not follow:
                _send(rows, n, write, command)
    return rows


def topics_of(write: Write) -> set[str]:
    """Return the topics in which a step leaves something to be done at once, or soon.

    Consumers look by themselves before long, so a timer of later need not wake them.
    """
    follow, soon, topics = follow_up(write), _at(write) + SOON, set()
    for command in write.step.commands:
        match command:
            case RunActivity() | RunCollaboration():
                if command is not follow and command.due_at <= soon:
                    topics.add(ACTIVITIES)
            case SetTimer():
                if command.due_at <= soon:
                    topics.add(SIGNALS)
            case StartChild() | CancelChild() | NotifyParent():
                topics.add(SIGNALS)
            case CancelActivity() if is_collaboration(command.key):
                topics.add(COLLABORATIONS)
            case _:
                pass
    return topics


def is_collaboration(key: str) -> bool:
    """Return whether this is the key of a collaboration: it goes on elsewhere."""
    return key.endswith("/collaborate")


def waits_for_kind(snapshot: Snapshot) -> WaitsFor | None:
    """Return what kind of thing an instance waits for: the one that a person would name first."""
    if snapshot.status in FINISHED:
        return None
    if snapshot.status in ("failed", "paused"):
        return "person"
    kinds = {pending.kind for pending in snapshot.pending.values()}
    if kinds & {"activity", "collaboration"}:
        return "activity"
    if "approval" in kinds:
        return "approval"
    if "child" in kinds:
        return "child"
    if any(position.unmet for position in snapshot.positions.values()):
        return "guard"
    return "timer" if any(each.path != "deadline" for each in snapshot.timers.values()) else "event"


def begun(write: Write) -> Instance:
    """Return the instance that begins with ``write``."""
    snapshot, at = write.snapshot, _at(write)
    return Instance(
        instance=snapshot.instance,
        workflow=snapshot.workflow,
        version=snapshot.version,
        entity=snapshot.entity,
        key=write.key,
        status=snapshot.status,
        state=snapshot.state,
        sequence=snapshot.sequence,
        reason=_reason(write),
        waits_for=waits_for_kind(snapshot),
        parent=snapshot.parent.instance if snapshot.parent else None,
        started_at=at,
        updated_at=at,
        finished_at=at if snapshot.finished else None,
    )


def moved(instance: Instance, write: Write) -> Instance:
    """Return ``instance`` as it is after ``write``."""
    snapshot, at = write.snapshot, _at(write)
    return replace(
        instance,
        version=snapshot.version,
        status=snapshot.status,
        state=snapshot.state,
        sequence=snapshot.sequence,
        reason=_reason(write),
        waits_for=waits_for_kind(snapshot),
        updated_at=at,
        finished_at=at if snapshot.finished else None,
    )


def timer_message(snapshot: Snapshot, timer: str) -> MessageId:
    """Return the identifier of the message of a timer."""
    return identifier_of_key(snapshot.entity, SIGNALS, f"{snapshot.instance}/{timer}")


def correlation_of(snapshot: Snapshot) -> str:
    """Return the conversation that an instance is a part of: what its context names, or its own."""
    said = snapshot.context.get("correlation")
    if isinstance(said, str) and 0 < len(said) <= LONGEST_NAME and said.isprintable():
        return said
    return str(snapshot.instance)


def _at(write: Write) -> datetime:
    return write.step.history[-1].at


def _step(n: int, write: Write, *, ends: bool) -> dict[str, Any]:
    snapshot, at = write.snapshot, _at(write).isoformat()
    handled = write.handled
    return {
        "n": n,
        "instance_id": str(snapshot.instance),
        "entity": snapshot.entity,
        "workflow": snapshot.workflow,
        "version": snapshot.version,
        "key": write.key,
        "parent_id": str(snapshot.parent.instance) if snapshot.parent else None,
        "before": write.before,
        "sequence": snapshot.sequence,
        "status": snapshot.status,
        "state": snapshot.state,
        "snapshot": snapshot.to_json(),
        "reason": _reason(write),
        "waits_for": waits_for_kind(snapshot),
        "at": at,
        "finished_at": at if snapshot.finished else None,
        "message_id": str(handled.message) if handled else None,
        "lease": handled.lease if handled else None,
        "ends": handled is not None and ends,
        "event_id": write.event_id,
        "digest": None if write.digest is None else f"\\x{write.digest.hex()}",
    }


def _reason(write: Write) -> str:
    """Return what the instance waits for; of an event that led nowhere, why, beside it."""
    if write.step.outcome != "ignored":
        return write.step.reason
    return f"{waits_for(write.definition, write.snapshot)}; {write.step.reason}"


def _history(n: int, write: Write) -> Rows:
    snapshot = write.snapshot
    return [
        {
            "n": n,
            "instance_id": str(snapshot.instance),
            "sequence": entry.sequence,
            "entity": snapshot.entity,
            "at": entry.at.isoformat(),
            "entry": entry.to_json(),
            "event_id": write.event_id if place == 0 else None,
        }
        for place, entry in enumerate(write.step.history)
    ]


def _asks(write: Write, command: RunActivity | RunCollaboration) -> dict[str, Any]:
    """Return what the message of an activity says: the rest stands in the instance."""
    return {
        "subject": str(write.snapshot.instance),
        "data": {"key": command.key, "attempt": command.attempt},
    }


def _send(rows: StoredAs, n: int, write: Write, command: Command) -> None:
    instance = str(write.snapshot.instance)
    match command:
        case RunActivity() | RunCollaboration():
            name = f"{command.key}/{command.attempt}"
            later = command.due_at if command.due_at > _at(write) else None
            row = _message(n, write, ACTIVITIES, name, RUN, later)
            rows.added.append({**row, **_asks(write, command)})
        case SetTimer():
            row = _message(n, write, SIGNALS, f"{instance}/{command.timer}", TIMER, command.due_at)
            rows.added.append({**row, "subject": instance, "data": {"timer": command.timer}})
        case CancelTimer():
            gone = timer_message(write.snapshot, command.timer)
            rows.withdrawn.append({"n": n, "message_id": str(gone)})
        case StartChild():
            row = _message(n, write, SIGNALS, f"{command.key}/start", CHILD_STARTS)
            rows.added.append({**row, "subject": instance, "data": _said(command)})
        case CancelChild():
            row = _message(n, write, SIGNALS, f"{command.key}/cancel", CHILD_CANCELLED)
            rows.added.append({**row, "subject": instance, "data": _said(command)})
        case NotifyParent():
            row = _message(n, write, SIGNALS, f"{command.key}/finished", CHILD_ENDS)
            rows.added.append({**row, "subject": str(command.parent), "data": _said(command)})
        case CancelActivity() if is_collaboration(command.key):
            name = f"{command.key}/cancel"
            row = _message(n, write, COLLABORATIONS, name, CANCEL_COLLABORATION)
            rows.added.append({**row, "subject": instance, "data": {"key": command.key}})
        case CancelActivity() | AskApproval() | WithdrawApproval():
            pass  # the instance itself says what is still waited for
        case _:
            assert_never(command)


def _said(command: Command) -> JsonValue:
    said: JsonValue = to_json(command)
    return said


def _message(
    n: int, write: Write, topic: str, name: str, type_: str, due_at: datetime | None = None
) -> dict[str, Any]:
    snapshot, handled = write.snapshot, write.handled
    return {
        "n": n,
        "message_id": str(identifier_of_key(snapshot.entity, topic, name)),
        "entity": snapshot.entity,
        "topic": topic,
        "source": f"workflow/{snapshot.workflow}",
        "type": type_,
        "correlation_id": handled.correlation_id if handled else correlation_of(snapshot),
        "causation_id": str(handled.message) if handled else None,
        "due_at": due_at.isoformat() if due_at else None,
    }
