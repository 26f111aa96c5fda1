"""Reading what is done in a state: activities, collaborations, sub-workflows. Pure."""

from higherself.workflow.definition.model import (
    NO_INPUT,
    Activity,
    AgentSelector,
    Collaboration,
    CollaborationStep,
    Retry,
    SubWorkflow,
)
from higherself.workflow.definition.reading import Keys, Spot, number, text, whole
from higherself.workflow.definition.template import Input
from higherself.workflow.definition.words import (
    context_path,
    duration,
    json_object,
    name,
    skill,
    template,
    template_with_secrets,
)

MOST_ATTEMPTS = 1_000
MOST_VERSIONS = 1_000_000


def activity(spot: Spot) -> Activity:
    """Return an activity: a skill's name, or an object with its name and more."""
    if spot.is_text:
        return Activity(skill(spot))
    with spot.keys("an activity") as keys:
        return Activity(
            skill=keys.need("skill", skill, "", example="skill: send_email"),
            input=keys.read("input", given, NO_INPUT),
            save=keys.read("save", context_path, None),
            timeout=keys.read("timeout", duration, None),
            retry=keys.read("retry", retry, Retry()),
        )


def activities(spot: Spot) -> tuple[Activity, ...]:
    """Return one activity or a list of them."""
    return spot.each(activity)


def given(spot: Spot) -> Input:
    """Return what an activity is given: an object with templates in it."""
    json_object(spot)
    return template_with_secrets(spot)


def retry(spot: Spot) -> Retry:
    """Return a retry policy."""
    usual = Retry()
    with spot.keys("a retry policy") as keys:
        policy = Retry(
            attempts=keys.read("attempts", whole(1, MOST_ATTEMPTS), usual.attempts),
            backoff=keys.read("backoff", duration, usual.backoff),
            factor=keys.read("factor", number(1, 100), usual.factor),
            ceiling=keys.read("max", duration, usual.ceiling),
            not_on=keys.read("not_on", lambda inner: inner.each(text), ()),
        )
    if "max" in keys and policy.ceiling < policy.backoff:
        keys.spot.note("max is shorter than backoff; every wait would be max")
    return policy


def agent(spot: Spot) -> AgentSelector:
    """Return an agent selector."""
    with spot.keys("an agent selector") as keys:
        selector = _selector(keys)
    if selector == AgentSelector():
        spot.note("an agent selector says which agent: by name, role, capability or entity")
    return selector


def _selector(keys: Keys) -> AgentSelector:
    return AgentSelector(
        name=keys.read("name", text, None),
        role=keys.read("role", text, None),
        capability=keys.read("capability", text, None),
        entity=keys.read("entity", text, None),
    )


def collaboration(spot: Spot) -> Collaboration:
    """Return a collaboration."""
    with spot.keys("a collaboration") as keys:
        return Collaboration(
            pattern=keys.need("pattern", name, "", example="pattern: chain"),
            steps=keys.need("steps", _steps, (), example="steps: [{role: editor, task: draft}]"),
            input=keys.read("input", given, NO_INPUT),
            save=keys.read("save", context_path, None),
            timeout=keys.read("timeout", duration, None),
            retry=keys.read("retry", retry, Retry()),
        )


def _steps(spot: Spot) -> tuple[CollaborationStep, ...]:
    steps = spot.each(_step)
    if spot.is_list and not steps:
        raise spot.wrong("a collaboration has at least one step")
    return steps


def _step(spot: Spot) -> CollaborationStep:
    with spot.keys("a step of a collaboration") as keys:
        step = CollaborationStep(
            agent=_selector(keys),
            task=keys.need("task", text, "", example="task: draft"),
            input=keys.read("input", given, NO_INPUT),
        )
    if step.agent == AgentSelector():
        spot.note("a step says which agent: by name, role, capability or entity")
    return step


def sub_workflow(spot: Spot) -> SubWorkflow:
    """Return a sub-workflow."""
    with spot.keys("a workflow to start") as keys:
        return SubWorkflow(
            workflow=keys.need("workflow", name, "", example="workflow: booking"),
            version=keys.read("version", whole(1, MOST_VERSIONS), None),
            context=keys.read("context", _context, NO_INPUT),
            save=keys.read("save", context_path, None),
        )


def _context(spot: Spot) -> Input:
    json_object(spot)
    return template(spot)
