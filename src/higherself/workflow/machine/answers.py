"""What was asked for comes back: activities, collaborations, sub-workflows. Pure.

Every function here decides before it changes anything. What nobody waits for any more is ignored.
While an instance is paused or has failed, answers are kept.
"""

from dataclasses import replace

from higherself.kernel import backoff
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject
from higherself.workflow.definition.model import Activity, SubWorkflow
from higherself.workflow.definition.schedule import text_of
from higherself.workflow.machine.asking import UNDO, ask_again
from higherself.workflow.machine.events import (
    ActivityCompleted,
    ActivityFailed,
    ActivityTimedOut,
    ChildFinished,
)
from higherself.workflow.machine.moving import fault
from higherself.workflow.machine.receiving import STALE, TAKEN, Answer, checked, keep, stuck
from higherself.workflow.machine.snapshot import Pending, Position, Undo
from higherself.workflow.machine.turn import Told, Turn

# --- Activities.


def completed(turn: Turn, event: ActivityCompleted) -> Answer:
    """Save the result, and go on."""
    pending = turn.pending.get(event.key)
    if pending is None:
        return STALE
    activity = turn.definition.activities[pending.activity]
    context = turn.context
    try:
        result = checked(event.result, "as a result")
        if activity.save is not None:
            context = turn.with_values(((activity.save, result),))
    except Rejected as error:
        return failed(turn, _invalid(event, pending, error))
    told = Told(
        "activity", pending.activity, None if activity.save else result,
        event.agent, pending.attempt, milliseconds=event.milliseconds,
    )  # fmt: skip
    if turn.halted:
        return keep(turn, replace(event, result=result), told)
    region = pending.region
    is_work = turn.positions[region].work == event.key
    data: JsonObject = {"result": result}
    compensate = turn.state(region).compensate if is_work else None
    if compensate is not None:
        try:
            turn.undo.append(_undo(turn, region, compensate, data, context))
        except Rejected as error:
            return stuck(turn, replace(event, result=result), region, error)
    turn.context = context
    del turn.pending[event.key]
    if is_work:
        position = turn.positions[region]
        turn.positions[region] = Position(
            position.state, position.entered, position.entered_at, "open", data,
            position.agenda, position.running,
        )  # fmt: skip
    else:
        _past_first(turn, region)
    turn.ready.append((region, told))
    return TAKEN


def _past_first(turn: Turn, region: str) -> None:
    """Go past the first item of an agenda."""
    first, *rest = turn.positions[region].agenda
    if first == UNDO:
        del turn.undo[next(turn.undoable(region))]
    turn.move(region, agenda=tuple(rest), running=None)


def _invalid(event: ActivityCompleted, pending: Pending, error: Rejected) -> ActivityFailed:
    return ActivityFailed(
        event.key, pending.attempt, f"its result cannot be taken: {error}", ("InvalidResult",),
        agent=event.agent, milliseconds=event.milliseconds,
    )  # fmt: skip


def failed(turn: Turn, event: ActivityFailed) -> Answer:
    """Try again after a while, or have the state go where it goes on errors."""
    pending = turn.pending.get(event.key)
    if pending is None or pending.attempt != event.attempt:
        return STALE
    policy = turn.definition.activities[pending.activity].retry
    types = event.types or ("Error",)
    told = Told(
        "activity", pending.activity, None, event.agent, event.attempt, event.message,
        event.milliseconds,
    )  # fmt: skip
    if turn.halted:
        return keep(turn, event, told)
    hopeless = any(each.rpartition(".")[2] in policy.not_on for each in types)
    if event.retryable and not hopeless and pending.tries < policy.attempts:
        wait = backoff.exponential(
            pending.tries,
            base=policy.backoff,
            ceiling=policy.ceiling,
            factor=policy.factor,
            jitter=turn.draw,
        )
        due_at = turn.now + wait
        turn.stay(told._replace(note=f"is tried again at {due_at.isoformat()}"), pending.region)
        turn.pending[event.key] = replace(
            pending, attempt=pending.attempt + 1, tries=pending.tries + 1, due_at=due_at,
            error=event.message,
        )  # fmt: skip
        ask_again(turn, event.key)
        return TAKEN
    del turn.pending[event.key]
    fault(
        turn, pending.region, types[0], event.message, activity=pending.activity,
        attempts=pending.attempt, key=event.key, pending=pending,
    )  # fmt: skip
    return TAKEN


def timed_out(turn: Turn, event: ActivityTimedOut) -> Answer:
    """Treat it as a failure of the type ``Timeout``."""
    pending = turn.pending.get(event.key)
    if pending is None:
        return STALE
    timeout = turn.definition.activities[pending.activity].timeout
    message = "it took too long" if timeout is None else f"it took longer than {text_of(timeout)}"
    failure = ActivityFailed(event.key, event.attempt, message, ("Timeout",), agent=event.agent)
    return failed(turn, failure)


# --- Sub-workflows.


def child_finished(turn: Turn, event: ChildFinished) -> Answer:
    """Take over what the sub-workflow came to."""
    pending = turn.pending.get(event.key)
    if pending is None:
        return STALE
    region = pending.region
    work = turn.state(region).work
    workflow = work.workflow if isinstance(work, SubWorkflow) else ""
    facts: JsonObject = {"status": event.status, "state": event.state}
    told = Told("child", event=workflow, data=facts)
    if turn.halted:
        return keep(turn, event, told)
    if event.status == "cancelled":
        del turn.pending[event.key]
        said = f"workflow {workflow} was cancelled in state {event.state}"
        fault(turn, region, "Cancelled", said, activity=pending.activity, again=True)
        return TAKEN
    save = work.save if isinstance(work, SubWorkflow) else None
    compensate = turn.state(region).compensate
    data: JsonObject = {**facts, "result": event.context}
    try:
        context = turn.with_values(() if save is None else ((save, event.context),))
        undo = () if compensate is None else (_undo(turn, region, compensate, data, context),)
    except Rejected as error:
        return stuck(turn, event, region, error)
    turn.context = context
    turn.undo += undo
    del turn.pending[event.key]
    turn.move(region, phase="open", work=None, event=data)
    turn.ready.append((region, told))
    return TAKEN


def _undo(
    turn: Turn, region: str, compensate: Activity, event: JsonObject, context: JsonObject
) -> Undo:
    scope = {**turn.scope(event), "context": context}
    given = compensate.input.render(scope, turn.now)
    return Undo(region, f"{turn.path(region)}/compensate", given)
