"""The fourteen operational workflows of the businesses: they go where upstream's went.

What holds for every shipped definition is in `workflows/test_definitions.py`.

`upstream_workflows.txt` has the fourteen operational ones as they were described. Where the server
does a state's work itself, or a person decides, that takes the edge instead of upstream's event.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.workflow.world import World

from higherself.business.workflows import texts
from higherself.workflow.definition import State, WorkflowDefinition, load_text
from higherself.workflow.definition.model import Approval
from higherself.workflow.machine import Decided, RunActivity, Snapshot, TimerDue

FILES = dict(texts())
CODES = {
    found[0]: name.removesuffix(".yaml")
    for name, text in FILES.items()
    if (found := re.search(r"WF-[A-Z-]+[A-Z]", text.partition("\n")[0]))
}
DEFINITIONS = {
    name: load_text(FILES[f"{name}.yaml"], file=f"{name}.yaml").definition
    for name in CODES.values()
}


@dataclass(frozen=True)
class Upstream:
    """A workflow as it was described."""

    code: str
    states: list[str]
    initial: str
    edges: list[tuple[str, str, str]]


def upstream() -> Iterator[Upstream]:
    text = (Path(__file__).parent / "upstream_workflows.txt").read_text("utf-8")
    for part in text.split("\n\n")[1:]:
        code, states, initial, *edges = part.strip().splitlines()
        yield Upstream(
            code,
            states.removeprefix("states: ").split(", "),
            initial.removeprefix("initial: "),
            [(each.split()[0], each.split()[1][2:-3], each.split()[2]) for each in edges],
        )


UPSTREAM = list(upstream())
by_code = pytest.mark.parametrize("described", UPSTREAM, ids=lambda each: each.code)
by_name = pytest.mark.parametrize("name", DEFINITIONS)


def targets(state: State) -> set[str]:
    return {way.to for _, ways in state.ways() for way in ways if way.to}


# --- What they say.


def test_there_are_the_fourteen() -> None:
    assert len(UPSTREAM) == 14
    assert sorted(CODES) == sorted(each.code for each in UPSTREAM)


@by_code
def test_upstreams_states_and_initial_state_are_there(described: Upstream) -> None:
    definition = DEFINITIONS[CODES[described.code]]
    assert definition.initial == described.initial
    assert set(described.states) <= definition.states.keys()


@by_code
def test_every_upstream_edge_is_there(described: Upstream) -> None:
    """Directly, or by way of states that were added."""
    states = DEFINITIONS[CODES[described.code]].states
    missing = []
    for source, event, target in described.edges:
        there = targets(states[source])
        added = {each for each in there if each not in described.states}
        there = there.union(*(targets(states[each]) for each in added))
        if target not in there:
            missing.append(f"{source} --{event}--> {target}")
    assert missing == []


@by_code
def test_what_is_waited_for_has_upstreams_name(described: Upstream) -> None:
    """Unless the state's own work, a decision or a timer leads the same way."""
    definition = DEFINITIONS[CODES[described.code]]
    for source, event, target in described.edges:
        state = definition.states[source]
        if event in definition.events and event in state.on:
            assert target in {way.to for way in state.on[event]}
        else:
            assert state.work is not None or state.transitions or state.after


@by_code
def test_decisions_stay_with_the_people_who_have_the_role(described: Upstream) -> None:
    """Nobody gets round an approval by sending the event that it stands for."""
    for state in DEFINITIONS[CODES[described.code]].states.values():
        if isinstance(state.work, Approval):
            decided = {way.to for way in state.work.outcomes["approved"]}
            assert not decided & {way.to for ways in state.on.values() for way in ways}


# --- Where they go.

FIELDS: dict[str, Any] = {
    "amount": 90,
    "at": "2026-03-09T09:00:00Z",
    "comment": "more is needed",
    "email": "ada@example.org",
    "failures": ["the second page is empty"],
    "name": "Ada",
    "result": {"title": "Tea bowls", "text": "Tea bowls are thrown.", "passed": True},
    "sentiment": "positive",
    "state": "booked",
    "text": "with pleasure",
    "title": "Tea bowls",
}
YES: dict[str, Any] = {
    **dict.fromkeys(("authorized", "granted", "valid", "passed", "satisfactory", "cleared"), True),
    **dict.fromkeys(("promising", "successful"), True),
    "count": 1,
    "direction": "notion_to_external",
    "score": 90,
    **FIELDS,
}
NO: dict[str, Any] = {
    **{key: False if value is True else value for key, value in YES.items()},
    "count": 0,
    "direction": "external_to_notion",
    "score": 10,
}
NEITHER = {**NO, "direction": "notion_to_external"}


class Explored(World):
    """An instance that is put back to where it was, to try something else."""

    def at(self, snapshot: Snapshot, now: Any) -> "Explored":
        other = Explored(self.definition)
        other.snapshot, other.now = snapshot, now
        other.timers = {key: each.due_at for key, each in snapshot.timers.items()}
        other.running = dict(self.running)
        other.approvals, other.children = dict(self.approvals), dict(self.children)
        other.history, other.asked = list(self.history), list(self.asked)
        other.last = self.last
        return other


