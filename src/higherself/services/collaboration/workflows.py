"""Workflows that have agents collaborate: their states as plans, run as messages."""

from collections.abc import Iterator
from typing import Any

from higherself.agents.coordination.reading import PlanRejected, plan_of
from higherself.agents.coordination.records import Activity
from higherself.services.collaboration.collaborations import Collaborations
from higherself.services.collaboration.errors import CollaborationBusy, NothingAsked
from higherself.workflow.definition import Collaboration as Collaboration_
from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.definition.terms import agent_keys, step_terms, terms_of
from higherself.workflow.engine.activities import ActivityCall, ActivityRunner, Deferred, Ran
from higherself.workflow.engine.errors import CannotRun


class CollaboratingRunner:
    """Runs activities: skills here and now, collaborations as messages that outlive the worker."""

    def __init__(self, skills: ActivityRunner, collaborations: Collaborations) -> None:
        self._skills, self._collaborations = skills, collaborations

    async def run(self, call: ActivityCall) -> Ran | Deferred:
        """Return what a skill comes to, or that agents have begun to collaborate.

        Raises
            PlanRejected: the definition has no such pattern, or not with these keys.
            CannotRun, Exception: see `SkillRunner.run`.
        """
        if call.pattern is None:
            return await self._skills.run(call)
        state = call.activity.removesuffix("/collaborate")
        plan = plan_of(plan_data(call), name=f"{call.workflow}/{state}")
        for id, attempt in await self._collaborations.store.of_activity(call.key):
            if attempt < call.attempt:
                await self._collaborations.cancel(id, reason="it is tried anew")
        try:
            await self._collaborations.start(
                plan,
                entity=call.entity,
                key=f"{call.key}/{call.attempt}",
                activity=Activity(call.instance, call.key, call.attempt),
                correlation=call.correlation,
            )
        except NothingAsked:
            return Deferred()  # the instance has gone on without it
        except CollaborationBusy as busy:
            raise CannotRun(str(busy)) from busy
        return Deferred()


def plan_data(call: ActivityCall) -> dict[str, Any]:
    """Return the plan of a collaboration that a workflow asks for, as data."""
    steps = []
    for task in call.tasks:
        agent = {
            key: getattr(task.agent, key)
            for key in ("name", "role", "capability", "entity")
            if getattr(task.agent, key) is not None
        }
        steps.append({**agent, "task": task.task, "input": task.input, **task.terms})
    data: dict[str, Any] = {
        "pattern": call.pattern,
        "steps": steps,
        "input": call.input,
        **call.terms,
    }
    if call.timeout is not None:
        data["timeout"] = call.timeout
    return data


def plan_problems(definition: WorkflowDefinition) -> Iterator[tuple[str, str]]:
    """Yield what of the collaborations of ``definition`` could not be carried out, and where."""
    for path, work in definition.activities.items():
        if isinstance(work, Collaboration_):
            steps = [
                {**agent_keys(step.agent), "task": step.task, **step_terms(step)}
                for step in work.steps
            ]
            try:
                plan_of({"pattern": work.pattern, "steps": steps, **terms_of(work)})
            except PlanRejected as rejected:
                where = f"states.{path.replace('/', '.')}.{rejected.path}"
                yield where, rejected.reason
