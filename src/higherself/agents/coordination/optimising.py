"""What the figures suggest to change, and what it would gain. Pure; a person decides.

Each proposal says how much of the data it is drawn from. Where there is not enough, there is none.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any
from uuid import UUID

from higherself.agents.coordination.figures import Asking, Run, quantile
from higherself.agents.coordination.model import Step
from higherself.agents.coordination.tuning import ChangeKind

ENOUGH = 100
"""Answers of a step without which nothing is said about its times."""

ENOUGH_EACH = 30
"""Answers of each agent, or at each degree of concurrency, without which they are not compared."""

WORTH_IT = 0.1
"""The least share of the mean time that a proposal has to save; of the 99th percentile, twice."""

SURE = 1.96
"""Standard errors by which a difference has to exceed nothing: 95 in 100 of what is so by chance do not."""

_GRID = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change of all plans of a name, and what it would gain.

    ``gain_seconds`` is expected for each asking (of the whole collaboration, for `at_once`), and
    ``gain_share`` is the share of the mean that this is. ``samples``: what that is computed from.
    """

    name: str
    step: str
    kind: ChangeKind
    change: Mapping[str, Any]
    reason: str
    gain_seconds: float
    gain_share: float
    samples: int


def proposals_of(runs: Sequence[Run], askings: Sequence[Asking]) -> list[Proposal]:
    """Return what could be changed, the largest gain first. The latest run comes first in ``runs``."""
    by_name: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_name[run.name].append(run)
    by_run: dict[UUID, list[Asking]] = defaultdict(list)
    for each in askings:
        by_run[each.collaboration].append(each)
    found: list[Proposal] = []
    for name, group in by_name.items():
        plan = group[0].plan  # the latest
        asked = [each for run in group for each in by_run[run.id] if each.kind == "work"]
        for step in plan.steps:
            of_step = [each for each in asked if each.step == step.id]
            found += _hedging(name, step, of_step)
            found += _timing_out(name, step, of_step)
            found += _choosing(name, step, of_step)
        if plan.pattern == "concurrent":
            found += _concurrency(name, group, [by_run[run.id] for run in group])
    return sorted(found, key=lambda each: (-each.gain_share, each.name, each.step, each.kind))


def _times(askings: Sequence[Asking]) -> list[float]:
    return sorted(each.seconds for each in askings if each.status == "answered")


# --- Hedging: whoever is slow gets company, and the first answer counts.


def _hedging(name: str, step: Step, askings: Sequence[Asking]) -> Iterator[Proposal]:
    times = _times(askings)
    somebody = step.agent.name is None or step.substitute
    if step.hedge is not None or not somebody or len(times) < ENOUGH:
        return
    after = quantile(times, 0.95) or 0.0
    hedged = hedged_times(times, after)
    before_p99, after_p99 = quantile(times, 0.99) or 0.0, quantile(hedged, 0.99) or 0.0
    mean, gain = _mean(times), _mean(times) - _mean(hedged)
    if after <= 0 or before_p99 - after_p99 < 2 * WORTH_IT * before_p99:
        return
    yield Proposal(
        name=name,
        step=step.id,
        kind="hedge",
        change={"seconds": round(after, 3)},
        reason=(
            f"1 in 20 answers takes longer than {after:.3g} s; asking a second agent then brings the "
            f"99th percentile from {before_p99:.3g} s to about {after_p99:.3g} s, for 5 % more "
            "askings (the task may be done twice: only where that does no harm)"
        ),
        gain_seconds=gain,
        gain_share=gain / mean,
        samples=len(times),
    )


def hedged_times(times: Sequence[float], after: float) -> list[float]:
    """Return the times that are to be expected if a second is asked ``after`` so many seconds.

    The second takes as long as any of ``times``, and what the first takes says nothing about it.
    Every time stands for itself as often as there are points in the grid.
    """
    grid = [quantile(times, (at + 0.5) / _GRID) or 0.0 for at in range(_GRID)]
    expected: list[float] = []
    for each in times:
        if each <= after:
            expected += [each] * _GRID
        else:
            expected += [min(each, after + other) for other in grid]
    return expected


# --- Time-outs: waiting longer than anybody ever took is of no use.


