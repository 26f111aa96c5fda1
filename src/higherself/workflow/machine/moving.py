"""How a turn moves: entering and leaving states, choosing transitions, failing. Pure.

In a state, the order is: entry activities, the state's own work, then its transitions. On the way
to the next: what `set` says, exit activities (those of branches first), compensations, the
activities of the transition. `settle` has every region go on until it waits.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject
from higherself.workflow.definition.model import (
    Activity,
    After,
    Parallel,
    State,
    Transitions,
    state_path,
)
from higherself.workflow.definition.schedule import instant_of
from higherself.workflow.machine.asking import UNDO, ask_for_work, ask_next
from higherself.workflow.machine.commands import CancelTimer, NotifyParent
from higherself.workflow.machine.snapshot import Failure, Pending, Phase, Position
from higherself.workflow.machine.turn import Choice, Told, Turn, region_around

MOST_MOVES = 100
"""Transitions in one turn. Whatever needs more goes round in circles."""


def settle(turn: Turn) -> None:
    """Have every region that may have something to do go on until it waits."""
    while turn.ready and not turn.halted:
        region, told = turn.ready.popleft()
        run(turn, region, told)
        if not turn.ready and turn.context is not turn.settled:  # guards elsewhere may hold now
            turn.settled = turn.context
            turn.ready.extend((each, None) for each in turn.active() if turn.listens(each))


def run(turn: Turn, region: str, told: Told | None) -> None:
    """Have ``region`` go on until it waits. ``told`` is what happened to it, not yet written."""
    while region in turn.positions and not turn.halted:
        position = turn.positions[region]
        if position.running is not None or position.phase in ("ended", "lost"):
            break
        if position.agenda or position.phase == "entering":
            _tell(turn, region, told)
            told = None
            _go_on(turn, region, position)
        elif position.phase == "leaving":
            _arrive(turn, region, position, told or Told("left"))
            told = None
        elif position.phase == "working":
            if not _joins(turn, region):
                break
            told = told or Told("join")
        elif not _take_automatic(turn, region, position, told or Told("automatic")):
            break
        else:
            told = None
    _tell(turn, region, told)


def _tell(turn: Turn, region: str, told: Told | None) -> None:
    if told is not None:
        turn.stay(told, region)


def _go_on(turn: Turn, region: str, position: Position) -> None:
    """Ask for what comes next: an activity on the agenda, or else the state's own work."""
    state = turn.state(region)
    try:
        if position.agenda:
            ask_next(turn, region)
        elif state.final:
            _end(turn, region)
        elif isinstance(state.work, Parallel):
            _begin_branches(turn, region, state.work)
        else:
            key = ask_for_work(turn, region)
            phase: Phase = "open" if key is None else "working"
            turn.positions[region] = Position(
                position.state, position.entered, position.entered_at, phase, position.event,
                work=key,
            )  # fmt: skip
    except Rejected as error:
        what = position.agenda[0] if position.agenda else turn.path(region)
        fault(turn, region, "InputFailed", str(error), activity=what)


# --- Branches.


def _begin_branches(turn: Turn, region: str, work: Parallel) -> None:
    path, position = turn.path(region), turn.move(region, phase="working")
    for name, branch in work.branches.items():
        if turn.positions.get(region) is not position:  # one failed at once, and it was left
            return
        inner = f"{path}.{name}"
        enter(turn, inner, branch.initial, position.event, Told("automatic"), source=None)
        turn.ready.append((inner, None))


def _joins(turn: Turn, region: str) -> bool:
    """Whether enough branches have ended; then the others are stopped, and the work is done."""
    work = turn.state(region).work
    if not isinstance(work, Parallel):
        return False
    path = turn.path(region)
    ended = {
        name: position.state
        for name in work.branches
        if (position := turn.positions.get(f"{path}.{name}")) and position.phase == "ended"
    }
    if len(ended) < work.needed:
        return False
    exits = _stop_branches(turn, region)
    turn.move(region, phase="open", event={"branches": ended}, agenda=exits)
    return True


def _can_do_without(turn: Turn, branch: str) -> bool:
    """Whether the join around ``branch`` can still be met if that never ends."""
    work = turn.state(region_around(branch)).work
    if not isinstance(work, Parallel):
        return False
    path = turn.path(region_around(branch))
    others = [f"{path}.{name}" for name in work.branches]
    lost = [each for each in others if _is_lost(turn, each) or each == branch]
    return len(others) - len(lost) >= work.needed


