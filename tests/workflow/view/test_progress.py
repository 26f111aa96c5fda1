"""How far an instance is."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.workflow.view.samples import failed_booking, half_done_lead, passing, run_in
from tests.workflow.world import World, run_through

from higherself.workflow.machine import Cancelled
from higherself.workflow.view.learnt import Learnt, learn
from higherself.workflow.view.progress import Progress, progress

LINE = """
  a: {on: {go: {to: b}}}
  b: {on: {go: {to: c}, back: {to: a}}}
  c: {on: {go: {to: d}}}
  d: {on: {go: {to: end}}, on_error: {to: end}}
  end: {final: true}
"""


def of(world: World, **options: object) -> Progress:
    return progress(world.definition, world.snapshot, world.history, **options)  # type: ignore[arg-type]


def test_nothing_has_happened_yet() -> None:
    assert of(World(LINE)).share == 0
    assert of(World(LINE).start()).share == 0


def test_on_a_straight_line_every_state_counts_the_same() -> None:
    world = World(LINE).start()
    shares = []
    for _ in range(4):
        shares.append(of(world).share)
        world.receive("go")
    assert shares == [0, 0.25, 0.5, 0.75]
    assert of(world).share == 1


def test_weights_say_what_counts_more() -> None:
    world = World(LINE).start()
    world.receive("go")
    assert of(world, weights={"a": 7}).share == pytest.approx(0.7)


def test_a_loop_back_is_no_progress() -> None:
    world = World(LINE).start()
    world.receive("go")
    world.receive("back")
    assert of(world).share == 0


def test_what_is_left_is_told() -> None:
    world = World(LINE).start()
    world.receive("go")
    assert of(world).path == ("c", "d", "end")
    assert of(world).states == pytest.approx(3)
    assert of(world).remaining is None


def test_it_is_learnt_from_earlier_runs() -> None:
    before = World(LINE).start()
    for hours in (1, 2, 3, 4):
        passing(before, hours=hours).receive("go")
    learnt = learn([run_in(before)])
    world = World(LINE).start()
    assert of(world, learnt=learnt).remaining == timedelta(hours=10)
    passing(world, hours=1).receive("go")
    assert of(world, learnt=learnt).remaining == timedelta(hours=9)
    later = world.now + timedelta(hours=1)
    assert of(world, learnt=learnt, now=later).remaining == timedelta(hours=8)


def test_learnt_chances_count() -> None:
    twice = Learnt(
        {
            "a": ((1.0, "b"),),
            "b": ((1.0, "a"), (1.0, "c")),
            "c": ((1.0, "d"),),
            "d": ((1.0, "end"),),
        }
    )
    told = of(World(LINE).start(), learnt=twice)
    assert told.remaining is not None
    assert told.remaining.total_seconds() == pytest.approx(6, rel=0.02)


def test_branches_count_by_how_far_they_are() -> None:
    world = World(
        """
  a:
    parallel: {branches: {one: {activity: first}, two: {activity: second}}, join: all}
    transitions: {to: b}
  b: {on: {go: {to: c}}}
  c: {final: true}
"""
    ).start()
    assert of(world).share == 0
    world.complete(activity="first")
    assert of(world).share == pytest.approx(0.25)
    run_through(world)
    assert of(world).share == pytest.approx(0.5)


def test_only_what_is_completed_is_whole() -> None:
    world = World("\n  a: {transitions: {to: b}}\n  b: {final: true, entry: say_goodbye}\n").start()
    assert of(world).share < 1
    run_through(world)
    assert of(world).share == 1
    cancelled = half_done_lead()
    cancelled.send(Cancelled("enough"))
    assert of(cancelled).share < 1
    assert 0 < of(failed_booking()).share < 1


@given(
    count=st.integers(1, 12),
    weights=st.lists(st.floats(0, 10), min_size=12, max_size=12),
    hours=st.lists(st.floats(0, 10), min_size=12, max_size=12),
)
def test_it_never_goes_back_on_the_straight_way(
    count: int, weights: list[float], hours: list[float]
) -> None:
    states = "".join(
        f"  s{at}: {{on: {{go: {{to: s{at + 1}}}, stop: {{to: s{count}}}}}}}\n"
        for at in range(count)
    )
    world = World(f"{states}  s{count}: {{final: true}}\n").start()
    learnt = Learnt({f"s{at}": ((hours[at], f"s{at + 1}"),) for at in range(count)})
    declared = {f"s{at}": weight for at, weight in enumerate(weights[:count])}
    last, last_learnt = -1.0, -1.0
    for _ in range(count):
        share = of(world, weights=declared).share
        share_learnt = of(world, learnt=learnt).share
        assert last - 1e-9 <= share < 1
        assert last_learnt - 1e-9 <= share_learnt < 1
        last, last_learnt = share, share_learnt
        world.receive("go")
    assert of(world, weights=declared).share == 1
