"""Moving an instance to another version of its workflow. Pure.

Everything the instance stands on must be there in the new version: its states, what it waits for,
its timers, what it may have to undo. What the new version adds to a state it is in (an activity, a
timeout) counts from the next time the state is entered.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from higherself.workflow.definition.model import (
    Activity,
    Approval,
    Collaboration,
    Parallel,
    State,
    SubWorkflow,
    WorkflowDefinition,
    state_path,
)
from higherself.workflow.errors import (
    ContextRejected,
    ControlRefused,
    InstanceFinished,
    MigrationRefused,
    WrongDefinition,
    did_you_mean,
)
from higherself.workflow.machine.advance import conclude
from higherself.workflow.machine.asking import UNDO
from higherself.workflow.machine.events import Received
from higherself.workflow.machine.snapshot import Pending, Position, Snapshot, Timer
from higherself.workflow.machine.step import Step
from higherself.workflow.machine.turn import Told, Turn


def migrated(
    old: WorkflowDefinition,
    new: WorkflowDefinition,
    snapshot: Snapshot,
    now: datetime,
    *,
    by: str = "",
) -> Step:
    """Return what moving ``snapshot`` from ``old`` to ``new`` leads to.

    The history says so in one entry; more follow only if an automatic transition of the new version
    can be taken at once. Timers keep the time they are due, and everything that was asked for stays
    asked for. Defaults that only the new context has are added to the instance's.

    Raises
        WrongDefinition: the instance is not one of ``old``, or ``new`` is another workflow.
        InstanceFinished: it has ended; it stays what it was.
        ControlRefused: it has not started, or is of that version already.
        MigrationRefused: something does not fit; everything that does not is listed.
    """
    _check(old, new, snapshot)
    added = {key: new.context[key] for key in new.context.keys() - old.context.keys()}
    context = {**added, **snapshot.context}
    moving = replace(snapshot, version=new.version)
    misfits = tuple(dict.fromkeys(_misfits(old, new, replace(moving, context=context))))
    if misfits:
        raise MigrationRefused(str(snapshot.instance), old.version, new.version, misfits)
    turn = Turn(new, moving, now, 0.0)
    turn.context = context if added.keys() - snapshot.context.keys() else snapshot.context
    note = f"version {old.version} to {new.version}"
    turn.stay(Told("migrated", data={"by": by} if by else None, note=note))
    turn.ready.extend((region, None) for region in turn.active() if turn.listens(region))
    return conclude(turn)


def _check(old: WorkflowDefinition, new: WorkflowDefinition, snapshot: Snapshot) -> None:
    pinned = f"{snapshot.workflow} version {snapshot.version}"
    if (old.name, old.version) != (snapshot.workflow, snapshot.version):
        raise WrongDefinition(pinned=pinned, given=str(old))
    if new.name != old.name:
        raise WrongDefinition(pinned=pinned, given=str(new))
    if snapshot.finished:
        raise InstanceFinished(str(snapshot.instance), snapshot.status)
    if not snapshot.sequence:
        raise ControlRefused(str(snapshot.instance), "has not started; start it with the version")
    if new.version == old.version:
        raise ControlRefused(str(snapshot.instance), f"is of version {new.version} already")


def _misfits(old: WorkflowDefinition, new: WorkflowDefinition, snapshot: Snapshot) -> Iterator[str]:
    """Yield what of ``snapshot`` has no place in ``new``."""
    for region, position in snapshot.positions.items():
        yield from _of_position(old, new, region, position)
    for pending in snapshot.pending.values():
        yield from _of_pending(old, new, pending, snapshot.positions)
    for timer in snapshot.timers.values():
        yield from _of_timer(new, timer, snapshot.positions)
    for undo in snapshot.undo:
        if undo.activity not in new.activities:
            yield _missing("compensation", undo.activity, new.activities)
    for event in snapshot.kept:
        if isinstance(event, Received) and event.name not in new.events:
            yield _missing("event", event.name, new.events)
    if new.schema is not None:
        try:
            new.schema.check(snapshot.context)
        except ContextRejected as error:
            yield str(error)


def _state(new: WorkflowDefinition, region: str, name: str) -> State | None:
    machine = new.regions.get(region)
    return machine.states.get(name) if machine is not None else None


def _of_position(
    old: WorkflowDefinition, new: WorkflowDefinition, region: str, position: Position
) -> Iterator[str]:
    path = state_path(region, position.state)
    machine = new.regions.get(region)
    if machine is None:
        yield _missing("branch", region, new.regions)
        return
    state, before = machine.states.get(position.state), old.state(region, position.state)
    if state is None:
        yield _missing("state", position.state, machine.states, within=region)
        return
    if state.final != before.final:
        yield f"state {path} is {'final' if state.final else 'no longer final'}"
    if position.to is not None and position.to not in machine.states:
        yield _missing("state", position.to, machine.states, within=region)
    for item in position.agenda:
        if item != UNDO and item not in new.activities:
            yield _missing("activity", item, new.activities)
    if position.phase == "working" and isinstance(before.work, Parallel):
        yield from _of_branches(path, before.work, state)


def _of_branches(path: str, before: Parallel, state: State) -> Iterator[str]:
    if not isinstance(state.work, Parallel):
        yield f"state {path} has no branches any more"
        return
    for name in state.work.branches.keys() - before.branches.keys():
        yield f"branch {name} of state {path} is new, and would never begin"


def _of_pending(
    old: WorkflowDefinition,
    new: WorkflowDefinition,
    pending: Pending,
    positions: Mapping[str, Position],
) -> Iterator[str]:
    state = _state(new, pending.region, positions[pending.region].state)
    match pending.kind:
        case "activity" | "collaboration":
            yield from _of_activity(old, new, pending)
        case "approval" if state is not None and not isinstance(state.work, Approval):
            yield f"the approval {pending.activity}, which is waited for, is not there"
        case "child" if state is not None and not isinstance(state.work, SubWorkflow):
            yield f"the sub-workflow {pending.activity}, which is waited for, is not there"
        case _:
            pass


def _of_activity(
    old: WorkflowDefinition, new: WorkflowDefinition, pending: Pending
) -> Iterator[str]:
    name = pending.activity
    match old.activities[name], new.activities.get(name):
        case _, None:
            yield _missing("activity", name, new.activities)
        case Activity(skill=before), Activity(skill=after):
            if before != after:
                yield f"activity {name} is under way as {before}, and is now {after}"
        case Collaboration() as before_, Collaboration() as after_:
            if (before_.pattern, len(before_.steps)) != (after_.pattern, len(after_.steps)):
                yield f"collaboration {name} is under way, and has other steps now"
        case _:
            yield f"activity {name} is under way, and is something else now"


def _of_timer(
    new: WorkflowDefinition, timer: Timer, positions: Mapping[str, Position]
) -> Iterator[str]:
    if timer.path == "deadline":
        if new.deadline is None:
            yield "there is no deadline any more"
        return
    name = positions[timer.region].state
    state = _state(new, timer.region, name)
    if state is not None and timer.path not in _timers(state):
        yield _missing("timer", timer.path, _timers(state), within=state_path(timer.region, name))


def _timers(state: State) -> Mapping[str, None]:
    named = [*(each.path for each in state.after), *(each.path for each in state.cron)]
    if state.timeout is not None:
        named.append("timeout")
    if isinstance(state.work, Approval):
        named.append("approval")
    return dict.fromkeys(named)


def _missing(
    what: str, name: str, known: Mapping[str, object] | frozenset[str], *, within: str = ""
) -> str:
    where = f" in {within}" if within else ""
    return (
        f"there is no {what} {name!r}{where}{did_you_mean(name, [each for each in known if each])}"
    )
