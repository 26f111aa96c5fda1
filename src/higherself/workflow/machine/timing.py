"""What happens when a timer becomes due. Pure."""

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject
from higherself.workflow.definition.model import Transitions
from higherself.workflow.machine.deciding import expired
from higherself.workflow.machine.events import TimerDue
from higherself.workflow.machine.moving import fault, take
from higherself.workflow.machine.receiving import STALE, TAKEN, Answer, keep, stuck
from higherself.workflow.machine.snapshot import Failure, Timer
from higherself.workflow.machine.turn import Told, Turn


def timer_due(turn: Turn, event: TimerDue) -> Answer:
    """Do what was to be done at this time."""
    timer = turn.timers.get(event.timer)
    if timer is None:
        return STALE
    told = Told("timer", event=timer.path, data={"due_at": timer.due_at.isoformat()})
    if turn.halted:
        return keep(turn, event, told)
    match timer.path:
        case "deadline":
            return _deadline(turn, event, told)
        case "timeout":
            del turn.timers[event.timer]
            said = f"{turn.path(timer.region)} took longer than its timeout"
            fault(turn, timer.region, "Timeout", said, again=True)
            return TAKEN
        case "approval":
            return expired(turn, event, timer.region)
        case _:
            return _in_time(turn, event, timer, told)


def _in_time(turn: Turn, event: TimerDue, timer: Timer, told: Told) -> Answer:
    """Take a transition of `after` or `cron`, once the region listens."""
    region = timer.region
    if not turn.attentive(region):
        return keep(turn, event, told)
    transitions = _timed(turn, timer)
    due: JsonObject = {"due_at": timer.due_at.isoformat()}
    try:
        choice = turn.choose(region, timer.path, transitions, due)
    except Rejected as error:
        return stuck(turn, event, region, error)
    del turn.timers[event.timer]
    if choice is None:
        turn.stay(told._replace(note=turn.why_not(transitions, due)), region)
    else:
        take(turn, region, choice, due, told)
        turn.ready.append((region, None))
    if choice is None or choice.transition.to is None:
        _come_round(turn, timer)
    return TAKEN


def _timed(turn: Turn, timer: Timer) -> Transitions:
    state = turn.state(timer.region)
    found = {each.path: each.transitions for each in state.after}
    found |= {each.path: each.transitions for each in state.cron}
    return found[timer.path]


def _come_round(turn: Turn, timer: Timer) -> None:
    """Set the timer of a schedule for the next time."""
    for scheduled in turn.state(timer.region).cron:
        if scheduled.path == timer.path and not turn.halted:
            due_at = scheduled.cron.next(turn.now, turn.definition.timezone)
            turn.set_timer(timer.region, timer.path, due_at)


def _deadline(turn: Turn, event: TimerDue, told: Told) -> Answer:
    transitions = turn.definition.on_deadline
    position = turn.positions[""]
    try:
        choice = turn.choose("", "on_deadline", transitions, {}, owner="")
    except Rejected as error:
        return stuck(turn, event, "", error)
    del turn.timers[event.timer]
    if choice is None:
        said = f"the deadline of {turn.definition} has passed"
        turn.fail(Failure("", position.state, "Deadline", said), told._replace(error=said))
    else:
        take(turn, "", choice, {}, told)
        turn.ready.append(("", None))
    return TAKEN
