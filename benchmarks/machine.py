"""The machine: what one step of an instance costs before it meets a database.

An instance with five states, each with one activity. A step is what the engine does for an activity
that has ended: `advance`, the snapshot as canonical JSON text, and the history as JSON.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from uuid import UUID

from guard_peers import rate
from measure import Line, at_most, finish, parser

from higherself.kernel.ids import InstanceId
from higherself.kernel.jsonvalue import JsonObject, canonical
from higherself.workflow.definition import WorkflowDefinition, load
from higherself.workflow.machine import (
    ActivityCompleted,
    Event,
    RunActivity,
    Snapshot,
    Started,
    Step,
    advance,
    command_to_json,
    new_instance,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TARGET = 60
STATES = ("captured", "enriched", "scored", "drafted", "sent")


def definition() -> WorkflowDefinition:
    """Return five states, each of which runs an activity and saves its result."""
    states: dict[str, JsonObject] = {
        name: {
            "activity": {
                "skill": f"make_{name}",
                "input": {"email": "{{ context.email }}"},
                "save": name,
                "timeout": "30s",
            },
            "transitions": {"to": to},
        }
        for name, to in zip(STATES, (*STATES[1:], "done"), strict=True)
    }
    return load(
        {
            "workflow": "five",
            "version": 1,
            "initial": STATES[0],
            "states": {**states, "done": {"final": True}},
        }
    )


def run(workflow: WorkflowDefinition) -> Iterator[tuple[Snapshot, Event, Step]]:
    """Yield every step of one instance, from its start to its end."""
    snapshot = new_instance(workflow, instance=InstanceId(UUID(int=7)), entity="the_7_space")
    event: Event = Started({"email": "ada@example.org", "name": "Ada"})
    while not snapshot.finished:
        step = advance(workflow, snapshot, event, NOW)
        yield snapshot, event, step
        for command in step.commands:
            if isinstance(command, RunActivity):
                event = ActivityCompleted(command.key, {"score": 7, "note": "fine"}, "nyra", 12.5)
        snapshot = step.snapshot


def lines() -> list[Line]:
    """Measure every part over the steps of one run, so that none is only the easy one."""
    workflow = definition()
    _, *given = run(workflow)  # all but the start
    stored = [step.snapshot.to_json() for _, _, step in given]
    parts: dict[str, Callable[[], object]] = {
        "advance": lambda: [
            advance(workflow, snapshot, event, NOW) for snapshot, event, _ in given
        ],
        "snapshot to JSON": lambda: [step.snapshot.to_json() for _, _, step in given],
        "history to JSON": lambda: [
            each.to_json() for _, _, step in given for each in step.history
        ],
        "commands to JSON": lambda: [
            command_to_json(each) for _, _, step in given for each in step.commands
        ],
        "snapshot from JSON": lambda: [Snapshot.from_json(each) for each in stored],
    }

    def one_step() -> None:
        for snapshot, event, _ in given:
            step = advance(workflow, snapshot, event, NOW)
            canonical(step.snapshot.to_json())
            for each in step.history:
                each.to_json()

    def everything() -> None:
        for snapshot, event, _ in given:
            step = advance(workflow, snapshot, event, NOW)
            canonical(step.snapshot.to_json())
            canonical([each.to_json() for each in step.history])
            canonical([command_to_json(each) for each in step.commands])

    def us(work: Callable[[], object]) -> float:
        return 1e6 / rate(work) / len(given)

    taken = us(one_step)
    return [
        Line("a step: advance, snapshot as text, history", taken, "us", **at_most(taken, TARGET)),
        Line("a step, and history and commands as text too", us(everything), "us"),
        *(Line(name, us(work), "us") for name, work in parts.items()),
    ]


if __name__ == "__main__":
    options = parser(__doc__).parse_args()
    finish(lines(), options.json)
