"""What lint finds, and what it goes by. Pure."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.definition.model import Branch, Parallel, State, state_path
from higherself.workflow.definition.paths import below
from higherself.workflow.errors import Place

Severity = Literal["error", "warning", "advice"]

Rule = Literal[
    "unreachable",
    "dead-end",
    "never-ends",
    "join-never-met",
    "shadowed",
    "overlap",
    "endless-loop",
    "unknown-field",
    "unknown-name",
    "no-such-plan",
    "no-timeout",
    "no-expiry",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. An ``error`` will go wrong, a ``warning`` may, ``advice`` is taste.

    ``what`` is a sentence that ends with what to do. There is no place in a definition that was
    not read from a text.
    """

    severity: Severity
    rule: Rule
    path: str
    what: str
    place: Place | None = None

    def __str__(self) -> str:
        where = f"{self.place}: {self.path}" if self.place else self.path
        return f"{where}: {self.severity}: {self.what} [{self.rule}]"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The names there are. What is None is not known, and not checked."""

    skills: Collection[str] | None = None
    capabilities: Collection[str] | None = None
    agents: Collection[str] | None = None
    roles: Collection[str] | None = None
    patterns: Collection[str] | None = None
    workflows: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine of one region, and the path of its keys in the definition."""

    region: str
    path: str
    initial: str
    states: Mapping[str, State]

    def path_of(self, state: str) -> str:
        """Return the path of a state's keys."""
        return below(below(self.path, "states"), state)

    def name_of(self, state: str) -> str:
        """Return what a state is called in a sentence."""
        return state_path(self.region, state)


def machines(definition: WorkflowDefinition) -> Iterator[Machine]:
    """Yield every machine of ``definition``, outer ones first."""
    yield from _machines("", "", Branch(definition.initial, definition.states))


def _machines(region: str, path: str, branch: Branch) -> Iterator[Machine]:
    machine = Machine(region, path, branch.initial, branch.states)
    yield machine
    for state in branch.states.values():
        if isinstance(state.work, Parallel):
            inside = below(below(machine.path_of(state.name), "parallel"), "branches")
            for name, inner in state.work.branches.items():
                inner_region = f"{machine.name_of(state.name)}.{name}"
                yield from _machines(inner_region, below(inside, name), inner)
