"""A workflow definition as data: states, what is done in them, and the ways between them. Pure.

Everything is frozen and made of values; expressions are compiled, and know their text. The loader
builds and checks definitions; these classes trust what they are given.

Paths say where something is. A *region* is a machine that runs: the workflow itself is the region
``""``, a branch of a parallel state the region ``prepare.contract`` (state, branch). The path of a
state is its region's and its name. What is in a state has a path of its own, as it is written:
``activity``, ``entry[0]``, ``on["email.replied"][1].do[0]``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Literal
from zoneinfo import ZoneInfo

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.workflow.definition.paths import ContextPath, below
from higherself.workflow.definition.schedule import Cron, text_of
from higherself.workflow.definition.schema import ContextSchema
from higherself.workflow.definition.template import Input
from higherself.workflow.guard import Expression, Guard

NO_INPUT = Input.of({})
UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often an activity is tried, and how long is waited in between."""

    attempts: int = 3
    backoff: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    ceiling: timedelta = timedelta(minutes=5)
    not_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentSelector:
    """Which agents may do the work; every key that is given has to fit."""

    name: str | None = None
    role: str | None = None
    capability: str | None = None
    entity: str | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """A skill that is run, what it is given, and where its result goes."""

    skill: str
    input: Input = NO_INPUT
    save: ContextPath | None = None
    timeout: timedelta | None = None
    retry: Retry = Retry()


@dataclass(frozen=True, slots=True)
class UndoStep:
    """What undoes a step of a collaboration; without ``agent``, whoever did it is asked."""

    task: str
    agent: AgentSelector | None = None
    input: Input = NO_INPUT
    timeout: timedelta | None = None


OnFailure = Literal["fail", "ignore", "retry", "substitute"]


@dataclass(frozen=True, slots=True)
class CollaborationStep:
    """What one agent of a collaboration is asked to do, and what follows when it does not."""

    agent: AgentSelector
    task: str
    input: Input = NO_INPUT
    id: str | None = None
    timeout: timedelta | None = None
    on_failure: OnFailure | None = None
    attempts: int | None = None
    backoff: timedelta | None = None
    substitute: tuple[AgentSelector, ...] = ()
    compensate: UndoStep | None = None
    hedge: timedelta | None = None


@dataclass(frozen=True, slots=True)
class People:
    """Who is asked when no agent could do it."""

    roles: tuple[str, ...]
    question: str = ""
    timeout: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Collaboration:
    """Work for several agents, shared in a coordination pattern.

    What is not given is as usual in the pattern.
    """

    pattern: str
    steps: tuple[CollaborationStep, ...]
    input: Input = NO_INPUT
    save: ContextPath | None = None
    timeout: timedelta | None = None
    retry: Retry = Retry()
    join: Literal["all", "first"] | int | None = None
    at_once: int | None = None
    window: timedelta | None = None
    least: int | None = None
    prefer: tuple[tuple[str, float], ...] = ()
    hops: int | None = None
    people: People | None = None


@dataclass(frozen=True, slots=True)
class SubWorkflow:
    """Another workflow that is started, and whose end is waited for."""

    workflow: str
    version: int | None = None
    context: Input = NO_INPUT
    save: ContextPath | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that `set` holds and that is no expression."""

    value: JsonValue


Assignments = tuple[tuple[ContextPath, Expression | Constant], ...]
"""What `set` holds, in the order of writing."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A way to another state; or, without ``to``, something that happens in this one."""

    to: str | None
    when: Guard | None = None
    assignments: Assignments = ()
    do: tuple[Activity, ...] = ()
    compensate: bool = False


Transitions = tuple[Transition, ...]
"""Tried in order; the first whose guard holds is taken."""


@dataclass(frozen=True, slots=True)
class Approval:
    """A decision that a person takes."""

    roles: tuple[str, ...]
    question: Input = NO_INPUT
    timeout: timedelta | None = None
    save: ContextPath | None = None
    outcomes: Mapping[str, Transitions] = field(default_factory=dict)


OUTCOMES = ("approved", "rejected", "expired")


@dataclass(frozen=True, slots=True)
class Branch:
    """A machine inside a state, beside others. It has ended when it is in a final state."""

    initial: str
    states: Mapping[str, "State"]


Join = Literal["all", "any"] | int


@dataclass(frozen=True, slots=True)
class Parallel:
    """Branches that run side by side, and how many of them have to end."""

    branches: Mapping[str, Branch]
    join: Join = "all"

    @property
    def needed(self) -> int:
        """How many branches have to end."""
        if self.join == "all":
            return len(self.branches)
        return 1 if self.join == "any" else self.join


Work = Activity | Collaboration | SubWorkflow | Approval | Parallel
"""What a state does before its own transitions are tried."""


