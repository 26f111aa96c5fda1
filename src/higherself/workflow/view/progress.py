"""How much of the expected way an instance has behind it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from higherself.workflow.definition.model import Parallel, WorkflowDefinition, state_path
from higherself.workflow.machine.snapshot import Snapshot
from higherself.workflow.machine.step import HistoryEntry
from higherself.workflow.view.graph import Edge, Graph, graphs_of
from higherself.workflow.view.learnt import Learnt
from higherself.workflow.view.run import Run, run_of

_NEARLY = 0.99
"""The most there is before it is completed."""


@dataclass(frozen=True, slots=True)
class Progress:
    """``share`` is from 0 to 1, and 1 just when it is completed.

    ``states`` are expected to be entered still; ``path`` are those on the likeliest way to an end.
    ``remaining`` is None if for some state on the way nothing is known of how long it takes.
    """

    share: float
    states: float = 0.0
    remaining: timedelta | None = None
    path: tuple[str, ...] = ()


def progress(
    definition: WorkflowDefinition,
    snapshot: Snapshot,
    history: Iterable[HistoryEntry],
    *,
    weights: Mapping[str, float] | None = None,
    learnt: Learnt | None = None,
    now: datetime | None = None,
) -> Progress:
    """Return how far the instance is.

    What is done is the states on its way so far, without the loops that led back; what is left,
    those expected from here to an end. Every state counts as much as ``weights`` (by path) says, or
    else 1. Ways are as likely as ``learnt`` says; without it, the way to an end is expected that
    mostly takes the first way out of a state as it is written, and of those the shortest. ``now`` takes off the time since the state was entered.
    """
    run = run_of(definition, snapshot, history)
    if snapshot.status == "completed":
        return Progress(1.0, remaining=timedelta(0))
    if not run.visits or not snapshot.state:
        return Progress(0.0)
    expected = _Expected(definition, learnt or Learnt(), weights or {})
    done, here = expected.done(run), state_path("", snapshot.state)
    within = expected.within(here, snapshot, run)
    left = expected.weight_from(here) - within * expected.weight(here)
    done += within * expected.weight(here)
    share = done / (done + left) if done + left > 0 else 0.0
    path = expected.path(here)
    return Progress(
        min(share, _NEARLY),
        expected.states_from(here),
        _remaining(expected, path, snapshot, now),
        path,
    )


def _remaining(
    expected: "_Expected", path: tuple[str, ...], snapshot: Snapshot, now: datetime | None
) -> timedelta | None:
    here = snapshot.state
    total = expected.time_from(here)
    if total is None:
        return None
    spent = timedelta(0)
    if now is not None and (mean := expected.learnt.mean(here)) is not None:
        spent = min(mean, max(timedelta(0), now - snapshot.positions[""].entered_at))
    return total - spent


class _Expected:
    """What is expected from each state on, to the nearest end."""

    def __init__(
        self, definition: WorkflowDefinition, learnt: Learnt, weights: Mapping[str, float]
    ) -> None:
        self.definition, self.learnt, self.weights = definition, learnt, weights
        self.graphs = graphs_of(definition)
        self.chances: dict[str, dict[str, float]] = {}
        for graph in self.graphs.values():
            self.chances.update(self._chances(graph))

    def weight(self, state: str) -> float:
        """Return how much ``state`` counts: an end nothing, as it is no work to be there."""
        region, _, name = state.rpartition(".")
        return self.weights.get(state, 0.0 if self.definition.state(region, name).final else 1.0)

    def _chances(self, graph: Graph) -> dict[str, dict[str, float]]:
        """Return where each state leads: as learnt, mixed with a little of the shortest way."""
        out: dict[str, list[Edge]] = {node.path: [] for node in graph.nodes if node.state}
        for edge in graph.edges:
            if edge.source in out and edge.source != edge.target:
                out[edge.source].append(edge)
        nearest = self._shortest(graph, out)
        found = {}
        for state, edges in out.items():
            known = self.learnt.probabilities(state)
            taken = {each: share for each, share in known.items() if each in out}
            ends = [(nearest[edge.target] + _cost(edge, edges), edge) for edge in edges]
            far, first = min(ends, key=lambda each: each[0], default=(_FAR, None))
            if far >= _FAR:
                first = None
            mixed = {each: share * 0.999 for each, share in taken.items()}
            if first is not None:
                mixed[first.target] = mixed.get(first.target, 0.0) + 1 - sum(mixed.values())
            found[state] = mixed
        return found

    def _shortest(self, graph: Graph, out: Mapping[str, list[Edge]]) -> dict[str, float]:
        nearest = {
            node.path: 0.0 if node.state.final else _FAR for node in graph.nodes if node.state
        }
        for _ in nearest:
            for state, edges in out.items():
                for edge in edges:
                    far = nearest[edge.target] + _cost(edge, edges) + self.weight(state)
                    nearest[state] = min(nearest[state], far)
        return nearest

    def _from(self, state: str, worth: Mapping[str, float]) -> float:
        """Return the expected sum of ``worth`` of the states from ``state`` to an end."""
        chances = self.chances
        reached = _reachable(state, chances)
        total = {each: worth[each] for each in reached}
        for _ in range(2_000):
            change = 0.0
            for each in reached:
                value = worth[each] + sum(share * total[to] for to, share in chances[each].items())
                change = max(change, abs(value - total[each]))
                total[each] = value
            if change < 1e-9:
                break
        return total[state]

    def weight_from(self, state: str) -> float:
        """Return what is left from ``state`` on, itself included."""
        return self._from(state, {each: self.weight(each) for each in self.chances})

    def states_from(self, state: str) -> float:
        """Return how many states are expected to be entered still."""
        return self._from(state, dict.fromkeys(self.chances, 1.0)) - 1

    def time_from(self, state: str) -> timedelta | None:
        """Return how long it takes from entering ``state``; None if that is not known."""
        worth = dict.fromkeys(self.chances, 0.0)
        for each in _reachable(state, self.chances):
            mean = self.learnt.mean(each)
            if mean is None and self.chances[each]:
                return None
            worth[each] = mean.total_seconds() if mean is not None else 0.0
        return timedelta(seconds=self._from(state, worth))

    def path(self, state: str) -> tuple[str, ...]:
        """Return the likeliest way from ``state`` to an end, without itself."""
        found: list[str] = []
        while chances := self.chances.get(state):
            state = max(chances, key=lambda each: chances[each])
            if state in found:
                break
            found.append(state)
        return tuple(found)

    def done(self, run: Run) -> float:
        """Return what the states count that were left, without the loops that led back."""
        way: list[str] = []
        for visit in run.visits:
            if "." in visit.state:
                continue
            if visit.state in way:
                del way[way.index(visit.state) :]
            way.append(visit.state)
        return sum(self.weight(each) for each in way[:-1])

    def within(self, state: str, snapshot: Snapshot, run: Run) -> float:
        """Return how much of a parallel state is done, by its branches."""
        region, _, name = state.rpartition(".")
        work = self.definition.state(region, name).work
        if not isinstance(work, Parallel):
            return 0.0
        shares = sorted(
            (self._of_branch(f"{state}.{name}", snapshot, run) for name in work.branches),
            reverse=True,
        )
        return min(_NEARLY, sum(shares[: work.needed]) / work.needed)

    def _of_branch(self, region: str, snapshot: Snapshot, run: Run) -> float:
        position = snapshot.positions.get(region)
        if position is None or position.phase == "lost":
            return 0.0
        if position.phase == "ended":
            return 1.0
        here = state_path(region, position.state)
        within = self.within(here, snapshot, run) * self.weight(here)
        left = self.weight_from(here) - within
        whole = self.weight_from(state_path(region, self.definition.regions[region].initial))
        return max(0.0, 1 - left / whole) if whole > 0 else 0.0


_FAR = 1e9


def _cost(edge: Edge, beside: Sequence[Edge]) -> float:
    """Return how little an edge is expected: what is written first is what is usual."""
    return 1_000_000.0 if edge.is_error else 1_000.0 * beside.index(edge)


def _reachable(state: str, chances: Mapping[str, Mapping[str, float]]) -> list[str]:
    found, at = [state], 0
    while at < len(found):
        found += [each for each in chances[found[at]] if each not in found]
        at += 1
    return found[::-1]
