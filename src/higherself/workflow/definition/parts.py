"""Reading what is done in a state: activities, collaborations, sub-workflows. Pure."""

from typing import Literal, cast

from higherself.workflow.definition.model import (
    NO_INPUT,
    Activity,
    AgentSelector,
    Collaboration,
    CollaborationStep,
    OnFailure,
    People,
    Retry,
    SubWorkflow,
    UndoStep,
)
from higherself.workflow.definition.reading import Keys, Spot, number, one_of, text, whole
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
MOST_STEPS, MOST_TRIES, MOST_HOPS = 100, 100, 14


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
            join=keys.read("join", _join, None),
            at_once=keys.read("at_once", whole(1, MOST_STEPS), None),
            window=keys.read("window", duration, None),
            least=keys.read("least", whole(0, MOST_VERSIONS), None),
            prefer=keys.read("prefer", _prefer, ()),
            hops=keys.read("hops", whole(1, MOST_HOPS), None),
            people=keys.read("people", _people, None),
        )


def _join(spot: Spot) -> Literal["all", "first"] | int:
    match spot.scalar:
        case "all":
            return "all"
        case "first":
            return "first"
        case int(count) if not isinstance(count, bool) and count >= 1:
            return count
        case _:
            raise spot.wrong("join is all, first, or how many branches have to end well, such as 2")


def _prefer(spot: Spot) -> tuple[tuple[str, float], ...]:
    def weight(key: str, inner: Spot) -> float:
        if key not in ("price", "time", "confidence"):
            raise ValueError(f"a bid has no {key!r}; it has a price, a time and a confidence")
        return number(0, 1000)(inner)

    return tuple(spot.table("prefer", weight).items())


def _people(spot: Spot) -> People:
    with spot.keys("people") as keys:
        return People(
            roles=keys.need("roles", lambda inner: inner.each(text), (), example="roles: [owner]"),
            question=keys.read("question", text, ""),
            timeout=keys.read("timeout", duration, None),
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
            id=keys.read("id", name, None),
            timeout=keys.read("timeout", duration, None),
            on_failure=keys.read("on_failure", _on_failure, None),
            attempts=keys.read("attempts", whole(1, MOST_TRIES), None),
            backoff=keys.read("backoff", duration, None),
            substitute=keys.read("substitute", lambda inner: inner.each(agent), ()),
            compensate=keys.read("compensate", _undo, None),
            hedge=keys.read("hedge", duration, None),
        )
    if step.on_failure == "substitute" and not step.substitute:
        spot.note("`on_failure: substitute` needs `substitute`, the agents that are asked instead")
    if step.agent == AgentSelector():
        spot.note("a step says which agent: by name, role, capability or entity")
    return step


def _on_failure(spot: Spot) -> OnFailure:
    return cast("OnFailure", one_of(("fail", "ignore", "retry", "substitute"), "way to fail")(spot))


def _undo(spot: Spot) -> UndoStep:
    """Return what undoes a step: a task of the agent that did it, or an object with more."""
    if spot.is_text:
        return UndoStep(text(spot))
    with spot.keys("what undoes a step") as keys:
        selector = _selector(keys)
        return UndoStep(
            task=keys.need("task", text, "", example="task: cancel"),
            agent=None if selector == AgentSelector() else selector,
            input=keys.read("input", given, NO_INPUT),
            timeout=keys.read("timeout", duration, None),
        )


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
