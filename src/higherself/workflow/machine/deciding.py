"""Decisions that people take, or that nobody takes in time. Pure."""

from dataclasses import replace

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject
from higherself.workflow.definition.model import Approval
from higherself.workflow.errors import EventRefused, NotEntitled, NothingToDecide
from higherself.workflow.machine.commands import WithdrawApproval
from higherself.workflow.machine.events import Decided, TimerDue
from higherself.workflow.machine.moving import fault, take
from higherself.workflow.machine.receiving import TAKEN, Answer, keep, stuck
from higherself.workflow.machine.turn import Told, Turn


def decided(turn: Turn, event: Decided) -> Answer:
    """Go where the decision leads; where it leads nowhere of its own, try the state's transitions.

    Raises
        NothingToDecide: no such approval waits.
        NotEntitled: whoever decided has none of the roles.
        EventRefused: several approvals wait and none was named, or a guard failed.
    """
    key = _awaited(turn, event)
    region = turn.pending[key].region
    work = turn.state(region).work
    assert isinstance(work, Approval)  # noqa: S101  that is what this kind of pending is for
    if not set(event.roles) & set(work.roles):
        raise NotEntitled(event.by, event.roles, work.roles)
    data: JsonObject = {"outcome": event.outcome, "by": event.by, "comment": event.comment}
    told = Told("approval", event=event.outcome, data=data)
    if turn.halted:  # it is about this approval, not about one that is asked for later
        return keep(turn, replace(event, approval=key), told)
    try:
        context = turn.with_values(() if work.save is None else ((work.save, data),))
        choice = turn.choose(
            region, f"approval.{event.outcome}", work.outcomes[event.outcome], data
        )
    except Rejected as error:
        raise EventRefused(event.outcome, str(error)) from error
    turn.context = context
    _close(turn, region, key, data)
    if choice is None:
        turn.ready.append((region, told))
    else:
        take(turn, region, choice, data, told)
        turn.ready.append((region, None))
    return TAKEN


def _awaited(turn: Turn, event: Decided) -> str:
    waiting = sorted(key for key, each in turn.pending.items() if each.kind == "approval")
    if event.approval is not None:
        waiting = [key for key in waiting if key == event.approval]
    if not waiting:
        where = " and ".join(turn.path(each) for each in turn.active())
        raise NothingToDecide(str(turn.before.instance), where)
    if len(waiting) > 1:
        raise EventRefused(event.outcome, f"several approvals wait; name one: {', '.join(waiting)}")
    return waiting[0]


def expired(turn: Turn, event: TimerDue, region: str) -> Answer:
    """Go where an approval leads that nobody gave in time."""
    position, work = turn.positions[region], turn.state(region).work
    assert isinstance(work, Approval) and position.work is not None  # noqa: S101, PT018
    data: JsonObject = {"outcome": "expired"}
    try:
        choice = turn.choose(region, "approval.expired", work.outcomes["expired"], data)
    except Rejected as error:
        return stuck(turn, event, region, error)
    del turn.timers[event.timer]
    turn.commands.append(WithdrawApproval(position.work))
    _close(turn, region, position.work, data)
    if choice is None:
        said = f"nobody decided on {turn.path(region)} in time"
        fault(turn, region, "Timeout", said, again=True)
    else:
        take(turn, region, choice, data, Told("approval", event="expired"))
        turn.ready.append((region, None))
    return TAKEN


def _close(turn: Turn, region: str, key: str, data: JsonObject) -> None:
    del turn.pending[key]
    turn.drop_timers([region], "approval")
    turn.move(region, phase="open", work=None, event=data)
