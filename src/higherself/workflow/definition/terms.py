"""What a collaboration says beside its pattern, agents, tasks and input: as plain data. Pure.

The normal form of a definition has these keys, and they go along to whoever carries it out.
"""

from collections.abc import Mapping
from datetime import timedelta

from higherself.kernel.durations import text_of
from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.workflow.definition.model import (
    NO_INPUT,
    AgentSelector,
    Collaboration,
    CollaborationStep,
    People,
)


def terms_of(work: Collaboration) -> JsonObject:
    """Return what ``work`` says of its pattern; what is as usual is left out."""
    return _given(
        join=work.join,
        at_once=work.at_once,
        window=_duration(work.window),
        least=work.least,
        prefer=dict(work.prefer) or None,
        hops=work.hops,
        people=None if work.people is None else _people(work.people),
    )


def step_terms(step: CollaborationStep, undo: JsonValue = None) -> JsonObject:
    """Return what ``step`` says; ``undo`` is the input of what undoes it, filled in."""
    compensate = None
    if step.compensate is not None:
        source = undo if undo is not None else step.compensate.input.source
        compensate = _given(
            task=step.compensate.task,
            **agent_keys(step.compensate.agent),
            input=None if source == NO_INPUT.source else source,
            timeout=_duration(step.compensate.timeout),
        )
    return _given(
        id=step.id,
        timeout=_duration(step.timeout),
        on_failure=step.on_failure,
        attempts=step.attempts,
        backoff=_duration(step.backoff),
        substitute=[agent_keys(each) for each in step.substitute] or None,
        compensate=compensate,
        hedge=_duration(step.hedge),
    )


def agent_keys(selector: AgentSelector | None) -> dict[str, JsonValue]:
    """Return an agent selector as data."""
    if selector is None:
        return {}
    named = ("name", "role", "capability", "entity")
    return {key: getattr(selector, key) for key in named if getattr(selector, key) is not None}


def _people(people: People) -> Mapping[str, JsonValue]:
    return _given(
        roles=list(people.roles),
        question=people.question or None,
        timeout=_duration(people.timeout),
    )


def _given(**keys: JsonValue) -> dict[str, JsonValue]:
    return {key: value for key, value in keys.items() if value is not None}


def _duration(duration: timedelta | None) -> str | None:
    return None if duration is None else text_of(duration)