@dataclass(frozen=True, slots=True)
class After:
    """What happens when an instance has been in a state for so long.

    ``wait`` is a template that says how long, or when, for each instance; it is filled in when the
    state is entered. Then ``duration`` is only what is assumed where there is no instance.
    """

    duration: timedelta
    transitions: Transitions
    wait: Input | None = None

    @property
    def text(self) -> str:
        """How it is written: the key."""
        return text_of(self.duration) if self.wait is None else str(self.wait.source)

    @property
    def path(self) -> str:
        """Its path in the state."""
        return below("after", self.text)


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What happens whenever a schedule comes round."""

    cron: Cron
    transitions: Transitions

    @property
    def path(self) -> str:
        """Its path in the state."""
        return below("cron", self.cron.text)


@dataclass(frozen=True, slots=True)
class State:
    """Where an instance can be, what it does there, and how it leaves."""

    name: str
    description: str = ""
    final: bool = False
    agent: AgentSelector | None = None
    work: Work | None = None
    compensate: Activity | None = None
    entry: tuple[Activity, ...] = ()
    exit: tuple[Activity, ...] = ()
    transitions: Transitions = ()
    on: Mapping[str, Transitions] = field(default_factory=dict)
    after: tuple[After, ...] = ()
    cron: tuple[Scheduled, ...] = ()
    timeout: timedelta | None = None
    on_timeout: Transitions = ()
    on_error: Transitions = ()
    max_visits: int | None = None

    def ways(self) -> Iterator[tuple[str, Transitions]]:
        """Yield every list of transitions with its path, in the order of trying and of writing."""
        yield "transitions", self.transitions
        for name, transitions in self.on.items():
            yield below("on", name), transitions
        yield from ((each.path, each.transitions) for each in self.after)
        yield from ((each.path, each.transitions) for each in self.cron)
        if isinstance(self.work, Approval):
            for outcome, transitions in self.work.outcomes.items():
                yield f"approval.{outcome}", transitions
        yield "on_timeout", self.on_timeout
        yield "on_error", self.on_error

    def activities(self) -> Iterator[tuple[str, Activity | Collaboration]]:
        """Yield everything that is run here, with its path."""
        yield from _numbered("entry", self.entry)
        match self.work:
            case Activity():
                yield "activity", self.work
            case Collaboration():
                yield "collaborate", self.work
            case _:
                pass
        if self.compensate is not None:
            yield "compensate", self.compensate
        yield from _numbered("exit", self.exit)
        for path, transitions in self.ways():
            for index, transition in enumerate(transitions):
                yield from _numbered(f"{below(path, index)}.do", transition.do)


def _numbered(path: str, activities: Sequence[Activity]) -> Iterator[tuple[str, Activity]]:
    return ((below(path, index), activity) for index, activity in enumerate(activities))


@dataclass(frozen=True)
class WorkflowDefinition:
    """A named, versioned machine. It never changes once an instance has used it."""

    name: str
    version: int
    initial: str
    states: Mapping[str, State]
    description: str = ""
    context: JsonObject = field(default_factory=dict)
    schema: ContextSchema | None = None
    deadline: timedelta | None = None
    on_deadline: Transitions = ()
    timezone: ZoneInfo = UTC

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"

    @cached_property
    def regions(self) -> Mapping[str, Branch]:
        """The machine of every region, the workflow's own first, in the order of writing."""
        return dict(_regions("", Branch(self.initial, self.states)))

    @cached_property
    def activities(self) -> Mapping[str, Activity | Collaboration]:
        """Everything that is ever run, by the path of its state, a slash, and its own."""
        found = {
            f"{state_path(region, state.name)}/{path}": activity
            for region, machine in self.regions.items()
            for state in machine.states.values()
            for path, activity in state.activities()
        }
        for index, transition in enumerate(self.on_deadline):
            found.update(_numbered(f"/on_deadline[{index}].do", transition.do))
        return found

    def agent_of(self, activity: str) -> AgentSelector | None:
        """Return who is to run the activity of that path."""
        state, _, _ = activity.partition("/")
        region, _, name = state.rpartition(".")
        return self.state(region, name).agent if name else None

    @cached_property
    def events(self) -> frozenset[str]:
        """The names of all events that some state waits for."""
        return frozenset(name for _, state in self.all_states() for name in state.on)

    def all_states(self) -> Iterator[tuple[str, State]]:
        """Yield every state of every region, with the path of the region."""
        for region, machine in self.regions.items():
            for state in machine.states.values():
                yield region, state

    def state(self, region: str, name: str) -> State:
        """Return a state."""
        return self.regions[region].states[name]


def state_path(region: str, name: str) -> str:
    """Return the path of the state ``name`` of ``region``.

    >>> state_path("", "captured"), state_path("prepare.contract", "drafted")
    ('captured', 'prepare.contract.drafted')
    """
    return f"{region}.{name}" if region else name


def _regions(region: str, machine: Branch) -> Iterator[tuple[str, Branch]]:
    yield region, machine
    for state in machine.states.values():
        if isinstance(state.work, Parallel):
            for name, branch in state.work.branches.items():
                yield from _regions(f"{state_path(region, state.name)}.{name}", branch)
