"""What many runs have in common."""

from datetime import timedelta

from tests.workflow.view.samples import half_done_lead, run_in

from higherself.workflow.view.heat import Numbers, heat_of, statistics_of
from higherself.workflow.view.learnt import edges_of, learn


def test_runs_are_counted() -> None:
    run = run_in(half_done_lead())
    numbers = statistics_of([run, run])
    assert numbers["nurturing"] == Numbers(4, timedelta(days=2, hours=3), 0)
    assert numbers["captured"] == Numbers(2, timedelta(seconds=6), 2)
    assert numbers["nurturing", "follow_up"] == Numbers(2, timedelta(days=3), 0)
    assert numbers["qualified"].mean is None


def test_the_hottest_is_one() -> None:
    heat = heat_of(statistics_of([run_in(half_done_lead())]))
    assert heat["nurturing"] == 1
    assert max(heat["captured", "nurturing"], heat["nurturing", "review"]) == 1
    assert all(0 <= value <= 1 for value in heat.values())
    assert heat_of({}) == {}
    assert heat_of({"a": Numbers(2), "b": Numbers(1)}) == {"a": 1, "b": 0.5}


def test_runs_teach() -> None:
    learnt = learn([run_in(half_done_lead())])
    assert learnt.probabilities("nurturing") == {"follow_up": 0.5, "review": 0.5}
    assert learnt.mean("nurturing") == timedelta(days=2, hours=3)
    assert learnt.mean("qualified") is None
    assert edges_of(learnt)["nurturing", "review"] == 1