def _timing_out(name: str, step: Step, askings: Sequence[Asking]) -> Iterator[Proposal]:
    times = _times(askings)
    if len(times) < ENOUGH:
        return
    limit = 3 * (quantile(times, 0.99) or 0.0)
    now = None if step.timeout is None else step.timeout.total_seconds()
    if limit <= 0 or times[-1] > limit or (now is not None and now <= limit):
        return
    waited = [
        each.seconds
        for each in askings
        if each.status in ("late", "cancelled") and each.seconds > limit
    ]
    gain = sum(each - limit for each in waited) / len(askings)
    mean = _mean([each.seconds for each in askings])
    if len(waited) < 3 or gain < WORTH_IT * mean:
        return
    yield Proposal(
        name=name,
        step=step.id,
        kind="timeout",
        change={"seconds": round(limit, 3)},
        reason=(
            f"every answer came within {times[-1]:.3g} s, and {len(waited)} askings that never were "
            f"answered were waited for up to {max(waited):.3g} s"
        ),
        gain_seconds=gain,
        gain_share=gain / mean,
        samples=len(askings),
    )


# --- Choice: of several agents, one is faster, and fails no more.


def _choosing(name: str, step: Step, askings: Sequence[Asking]) -> Iterator[Proposal]:
    if step.agent.name is not None:
        return
    by_agent: dict[str, list[Asking]] = defaultdict(list)
    for each in askings:
        if each.status in ("answered", "failed", "refused", "late"):
            by_agent[each.agent].append(each)
    enough = {
        agent: group for agent, group in by_agent.items() if len(_times(group)) >= ENOUGH_EACH
    }
    if len(enough) < 2:
        return
    best = min(enough, key=lambda agent: _mean(_times(enough[agent])))
    all_of_them = [each for group in enough.values() for each in group]
    others = [each for agent, group in enough.items() if agent != best for each in group]
    ours, theirs, everybody = _times(enough[best]), _times(others), _times(all_of_them)
    error = sqrt(_variance(ours) / len(ours) + _variance(theirs) / len(theirs))
    gain, mean = _mean(everybody) - _mean(ours), _mean(everybody)
    is_sure = _mean(theirs) - _mean(ours) > SURE * error
    rate, usual = len(ours) / len(enough[best]), len(everybody) / len(all_of_them)
    if not is_sure or gain < WORTH_IT * mean or rate < usual - 0.02:
        return
    yield Proposal(
        name=name,
        step=step.id,
        kind="agent",
        change={"agent": best},
        reason=(
            f"{best} takes {_mean(ours):.3g} s on average and does {rate:.0%} of it; the others "
            f"take {_mean(theirs):.3g} s. Whoever fits is still asked if {best} fails"
        ),
        gain_seconds=gain,
        gain_share=gain / mean,
        samples=len(all_of_them),
    )


# --- Concurrency: so many at a time that all are done soonest.


def _concurrency(
    name: str, runs: Sequence[Run], askings: Sequence[Sequence[Asking]]
) -> Iterator[Proposal]:
    steps = len(runs[0].plan.steps)
    now = min(runs[0].plan.at_once or steps, steps)
    at: dict[int, list[float]] = defaultdict(list)
    for group in askings:
        answered = [each for each in group if each.status == "answered" and each.kind == "work"]
        for each in answered:
            at[degree(each, answered)].append(each.seconds)
    spans = {
        many: steps / many * _mean(times)
        for many, times in at.items()
        if len(times) >= ENOUGH_EACH and many <= steps
    }
    if now not in spans or len(spans) < 2:
        return
    best = min(spans, key=lambda many: (spans[many], many))
    gain = spans[now] - spans[best]
    if best == now or gain < WORTH_IT * spans[now]:
        return
    yield Proposal(
        name=name,
        step="",
        kind="at_once",
        change={"at_once": best},
        reason=(
            f"with {best} branches at a time one takes {_mean(at[best]):.3g} s, with {now} it takes "
            f"{_mean(at[now]):.3g} s; all {steps} should take {spans[best]:.3g} s, not "
            f"{spans[now]:.3g} s"
        ),
        gain_seconds=gain,
        gain_share=gain / spans[now],
        samples=len(at[best]) + len(at[now]),
    )


def degree(asking: Asking, others: Sequence[Asking]) -> int:
    """Return how many were under way while ``asking`` was, itself included, on average."""
    if asking.answered is None or asking.seconds <= 0:
        return 1
    shared = 0.0
    for each in others:
        if each.answered is not None:
            until = min(asking.answered, each.answered)
            shared += max(0.0, until - max(asking.asked, each.asked))
    return max(1, round(shared / asking.seconds))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _variance(values: Sequence[float]) -> float:
    mean = _mean(values)
    return sum((each - mean) ** 2 for each in values) / max(1, len(values) - 1)
