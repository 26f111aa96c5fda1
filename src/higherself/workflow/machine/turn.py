"""One turn of the machine: a snapshot while it changes, and what is told and asked meanwhile.

A turn belongs to one call of `advance` and never leaves it. Nothing that was handed in is changed,
so whoever raises in the middle leaves everything as it was. Whatever depends on an order goes by
the definition's: a store may give objects back with their keys in another one.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from higherself.kernel.jsonvalue import JsonObject, JsonValue, canonical
from higherself.workflow.definition.model import (
    Constant,
    State,
    Transition,
    Transitions,
    WorkflowDefinition,
    state_path,
)
from higherself.workflow.definition.paths import ContextPath, with_value
from higherself.workflow.errors import ContextRejected
from higherself.workflow.machine.commands import (
    CancelActivity,
    CancelChild,
    CancelTimer,
    Command,
    SetTimer,
    WithdrawApproval,
)
from higherself.workflow.machine.snapshot import (
    FINISHED,
    Failure,
    Pending,
    Position,
    Snapshot,
    Status,
    Timer,
)
from higherself.workflow.machine.step import Cause, HistoryEntry

LARGEST_CONTEXT = 1_000_000  # bytes of canonical JSON
_SMALL = 1_000  # characters; texts up to this length are not weighed
_FEW = 20  # small values in one list or object, which is then not weighed either


Values = tuple[tuple[ContextPath, JsonValue], ...]
"""What is to be put into the context, and where."""


class Told(NamedTuple):
    """What history says about why something happened."""

    cause: Cause
    event: str | None = None
    data: JsonValue = None
    agent: str | None = None
    attempt: int | None = None
    error: str | None = None
    milliseconds: float | None = None
    note: str = ""


class Choice(NamedTuple):
    """A transition that is to be taken, its path below ``owner``, and what its `set` came to."""

    owner: str
    path: str
    transition: Transition
    values: Values


class Turn:
    """A snapshot that is being changed. ``ready`` are the regions that may have something to do."""

    def __init__(
        self, definition: WorkflowDefinition, before: Snapshot, now: datetime, draw: float
    ) -> None:
        self.definition, self.before, self.now, self.draw = definition, before, now, draw
        self.sequence, self.context = before.sequence, before.context
        self.started_at = before.started_at
        self.positions = dict(before.positions)
        self.visits = dict(before.visits)
        self.timers = dict(before.timers)
        self.pending = dict(before.pending)
        self.undo = list(before.undo)
        self.kept = list(before.kept)
        self.seen = before.seen
        self.failure, self.cancelling = before.failure, before.cancelling
        self.paused = before.status == "paused"
        self.end: Status | None = before.status if before.status in FINISHED else None
        self.instance = str(before.instance)
        self.history: list[HistoryEntry] = []
        self.commands: list[Command] = []
        self.ready: deque[tuple[str, Told | None]] = deque()
        self.moves = 0
        self.settled = before.context  # the one that every automatic transition was tried with
        self._told_context = before.context
        self._closed: list[str] = []

    # --- Where things are.

    @property
    def status(self) -> Status:
        """The status as of now."""
        if self.end is not None:
            return self.end
        if self.failure is not None:
            return "failed"
        if self.paused:
            return "paused"
        for each in self.pending.values():
            if each.kind in ("activity", "collaboration"):
                return "running"
        return "waiting"

    @property
    def halted(self) -> bool:
        """Whether nothing moves: it has ended, failed, or is paused."""
        return self.end is not None or self.failure is not None or self.paused

    def state(self, region: str) -> State:
        """Return the state that ``region`` is in."""
        return self.definition.state(region, self.positions[region].state)

    def path(self, region: str) -> str:
        """Return the path of the state that ``region`` is in."""
        return state_path(region, self.positions[region].state)

    def active(self) -> list[str]:
        """Return the regions there are, outer ones first, in the definition's order."""
        if len(self.positions) == 1:
            return list(self.positions)
        return [region for region in self.definition.regions if region in self.positions]

    def inside(self, region: str) -> list[str]:
        """Return the regions inside the state that ``region`` is in."""
        if len(self.positions) == 1:
            return []
        return [each for each in self.active() if each != region and is_within(each, region)]

    def move(self, region: str, **changes: object) -> Position:
        """Change something about the position of ``region``; return the new one."""
        position = replace(self.positions[region], **changes)  # type: ignore[arg-type]
        self.positions[region] = position
        return position

    def attentive(self, region: str) -> bool:
        """Whether ``region`` listens to events and timers: it is not coming, going or busy."""
        position = self.positions.get(region)
        return (
            position is not None and position.phase in ("working", "open") and not position.agenda
        )

    def listens(self, region: str) -> bool:
        """Whether ``region`` waits for the guard of an automatic transition to hold."""
        return self.positions[region].phase == "open" and bool(self.state(region).transitions)

    # --- Expressions and the context.

    def scope(self, event: JsonObject) -> JsonObject:
        """Return what expressions can read."""
        root = self.positions.get("")
        return {
            "context": self.context,
            "event": event,
            "instance": {
                "id": self.instance,
                "workflow": self.before.workflow,
                "version": self.before.version,
                "entity": self.before.entity,
                "state": root.state if root else self.definition.initial,
                "started_at": None if self.started_at is None else self.started_at.isoformat(),
            },
        }

    def choose(
        self,
        region: str,
        path: str,
        transitions: Transitions,
        event: JsonObject,
        *,
        owner: str | None = None,
    ) -> Choice | None:
        """Return the first transition whose guard holds, with what its `set` comes to.

        Raises
            Rejected: a guard or an assignment could not be evaluated; nothing has changed.
        """
        scope: JsonObject = {}
        for index, transition in enumerate(transitions):
            if not scope and (transition.when is not None or transition.assignments):
                scope = self.scope(event)
            if transition.when is None or transition.when(scope, self.now):
                values = self._values(transition, scope) if transition.assignments else ()
                if owner is None:
                    owner = self.path(region)
                return Choice(owner, f"{path}[{index}]", transition, values)
        return None

    def _values(self, transition: Transition, scope: JsonObject) -> Values:
        values = tuple(
            (to, value.value if isinstance(value, Constant) else value(scope, self.now))
            for to, value in transition.assignments
        )
        self.with_values(values)  # so that it raises before anything has changed
        return values

    def why_not(self, transitions: Transitions, event: JsonObject) -> str:
        """Return why no guard of ``transitions`` holds."""
        scope = self.scope(event)
        reasons = [t.when.explain(scope, self.now).why for t in transitions if t.when is not None]
        return "; ".join(f"guard {reason}" for reason in dict.fromkeys(reasons))

    def with_values(self, values: Iterable[tuple[ContextPath, JsonValue]]) -> JsonObject:
        """Return the context with ``values`` in it.

        Raises
            ContextRejected: one does not fit, or the whole gets too large or off its schema.
        """
        context, heavy = self.context, False
        for path, value in values:
            context = with_value(context, path, value)
            heavy = heavy or not _is_small(value)
        if heavy and (size := len(canonical(context))) > LARGEST_CONTEXT:
            raise ContextRejected(
                "", f"would have {size:,} bytes; it has at most {LARGEST_CONTEXT:,}"
            )
        if context is not self.context and self.definition.schema is not None:
            self.definition.schema.check(context)
        return context

    # --- What is told.

    def record(self, told: Told, region: str, source: str | None, target: str | None) -> None:
        """Write the next entry of the history, with what has changed since the last."""
        self.sequence += 1
        before, after = self._told_context, self.context
        changes: JsonObject = {}
        removed: tuple[str, ...] = ()
        if after is not before:
            changes = {
                key: value
                for key, value in after.items()
                if key not in before or (before[key] is not value and before[key] != value)
            }
            removed = tuple(key for key in before if key not in after)
        entry = HistoryEntry(
            self.sequence, self.now, told.cause, "running", region, source, target, told.event,
            told.data, told.agent, told.attempt, told.error, told.milliseconds, told.note,
            changes, removed, tuple(self._closed),
        )  # fmt: skip
        self.history.append(entry)
        self._told_context = after
        self._closed.clear()

    def stay(self, told: Told, region: str = "") -> None:
        """Write an entry that says that ``region`` is where it was."""
        position = self.positions.get(region)
        at = position.state if position else None
        self.record(told, region if position else "", at, at)

    def close(self, region: str) -> None:
        """Forget a region."""
        del self.positions[region]
        self._closed.append(region)

    # --- Timers, and what was asked for.

    def set_timer(self, region: str, path: str, due_at: datetime) -> None:
        """Have ``path`` of the state that ``region`` is in become due."""
        where = self.path(region) if region in self.positions else ""
        timer = "/".join(part for part in (str(self.sequence), where, path) if part)
        self.timers[timer] = Timer(region, path, due_at)
        self.commands.append(SetTimer(timer, due_at))

    def drop_timers(self, regions: Iterable[str], path: str | None = None) -> None:
        """Cancel the timers of ``regions``; only that at ``path``, if it is given."""
        if not self.timers:
            return
        among = set(regions)
        for key in sorted(self.timers):
            timer = self.timers[key]
            if timer.region in among and path in (None, timer.path) and timer.path != "deadline":
                del self.timers[key]
                self.commands.append(CancelTimer(key))

    def withdraw(self, regions: Iterable[str]) -> None:
        """Take back everything that was asked for in ``regions``."""
        if not self.pending:
            return
        among = set(regions)
        for key in sorted(self.pending):
            if self.pending[key].region in among:
                self.commands.append(_withdrawal(key, self.pending.pop(key)))

    def undoable(self, region: str) -> Iterator[int]:
        """Yield the places of the compensations of ``region``, the latest first."""
        for place in reversed(range(len(self.undo))):
            if is_within(self.undo[place].region, region):
                yield place

    def fail(self, failure: Failure, told: Told) -> None:
        """Have the instance wait for a person."""
        self.stay(told, failure.region)
        self.failure = failure
        self.ready.clear()


