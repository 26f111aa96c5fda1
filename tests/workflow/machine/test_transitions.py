"""Which transition is taken, and what happens on the way."""

from datetime import timedelta

import pytest
from tests.workflow.world import World, run_through

from higherself.workflow.machine import replayed


def test_the_first_transition_whose_guard_holds_is_taken() -> None:
    world = World("""
  asked:
    on:
      scored:
        - {to: high, when: event.score >= 70}
        - {to: middle, when: event.score >= 40}
        - {to: low}
  high: {final: true}
  middle: {final: true}
  low: {final: true}
""").start()
    world.receive("scored", score=55)
    assert (world.state, world.status) == ("middle", "completed")


def test_automatic_transitions_follow_until_something_is_waited_for() -> None:
    world = World("""
  one: {transitions: {to: two}}
  two: {transitions: [{to: four, when: context.skip}, {to: three}]}
  three: {on: {go: {to: four}}}
  four: {final: true}
""").start(skip=False)
    assert world.state == "three"
    assert [(entry.source, entry.target) for entry in world.history] == [
        (None, "one"), ("one", "two"), ("two", "three"),
    ]  # fmt: skip


def test_what_set_says_holds_from_the_transition_on() -> None:
    world = World("""
  asked:
    on:
      answered:
        to: thanked
        set: {contact.name: event.name, count: context.count + 1, tags: [new], seen: true}
  thanked: {final: true}
""").start(count=1)
    world.receive("answered", name="Ada")
    assert world.context == {"count": 2, "contact": {"name": "Ada"}, "tags": ["new"], "seen": True}


def test_assignments_of_one_transition_all_read_the_context_before_it() -> None:
    world = World("""
  one: {transitions: {to: two, set: {a: context.b, b: context.a}}}
  two: {final: true}
""").start(a=1, b=2)
    assert world.context == {"a": 2, "b": 1}


def test_the_order_is_entry_work_exit_and_then_the_transition() -> None:
    world = World("""
  first:
    entry: [enter_one, enter_two]
    activity: work
    exit: [leave_one, leave_two]
    transitions: {to: second, do: [on_the_way, still_on_the_way]}
  second: {entry: arrive, final: true}
""").start()
    run_through(world)
    assert world.skills == [
        "enter_one", "enter_two", "work", "leave_one", "leave_two", "on_the_way",
        "still_on_the_way", "arrive",
    ]  # fmt: skip
    assert world.status == "completed"


def test_while_exit_activities_run_the_state_is_still_the_old_one() -> None:
    world = World("""
  first: {exit: leave, on: {go: {to: second, set: {gone: true}}}}
  second: {final: true}
""").start()
    world.receive("go")
    assert (world.state, world.status, world.context) == ("first", "running", {"gone": True})
    world.complete()
    assert world.state == "second"


def test_a_transition_without_a_target_leaves_timers_and_visits_alone() -> None:
    world = World("""
  counting:
    on:
      tick: {set: {count: context.count + 1}, do: log}
    after: {1h: {to: done}}
    exit: leave
    max_visits: 9
  done: {final: true}
""").start(count=0)
    due = dict(world.timers)
    world.receive("tick")
    run_through(world)
    assert (world.context["count"], world.timers, world.skills) == (1, due, ["log"])
    assert world.snapshot.visits == {"counting": 1}


def test_automatic_transitions_are_tried_again_when_something_was_set() -> None:
    world = World("""
  counting:
    on: {tick: {set: {count: context.count + 1}}}
    transitions: {to: done, when: context.count >= 2}
  done: {final: true}
""").start(count=0)
    world.receive("tick")
    assert world.reason == "guard false because context.count = 1 or waits for event tick"
    world.receive("tick")
    assert world.status == "completed"


def test_a_transition_to_the_same_state_leaves_it_and_enters_it_again() -> None:
    world = World("""
  waiting: {entry: enter, exit: leave, max_visits: 9, on: {again: {to: waiting}}, after: {1h: {to: done}}}
  done: {final: true}
""").start()
    run_through(world)
    world.pass_time(timedelta(minutes=30))
    world.receive("again")
    run_through(world)
    assert world.skills == ["enter", "leave", "enter"]
    world.pass_time(timedelta(minutes=59))
    assert world.state == "waiting"
    assert world.snapshot.visits == {"waiting": 2}


def test_guards_read_context_event_and_instance() -> None:
    world = World("""
  asked:
    on:
      said:
        - to: done
          when: >-
            context.n == 1 and event.n == 2 and instance.entity == 'the_7_space'
            and instance.workflow == 'under_test' and instance.version == 1
            and instance.state == 'asked' and now() >= time(instance.started_at)
  done: {final: true}
""").start(n=1)
    world.receive("said", n=2)
    assert world.status == "completed"


def test_an_automatic_transition_reads_the_result_of_the_work() -> None:
    world = World("""
  working: {activity: work, transitions: [{to: good, when: event.result.ok}, {to: bad}]}
  good: {final: true}
  bad: {final: true}
""").start()
    world.complete({"ok": True})
    assert world.state == "good"


def test_a_state_entered_too_often_goes_where_its_errors_go() -> None:
    world = World("""
  waiting: {on: {again: {to: waiting}}, max_visits: 2, on_error: {to: tired, set: {why: event.message}}}
  tired: {final: true}
""").start()
    world.receive("again")
    world.receive("again")
    assert world.state == "tired"
    assert world.context == {"why": "waiting was entered 3 times, and max_visits is 2"}


@pytest.mark.parametrize("states", [
    pytest.param("""
  one: {transitions: {to: two}}
  two: {transitions: {to: one}}
""", id="two states"),
    pytest.param("""
  one: {transitions: {to: one}}
""", id="one state"),
    pytest.param("""
  one: {max_visits: 1, on_error: {to: one}, transitions: {to: one}}
""", id="its own errors"),
])  # fmt: skip
def test_going_round_in_circles_ends_in_a_visible_failure(states: str) -> None:
    world = World(states).start()
    assert world.status == "failed"
    assert "100 transitions followed one another without a wait" in world.reason


def test_a_guard_elsewhere_is_tried_again_when_a_branch_sets_something() -> None:
    world = World("""
  both:
    parallel:
      branches:
        counts:
          initial: at_work
          states: {at_work: {on: {tick: {set: {n: context.n + 1}}}, transitions: {to: done, when: context.n > 1}}, done: {final: true}}
        waits:
          initial: asleep
          states: {asleep: {transitions: {to: awake, when: context.n > 0}}, awake: {final: true}}
    transitions: {to: end}
  end: {final: true}
""").start(n=0)
    world.receive("tick")
    assert world.states == {"": "both", "both.counts": "at_work", "both.waits": "awake"}
    world.receive("tick")
    assert world.status == "completed"


def test_every_past_moment_can_be_looked_at() -> None:
    world = World("""
  one: {on: {go: {to: two, set: {n: event.n}}}}
  two: {on: {go: {to: three, set: {n: event.n}}}}
  three: {final: true}
""").start(n=0)
    world.receive("go", n=1)
    world.receive("go", n=2)
    past = [replayed(world.history[:count]) for count in (1, 2, 3)]
    assert [(view.states[""], view.context["n"], view.status) for view in past] == [
        ("one", 0, "waiting"), ("two", 1, "waiting"), ("three", 2, "completed"),
    ]  # fmt: skip
