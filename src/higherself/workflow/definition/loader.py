"""From a text, or from Python's own values, to a checked definition. Pure.

Reading goes on past problems, so that all of them are found at once. What belongs to states is in
`states`; what is done in them in `works`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from higherself.kernel.jsonvalue import JsonObject
from higherself.workflow.definition.model import UTC, WorkflowDefinition
from higherself.workflow.definition.nodes import Node, nodes_of_value
from higherself.workflow.definition.parts import MOST_VERSIONS
from higherself.workflow.definition.reading import Notes, Spot, Wrong, from_text, text, whole
from higherself.workflow.definition.schedule import zone_of
from higherself.workflow.definition.schema import ContextSchema
from higherself.workflow.definition.states import machine, transitions
from higherself.workflow.definition.text import nodes_of_text
from higherself.workflow.definition.words import duration, json_object, name
from higherself.workflow.errors import InvalidDefinition, Place, Problem


@dataclass(frozen=True, slots=True)
class LoadedDefinition:
    """A definition, and the place in its text of everything in it, by path."""

    definition: WorkflowDefinition
    places: Mapping[str, Place]


def load_text(text: str, *, file: str) -> LoadedDefinition:
    """Return the definition that ``text`` is: JSON if ``file`` is named so, else YAML.

    Raises
        InvalidDefinition: with every problem that was found.
    """
    return _load(nodes_of_text(text, file))


def load(definition: JsonObject) -> WorkflowDefinition:
    """Return the definition that has these keys, which are those of YAML.

    Raises
        InvalidDefinition: with every problem that was found.

    >>> load({
    ...     "workflow": "hello", "version": 1, "initial": "asked",
    ...     "states": {
    ...         "asked": {"on": {"answered": {"to": "done"}}},
    ...         "done": {"final": True},
    ...     },
    ... }).initial
    'asked'
    """
    return _load(nodes_of_value(definition)).definition


def _load(node: Node) -> LoadedDefinition:
    notes = Notes()
    try:
        definition = _definition(Spot(node, "", notes))
    except Wrong as wrong:
        raise InvalidDefinition([wrong.problem]) from None
    if notes.problems:
        raise InvalidDefinition(_in_order(notes))
    return LoadedDefinition(definition, notes.places)


def _definition(spot: Spot) -> WorkflowDefinition:
    with spot.keys("a definition") as keys:
        named = keys.need("workflow", name, "", example="workflow: lead_nurturing")
        version = keys.need("version", whole(1, MOST_VERSIONS), 1, example="version: 1")
        whole_machine = machine(keys)
        ways = partial(transitions, names=whole_machine.states)
        definition = WorkflowDefinition(
            name=named,
            version=version,
            initial=whole_machine.initial,
            states=whole_machine.states,
            description=keys.read("description", text, ""),
            context=keys.read("context", json_object, {}),
            schema=keys.read("schema", _schema, None),
            deadline=keys.read("deadline", duration, None),
            on_deadline=keys.read("on_deadline", ways, ()),
            timezone=keys.read("timezone", from_text(zone_of), UTC),
        )
    if definition.on_deadline and "deadline" not in keys:
        spot.note("`on_deadline` waits for a `deadline`, for example `deadline: 30d`")
    return definition


def _schema(spot: Spot) -> ContextSchema:
    try:
        return ContextSchema.of(json_object(spot))
    except ValueError as error:
        raise spot.wrong(str(error)) from None


def _in_order(notes: Notes) -> list[Problem]:
    return sorted(
        dict.fromkeys(notes.problems),
        key=lambda each: (each.place.line, each.place.column) if each.place else (0, 0),
    )