def is_within(region: str, around: str) -> bool:
    """Return whether ``region`` is ``around``, or runs inside a state of it."""
    return not around or region == around or region.startswith(f"{around}.")


def region_around(region: str) -> str:
    """Return the region in whose state the branch ``region`` runs.

    >>> region_around("prepare.contract"), region_around("a.b.c.d")
    ('', 'a.b')
    """
    return region.rpartition(".")[0].rpartition(".")[0]


def _is_small(value: JsonValue) -> bool:
    """Whether ``value`` is too small to be weighed: a definition has only so many places to put it."""
    if isinstance(value, str):
        return len(value) <= _SMALL
    if isinstance(value, dict):
        return len(value) <= _FEW and all(map(_is_small_scalar, value.values()))
    if isinstance(value, list):
        return len(value) <= _FEW and all(map(_is_small_scalar, value))
    return value is None or isinstance(value, int | float)


def _is_small_scalar(value: JsonValue) -> bool:
    if isinstance(value, str):
        return len(value) <= _SMALL
    return value is None or isinstance(value, int | float)


def _withdrawal(key: str, pending: Pending) -> Command:
    match pending.kind:
        case "activity" | "collaboration":
            return CancelActivity(key)
        case "approval":
            return WithdrawApproval(key)
        case "child":
            return CancelChild(key, "the instance that started it went on without it")
