"""Many runs of a definition by chance: how long they take, where they end, where they stick. Pure.

A state lasts as long as is given or learnt, or else assumed; then one of its ways is taken, by the
probabilities that are given or learnt, or else all alike, errors rarely. Timers run meanwhile, and
whichever comes first counts. Guards are not evaluated: their probabilities stand for them.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from higherself.kernel.jsonvalue import JsonObject
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
from higherself.workflow.view.chance import (
    Chance,
    Constant,
    Distribution,
    Exponential,
    quantile,
    seconds_of,
)
from higherself.workflow.view.graph import EdgeKey
from higherself.workflow.view.learnt import Learnt

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)
"""When simulated runs begin, unless told otherwise: schedules need a calendar."""

MOST_STATES = 10_000
"""States that one run enters at most; what needs more never ends."""

ERROR_RATE = 0.02
"""How often a state with a way for errors takes it, if nothing is known."""

_MOST_ROUNDS = 1_000
_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came of simulated runs. States are named by their paths.

    ``durations`` are those of the runs that ended, in order, in seconds; the expected duration and
    the quantiles are of them. ``ends`` has the share of all runs that ended in each final state,
    ``stuck`` the share of those that did not end, ``reasons`` how many for which reason; ``ends``
    and ``stuck`` add up to 1. ``time`` is the share of all time that runs spent in each state of
    the workflow itself, ``visits`` and ``spent`` are means over all runs. Durations of ``assumed``
    states were neither given nor learnt.
    """

    workflow: str
    runs: int
    seed: int
    durations: tuple[float, ...] = ()
    ends: Mapping[str, float] = field(default_factory=dict)
    stuck: float = 0.0
    reasons: Mapping[str, int] = field(default_factory=dict)
    visits: Mapping[str, float] = field(default_factory=dict)
    spent: Mapping[str, timedelta] = field(default_factory=dict)
    time: Mapping[str, float] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()

    @property
    def expected(self) -> timedelta | None:
        """How long a run that ends takes on average; None if none ended."""
        if not self.durations:
            return None
        return timedelta(seconds=math.fsum(self.durations) / len(self.durations))

    def quantile(self, share: float) -> timedelta | None:
        """Return how long ``share`` of the runs that end take at most."""
        return timedelta(seconds=quantile(self.durations, share)) if self.durations else None

    @property
    def bottleneck(self) -> str | None:
        """The state with the largest share of the time; None if no time passes."""
        longest = max(self.time, key=lambda state: self.time[state], default=None)
        return longest if longest is not None and self.time[longest] > 0 else None

    def to_json(self) -> JsonObject:
        """Return it as a report, durations in seconds."""
        return {
            "workflow": self.workflow,
            "runs": self.runs,
            "seed": self.seed,
            "expected_seconds": _seconds(self.expected),
            "p50_seconds": _seconds(self.quantile(0.5)),
            "p90_seconds": _seconds(self.quantile(0.9)),
            "p95_seconds": _seconds(self.quantile(0.95)),
            "ends": dict(self.ends),
            "stuck": self.stuck,
            "reasons": dict(self.reasons),
            "bottleneck": self.bottleneck,
            "states": {
                state: {
                    "visits": self.visits[state],
                    "seconds": self.spent[state].total_seconds(),
                    "share": self.time.get(state),
                }
                for state in self.visits
            },
            "assumed": list(self.assumed),
        }


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def simulate(
    definition: WorkflowDefinition,
    *,
    runs: int = 1000,
    seed: int = 0,
    durations: Mapping[str, Distribution] | None = None,
    probabilities: Mapping[EdgeKey, float] | None = None,
    learnt: Learnt | None = None,
    error_rate: float = ERROR_RATE,
    start: datetime = MONDAY,
) -> Simulation:
    """Return what comes of ``runs`` runs; the same for the same arguments.

    ``durations`` are by the path of a state: how long until it could be left, other than by a timer.
    ``probabilities`` are by edge, (source, target); within a state, the edges that are not named
    share what is left, and what is left of all is the chance that nothing happens. What is given
    goes before what is ``learnt``.
    """
    simulator = _Simulator(
        definition,
        durations or {},
        probabilities or {},
        learnt or Learnt(),
        error_rate,
        start,
        seed,
    )
    for _ in range(runs):
        simulator.run()
    return simulator.result(runs, seed)


class _Stuck(Exception):
    """A run cannot go on."""


@dataclass(frozen=True, slots=True)
class _Timer:
    due: float
    transitions: Transitions
    cron: int | None = None