def given(definition: WorkflowDefinition, name: str) -> dict[str, Any]:
    """Return data for an event: everything that is read of it, and what emails need."""
    ways = [way for state in definition.states.values() for way in state.on.get(name, ())]
    paths = [
        *(each.path for way in ways for _, value in way.assignments
          for each in getattr(value, "reads", ())),
        *(each.read.path for way in ways for work in way.do for each in work.input.reads),
    ]  # fmt: skip
    read = {str(path[1]) for path in paths if path[0] == "event"}
    times = {field: "2026-03-09T09:00:00Z" for field in read if field.endswith(("_at", "_until"))}
    return {**{field: dict(FIELDS) for field in read}, **times, **FIELDS}


def choices(world: Explored) -> Iterator[Explored]:
    """Yield the world after each thing that can happen to it next, but for more errors."""
    for command in world.running.values():
        for result in (YES, NO, NEITHER):
            after = world.at(world.snapshot, world.now)
            after.complete(result, command.activity)
            yield after
        undoes = command.activity.endswith(
            "/compensate"
        )  # it is tried for long, and nothing follows
        if (
            isinstance(command, RunActivity)
            and not undoes
            and world.definition.states[world.state].on_error
        ):
            after = world.at(world.snapshot, world.now)
            after.break_down(activity=command.activity, retryable=False)
            yield after
    for key, approval in world.approvals.items():
        for outcome in ("approved", "rejected"):
            after = world.at(world.snapshot, world.now)
            after.send(Decided(outcome, "ann", approval.roles, "more is needed", key))
            yield after
    for _ in world.children:
        for state in ("booked", "given_up"):
            after = world.at(world.snapshot, world.now)
            after.child_ends(state)
            yield after
    for name in world.definition.states[world.state].on:
        after = world.at(world.snapshot, world.now)
        after.receive(name, **given(world.definition, name))
        yield after
    due = [key for key, each in world.snapshot.timers.items() if each.path != "deadline"]
    if due:
        after = world.at(world.snapshot, world.now)
        timer = min(due, key=after.timers.__getitem__)
        after.now = max(after.now, after.timers[timer])
        after.send(TimerDue(timer))
        yield after


def explored(definition: WorkflowDefinition) -> tuple[set[tuple[str, str]], set[str], list[str]]:
    """Try everything; return the edges that were taken, the states that were seen, what failed."""
    world = Explored(definition)
    objects = [key for key, value in definition.context.items() if isinstance(value, dict)]
    world.start(**{key: dict(FIELDS) for key in objects}, email="ada@example.org")
    left, seen = [world], set[Any]()
    edges: set[tuple[str, str]] = set()
    failed = []
    while left:
        world = left.pop(0)
        edges |= {
            (entry.source, entry.target)
            for entry in world.history
            if entry.source and entry.target and not entry.region
        }
        if world.status == "failed":
            failed.append(world.reason)
        position = world.snapshot.positions[""]
        asked = sorted(each.activity for each in world.snapshot.pending.values())
        here = (world.state, position.phase, *asked, world.context.get("rounds"))
        if here in seen or world.status in ("failed", "completed"):
            continue
        seen.add(here)
        left += choices(world)
    return edges, {definition.initial} | {target for _, target in edges}, failed


@by_name
def test_every_state_can_be_got_to_and_nothing_fails_on_the_way(name: str) -> None:
    definition = DEFINITIONS[name]
    _, states, failed = explored(definition)
    assert states == definition.states.keys()
    assert failed == []


@by_code
def test_every_upstream_edge_can_be_taken(described: Upstream) -> None:
    definition = DEFINITIONS[CODES[described.code]]
    edges, _, _ = explored(definition)
    added = definition.states.keys() - set(described.states)
    around = {(a, d) for a, b in edges for c, d in edges if b == c and b in added}
    wanted = {(source, target) for source, _, target in described.edges}
    assert wanted - edges - around == set()


def test_a_payment_is_given_back_when_a_booking_is_cancelled() -> None:
    world = Explored(DEFINITIONS["wellness_booking"])
    world.start(client={"email": "ada@example.org"}, service="massage")
    assert timedelta(0) < min(world.timers.values()) - world.now
    world.complete()
    world.receive("consultation_scheduled", at="2026-03-09T09:00:00Z")
    world.receive("consultation_completed", quote={"amount": 90})
    world.complete()
    world.receive("client_accepted_quote")
    world.complete()
    world.receive("payment_received", payment={"id": "p1", "amount": 90})
    world.complete({"receipt": "r1"})
    world.complete()
    world.receive("booking_canceled")
    (command,) = world.running.values()
    assert isinstance(command, RunActivity)
    assert command.skill == "create_task"
    assert command.input == {
        "template": "refund",
        "contact": {"email": "ada@example.org"},
        "description": {"id": "p1", "amount": 90},
    }
    world.complete()
    assert (world.state, world.status) == ("canceled", "completed")
