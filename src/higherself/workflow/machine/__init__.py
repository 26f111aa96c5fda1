"""The machine: the pure core of the workflow engine.

instance = new_instance(definition, instance=id, entity="the_7_space")
step = advance(definition, instance, Started({"email": "ada@example.org"}), now)
step.snapshot, step.history, step.commands    # to be stored and sent in one transaction
step.reason                                   # what it waits for, in plain words
"""

from higherself.workflow.machine.advance import advance
from higherself.workflow.machine.commands import (
    AgentTask,
    AskApproval,
    CancelActivity,
    CancelChild,
    CancelTimer,
    Command,
    NotifyParent,
    RunActivity,
    RunCollaboration,
    SetTimer,
    StartChild,
    WithdrawApproval,
    command_from_json,
    command_to_json,
)
from higherself.workflow.machine.events import (
    ActivityCompleted,
    ActivityFailed,
    ActivityTimedOut,
    Cancelled,
    ChildFinished,
    Decided,
    Event,
    Paused,
    Received,
    Resumed,
    Retried,
    Started,
    TimerDue,
    event_from_json,
    event_to_json,
)
from higherself.workflow.machine.migrating import migrated
from higherself.workflow.machine.snapshot import (
    Failure,
    Parent,
    Pending,
    Position,
    Snapshot,
    Status,
    Timer,
    Undo,
    new_instance,
)
from higherself.workflow.machine.step import Cause, HistoryEntry, Outcome, Step, View, replayed
from higherself.workflow.machine.waiting import waits_for

__all__ = [
    "ActivityCompleted",
    "ActivityFailed",
    "ActivityTimedOut",
    "AgentTask",
    "AskApproval",
    "CancelActivity",
    "CancelChild",
    "CancelTimer",
    "Cancelled",
    "Cause",
    "ChildFinished",
    "Command",
    "Decided",
    "Event",
    "Failure",
    "HistoryEntry",
    "NotifyParent",
    "Outcome",
    "Parent",
    "Paused",
    "Pending",
    "Position",
    "Received",
    "Resumed",
    "Retried",
    "RunActivity",
    "RunCollaboration",
    "SetTimer",
    "Snapshot",
    "StartChild",
    "Started",
    "Status",
    "Step",
    "Timer",
    "TimerDue",
    "Undo",
    "View",
    "WithdrawApproval",
    "advance",
    "command_from_json",
    "command_to_json",
    "event_from_json",
    "event_to_json",
    "migrated",
    "new_instance",
    "replayed",
    "waits_for",
]
