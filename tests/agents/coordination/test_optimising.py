"""Figures, and what they suggest: each gain is what a simulation with the change really gains."""

import random
from datetime import timedelta
from uuid import UUID

import pytest

from higherself.agents.coordination import Plan, Step, Target, plan_of
from higherself.agents.coordination.figures import Asking, Run, figures_of, quantile
from higherself.agents.coordination.optimising import degree, hedged_times, proposals_of
from higherself.agents.coordination.tuning import Change, tuned

PLAN = plan_of({"pattern": "request", "steps": [{"capability": "c", "task": "t"}]}, name="n")


def run(number: int, *, plan: Plan = PLAN, status: str = "completed", seconds: float = 1.0) -> Run:
    return Run(
        id=UUID(int=number), entity="e", name=plan.name, pattern=plan.pattern, status=status,
        seconds=seconds, plan=plan,
    )  # fmt: skip


def asking(
    number: int, seconds: float, *, agent: str = "a", status: str = "answered", step: str = "t",
    attempt: int = 1, at: float = 0.0, cost: int = 0,
) -> Asking:  # fmt: skip
    return Asking(
        collaboration=UUID(int=number), step=step, kind="work", attempt=attempt, agent=agent,
        status=status, cost_micro_usd=cost, asked=at, answered=at + seconds,
    )  # fmt: skip


def slow_tail(count: int, seed: int = 1) -> list[float]:
    draw = random.Random(seed)
    return [
        draw.uniform(0.5, 1.5) if draw.random() < 0.96 else draw.uniform(20, 40)
        for _ in range(count)
    ]


def test_figures() -> None:
    runs = [run(1), run(2, status="failed", seconds=9), run(3, seconds=3)]
    askings = [
        asking(1, 1, cost=250_000), asking(2, 5, status="failed"), asking(2, 6, attempt=2, status="late"),
        asking(3, 3, agent="b"),
    ]  # fmt: skip
    (found,) = figures_of(runs, askings)
    assert (found.runs, found.completed, found.failed, found.p50) == (3, 2, 1, 2.0)
    assert (found.failures, found.retries, found.cost_usd) == (2, 1, 0.25)
    assert found.fan_out == pytest.approx(4 / 3)
    (step,) = found.steps
    assert (step.asked, step.answered, step.agents) == (4, 2, ("a", "b"))
    assert step.p95 == pytest.approx(2.9)
    assert figures_of([], []) == []


def test_hedging_is_proposed_for_a_slow_tail_and_gains_what_it_says() -> None:
    times = slow_tail(2_000)
    (found,) = proposals_of(
        [run(number) for number in range(2_000)],
        [asking(number, each) for number, each in enumerate(times)],
    )
    assert (found.kind, found.step, found.samples) == ("hedge", "t", 2_000)
    after = found.change["seconds"]
    first = times * 20
    second = random.Random(7).choices(times, k=len(first))
    really = [min(a, after + b) if a > after else a for a, b in zip(first, second, strict=True)]
    gained = (sum(first) - sum(really)) / len(first)
    assert gained == pytest.approx(found.gain_seconds, rel=0.05)
    (step,) = tuned(PLAN, [Change("hedge", "t", found.change)]).steps
    assert step.hedge == timedelta(seconds=after)


@pytest.mark.parametrize(
    "times",
    [
        pytest.param([1.0] * 400, id="nobody is slow"),
        pytest.param(slow_tail(60), id="too few"),
    ],
)
def test_nothing_is_proposed_without_a_reason(times: list[float]) -> None:
    askings = [asking(number, each) for number, each in enumerate(times)]
    assert proposals_of([run(number) for number in range(len(times))], askings) == []


def test_hedged_times_are_never_longer() -> None:
    times = sorted(slow_tail(100))
    hedged = hedged_times(times, quantile(times, 0.9) or 0)
    assert sum(hedged) / len(hedged) <= sum(times) / len(times)
    assert max(hedged) <= max(times)


def test_a_shorter_timeout_is_proposed_if_waiting_never_helped() -> None:
    draw = random.Random(1)
    good = [asking(number, draw.uniform(1, 2)) for number in range(200)]
    lost = [asking(number, 600.0, status="late") for number in range(10)]
    plan = Plan("request", (Step("t", Target(name="a"), "t", timeout=timedelta(minutes=10)),), "n")
    (found,) = proposals_of([run(number, plan=plan) for number in range(200)], good + lost)
    limit = found.change["seconds"]
    assert found.kind == "timeout"
    assert 5.5 < limit < 6.1
    assert found.gain_seconds == pytest.approx(10 * (600 - limit) / 210)
    (step,) = tuned(plan, [Change("timeout", "t", found.change)]).steps
    assert step.timeout == timedelta(seconds=limit)


def test_the_faster_agent_is_proposed_if_it_is_surely_so() -> None:
    draw = random.Random(1)

    def times(mean: float) -> list[float]:
        return [draw.uniform(mean - 0.5, mean + 0.5) for _ in range(60)]

    askings = [asking(0, each, agent="quick") for each in times(1)]
    askings += [asking(0, each, agent="slow") for each in times(3)]
    (found,) = proposals_of([run(0)], askings)
    assert (found.kind, found.change) == ("agent", {"agent": "quick"})
    assert found.gain_seconds == pytest.approx(1, abs=0.1)
    (step,) = tuned(PLAN, [Change("agent", "t", found.change)]).steps
    assert (step.agent, step.substitute) == (Target(name="quick"), (Target(capability="c"),))

    unsure = [asking(0, each, agent="a") for each in times(1)]
    unsure += [asking(0, each, agent="b") for each in times(1.02)]
    assert proposals_of([run(0)], unsure) == []
    failing = [
        asking(0, 1.0, agent="quick", status="failed" if number % 3 else "answered")
        for number in range(100)
    ]
    assert proposals_of([run(0)], failing + askings[60:]) == []


def test_fewer_at_a_time_are_proposed_if_they_get_in_each_others_way() -> None:
    steps = tuple(Step(f"s{number}", Target(name="a"), "t") for number in range(4))
    plan = Plan("concurrent", steps, "n", at_once=4)
    askings = []
    for number in range(40):
        start = number * 100.0
        askings += [asking(number, 10.0, step=f"s{each}", at=start) for each in range(4)]
    for number in range(40, 80):  # as it was before, two at a time
        start = number * 100.0
        askings += [
            asking(number, 2.0, step=f"s{each}", at=start + each // 2 * 2) for each in range(4)
        ]
    assert degree(askings[0], askings[:4]) == 4
    (found,) = proposals_of([run(number, plan=plan) for number in range(80)], askings)
    assert (found.kind, found.step, found.change) == ("at_once", "", {"at_once": 2})
    assert found.gain_seconds == pytest.approx(10 - 4)
    assert tuned(plan, [Change("at_once", "", found.change)]).at_once == 2
