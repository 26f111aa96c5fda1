"""What earlier runs teach: how long a state takes, and where it leads. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from higherself.workflow.view.graph import EdgeKey
from higherself.workflow.view.heat import departures
from higherself.workflow.view.run import Run


@dataclass(frozen=True, slots=True)
class Learnt:
    """Every stay that has ended, by the path of its state: how many seconds, and where it led.

    Both are kept together, because they depend on each other: a timer ends long stays.
    """

    stays: Mapping[str, tuple[tuple[float, str], ...]] = field(default_factory=dict)

    def probabilities(self, state: str) -> Mapping[str, float]:
        """Return where stays in ``state`` led, with the share of each; nothing, if none is known."""
        stays = self.stays.get(state, ())
        found: dict[str, float] = {}
        for _, target in stays:
            found[target] = found.get(target, 0.0) + 1 / len(stays)
        return found

    def mean(self, state: str) -> timedelta | None:
        """Return how long a stay in ``state`` took on average."""
        stays = self.stays.get(state, ())
        return timedelta(seconds=sum(each for each, _ in stays) / len(stays)) if stays else None


def learn(runs: Iterable[Run]) -> Learnt:
    """Return what ``runs``, all of one definition, teach."""
    stays: dict[str, list[tuple[float, str]]] = {}
    for run in runs:
        for (source, target), duration in departures(run):
            if (source, target) not in run.moved:
                stays.setdefault(source, []).append((duration.total_seconds(), target))
    return Learnt({state: tuple(each) for state, each in stays.items()})


def edges_of(learnt: Learnt) -> Mapping[EdgeKey, int]:
    """Return how often each edge was taken."""
    found: dict[EdgeKey, int] = {}
    for state, stays in learnt.stays.items():
        for _, target in stays:
            found[state, target] = found.get((state, target), 0) + 1
    return found
