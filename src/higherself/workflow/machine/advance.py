"""The machine: what one event leads to. Pure.

`advance` either returns a `Step` or raises, and then nothing has happened. Given the same values
it returns the same: the time and the random draw come in as arguments.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from higherself.kernel.errors import Conflict, Rejected
from higherself.workflow.definition.model import WorkflowDefinition
from higherself.workflow.errors import ControlRefused, InstanceFinished, WrongDefinition
from higherself.workflow.machine.answers import child_finished, completed, failed, timed_out
from higherself.workflow.machine.codec import kind_of
from higherself.workflow.machine.deciding import decided
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
)
from higherself.workflow.machine.moving import settle
from higherself.workflow.machine.receiving import Answer, is_awaited, received, started
from higherself.workflow.machine.snapshot import Snapshot
from higherself.workflow.machine.steering import cancelled, paused, resumed, retried
from higherself.workflow.machine.step import Step
from higherself.workflow.machine.timing import timer_due
from higherself.workflow.machine.turn import Told, Turn
from higherself.workflow.machine.waiting import waits_for


def advance(
    definition: WorkflowDefinition,
    snapshot: Snapshot,
    event: Event,
    now: datetime,
    *,
    draw: float = 0.0,
) -> Step:
    """Return what ``event`` leads to at the instant ``now``.

    ``draw`` is a random number in [0, 1] for the jitter of a retry. What nobody waits for any more
    (a timer, an activity's end, an event that was counted) is ignored: the step has no history and
    its snapshot is the one that was handed in.

    Raises
        WrongDefinition: the instance belongs to another definition or version.
        InstanceFinished: it has ended, and somebody wants something of it.
        Rejected: the event, its data or whoever sent it is refused; the text says why.
        Conflict: the instance is not where this can happen.
    """
    _check(definition, snapshot, event)
    if snapshot.finished:
        return _ignored(snapshot, f"the instance is {snapshot.status}")
    turn = Turn(definition, snapshot, now, draw)
    outcome, why = _HANDLERS[type(event)](turn, event)
    if outcome == "ignored" and not turn.history:
        return _ignored(snapshot, why)
    step = conclude(turn)
    if outcome == "taken":
        return step
    reason = why if outcome == "ignored" else step.reason
    return replace(step, outcome=outcome, reason=reason)


def conclude(turn: Turn) -> Step:
    """Have everything go on until it waits, and return what the turn has come to."""
    settle(turn)
    _take_kept(turn)
    after = _frozen(turn)
    if after.status != "running":
        turn.history[-1] = replace(turn.history[-1], status=after.status)
    reason = waits_for(turn.definition, after)
    return Step(after, tuple(turn.history), tuple(turn.commands), "taken", reason)


_HANDLERS: dict[type[Any], Callable[[Turn, Any], Answer]] = {
    Started: started,
    Received: received,
    ActivityCompleted: completed,
    ActivityFailed: failed,
    ActivityTimedOut: timed_out,
    TimerDue: timer_due,
    Decided: decided,
    ChildFinished: child_finished,
    Paused: paused,
    Resumed: resumed,
    Cancelled: cancelled,
    Retried: retried,
}

_OUR_OWN = (Started, ActivityCompleted, ActivityFailed, ActivityTimedOut, TimerDue, ChildFinished)
"""What we send ourselves. It may come late or twice, and nobody can be told that it did."""


def _check(definition: WorkflowDefinition, snapshot: Snapshot, event: Event) -> None:
    if (definition.name, definition.version) != (snapshot.workflow, snapshot.version):
        pinned = f"{snapshot.workflow} version {snapshot.version}"
        raise WrongDefinition(pinned=pinned, given=str(definition))
    if snapshot.finished and not isinstance(event, _OUR_OWN):
        raise InstanceFinished(str(snapshot.instance), snapshot.status)
    if not snapshot.sequence and not isinstance(event, Started):
        raise ControlRefused(str(snapshot.instance), "has not started; start it first")


def _ignored(snapshot: Snapshot, why: str) -> Step:
    return Step(snapshot, (), (), "ignored", why)


def _take_kept(turn: Turn) -> None:
    """Take what was kept, as far as it can be taken now; tell of what nobody waited for."""
    while turn.kept and not turn.halted:
        found = next((each for each in turn.kept if _can_be_taken(turn, each)), None)
        if found is None:
            break
        turn.kept.remove(found)
        turn.moves = 0
        try:
            _HANDLERS[type(found)](turn, _again(found))
        except (Rejected, Conflict) as error:
            turn.stay(Told("event", event=_name_of(found), error=str(error)))
        settle(turn)
    if turn.status == "waiting":
        for each in [each for each in turn.kept if isinstance(each, Received)]:
            turn.kept.remove(each)
            note = "nobody waited for it when the instance could take it"
            turn.stay(Told("event", event=each.name, data=each.data or None, note=note))


def _can_be_taken(turn: Turn, event: Event) -> bool:
    match event:
        case Received():
            return is_awaited(turn, event.name)
        case TimerDue():
            timer = turn.timers.get(event.timer)
            return timer is None or turn.attentive(timer.region)
        case _:
            return True


def _name_of(event: Event) -> str:
    return event.name if isinstance(event, Received) else kind_of(type(event))


def _again(event: Event) -> Event:
    """Return a kept event as it is to be taken: its id has been seen when it came."""
    return replace(event, id=None) if isinstance(event, Received) else event


def _frozen(turn: Turn) -> Snapshot:
    before = turn.before
    return Snapshot(
        before.instance,
        before.workflow,
        before.version,
        before.entity,
        status=turn.status,
        sequence=turn.sequence,
        started_at=turn.started_at,
        context=turn.context,
        positions=turn.positions,
        visits=turn.visits,
        timers=turn.timers,
        pending=turn.pending,
        undo=tuple(turn.undo),
        kept=tuple(turn.kept),
        seen=turn.seen,
        failure=turn.failure,
        cancelling=turn.cancelling,
        parent=before.parent,
    )