class _Simulator:
    def __init__(
        self,
        definition: WorkflowDefinition,
        durations: Mapping[str, Distribution],
        probabilities: Mapping[EdgeKey, float],
        learnt: Learnt,
        error_rate: float,
        start: datetime,
        seed: int,
    ) -> None:
        self.definition, self.durations, self.probabilities = definition, durations, probabilities
        self.learnt, self.error_rate, self.start = learnt, error_rate, start
        self.given = {source for source, _ in probabilities} | set(durations)
        self.chance = Chance(seed)
        self.finished: list[float] = []
        self.ends: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.visits: Counter[str] = Counter()
        self.spent: dict[str, float] = {}
        self.choices: dict[str, list[tuple[str | None, float]]] = {}
        self.assumptions: dict[str, Distribution] = {}
        self.assumed: dict[str, None] = {}
        self.seen: Counter[str] = Counter()
        self.rounds: dict[tuple[str, datetime], datetime] = {}
        self.steps = 0

    # --- Runs.

    def run(self) -> None:
        """Have one instance run."""
        self.seen.clear()
        self.steps = 0
        try:
            took, end = self._region("", 0.0)
        except _Stuck as stuck:
            self.reasons[str(stuck)] += 1
        else:
            self.finished.append(took)
            self.ends[end] += 1

    def _region(self, region: str, at: float) -> tuple[float, str]:
        """Return how long a region takes from ``at`` on, and the path of the state it ends in."""
        machine = self.definition.regions[region]
        name, began = machine.initial, at
        deadline = math.inf
        if not region and self.definition.deadline is not None:
            deadline = self.definition.deadline.total_seconds()
        while True:
            state, path = machine.states[name], state_path(region, name)
            over = self._enter(state, path)
            if state.final:
                return at - began, path
            took = 0.0
            if over is not None:
                name = over
            else:
                took, name = self._stay(region, state, path, at)
            if at + took > deadline:
                name, took, deadline = self._late(), deadline - at, math.inf
            self.spent[path] = self.spent.get(path, 0.0) + took
            at += took

    def _enter(self, state: State, path: str) -> str | None:
        """Count a visit; return where a state leads that was entered too often."""
        self.visits[path] += 1
        self.seen[path] += 1
        self.steps += 1
        if self.steps > MOST_STATES:
            raise _Stuck(f"goes on after {MOST_STATES:,} states")
        if state.max_visits is not None and self.seen[path] > state.max_visits:
            for each in state.on_error:
                if each.to is not None:
                    return each.to
            raise _Stuck(f"{path} was entered more than {state.max_visits:,} times")
        return None

    def _late(self) -> str:
        for each in self.definition.on_deadline:
            if each.to is not None:
                return each.to
        raise _Stuck("the deadline passed")

    # --- One stay.

    def _stay(self, region: str, state: State, path: str, at: float) -> tuple[float, str]:
        stays = self.learnt.stays.get(path)
        if stays and path not in self.given:
            learnt, led = stays[self.chance.place(len(stays))]
            return learnt, led.rpartition(".")[2]
        ready = self._ready_after(state, path, at)
        chosen = self._choose(region, state, path) if math.isfinite(ready) else None
        if chosen is None:
            ready = math.inf
        for timer in self._timers(state, at):
            if ready <= timer.due:
                break
            target = self._by_timer(region, path, timer)
            if target is not None:
                return timer.due, target
        if chosen is None:
            raise _Stuck(self._why(state, path))
        return ready, chosen

    def _why(self, state: State, path: str) -> str:
        if not any(each.to for _, ways in state.ways() for each in ways):
            return f"there is no way out of {path}"
        return f"nothing happens in {path}"

    def _ready_after(self, state: State, path: str, at: float) -> float:
        if (given := self.durations.get(path)) is not None:
            return seconds_of(given, self.chance)
        if isinstance(state.work, Parallel):
            return self._joined(state.work, path, at)
        if path not in self.assumptions:
            self.assumptions[path] = _assumed(state, self._first_timer(state))
        assumed = self.assumptions[path]
        if assumed != Constant(_NOTHING):
            self.assumed[path] = None
        return seconds_of(assumed, self.chance)

    def _first_timer(self, state: State) -> timedelta | None:
        """Return when a timer of ``state`` first leads away from it."""
        waits = [
            each.duration
            for each in state.after
            if any(way.to is not None for way in each.transitions)
        ]
        for each in state.cron:
            if any(way.to is not None for way in each.transitions):
                first = each.cron.next(self.start, self.definition.timezone)
                waits.append(each.cron.next(first, self.definition.timezone) - first)
        return min(waits, default=None)

    def _joined(self, work: Parallel, path: str, at: float) -> float:
        """Return when enough branches have ended: a branch that sticks never does."""
        ends = []
        for name in work.branches:
            try:
                ends.append(self._region(f"{path}.{name}", at)[0])
            except _Stuck:
                ends.append(math.inf)
                if self.steps > MOST_STATES:
                    raise
        return sorted(ends)[work.needed - 1] if work.needed else 0.0

    def _choose(self, region: str, state: State, path: str) -> str | None:
        """Return where the state leads when it is left, other than by a timer."""
        if path not in self.choices:
            self.choices[path] = list(self._chances(region, state, path))
        drawn = self.chance.draw()
        for target, share in self.choices[path]:
            drawn -= share
            if drawn < 0:
                return target
        return None

    def _chances(self, region: str, state: State, path: str) -> Iterator[tuple[str, float]]:
        usual, errors = _targets(state)
        known = {
            target: self.probabilities[path, state_path(region, target)]
            for target in (*usual, *errors)
            if (path, state_path(region, target)) in self.probabilities
        }
        open_ = [target for target in usual if target not in known]
        total = math.fsum(known.values())
        if total > 1 or (known and not open_ and math.isclose(total, 1)):
            known = {target: share / total for target, share in known.items()}
            total = 1.0
        if not known and errors and usual:
            known = {target: self.error_rate / len(errors) for target in errors}
            total = self.error_rate
        elif not known and errors:
            known, total = {target: 1 / len(errors) for target in errors}, 1.0
        yield from known.items()
        yield from ((target, (1 - total) / len(open_)) for target in open_)

    # --- Timers.

    def _timers(self, state: State, at: float) -> Iterator[_Timer]:
        """Yield timers in the order of becoming due."""
        waiting = [_Timer(each.duration.total_seconds(), each.transitions) for each in state.after]
        if isinstance(state.work, Approval) and state.work.timeout is not None:
            expired = state.work.outcomes.get("expired", ())
            waiting.append(_Timer(state.work.timeout.total_seconds(), expired or state.on_error))
        if state.timeout is not None:
            ways = (*state.on_timeout, *state.on_error)
            waiting.append(_Timer(state.timeout.total_seconds(), ways))
        waiting += [self._round(state, place, at, 0.0) for place in range(len(state.cron))]
        for _ in range(_MOST_ROUNDS):
            if not waiting:
                return
            first = min(waiting, key=lambda each: each.due)
            waiting.remove(first)
            yield first
            if first.cron is not None:
                waiting.append(self._round(state, first.cron, at, first.due))

    def _round(self, state: State, place: int, at: float, after: float) -> _Timer:
        scheduled = state.cron[place]
        now = self.start + timedelta(seconds=at + after)
        key = (scheduled.cron.text, now.replace(second=0, microsecond=0))
        due = self.rounds.get(key)  # the same for every moment of a minute
        if due is None:
            due = self.rounds[key] = scheduled.cron.next(now, self.definition.timezone)
        return _Timer(after + (due - now).total_seconds(), scheduled.transitions, place)

    def _by_timer(self, region: str, path: str, timer: _Timer) -> str | None:
        for each in timer.transitions:
            key = (path, state_path(region, each.to or ""))
            share = self.probabilities.get(key, 0.5) if each.when is not None else 1.0
            if share >= 1 or self.chance.draw() < share:
                return each.to
        return None

    # --- What came of it.

    def result(self, runs: int, seed: int) -> Simulation:
        """Return what came of all runs."""
        total = math.fsum(self.spent.get(name, 0.0) for name in self.definition.states)
        paths = [state_path(region, state.name) for region, state in self.definition.all_states()]
        count = max(runs, 1)
        finals = [name for name, state in self.definition.states.items() if state.final]
        return Simulation(
            workflow=str(self.definition),
            runs=runs,
            seed=seed,
            durations=tuple(sorted(self.finished)),
            ends={name: self.ends[name] / count for name in finals},
            stuck=sum(self.reasons.values()) / count,
            reasons=dict(self.reasons.most_common()),
            visits={path: self.visits[path] / count for path in paths},
            spent={path: timedelta(seconds=self.spent.get(path, 0.0) / count) for path in paths},
            time={
                name: self.spent.get(name, 0.0) / total if total else 0.0
                for name, state in self.definition.states.items()
                if not state.final
            },
            assumed=tuple(self.assumed),
        )


