"""Branches that run side by side, and the join that waits for them."""

from datetime import timedelta

import pytest
from tests.workflow.world import World, run_through

PREPARE = """
  preparing:
    parallel:
      branches:
        contract: {{activity: {{skill: draft_contract, save: contract, retry: {{attempts: 1}}}}}}
        room: {{activity: {{skill: book_room, save: room, retry: {{attempts: 1}}}}}}
        guests:
          initial: invited
          states:
            invited: {{on: {{guest.accepted: {{to: coming}}, guest.declined: {{to: invited}}}}}}
            coming: {{final: true}}
      join: {join}
    transitions: {{to: ready, set: {{ended: event.branches}}}}
    {more}
  ready: {{final: true}}
  broken: {{final: true}}
"""


def preparing(join: str = "all", more: str = "") -> World:
    return World(PREPARE.format(join=join, more=more)).start()


def test_all_branches_begin_at_once() -> None:
    world = preparing()
    assert world.skills == ["draft_contract", "book_room"]
    assert world.states == {
        "": "preparing",
        "preparing.contract": "run",
        "preparing.room": "run",
        "preparing.guests": "invited",
    }
    assert world.reason == (
        "preparing.contract.run: runs draft_contract; preparing.room.run: runs book_room; "
        "preparing.guests.invited: waits for event guest.accepted or guest.declined"
    )


def test_joining_all_waits_for_the_last_one() -> None:
    world = preparing("all")
    world.complete("C", "draft_contract")
    world.complete("R", "book_room")
    assert (world.state, world.status) == ("preparing", "waiting")
    world.receive("guest.accepted")
    assert (world.state, world.status) == ("ready", "completed")
    assert world.context == {
        "contract": "C",
        "room": "R",
        "ended": {"contract": "done", "room": "done", "guests": "coming"},
    }


def test_joining_any_stops_the_others() -> None:
    world = preparing("any")
    world.complete("C", "draft_contract")
    assert (world.status, world.running) == ("completed", {})
    assert world.context["ended"] == {"contract": "done"}


def test_joining_some_waits_for_that_many() -> None:
    world = preparing("2")
    world.receive("guest.accepted")
    assert world.state == "preparing"
    world.complete("R", "book_room")
    assert world.status == "completed"


def test_a_branch_that_fails_fails_what_is_around_it() -> None:
    world = preparing("all", "on_error: {to: broken}")
    world.break_down("no paper", activity="draft_contract")
    assert (world.state, world.running) == ("broken", {})


def test_a_branch_that_fails_does_no_harm_if_the_join_can_do_without_it() -> None:
    world = preparing("2", "on_error: {to: broken}")
    world.break_down("no paper", activity="draft_contract")
    assert world.snapshot.positions["preparing.contract"].phase == "lost"
    world.complete("R", "book_room")
    world.receive("guest.accepted")
    assert world.status == "completed"


def test_but_the_one_too_many_does() -> None:
    world = preparing("2", "on_error: {to: broken}")
    world.break_down(activity="draft_contract")
    world.break_down(activity="book_room")
    assert world.state == "broken"


def test_a_branch_has_its_own_ways_for_errors() -> None:
    world = World("""
  both:
    parallel:
      branches:
        careful:
          initial: trying
          states:
            trying: {activity: {skill: try, retry: {attempts: 1}}, transitions: {to: done}, on_error: {to: done}}
            done: {final: true}
    transitions: {to: end}
  end: {final: true}
""").start()
    world.break_down()
    assert world.status == "completed"


def test_an_event_goes_to_every_branch_that_waits_for_it() -> None:
    world = World("""
  both:
    parallel:
      branches:
        one: {initial: a, states: {a: {on: {go: {to: b, set: {one: true}}}}, b: {final: true}}}
        two: {initial: a, states: {a: {on: {go: {to: b, set: {two: true}}}}, b: {final: true}}}
    transitions: {to: end}
  end: {final: true}
""").start()
    world.receive("go")
    assert (world.status, world.context) == ("completed", {"one": True, "two": True})


def test_an_inner_state_comes_before_the_one_around_it() -> None:
    world = World("""
  both:
    parallel:
      branches:
        one: {initial: a, states: {a: {on: {go: {to: b, when: event.inner}}}, b: {on: {go: {to: c}}}, c: {final: true}}}
    on: {go: {to: out}}
    transitions: {to: end}
  out: {final: true}
  end: {final: true}
""").start()
    world.receive("go", inner=True)
    assert world.states == {"": "both", "both.one": "b"}
    again = World(world.definition).start()
    again.receive("go", inner=False)
    assert again.state == "out"


def test_branches_have_timers_of_their_own() -> None:
    world = World("""
  both:
    parallel:
      branches:
        slow: {initial: a, states: {a: {after: {2h: {to: b}}}, b: {final: true}}}
        quick: {initial: a, states: {a: {after: {1h: {to: b}}}, b: {final: true}}}
    transitions: {to: end}
  end: {final: true}
""").start()
    world.pass_time(timedelta(hours=1))
    assert world.states == {"": "both", "both.slow": "a", "both.quick": "b"}
    world.pass_time(timedelta(hours=1))
    assert world.status == "completed"


def test_leaving_runs_the_exit_activities_of_branches_first_the_last_branch_first() -> None:
    world = World("""
  both:
    exit: outer
    parallel:
      branches:
        one: {initial: a, states: {a: {exit: inner_one, on: {x: {to: b}}}, b: {final: true}}}
        two: {initial: a, states: {a: {exit: inner_two, on: {x: {to: b}}}, b: {final: true}}}
    on: {stop: {to: end, do: on_the_way}}
    transitions: {to: end}
  end: {final: true}
""").start()
    world.receive("stop")
    run_through(world)
    assert world.skills == ["inner_two", "inner_one", "outer", "on_the_way"]


def test_branches_can_have_branches() -> None:
    world = World("""
  outer:
    parallel:
      branches:
        left:
          initial: inner
          states:
            inner:
              parallel:
                branches:
                  deep: {activity: dig}
                  deeper: {activity: dig_more}
              transitions: {to: done}
            done: {final: true}
        right: {activity: rest}
    transitions: {to: end}
  end: {final: true}
""").start()
    assert world.states == {
        "": "outer",
        "outer.left": "inner",
        "outer.right": "run",
        "outer.left.inner.deep": "run",
        "outer.left.inner.deeper": "run",
    }
    run_through(world)
    assert world.status == "completed"


@pytest.mark.parametrize("join", ["all", "any", "2"])
def test_branches_that_end_at_once_are_joined_at_once(join: str) -> None:
    world = World(f"""
  both:
    parallel:
      branches:
        one: {{initial: a, states: {{a: {{final: true}}}}}}
        two: {{initial: a, states: {{a: {{final: true}}}}}}
      join: {join}
    transitions: {{to: end}}
  end: {{final: true}}
""").start()
    assert world.status == "completed"


def test_a_branch_that_cannot_even_begin_leaves_no_trace_of_the_others() -> None:
    world = World("""
  both:
    parallel:
      branches:
        one: {activity: {skill: work, input: {x: "{{ context.missing }}"}}}
        two: {activity: rest}
    on_error: {to: broken}
    transitions: {to: end}
  broken: {final: true}
  end: {final: true}
""").start()
    assert (world.state, world.states, world.running) == ("broken", {"": "broken"}, {})
