"""Guards that get in each other's way, and fields that nothing sets. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from higherself.kernel.jsonvalue import JsonValue, canonical
from higherself.workflow.definition import SubWorkflow, Transition, WorkflowDefinition
from higherself.workflow.definition.model import (
    Approval,
    Constant,
    Transitions,
)
from higherself.workflow.definition.paths import below
from higherself.workflow.errors import did_you_mean
from higherself.workflow.guard import ExpressionRejected, Guard, Read, compile_guard, overlap
from higherself.workflow.lint.finding import Finding, machines

Path = tuple[str | None, ...]


def ways(definition: WorkflowDefinition) -> Iterator[tuple[str, Transitions]]:
    """Yield every list of transitions, with its path."""
    yield "on_deadline", definition.on_deadline
    for machine in machines(definition):
        for state in machine.states.values():
            for path, transitions in state.ways():
                yield f"{machine.path_of(state.name)}.{path}", transitions


def clashes(definition: WorkflowDefinition) -> Iterator[Finding]:
    """Yield transitions that are never taken, and pairs whose guards hold at the same time."""
    for path, transitions in ways(definition):
        numbered = list(enumerate(transitions))
        shadowed: set[int] = set()
        for (first, one), (second, other) in combinations(numbered, 2):
            if {first, second} & shadowed:
                continue
            if what := _shadows(one, other):
                shadowed.add(second)
                yield Finding("warning", "shadowed", below(path, second), what)
            elif what := _overlaps(one, other):
                yield Finding("advice", "overlap", below(path, second), what)


def _shadows(one: Transition, other: Transition) -> str:
    if one.when is None:
        return f"it is never taken: the one before it {_leads(one)} always is; swap them"
    if other.when is None or not _implies(other.when, one.when):
        return ""
    said = f"whenever {other.when.text!r} holds, {one.when.text!r} does, too"
    return f"it is never taken: {said}, and is tried first; swap them"


def _implies(one: Guard, other: Guard) -> bool:
    if one.text == other.text:
        return True
    try:
        neither = compile_guard(f"not ({other.text})")
    except ExpressionRejected:
        return False
    return overlap(one, neither).verdict == "never"


def _overlaps(one: Transition, other: Transition) -> str:
    if one.when is None or other.when is None or not _same_fields(one.when, other.when):
        return ""
    both = overlap(one.when, other.when)
    if both.verdict != "sometimes" or _implies(one.when, other.when):
        return ""
    example = f", for example for {canonical(both.example).decode()}" if both.example else ""
    return (
        f"its guard and {one.when.text!r} can both hold{example}; the first one is taken, so say "
        "in the guards which is meant"
    )


def _same_fields(one: Guard, other: Guard) -> bool:
    return bool({read.path for read in one.reads} & {read.path for read in other.reads})


def _leads(transition: Transition) -> str:
    return f"(to {transition.to})" if transition.to else "(which stays)"


# --- Fields.


def unknown_fields(definition: WorkflowDefinition) -> Iterator[Finding]:
    """Yield fields of the context that guards and `set` read, and that nothing ever sets."""
    written = {*_written(definition)}
    known = sorted(".".join(path) for path in written | {(key,) for key in definition.context})
    for path, read in _read(definition):
        field = read.path[1:]
        if read.path[0] != "context" or read.asked or not field or field[0] is None:
            continue
        if any(_touch(field, each) for each in written) or _declared(definition, field):
            continue
        said = ".".join(str(step) for step in field if step is not None)
        meant = did_you_mean(said, known) if known else ""
        what = (
            f"context.{said} is read, but nothing sets it{meant or ''}"
            f"{'' if meant.endswith('?') else '; declare it in `context` or `schema`'}"
        )
        yield Finding("warning", "unknown-field", path, what)


def _read(definition: WorkflowDefinition) -> Iterator[tuple[str, Read]]:
    yield from _waits(definition)
    for path, transitions in ways(definition):
        for index, transition in enumerate(transitions):
            at = below(path, index)
            if transition.when is not None:
                yield from ((f"{at}.when", read) for read in transition.when.reads)
            for to, value in transition.assignments:
                if not isinstance(value, Constant):
                    said = below(f"{at}.set", ".".join(to))
                    yield from ((said, read) for read in value.reads)


def _waits(definition: WorkflowDefinition) -> Iterator[tuple[str, Read]]:
    for machine in machines(definition):
        for state in machine.states.values():
            for after in state.after:
                if after.wait is not None:
                    at = f"{machine.path_of(state.name)}.{after.path}"
                    yield from ((at, each.read) for each in after.wait.reads)


def _written(definition: WorkflowDefinition) -> Iterator[tuple[str, ...]]:
    for _, transitions in ways(definition):
        for transition in transitions:
            yield from (path for path, _ in transition.assignments)
    for activity in definition.activities.values():
        if activity.save is not None:
            yield activity.save
    for _, state in definition.all_states():
        if isinstance(state.work, SubWorkflow | Approval) and state.work.save is not None:
            yield state.work.save


def _touch(field: Path, written: Sequence[str]) -> bool:
    return all(a is None or a == b for a, b in zip(field, written, strict=False))


def _declared(definition: WorkflowDefinition, field: Path) -> bool:
    if _has(definition.context, field):
        return True
    schema = definition.schema
    return schema is not None and field[0] in schema.properties


def _has(value: JsonValue, field: Path) -> bool:
    if not field or not isinstance(value, Mapping):
        return True
    step = field[0]
    return step is None or (step in value and _has(value[step], field[1:]))