def _targets(state: State) -> tuple[list[str], list[str]]:
    """Return where a state leads when its work has ended or an event comes; and where on errors."""
    usual: dict[str, None] = {}
    lists = [state.transitions, *state.on.values()]
    if isinstance(state.work, Approval):
        lists += [ways for outcome, ways in state.work.outcomes.items() if outcome != "expired"]
    for each in (each for ways in lists for each in ways):
        if each.to is not None:
            usual[each.to] = None
    has_work = isinstance(state.work, Activity | Collaboration | SubWorkflow | Parallel)
    failing = state.on_error if has_work or state.entry else ()
    errors = {each.to: None for each in failing if each.to is not None and each.to not in usual}
    return list(usual), list(errors)


def _assumed(state: State, first: timedelta | None) -> Distribution:
    """Return how long a state is assumed to last if nothing is known; ``first`` is its first timer."""
    match state.work:
        case Approval(timeout=timeout):
            usual = timedelta(hours=4)
            return Exponential(min(usual, timeout / 2) if timeout is not None else usual)
        case SubWorkflow():
            return Exponential(timedelta(hours=1))
        case _ if state.on and not state.transitions:
            return Exponential(first / 2 if first is not None else timedelta(days=1))
        case Collaboration():
            return Constant(timedelta(minutes=1))
        case Activity():
            return Constant(timedelta(seconds=1))
        case _:
            return Constant(_NOTHING)
