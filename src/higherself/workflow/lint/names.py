"""Names that nobody knows: skills, capabilities, agents, patterns, workflows. Pure."""

from collections.abc import Collection, Iterator

from higherself.workflow.definition import (
    Activity,
    AgentSelector,
    Collaboration,
    WorkflowDefinition,
)
from higherself.workflow.definition.model import State, SubWorkflow
from higherself.workflow.errors import did_you_mean
from higherself.workflow.lint.finding import Catalogue, Finding, machines

Named = tuple[str, str, str | None, Collection[str] | None]
"""A path, what kind of name it is, the name, and those that are known."""


def unknown_names(definition: WorkflowDefinition, catalogue: Catalogue) -> Iterator[Finding]:
    """Yield names that are not in the ``catalogue``."""
    for machine in machines(definition):
        for state in machine.states.values():
            for path, kind, name, known in _named(state, catalogue):
                if name is not None and known is not None and name not in known:
                    where = f"{machine.path_of(state.name)}.{path}"
                    what = f"there is no {kind} {name!r}{did_you_mean(name, known)}"
                    yield Finding("error", "unknown-name", where, what)


def _named(state: State, catalogue: Catalogue) -> Iterator[Named]:
    if state.agent is not None:
        yield from _selected("agent", state.agent, catalogue)
    for path, activity in state.activities():
        if isinstance(activity, Activity):
            yield path, "skill", activity.skill, catalogue.skills
        else:
            yield from _collaboration(path, activity, catalogue)
    if isinstance(state.work, SubWorkflow):
        yield "start.workflow", "workflow", state.work.workflow, catalogue.workflows


def _collaboration(path: str, work: Collaboration, catalogue: Catalogue) -> Iterator[Named]:
    yield f"{path}.pattern", "coordination pattern", work.pattern, catalogue.patterns
    for index, step in enumerate(work.steps):
        here = f"{path}.steps[{index}]"
        yield from _selected(here, step.agent, catalogue)
        for place, substitute in enumerate(step.substitute):
            yield from _selected(f"{here}.substitute[{place}]", substitute, catalogue)
        if step.compensate is not None and step.compensate.agent is not None:
            yield from _selected(f"{here}.compensate", step.compensate.agent, catalogue)


def _selected(path: str, selector: AgentSelector, catalogue: Catalogue) -> Iterator[Named]:
    yield f"{path}.name", "agent", selector.name, catalogue.agents
    yield f"{path}.role", "role", selector.role, catalogue.roles
    yield f"{path}.capability", "capability", selector.capability, catalogue.capabilities
