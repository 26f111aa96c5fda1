"""The ways between the states of one machine, as a graph. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from higherself.workflow.definition.model import (
    Activity,
    Collaboration,
    Parallel,
    State,
    Transition,
)

Pace = Literal["at once", "after work", "after a wait"]
"""What comes before a transition is taken: nothing, something we do, or something we wait for."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A transition between two states; ``certain`` if it is always the one that is taken."""

    source: str
    target: str
    pace: Pace
    certain: bool


def edges(state: State) -> Iterator[Edge]:
    """Yield the ways out of ``state``."""
    automatic = _pace(state)
    for path, transitions in state.ways():
        pace: Pace = "after a wait"
        if path == "transitions":
            pace = automatic
        elif path == "on_error":
            pace = "after work"
        for index, transition in enumerate(transitions):
            if transition.to is not None:
                certain = path == "transitions" and index == 0 and transition.when is None
                yield Edge(state.name, transition.to, _slowed(pace, transition), certain)


def _pace(state: State) -> Pace:
    match state.work:
        case None:
            return "after work" if state.entry or state.exit else "at once"
        case Activity() | Collaboration() | Parallel():
            return "after work"
        case _:
            return "after a wait"


def _slowed(pace: Pace, transition: Transition) -> Pace:
    return "after work" if pace == "at once" and transition.do else pace


def reachable(start: Iterable[str], ways: Callable[[str], Iterable[str]]) -> set[str]:
    """Return what can be reached from ``start``, itself included."""
    found, left = set(start), list(start)
    while left:
        for name in ways(left.pop()):
            if name not in found:
                found.add(name)
                left.append(name)
    return found


def cycles(ways: Mapping[str, list[str]]) -> list[list[str]]:
    """Return one shortest cycle through each group of names that lead to one another."""
    found: list[list[str]] = []
    covered: set[str] = set()
    for name in ways:
        if name not in covered and (cycle := _shortest_cycle(name, ways)):
            found.append(cycle)
            covered |= {each for each in ways if name in reachable([each], ways.__getitem__)} & (
                reachable([name], ways.__getitem__)
            )
    return found


def _shortest_cycle(name: str, ways: Mapping[str, list[str]]) -> list[str] | None:
    paths = [[name]]
    seen: set[str] = set()
    for path in paths:
        for following in ways[path[-1]]:
            if following == name:
                return path
            if following not in seen:
                seen.add(following)
                paths.append([*path, following])
    return None
