"""A definition as plain data again, in one normal form, and the hash of that. Pure.

The form has the keys of YAML, without those that say what is usual anyway: loading it gives an
equal definition. So comments, the order of keys and ways of writing do not change the hash; the
order of what is tried in order does.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from higherself.kernel.jsonvalue import JsonObject, JsonValue, canonical, content_hash
from higherself.workflow.definition.model import (
    NO_INPUT,
    UTC,
    Activity,
    AgentSelector,
    Approval,
    Assignments,
    Branch,
    Collaboration,
    CollaborationStep,
    Constant,
    Parallel,
    Retry,
    State,
    SubWorkflow,
    Transition,
    Transitions,
    Work,
    WorkflowDefinition,
)
from higherself.workflow.definition.paths import ContextPath
from higherself.workflow.definition.schedule import text_of
from higherself.workflow.definition.template import Input
from higherself.workflow.definition.terms import step_terms, terms_of
from higherself.workflow.errors import DefinitionChanged


def hash_of(definition: WorkflowDefinition) -> bytes:
    """Return the hash of what ``definition`` says (32 bytes)."""
    return content_hash(canonical(as_data(definition)))


def check_unchanged(definition: WorkflowDefinition, known: bytes) -> None:
    """Do nothing if ``definition`` has the hash that is ``known`` for its name and version.

    Raises
        DefinitionChanged: it has another.
    """
    if hash_of(definition) != known:
        raise DefinitionChanged(definition.name, definition.version)


def as_data(definition: WorkflowDefinition) -> JsonObject:
    """Return ``definition`` as JSON in its normal form."""
    return _said(
        workflow=definition.name,
        version=definition.version,
        description=definition.description,
        context=definition.context,
        schema=None if definition.schema is None else definition.schema.source,
        timezone=None if definition.timezone.key == UTC.key else definition.timezone.key,
        deadline=_duration(definition.deadline),
        on_deadline=_ways(definition.on_deadline),
        initial=definition.initial,
        states=_states(definition.states.values()),
    )


def _said(**keys: JsonValue) -> dict[str, JsonValue]:
    return {key: value for key, value in keys.items() if value}


def _states(states: Iterable[State]) -> JsonObject:
    return {state.name: _state(state) for state in states}


def _state(state: State) -> JsonObject:
    return _said(
        description=state.description,
        final=state.final,
        agent=_selector(state.agent),
        **_work(state.work),
        compensate=None if state.compensate is None else _activity(state.compensate),
        entry=[_activity(each) for each in state.entry],
        exit=[_activity(each) for each in state.exit],
        transitions=_ways(state.transitions),
        on={name: _ways(ways) for name, ways in state.on.items()},
        after={each.text: _ways(each.transitions) for each in state.after},
        cron={each.cron.text: _ways(each.transitions) for each in state.cron},
        timeout=_duration(state.timeout),
        on_timeout=_ways(state.on_timeout),
        on_error=_ways(state.on_error),
        max_visits=state.max_visits,
    )


def _work(work: Work | None) -> dict[str, JsonValue]:
    match work:
        case None:
            return {}
        case Activity():
            return {"activity": _activity(work)}
        case Collaboration():
            return {"collaborate": _collaboration(work)}
        case SubWorkflow():
            return {"start": _sub_workflow(work)}
        case Approval():
            return {"approval": _approval(work)}
        case Parallel():
            branches = {name: _branch(branch) for name, branch in work.branches.items()}
            return {"parallel": {"branches": branches, "join": work.join}}


def _activity(activity: Activity) -> JsonObject:
    return _said(
        skill=activity.skill,
        input=_input(activity.input),
        save=_path(activity.save),
        timeout=_duration(activity.timeout),
        retry=_retry(activity.retry),
    )


def _collaboration(work: Collaboration) -> JsonObject:
    return _said(
        pattern=work.pattern,
        steps=[_step(step) for step in work.steps],
        input=_input(work.input),
        save=_path(work.save),
        timeout=_duration(work.timeout),
        retry=_retry(work.retry),
        **terms_of(work),
    )


def _step(step: CollaborationStep) -> JsonObject:
    return {
        **(_selector(step.agent) or {}),
        **_said(task=step.task, input=_input(step.input)),
        **step_terms(step),
    }


def _sub_workflow(work: SubWorkflow) -> JsonObject:
    return _said(
        workflow=work.workflow,
        version=work.version,
        context=_input(work.context),
        save=_path(work.save),
    )


def _approval(work: Approval) -> JsonObject:
    return _said(
        roles=list(work.roles),
        question=_input(work.question),
        timeout=_duration(work.timeout),
        save=_path(work.save),
        **{outcome: _ways(ways) for outcome, ways in work.outcomes.items()},
    )


def _branch(branch: Branch) -> JsonObject:
    return {"initial": branch.initial, "states": _states(branch.states.values())}


def _ways(transitions: Transitions) -> Sequence[JsonValue]:
    return [_transition(each) for each in transitions]


def _transition(transition: Transition) -> JsonObject:
    return _said(
        to=transition.to,
        when=None if transition.when is None else transition.when.text,
        set=_assignments(transition.assignments),
        do=[_activity(each) for each in transition.do],
        compensate=transition.compensate,
    )


def _assignments(assignments: Assignments) -> Mapping[str, JsonValue]:
    return {
        ".".join(path): value.value if isinstance(value, Constant) else value.text
        for path, value in assignments
    }


def _selector(selector: AgentSelector | None) -> JsonObject | None:
    if selector is None:
        return None
    return _said(
        name=selector.name,
        role=selector.role,
        capability=selector.capability,
        entity=selector.entity,
    )


def _retry(retry: Retry) -> JsonObject:
    usual = Retry()
    return {
        key: value
        for key, value, default in (
            ("attempts", retry.attempts, usual.attempts),
            ("backoff", text_of(retry.backoff), text_of(usual.backoff)),
            ("factor", retry.factor, usual.factor),
            ("max", text_of(retry.ceiling), text_of(usual.ceiling)),
            ("not_on", list(retry.not_on), []),
        )
        if value != default
    }


def _input(given: Input) -> JsonValue:
    return None if given == NO_INPUT else given.source


def _path(path: ContextPath | None) -> str | None:
    return None if path is None else ".".join(path)


def _duration(duration: timedelta | None) -> str | None:
    return None if duration is None else text_of(duration)
