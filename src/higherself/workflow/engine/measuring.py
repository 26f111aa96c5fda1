"""What a step tells as metrics: transitions, how long states lasted, retries, ends."""

from higherself.kernel import telemetry
from higherself.workflow.engine.model import Write
from higherself.workflow.machine import RunActivity, RunCollaboration, Snapshot


def measure(write: Write, before: Snapshot | None) -> None:
    """Tell of a step that was stored; ``before`` is where its instance was."""
    after, workflow = write.snapshot, write.snapshot.workflow
    for entry in write.step.history:
        moved = entry.source != entry.target
        telemetry.count(
            "workflow.transition.taken" if moved else "workflow.instance.noted",
            workflow=workflow,
            cause=entry.cause,
        )
    for command in write.step.commands:
        if isinstance(command, RunActivity | RunCollaboration) and command.attempt > 1:
            telemetry.count("workflow.activity.retried", workflow=workflow)
    if before is None:
        telemetry.count("workflow.instance.started", workflow=workflow)
    elif after.status != before.status and (after.finished or after.status == "failed"):
        telemetry.count("workflow.instance.ended", workflow=workflow, status=after.status)
    if before is not None and (left := before.positions.get("")) is not None:
        position = after.positions.get("")
        if position is None or position.entered != left.entered:
            lasted = write.step.history[-1].at - left.entered_at
            telemetry.duration(
                "workflow.state.lasted", lasted.total_seconds(), workflow=workflow, state=left.state
            )