def _is_lost(turn: Turn, branch: str) -> bool:
    return branch in turn.positions and turn.positions[branch].phase == "lost"


def _end(turn: Turn, region: str) -> None:
    turn.move(region, phase="ended")
    if region:
        turn.ready.append((region_around(region), None))
    else:
        finish(turn, "completed")


# --- Transitions.


def _take_automatic(turn: Turn, region: str, position: Position, told: Told) -> bool:
    transitions = turn.state(region).transitions
    if not transitions:
        return False
    try:
        choice = turn.choose(region, "transitions", transitions, position.event)
    except Rejected as error:
        failure = Failure(region, position.state, "GuardFailed", str(error))
        turn.fail(failure, Told(told.cause, told.event, error=str(error)))
        return True
    if choice is None:
        turn.move(region, unmet=turn.why_not(transitions, position.event))
        return False
    take(turn, region, choice, position.event, told)
    return True


def take(turn: Turn, region: str, choice: Choice, event: JsonObject, told: Told) -> None:
    """Take a transition of ``region``; `run` then has it go on."""
    position = turn.positions[region]
    turn.moves += 1
    if turn.moves > MOST_MOVES:
        said = f"{MOST_MOVES} transitions followed one another without a wait"
        turn.fail(Failure(region, position.state, "Endless", said), Told("error", error=said))
        return
    if choice.values:
        turn.context = turn.with_values(choice.values)
    transition = choice.transition
    own = _numbered(f"{choice.owner}/{choice.path}.do", transition.do)
    if transition.to is None:
        turn.move(region, event=event, agenda=(*position.agenda, *own), unmet="")
        turn.record(told, region, position.state, position.state)
        return
    exits = stop(turn, region)
    undone = (UNDO,) * (len(list(turn.undoable(region))) if transition.compensate else 0)
    agenda = (*exits, *undone, *own)
    if not agenda:
        enter(turn, region, transition.to, event, told, source=position.state)
        return
    turn.move(
        region, phase="leaving", event=event, agenda=agenda, running=None, work=None,
        to=transition.to, unmet="",
    )  # fmt: skip
    turn.record(told, region, position.state, position.state)


def _arrive(turn: Turn, region: str, position: Position, told: Told) -> None:
    if position.to is None:  # it was cancelled, and everything is undone
        turn.stay(told, region)
        finish(turn, "cancelled")
        return
    enter(turn, region, position.to, position.event, told, source=position.state)


def enter(
    turn: Turn, region: str, name: str, event: JsonObject, told: Told, *, source: str | None
) -> None:
    """Put ``region`` into the state ``name``; `run` then has it go on."""
    state, path = turn.definition.state(region, name), state_path(region, name)
    if state.max_visits is not None:
        turn.visits[path] = turn.visits.get(path, 0) + 1
    turn.record(told, region, source, name)
    entry = _numbered(f"{path}/entry", state.entry)
    turn.positions[region] = Position(
        name, turn.sequence, turn.now, "entering", event=event, agenda=entry
    )
    try:
        _set_timers(turn, region, state)
    except Rejected as error:
        fault(turn, region, "InputFailed", str(error), again=True)
        return
    if state.max_visits is not None and (visits := turn.visits[path]) > state.max_visits:
        said = f"{path} was entered {visits} times, and max_visits is {state.max_visits}"
        fault(turn, region, "TooManyVisits", said, again=True)


def due(turn: Turn, region: str, after: After) -> datetime:
    """Return when it happens: after its duration, or when its template says.

    Raises
        Rejected: the template fails, or says neither a duration nor a time.
    """
    if after.wait is None:
        return turn.now + after.duration
    said = after.wait.render(turn.scope(turn.positions[region].event), turn.now)
    return instant_of(said, turn.now, after.text)


def _set_timers(turn: Turn, region: str, state: State) -> None:
    for path, due_at in [(each.path, due(turn, region, each)) for each in state.after]:
        turn.set_timer(region, path, due_at)
    for scheduled in state.cron:
        due_at = scheduled.cron.next(turn.now, turn.definition.timezone)
        turn.set_timer(region, scheduled.path, due_at)
    if state.timeout is not None:
        turn.set_timer(region, "timeout", turn.now + state.timeout)


