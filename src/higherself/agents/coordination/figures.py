"""How collaborations went: figures by pattern and by step. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from higherself.agents.coordination.model import Plan

BAD = ("failed", "refused", "late", "away")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A collaboration that has ended."""

    id: UUID
    entity: str
    name: str
    pattern: str
    status: str
    seconds: float
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """One asking in it; ``asked`` and ``answered`` are seconds on the server's clock."""

    collaboration: UUID
    step: str
    kind: str
    attempt: int
    agent: str
    status: str
    cost_micro_usd: int
    asked: float
    answered: float | None

    @property
    def seconds(self) -> float:
        """How long it took."""
        return 0.0 if self.answered is None else max(0.0, self.answered - self.asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFigures:
    """A step: how often it was asked, how long the answers took (seconds), what went wrong."""

    step: str
    asked: int
    answered: int
    failures: int
    retries: int
    p50: float | None
    p95: float | None
    cost_usd: float
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternFigures:
    """All collaborations of a name. ``fan_out``: how many were asked in one, on average."""

    name: str
    pattern: str
    runs: int
    completed: int
    failed: int
    cancelled: int
    p50: float | None
    p95: float | None
    retries: int
    failures: int
    fan_out: float
    cost_usd: float
    steps: tuple[StepFigures, ...]


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value below which ``share`` of ``values`` lie, between neighbours evenly.

    >>> quantile([1, 2, 3, 4], 0.5)
    2.5
    """
    if not values:
        return None
    ordered = sorted(values)
    at = (len(ordered) - 1) * share
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def figures_of(runs: Iterable[Run], askings: Iterable[Asking]) -> list[PatternFigures]:
    """Return the figures of every name, the one with the most runs first."""
    by_run: dict[UUID, list[Asking]] = defaultdict(list)
    for each in askings:
        by_run[each.collaboration].append(each)
    groups: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        groups[run.name, run.pattern].append(run)
    found = [
        _figures(name, pattern, group, [each for run in group for each in by_run[run.id]])
        for (name, pattern), group in groups.items()
    ]
    return sorted(found, key=lambda each: (-each.runs, each.name))


def _figures(
    name: str, pattern: str, runs: Sequence[Run], askings: Sequence[Asking]
) -> PatternFigures:
    took = [run.seconds for run in runs if run.status == "completed"]
    steps: dict[str, list[Asking]] = defaultdict(list)
    for each in askings:
        steps[each.step].append(each)
    return PatternFigures(
        name=name,
        pattern=pattern,
        runs=len(runs),
        completed=sum(run.status == "completed" for run in runs),
        failed=sum(run.status == "failed" for run in runs),
        cancelled=sum(run.status == "cancelled" for run in runs),
        p50=quantile(took, 0.5),
        p95=quantile(took, 0.95),
        retries=sum(each.attempt > 1 for each in askings),
        failures=sum(each.status in BAD for each in askings),
        fan_out=len(askings) / len(runs),
        cost_usd=_cost(askings),
        steps=tuple(_step(step, group) for step, group in _planned(runs, steps)),
    )


def _planned(runs: Sequence[Run], steps: dict[str, list[Asking]]) -> list[tuple[str, list[Asking]]]:
    """Return the steps in the order of the latest plan; those that only older ones had, last."""
    order = [step.id for step in runs[0].plan.steps]
    order += [each for each in steps if each not in order]
    return [(step, steps[step]) for step in order if step in steps]


def _step(step: str, askings: Sequence[Asking]) -> StepFigures:
    took = [each.seconds for each in askings if each.status == "answered" and each.kind == "work"]
    took = took or [each.seconds for each in askings if each.status == "answered"]
    return StepFigures(
        step=step,
        asked=len(askings),
        answered=sum(each.status == "answered" for each in askings),
        failures=sum(each.status in BAD for each in askings),
        retries=sum(each.attempt > 1 for each in askings),
        p50=quantile(took, 0.5),
        p95=quantile(took, 0.95),
        cost_usd=_cost(askings),
        agents=tuple(sorted({each.agent for each in askings})),
    )


def _cost(askings: Sequence[Asking]) -> float:
    return sum(each.cost_micro_usd for each in askings) / 1e6
