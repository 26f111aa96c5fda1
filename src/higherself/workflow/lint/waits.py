"""What may never come back: activities, waits and approvals without an end. Pure."""

from collections.abc import Iterator

from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.definition.model import Approval, State, SubWorkflow
from higherself.workflow.lint.finding import Finding, machines


def endless_activities(definition: WorkflowDefinition) -> Iterator[Finding]:
    """Yield activities and collaborations that have no timeout."""
    for machine in machines(definition):
        for state in machine.states.values():
            for path, activity in state.activities():
                if activity.timeout is None:
                    what = "it has no timeout, and might hang; add one, for example `timeout: 30s`"
                    where = f"{machine.path_of(state.name)}.{path}"
                    yield Finding("warning", "no-timeout", where, what)


def endless_waits(definition: WorkflowDefinition) -> Iterator[Finding]:
    """Yield states that may wait for ever, in a workflow that has no deadline."""
    if definition.deadline is not None:
        return
    for machine in machines(definition):
        for state in machine.states.values():
            if _may_wait_for_ever(state):
                what = (
                    "it may wait for ever; add `after`, `cron` or a `timeout` here, or a `deadline` to "
                    "the workflow"
                )
                yield Finding("warning", "no-timeout", machine.path_of(state.name), what)


def _may_wait_for_ever(state: State) -> bool:
    leaves = any(each.to for after in state.after for each in after.transitions)
    if leaves or state.cron or state.timeout is not None:
        return False
    waits = bool(state.on) and not any(each.when is None for each in state.transitions)
    return isinstance(state.work, SubWorkflow) or (waits and not isinstance(state.work, Approval))


def approvals(definition: WorkflowDefinition) -> Iterator[Finding]:
    """Yield approvals that nobody has to give, and that lead nowhere if nobody does."""
    for machine in machines(definition):
        for state in machine.states.values():
            if isinstance(state.work, Approval) and (what := _expiry(state, state.work)):
                path = f"{machine.path_of(state.name)}.approval"
                yield Finding("warning", "no-expiry", path, what)


def _expiry(state: State, work: Approval) -> str:
    expires = bool(work.outcomes["expired"])
    if work.timeout is None and expires:
        return "it never expires, so `expired` is never taken; add a `timeout`"
    if work.timeout is None and state.timeout is None:
        return "it never expires; add `timeout: 2d` and say where `expired` leads"
    if work.timeout is not None and not (expires or state.on_timeout or state.on_error):
        return "when it expires, the instance fails; say where `expired` leads"
    return ""
