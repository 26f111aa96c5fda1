"""Changes to plans that people have approved. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from higherself.agents.coordination.model import Plan, Step, Target

ChangeKind = Literal["timeout", "hedge", "agent", "at_once"]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a plan: of a step, or of the whole if ``step`` is empty."""

    kind: ChangeKind
    step: str
    value: Mapping[str, Any]


def tuned(plan: Plan, changes: Iterable[Change]) -> Plan:
    """Return ``plan`` with ``changes`` made; what is about steps it has not, changes nothing."""
    for change in changes:
        if change.kind == "at_once":
            if plan.pattern == "concurrent":
                plan = replace(plan, at_once=int(change.value["at_once"]))
        else:
            steps = tuple(
                _changed(step, change) if step.id == change.step else step for step in plan.steps
            )
            plan = replace(plan, steps=steps)
    return plan


def _changed(step: Step, change: Change) -> Step:
    match change.kind:
        case "timeout":
            return replace(step, timeout=timedelta(seconds=float(change.value["seconds"])))
        case "hedge":
            return replace(step, hedge=timedelta(seconds=float(change.value["seconds"])))
        case "agent":
            return _preferring(step, str(change.value["agent"]))
        case _:
            return step


def _preferring(step: Step, agent: str) -> Step:
    """Return ``step`` for ``agent``; whoever was meant before is asked if that one cannot do it."""
    if step.agent.name is not None:
        return step
    return replace(step, agent=Target(name=agent), substitute=(step.agent, *step.substitute))
