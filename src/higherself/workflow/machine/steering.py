"""What people do to an instance: pause, resume, cancel, retry. Pure.

Every function here decides before it changes anything: if it raises, the turn is as it was.
"""

from dataclasses import replace

from higherself.kernel.jsonvalue import JsonObject
from higherself.workflow.definition.model import state_path
from higherself.workflow.errors import ControlRefused, EventRefused, did_you_mean
from higherself.workflow.machine.asking import UNDO, ask_again
from higherself.workflow.machine.events import Cancelled, Paused, Resumed, Retried
from higherself.workflow.machine.moving import enter, finish, stop
from higherself.workflow.machine.receiving import TAKEN, Answer, checked
from higherself.workflow.machine.snapshot import Failure
from higherself.workflow.machine.step import Cause
from higherself.workflow.machine.turn import Told, Turn


def paused(turn: Turn, event: Paused) -> Answer:
    """Have nothing happen until it is resumed."""
    if turn.paused:
        return "ignored", "it is paused already"
    if turn.failure is not None:
        raise ControlRefused(_id(turn), "has failed; it stands still until it is retried")
    turn.stay(_told("paused", event.by))
    turn.paused = True
    return TAKEN


def resumed(turn: Turn, event: Resumed) -> Answer:
    """Go on."""
    if not turn.paused:
        return "ignored", "it is not paused"
    turn.paused = False
    turn.stay(_told("resumed", event.by))
    turn.ready.extend((region, None) for region in turn.active() if turn.listens(region))
    return TAKEN


def cancelled(turn: Turn, event: Cancelled) -> Answer:
    """Stop everything, undo what can be undone, the latest first, and end.

    When undoing has failed, cancelling again gives it up.
    """
    told = Told("cancelled", data={"by": event.by} if event.by else None, note=event.reason)
    if turn.cancelling is not None:
        if turn.failure is None:
            return "ignored", "it is being cancelled already"
        turn.stay(
            told._replace(note=f"{event.reason}; {len(turn.undo)} compensations are given up")
        )
        finish(turn, "cancelled")
        return TAKEN
    turn.cancelling, turn.failure, turn.paused = event.reason or "cancelled", None, False
    regions = turn.active()
    turn.withdraw(regions)
    turn.drop_timers(regions)
    for region in regions[1:]:
        turn.close(region)
    turn.kept.clear()
    turn.move(
        "", phase="leaving", agenda=(UNDO,) * len(turn.undo), running=None, work=None, to=None,
        unmet="",
    )  # fmt: skip
    turn.ready.append(("", told))
    return TAKEN


def retried(turn: Turn, event: Retried) -> Answer:
    """Go on where it failed, or from another state, maybe with an edited context.

    Raises
        ControlRefused: it has not failed and no state was named, or it is being cancelled.
        EventRefused: there is no such state.
    """
    if event.context is not None:
        event = replace(event, context=_checked(turn, event.context))
    if event.state is not None:
        return _go_to(turn, event, event.state)
    if turn.failure is None:
        raise ControlRefused(_id(turn), "has not failed; name the state from which it is to go on")
    failure, turn.failure = turn.failure, None
    if event.context is not None:
        turn.context = event.context
    _again(turn, failure, edited=event.context is not None, told=_told("retried", event.by))
    turn.ready.extend((region, None) for region in turn.active())
    return TAKEN


def _checked(turn: Turn, context: JsonObject) -> JsonObject:
    edited: JsonObject = checked(context, "as an edited context")
    if turn.definition.schema is not None:
        turn.definition.schema.check(edited)
    return edited


def _go_to(turn: Turn, event: Retried, name: str) -> Answer:
    if turn.cancelling is not None:
        raise ControlRefused(_id(turn), "is being cancelled; it cannot go on from a state")
    if name not in turn.definition.states:
        raise EventRefused(
            "retry", f"no state {name!r}{did_you_mean(name, turn.definition.states)}"
        )
    turn.failure, turn.paused = None, False
    if event.context is not None:
        turn.context = event.context
    _reenter(turn, "", name, {}, _told("retried", event.by))
    turn.ready.append(("", None))
    return TAKEN


def _reenter(turn: Turn, region: str, name: str, event: JsonObject, told: Told) -> None:
    source = turn.positions[region].state
    stop(turn, region)
    turn.visits.pop(state_path(region, name), None)
    enter(turn, region, name, event, told, source=source)


def _again(turn: Turn, failure: Failure, *, edited: bool, told: Told) -> None:
    region, key = failure.region, failure.key
    position = turn.positions[region]
    if failure.again:
        _reenter(turn, region, position.state, position.event, told)
        return
    turn.stay(told, region)
    if failure.type == "Deadline" and turn.definition.deadline is not None:
        turn.set_timer("", "deadline", turn.now + turn.definition.deadline)
    if key is None or key not in turn.pending:
        return
    pending = turn.pending[key]
    if not edited:
        turn.pending[key] = replace(pending, attempt=pending.attempt + 1, tries=1, due_at=turn.now)
        ask_again(turn, key)
    elif position.running == key:
        del turn.pending[key]
        turn.move(region, running=None)
    else:
        del turn.pending[key]
        turn.move(region, phase="entering", work=None)


def _told(cause: Cause, by: str) -> Told:
    return Told(cause, data={"by": by} if by else None)


def _id(turn: Turn) -> str:
    return str(turn.before.instance)
