"""A definition as graphs to be drawn: one for each region, with its states and the ways between. Pure.

Every way from one state to another is part of one edge, so two states are joined by one line at
most in each direction. States are named by their paths, edges by those of both ends; where a
region begins is a node of its own, and so is the deadline of the workflow.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from higherself.workflow.definition.model import (
    Activity,
    Approval,
    Collaboration,
    Parallel,
    State,
    SubWorkflow,
    Transitions,
    WorkflowDefinition,
    state_path,
)
from higherself.workflow.definition.schedule import text_of

START, DEADLINE = "(start)", "(deadline)"
"""Names of nodes that are no states; no state can be named so."""

EdgeKey = tuple[str, str]
"""The paths of where an edge begins and ends."""

NodeKind = Literal[
    "start", "deadline", "final", "activity", "collaboration", "child", "approval", "parallel",
    "timer", "event", "choice",
]  # fmt: skip
WayKind = Literal[
    "start", "automatic", "event", "timer", "approval", "error", "deadline", "moved"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Way:
    """One transition in words: what it takes for it to be tried, and the guard that has to hold.

    ``otherwise`` says that it has no guard and comes after some that have.
    """

    kind: WayKind
    says: str = ""
    guard: str = ""
    otherwise: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """All ways from one node to another."""

    source: str
    target: str
    ways: tuple[Way, ...]

    @property
    def key(self) -> EdgeKey:
        """What it is known by."""
        return self.source, self.target

    @property
    def is_error(self) -> bool:
        """Whether it is only taken when something has gone wrong."""
        return all(way.kind == "error" for way in self.ways)

    @property
    def is_moved(self) -> bool:
        """Whether the definition does not have it: a person took the instance there."""
        return all(way.kind == "moved" for way in self.ways)


@dataclass(frozen=True, slots=True)
class Node:
    """A state, or what else is drawn as one. ``path`` is unique in the definition."""

    path: str
    name: str
    kind: NodeKind
    state: State | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """The machine of one region. The first node is its start."""

    region: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @property
    def paths(self) -> frozenset[str]:
        """The paths of all its nodes."""
        return frozenset(node.path for node in self.nodes)


def graphs_of(definition: WorkflowDefinition, moved: Iterable[EdgeKey] = ()) -> Mapping[str, Graph]:
    """Return the graph of every region, in the definition's order.

    ``moved`` are edges that the definition lacks and a run has.
    """
    added = list(moved)
    return {region: _graph_of(definition, region, added) for region in definition.regions}


def _graph_of(definition: WorkflowDefinition, region: str, moved: list[EdgeKey]) -> Graph:
    machine = definition.regions[region]
    start = state_path(region, START)
    nodes = [Node(start, "", "start")]
    ways: dict[EdgeKey, list[Way]] = {}
    _add(ways, start, state_path(region, machine.initial), Way("start"))
    for state in machine.states.values():
        path = state_path(region, state.name)
        nodes.append(Node(path, state.name, kind_of(state), state))
        for target, way in ways_of(state):
            _add(ways, path, state_path(region, target), way)
    if not region and any(each.to is not None for each in definition.on_deadline):
        said = f"deadline {text_of(definition.deadline)}" if definition.deadline else "deadline"
        nodes.append(Node(DEADLINE, said, "deadline"))
        for target, way in _each(definition.on_deadline, "deadline", ""):
            _add(ways, DEADLINE, target, way)
    paths = {node.path for node in nodes}
    for source, target in moved:
        if {source, target} <= paths and (source, target) not in ways:
            _add(ways, source, target, Way("moved", "moved by hand"))
    edges = (Edge(*key, tuple(dict.fromkeys(found))) for key, found in ways.items())
    return Graph(region, tuple(nodes), tuple(edges))


def _add(ways: dict[EdgeKey, list[Way]], source: str, target: str, way: Way) -> None:
    ways.setdefault((source, target), []).append(way)


def kind_of(state: State) -> NodeKind:
    """Return what a state is, as far as it is drawn."""
    if state.final:
        return "final"
    match state.work:
        case Activity():
            return "activity"
        case Collaboration():
            return "collaboration"
        case SubWorkflow():
            return "child"
        case Approval():
            return "approval"
        case Parallel():
            return "parallel"
        case None:
            pass
    if state.entry:
        return "activity"
    if state.on:
        return "event"
    return "timer" if state.after or state.cron else "choice"


def ways_of(state: State) -> Iterator[tuple[str, Way]]:
    """Yield every way out of ``state`` to a state, with the name of that, in the order of trying."""
    yield from _each(state.transitions, "automatic", "")
    for name, transitions in state.on.items():
        yield from _each(transitions, "event", name)
    for after in state.after:
        yield from _each(after.transitions, "timer", f"after {after.text}")
    for scheduled in state.cron:
        yield from _each(scheduled.transitions, "timer", f"cron {scheduled.cron.text}")
    if isinstance(state.work, Approval):
        for outcome, transitions in state.work.outcomes.items():
            limit = state.work.timeout
            expiry = outcome == "expired" and limit is not None
            said = f"expired after {text_of(limit)}" if expiry and limit else outcome
            yield from _each(transitions, "approval", said)
    timeout = f"timeout {text_of(state.timeout)}" if state.timeout else "timeout"
    yield from _each(state.on_timeout, "error", timeout)
    yield from _each(state.on_error, "error", "on error")


def _each(transitions: Transitions, kind: WayKind, says: str) -> Iterator[tuple[str, Way]]:
    for index, each in enumerate(transitions):
        guard = each.when.text if each.when is not None else ""
        if each.to is not None:
            yield each.to, Way(kind, says, " ".join(guard.split()), index > 0 and not guard)
