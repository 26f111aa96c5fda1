"""Simulated runs, held against chains that can be reckoned by hand."""

import json
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from tests.workflow.machine.definitions import definitions
from tests.workflow.view.samples import NAMES, business, half_done_lead, lead_nurturing, run_in
from tests.workflow.world import machine

from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.view.chance import Chance, Constant, Exponential, Sample, seconds_of
from higherself.workflow.view.learnt import Learnt, learn
from higherself.workflow.view.outlook import outlook
from higherself.workflow.view.simulate import MOST_STATES, simulate

HOUR = timedelta(hours=1)
LOOP = """
  work: {on: {done: {to: end}, again: {to: work}}}
  end: {final: true}
"""


def test_a_loop_is_geometric() -> None:
    found = simulate(
        machine(LOOP), runs=4000, seed=3, durations={"work": Constant(HOUR)},
        probabilities={("work", "end"): 0.25, ("work", "work"): 0.75},
    )  # fmt: skip
    assert found.expected is not None
    assert found.expected / HOUR == pytest.approx(4, rel=0.06)
    assert found.visits["work"] == pytest.approx(4, rel=0.06)
    assert found.quantile(0.5) == 3 * HOUR
    assert found.ends == {"end": 1}
    assert found.bottleneck == "work"


def test_a_chain_adds_up() -> None:
    chain = machine(
        "\n  a: {activity: x, transitions: {to: b}}\n  b: {activity: y, transitions: {to: c}}\n  c: {final: true}\n"
    )
    found = simulate(chain, runs=3000, durations={"a": Constant(HOUR), "b": Exponential(3 * HOUR)})
    assert found.expected is not None
    assert found.expected / HOUR == pytest.approx(4, rel=0.06)
    assert found.time["b"] == pytest.approx(0.75, abs=0.02)
    assert found.bottleneck == "b"
    assert found.assumed == ()


def test_ways_are_alike_unless_told_otherwise() -> None:
    ways = machine(
        """
  a: {on: {one: {to: b}, two: {to: c}, three: {to: d}}}
  b: {final: true}
  c: {final: true}
  d: {final: true}
"""
    )
    found = simulate(ways, runs=6000)
    assert all(share == pytest.approx(1 / 3, abs=0.03) for share in found.ends.values())
    found = simulate(ways, runs=6000, probabilities={("a", "b"): 0.8})
    assert found.ends["b"] == pytest.approx(0.8, abs=0.03)
    assert found.ends["c"] == pytest.approx(0.1, abs=0.02)
    assert found.assumed == ("a",)


def test_a_timer_races_with_events() -> None:
    race = machine(
        """
  a: {on: {go: {to: b}}, after: {2h: {to: late}}}
  b: {final: true}
  late: {final: true}
"""
    )
    found = simulate(race, runs=6000, durations={"a": Exponential(2 * HOUR)})
    assert found.ends["late"] == pytest.approx(0.3679, abs=0.025)  # e to the power of -1
    assert found.durations[-1] == 7200
    found = simulate(race, runs=100, durations={"a": Constant(HOUR)})
    assert found.ends == {"b": 1, "late": 0}


def test_schedules_know_the_calendar() -> None:
    nightly = machine("\n  a: {cron: {'0 9 * * 2': {to: b}}}\n  b: {final: true}\n")
    found = simulate(nightly, runs=10)  # from a Monday at nine to the next Tuesday at nine
    assert found.expected == timedelta(days=1)


def test_an_approval_expires() -> None:
    asking = machine(
        """
  a: {approval: {roles: [owner], timeout: 1h, approved: {to: b}, rejected: {to: b}, expired: {to: c}}}
  b: {final: true}
  c: {final: true}
"""
    )
    assert simulate(asking, runs=50, durations={"a": Constant(2 * HOUR)}).ends["c"] == 1
    assert simulate(asking, runs=50, durations={"a": Constant(HOUR / 2)}).ends["b"] == 1


def test_errors_are_rare() -> None:
    risky = machine(
        """
  a: {activity: x, transitions: {to: b}, on_error: {to: c}}
  b: {final: true}
  c: {final: true}
"""
    )
    assert simulate(risky, runs=5000).ends["c"] == pytest.approx(0.02, abs=0.01)
    assert simulate(risky, runs=200, error_rate=0).ends["c"] == 0
    given_ = simulate(risky, runs=5000, probabilities={("a", "c"): 0.4})
    assert given_.ends["c"] == pytest.approx(0.4, abs=0.03)


BRANCHES = """
  a:
    parallel:
      branches:
        fast: {{activity: x}}
        slow: {{activity: y}}
      join: {join}
    transitions: {{to: b}}
  b: {{final: true}}
"""


