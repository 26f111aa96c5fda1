"""What an instance waits for, in plain words. Pure."""

from collections.abc import Iterator
from datetime import datetime

from higherself.workflow.definition.model import (
    Activity,
    Parallel,
    State,
    SubWorkflow,
    WorkflowDefinition,
    state_path,
)
from higherself.workflow.machine.snapshot import Pending, Position, Snapshot


def waits_for(definition: WorkflowDefinition, snapshot: Snapshot) -> str:
    """Return what ``snapshot`` waits for, or how it ended."""
    match snapshot.status:
        case "completed":
            return f"completed in {snapshot.state}"
        case "cancelled":
            return f"cancelled: {snapshot.cancelling}"
        case "paused":
            return "paused until somebody resumes it"
        case "failed" if snapshot.failure is not None:
            where = state_path(snapshot.failure.region, snapshot.failure.state)
            return f"failed in {where}: {snapshot.failure.message}"
        case _:
            return "; ".join(_of_regions(definition, snapshot))


def _of_regions(definition: WorkflowDefinition, snapshot: Snapshot) -> Iterator[str]:
    for region in definition.regions:
        position = snapshot.positions.get(region)
        if position is None or position.phase in ("ended", "lost"):
            continue
        state = definition.state(region, position.state)
        said = " or ".join(_of_position(definition, snapshot, region, position, state))
        if region and said:
            yield f"{state_path(region, position.state)}: {said}"
        elif said:
            yield said
        elif not isinstance(state.work, Parallel):
            yield f"there is no way out of {state_path(region, position.state)}"


def _of_position(
    definition: WorkflowDefinition,
    snapshot: Snapshot,
    region: str,
    position: Position,
    state: State,
) -> Iterator[str]:
    if position.unmet:
        yield position.unmet
    for key in (position.running, position.work):
        if key is not None and key in snapshot.pending:
            yield _of_pending(definition, snapshot.pending[key], state)
    if position.running is None:
        if state.on and position.phase in ("working", "open"):
            yield f"waits for event {' or '.join(state.on)}"
        timers = [each for each in snapshot.timers.values() if each.region == region]
        for timer in sorted(timers, key=lambda each: each.due_at):
            if timer.path.startswith(("after", "cron", "timeout")):
                said = timer.path.replace(".", " ", 1)
                yield f"timer until {_at(timer.due_at)} ({said})"


def _of_pending(definition: WorkflowDefinition, pending: Pending, state: State) -> str:
    match pending.kind:
        case "approval":
            roles = " or ".join(getattr(state.work, "roles", ()))
            until = f" until {_at(pending.due_at)}" if pending.due_at else ""
            return f"waits for the approval of {roles}{until}"
        case "child":
            workflow = state.work.workflow if isinstance(state.work, SubWorkflow) else ""
            return f"waits for workflow {workflow} to end"
        case "activity" | "collaboration":
            activity = definition.activities[pending.activity]
            name = activity.skill if isinstance(activity, Activity) else activity.pattern
            if pending.error and pending.due_at:
                count = f"{pending.tries} of {activity.retry.attempts}"
                return (
                    f"runs {name} again at {_at(pending.due_at)} (attempt {count}): {pending.error}"
                )
            return f"runs {name}"


def _at(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M:%S %Z").strip()
