"""What many runs have in common: how often each state and edge, and how long. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from higherself.workflow.view.graph import EdgeKey
from higherself.workflow.view.run import Run


@dataclass(frozen=True, slots=True)
class Numbers:
    """How often, how long on average (of those that ended), and how often something went wrong.

    For an edge, the mean is that of the stays which ended by it.
    """

    count: int
    mean: timedelta | None = None
    errors: int = 0


Statistics = Mapping[str | EdgeKey, Numbers]
"""Numbers by the path of a state, or by an edge."""


def statistics_of(runs: Iterable[Run]) -> Statistics:
    """Return the numbers of ``runs``, all of one definition.

    What a store has counted itself can be given to the pictures in the same form.
    """
    counts: dict[str | EdgeKey, int] = {}
    spent: dict[str | EdgeKey, list[timedelta]] = {}
    errors: dict[str, int] = {}
    for run in runs:
        for key, count in run.edges.items():
            counts[key] = counts.get(key, 0) + count
        for state, count in run.errors.items():
            errors[state] = errors.get(state, 0) + count
        for visit in run.visits:
            counts[visit.state] = counts.get(visit.state, 0) + 1
            if visit.duration is not None:
                spent.setdefault(visit.state, []).append(visit.duration)
        for key, duration in departures(run):
            spent.setdefault(key, []).append(duration)
    return {
        key: Numbers(
            count, _mean(spent.get(key, [])), errors.get(key, 0) if isinstance(key, str) else 0
        )
        for key, count in counts.items()
    }


def departures(run: Run) -> Iterable[tuple[EdgeKey, timedelta]]:
    """Yield every stay that ended by an edge, with that edge, in the order of beginning."""
    following: dict[str, list[int]] = {}
    for place, visit in enumerate(run.visits):
        following.setdefault(visit.state.rpartition(".")[0], []).append(place)
    for places in following.values():
        for here, there in pairwise(places):
            visit, after = run.visits[here], run.visits[there]
            if visit.left_at == after.entered_at and visit.duration is not None:
                yield (visit.state, after.state), visit.duration


def heat_of(statistics: Statistics) -> Mapping[str | EdgeKey, float]:
    """Return how hot each state and each edge is, from 0 to 1.

    States by all the time that runs spent in them (by visits, where no time is known), edges by
    how often they were taken; the hottest of each is 1.
    """
    states = {key: _weight(each) for key, each in statistics.items() if isinstance(key, str)}
    if not any(states.values()):
        states = {key: float(statistics[key].count) for key in states}
    edges = {key: float(each.count) for key, each in statistics.items() if not isinstance(key, str)}
    hottest_state, hottest_edge = max(states.values(), default=0), max(edges.values(), default=0)
    found: dict[str | EdgeKey, float] = {}
    found.update(
        {key: value / hottest_state if hottest_state else 0 for key, value in states.items()}
    )
    found.update({key: value / hottest_edge if hottest_edge else 0 for key, value in edges.items()})
    return found


def _weight(numbers: Numbers) -> float:
    return numbers.count * (numbers.mean or timedelta(0)).total_seconds()


def _mean(durations: list[timedelta]) -> timedelta | None:
    return sum(durations, timedelta(0)) / len(durations) if durations else None