@pytest.mark.parametrize(("join", "hours"), [("all", 5), ("any", 1), ("2", 5), ("1", 1)])
def test_a_join_waits_for_as_many_as_it_needs(join: str, hours: int) -> None:
    durations = {"a.fast.run": Constant(HOUR), "a.slow.run": Constant(5 * HOUR)}
    found = simulate(machine(BRANCHES.format(join=join)), runs=20, durations=durations)
    assert found.expected == hours * HOUR
    assert found.visits["a.fast.run"] == 1


def test_what_cannot_end_is_told() -> None:
    stuck = machine(
        "\n  a: {on: {go: {to: b}, out: {to: end}}}\n  b: {on: {x: {set: {y: 1}}}}\n  end: {final: true}\n"
    )
    found = simulate(stuck, runs=2000)
    assert found.stuck == pytest.approx(0.5, abs=0.04)
    assert list(found.reasons) == ["there is no way out of b"]

    bound = machine("\n  a: {on: {go: {to: a}}, max_visits: 3}\n  end: {final: true}\n")
    assert list(simulate(bound, runs=5).reasons) == ["a was entered more than 3 times"]

    endless = machine("\n  a: {on: {go: {to: a}}}\n  end: {final: true}\n")
    assert list(simulate(endless, runs=2).reasons) == [f"goes on after {MOST_STATES:,} states"]

    late = machine("\n  a: {on: {go: {to: end}}}\n  end: {final: true}\n", "deadline: 1h")
    found = simulate(late, runs=5, durations={"a": Constant(2 * HOUR)})
    assert list(found.reasons) == ["the deadline passed"]
    assert found.expected is None

    idle = simulate(
        late, runs=5, probabilities={("a", "end"): 0.0}, durations={"a": Constant(HOUR / 2)}
    )
    assert list(idle.reasons) == ["nothing happens in a"]


def test_a_deadline_leads_somewhere() -> None:
    late = machine(
        "\n  a: {on: {go: {to: b}}}\n  b: {final: true}\n  c: {final: true}\n",
        "deadline: 1h\non_deadline: {to: c}",
    )
    found = simulate(late, runs=5, durations={"a": Constant(2 * HOUR)})
    assert found.ends == {"b": 0, "c": 1}
    assert found.expected == HOUR


def test_what_was_learnt_comes_again() -> None:
    learnt = Learnt({"work": ((3600.0, "end"), (7200.0, "work"))})
    found = simulate(machine(LOOP), runs=4000, learnt=learnt)
    assert found.expected is not None
    assert found.expected / HOUR == pytest.approx(3, rel=0.06)
    assert found.assumed == ()
    lead = simulate(lead_nurturing(), runs=200, learnt=learn([run_in(half_done_lead())]))
    assert "qualified" in lead.assumed
    assert "captured" not in lead.assumed


def test_the_same_seed_is_the_same_simulation() -> None:
    assert simulate(business("inventory"), runs=50, seed=7) == simulate(
        business("inventory"), runs=50, seed=7
    )
    assert simulate(business("inventory"), runs=50, seed=7) != simulate(
        business("inventory"), runs=50, seed=8
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_of_the_business_can_be_simulated(name: str) -> None:
    found = simulate(business(name), runs=100)
    assert sum(found.ends.values()) + found.stuck == pytest.approx(1)
    assert found.stuck == 0
    ElementTree.fromstring(outlook(found))


@settings(max_examples=40)
@given(definition=definitions())
def test_laws_that_hold_for_all(definition: WorkflowDefinition) -> None:
    found = simulate(definition, runs=5)
    assert sum(found.ends.values()) + found.stuck == pytest.approx(1)
    assert sum(found.reasons.values()) + len(found.durations) == 5
    assert sum(found.time.values()) == pytest.approx(1) or not any(found.time.values())
    assert list(found.durations) == sorted(found.durations)
    assert all(each >= 0 for each in found.durations)
    assert found.visits[definition.initial] >= 1
    json.dumps(found.to_json(), allow_nan=False)
    ElementTree.fromstring(outlook(found))


def test_chance_is_even() -> None:
    chance = Chance(1)
    draws = [chance.draw() for _ in range(20_000)]
    assert all(0 <= each < 1 for each in draws)
    assert sum(draws) / len(draws) == pytest.approx(0.5, abs=0.01)
    assert Chance(0).draw() == pytest.approx(0.8833108082136426)  # of the published algorithm
    sample = Sample((HOUR, 3 * HOUR))
    mean = sum(seconds_of(sample, chance) for _ in range(5000)) / 5000
    assert mean == pytest.approx(7200, rel=0.03)