# --- Stopping.


def stop(turn: Turn, region: str) -> tuple[str, ...]:
    """Stop everything in the state that ``region`` is in; return the exit activities to be run."""
    own = _exits(turn, region)
    exits = (*_stop_branches(turn, region), *own)
    turn.withdraw([region])
    turn.drop_timers([region])
    return exits


def _stop_branches(turn: Turn, region: str) -> tuple[str, ...]:
    inner = turn.inside(region)
    if not inner:
        return ()
    turn.withdraw(inner)
    turn.drop_timers(inner)
    exits: list[str] = []
    for each in reversed(inner):
        exits += _exits(turn, each)
        turn.close(each)
    return tuple(exits)


def _exits(turn: Turn, region: str) -> Sequence[str]:
    position = turn.positions[region]
    if position.phase == "leaving":  # the rest of what it was about, but not what runs already
        return position.agenda[1:] if position.running else position.agenda
    if position.phase in ("ended", "lost"):
        return ()
    return _numbered(f"{turn.path(region)}/exit", turn.state(region).exit)


def _numbered(path: str, activities: Sequence[Activity]) -> tuple[str, ...]:
    """Return the paths of activities that stand in a list."""
    return tuple([f"{path}[{index}]" for index in range(len(activities))]) if activities else ()


def finish(turn: Turn, status: Literal["completed", "cancelled"]) -> None:
    """End the instance."""
    root = turn.positions[""]
    turn.end = status
    everywhere = turn.active()
    turn.withdraw(everywhere)
    for timer in sorted(turn.timers):
        turn.commands.append(CancelTimer(timer))
    turn.timers.clear()
    turn.ready.clear()
    turn.kept.clear()
    turn.undo.clear()
    for region in everywhere[1:]:
        turn.close(region)
    turn.move("", phase="ended", agenda=(), running=None, work=None, to=None, unmet="")
    if (parent := turn.before.parent) is not None:
        turn.commands.append(
            NotifyParent(parent.instance, parent.key, status, root.state, turn.context)
        )


# --- Failing.


def fault(
    turn: Turn,
    region: str,
    type_: str,
    message: str,
    *,
    activity: str = "",
    attempts: int = 0,
    key: str | None = None,
    pending: Pending | None = None,
    again: bool = False,
) -> None:
    """Have ``region`` go where its state goes on errors, or the states around it.

    If there is no such way, the instance fails; ``key`` and ``pending`` are then what is asked for
    again when a person retries it, and with ``again`` the state is entered anew.
    """
    state = turn.positions[region].state
    told = Told("error", event=activity or None, attempt=attempts or None, error=message)
    event: JsonObject = {
        "type": type_, "message": message, "activity": activity, "attempts": attempts
    }  # fmt: skip
    if turn.cancelling is None and _take_error(turn, region, event, told):
        return
    if key is not None and pending is not None:
        turn.pending[key] = pending
    turn.fail(Failure(region, state, type_, message, key, again), told)


def _take_error(turn: Turn, region: str, event: JsonObject, told: Told) -> bool:
    while True:
        position = turn.positions[region]
        if position.phase != "leaving":
            try:
                choice = _on_error(turn, region, event)
            except Rejected as error:
                failure = Failure(region, position.state, "GuardFailed", str(error))
                turn.fail(failure, Told("error", error=str(error)))
                return True
            if choice is not None:
                take(turn, region, choice, event, told)
                turn.ready.append((region, None))
                return True
        if not region:
            return False
        if _can_do_without(turn, region):
            stop(turn, region)
            turn.move(region, phase="lost", agenda=(), running=None, work=None, to=None)
            turn.stay(told, region)
            return True
        region = region_around(region)


def _on_error(turn: Turn, region: str, event: JsonObject) -> Choice | None:
    state = turn.state(region)
    ways: list[tuple[str, Transitions]] = [("on_error", state.on_error)]
    if event["type"] == "Timeout":
        ways.insert(0, ("on_timeout", state.on_timeout))
    for path, transitions in ways:
        if (choice := turn.choose(region, path, transitions, event)) is not None:
            return choice
    return None
