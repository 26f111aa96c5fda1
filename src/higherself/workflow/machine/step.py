"""What one event leads to, and what is told of it. Frozen values that are JSON. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import datetime
from typing import Literal, cast

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.kernel.values import value
from higherself.workflow.machine.codec import from_json, to_json
from higherself.workflow.machine.commands import Command
from higherself.workflow.machine.snapshot import Snapshot, Status

Cause = Literal[
    "started",
    "automatic",
    "event",
    "activity",
    "timer",
    "approval",
    "child",
    "join",
    "left",
    "paused",
    "resumed",
    "retried",
    "cancelled",
    "migrated",
    "error",
]


@value(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened, numbered without gaps. Never changed.

    ``source`` and ``target`` are states of ``region``; equal, if it stayed where it was. ``event``
    is the name of the event, activity or timer, ``data`` what came with it. ``changes`` are the
    top-level keys of the context with their new values, ``removed`` those that went; ``closed``
    are regions that are no more. ``status`` is that after the whole step in its last entry.
    """

    sequence: int
    at: datetime
    cause: Cause
    status: Status
    region: str = ""
    source: str | None = None
    target: str | None = None
    event: str | None = None
    data: JsonValue = None
    agent: str | None = None
    attempt: int | None = None
    error: str | None = None
    milliseconds: float | None = None
    note: str = ""
    changes: JsonObject = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """Return it as JSON."""
        return cast("JsonObject", to_json(self))

    @classmethod
    def from_json(cls, data: JsonObject) -> "HistoryEntry":
        """Return the entry that ``data`` is."""
        return cast("HistoryEntry", from_json(cls, data))


Outcome = Literal["taken", "kept", "ignored"]
"""What became of an event: it counted, it waits until it can, or it changed nothing."""


@value(frozen=True, slots=True)
class Step:
    """What an event leads to: to be stored and sent in one transaction.

    ``reason`` says in plain words what the instance waits for, or why the event was ignored.
    """

    snapshot: Snapshot
    history: tuple[HistoryEntry, ...]
    commands: tuple[Command, ...]
    outcome: Outcome
    reason: str


@value(frozen=True, slots=True)
class View:
    """What an instance looked like after an entry of its history."""

    sequence: int = 0
    status: Status = "waiting"
    states: Mapping[str, str] = field(default_factory=dict)
    context: JsonObject = field(default_factory=dict)


def replayed(history: Iterable[HistoryEntry], view: View | None = None) -> View:
    """Return what the instance looked like after ``history``; ``view`` is how it looked before."""
    view = view or View()
    for entry in history:
        view = _after(view, entry)
    return view


def _after(view: View, entry: HistoryEntry) -> View:
    gone = set(entry.removed)
    context = {key: value for key, value in view.context.items() if key not in gone}
    states = {region: at for region, at in view.states.items() if region not in entry.closed}
    if entry.target is not None:
        states[entry.region] = entry.target
    return View(entry.sequence, entry.status, states, {**context, **entry.changes})
