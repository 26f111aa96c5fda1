"""Cases of the W3C's SCXML suite, where our subset applies.

Source: SCXML 1.0 Implementation Report, https://www.w3.org/Voice/2013/scxml-irp/ (test ids below).

Transcribed so: executable content (`raise`, `log`) is an activity, and where a case raises an event
to find out about an order, the order of the activities is looked at. A compound state is a parallel
state with one branch. What our language has no counterpart for (history states, wildcards,
transitions into a branch) is left out, as are cases about branches moving in one microstep: ours
move one after another, in the order of writing.
"""

from datetime import timedelta

import pytest
from tests.workflow.world import World, run_through

from higherself.workflow.errors import EventRefused
from higherself.workflow.machine import ChildFinished

ENDS = """
  pass: {final: true}
  fail: {final: true}
"""


def test_375_onentry_handlers_run_in_document_order() -> None:
    world = World("  s0: {entry: [event1, event2], transitions: {to: pass}}" + ENDS).start()
    assert run_through(world).skills == ["event1", "event2"]


def test_377_onexit_handlers_run_in_document_order() -> None:
    world = World("  s0: {exit: [event1, event2], transitions: {to: pass}}" + ENDS).start()
    assert run_through(world).skills == ["event1", "event2"]


def test_396_the_name_of_the_event_is_matched() -> None:
    world = World("  s0: {on: {foo: {to: pass}, bar: {to: fail}}}" + ENDS).start()
    world.receive("foo")
    assert world.state == "pass"


@pytest.mark.parametrize("var", [0, 1])
def test_147_and_148_the_first_branch_whose_condition_holds_is_taken(var: int) -> None:
    world = World(f"""
  s0: {{transitions: [{{to: s1, when: context.v == {var}}}, {{to: s2}}]}}
  s1: {{final: true}}
  s2: {{final: true}}
""").start(v=0)
    assert world.state == ("s1" if var == 0 else "s2")


def test_403a_inner_transitions_have_priority_and_a_false_condition_passes_the_event_on() -> None:
    world = World(
        """
  s0:
    parallel:
      branches:
        inside:
          initial: s01
          states:
            s01: {on: {event1: {to: s02}}}
            s02: {on: {event1: {to: never}, event2: {to: never, when: "false"}}}
            never: {final: true}
    on: {event1: {to: fail}, event2: {to: pass}}
    after: {1s: {to: fail}}
    transitions: {to: fail}
"""
        + ENDS
    ).start()
    world.receive("event1")
    assert world.states["s0.inside"] == "s02"
    world.receive("event2")
    assert world.state == "pass"


def test_403b_a_transition_of_the_parallel_state_is_taken_once_for_all_its_branches() -> None:
    world = World(
        """
  p0:
    parallel:
      branches:
        p0s1: {initial: a, states: {a: {on: {event2: [{to: b, when: context.v == 1}]}}, b: {final: true}}}
        p0s2: {initial: a, states: {a: {on: {nothing: {to: b}}}, b: {final: true}}}
      join: any
    on: {event1: {set: {v: context.v + 1}}}
    transitions: {to: pass}
"""
        + ENDS
    ).start(v=0)
    world.receive("event1")
    assert world.context == {"v": 1}
    world.receive("event2")
    assert world.state == "pass"


def test_404_states_are_left_in_exit_order_before_the_transition_is_carried_out() -> None:
    world = World(
        """
  s01p:
    exit: event3
    parallel:
      branches:
        s01p1: {initial: a, states: {a: {exit: event2, on: {x: {to: b}}}, b: {final: true}}}
        s01p2: {initial: a, states: {a: {exit: event1, on: {x: {to: b}}}, b: {final: true}}}
    on: {go: {to: pass, do: event4}}
    transitions: {to: fail}
"""
        + ENDS
    ).start()
    world.receive("go")
    assert run_through(world).skills == ["event1", "event2", "event3", "event4"]


def test_406_the_transition_is_carried_out_before_states_are_entered_in_entry_order() -> None:
    world = World(
        """
  s01: {transitions: {to: s0p2, do: event1}}
  s0p2:
    entry: event2
    parallel:
      branches:
        s01p21: {initial: a, states: {a: {entry: event3, on: {x: {to: b}}}, b: {final: true}}}
        s01p22: {initial: a, states: {a: {entry: event4, on: {x: {to: b}}}, b: {final: true}}}
    transitions: {to: fail}
"""
        + ENDS
    ).start()
    assert run_through(world).skills == ["event1", "event2", "event3", "event4"]


def test_409_the_inner_state_is_gone_when_the_outer_one_is_left() -> None:
    world = World(
        """
  s01:
    exit: outer
    parallel: {branches: {one: {initial: s011, states: {s011: {on: {x: {to: b}}}, b: {final: true}}}}}
    on: {go: {to: pass}}
    transitions: {to: fail}
"""
        + ENDS
    ).start()
    world.receive("go")
    assert world.states == {"": "s01"}
    assert world.skills == ["outer"]


def test_417_a_parallel_state_is_done_when_all_its_children_are_in_final_states() -> None:
    world = World(
        """
  s1p1:
    parallel:
      branches:
        s1p11: {initial: s1p111, states: {s1p111: {transitions: {to: end}}, end: {final: true}}}
        s1p12: {initial: s1p121, states: {s1p121: {transitions: {to: end}}, end: {final: true}}}
    after: {1s: {to: fail}}
    transitions: {to: pass}
"""
        + ENDS
    ).start()
    assert world.state == "pass"


def test_570_and_when_the_last_of_them_gets_there_by_an_event() -> None:
    world = World(
        """
  p0:
    parallel:
      branches:
        p0s1: {initial: p0s11, states: {p0s11: {on: {e1: {to: end}}}, end: {final: true}}}
        p0s2: {initial: p0s21, states: {p0s21: {on: {e2: {to: end}}}, end: {final: true}}}
    after: {2s: {to: fail}}
    transitions: {to: pass}
"""
        + ENDS
    ).start()
    world.receive("e1")
    world.pass_time(timedelta(seconds=1))
    assert world.state == "p0"
    world.receive("e2")
    assert world.state == "pass"


def test_419_automatic_transitions_come_before_events() -> None:
    world = World(
        """
  s0: {activity: work, transitions: {to: s1}}
  s1: {on: {externalEvent: {to: fail}}, transitions: {to: pass}}
"""
        + ENDS
    ).start()
    world.receive("externalEvent")
    world.complete()
    assert world.state == "pass"


def test_503_a_transition_without_a_target_leaves_no_state() -> None:
    world = World(
        """
  s1: {transitions: {to: s2}}
  s2:
    exit: leave
    on:
      foo: {set: {v: context.v + 1}}
      bar: [{to: pass, when: context.v == 1}, {to: fail}]
"""
        + ENDS
    ).start(v=0)
    world.receive("foo")
    world.receive("bar")
    assert run_through(world).skills == ["leave"]
    assert world.state == "pass"


def test_504_a_transition_to_the_own_state_leaves_it_and_all_that_is_in_it() -> None:
    world = World(
        """
  p:
    exit: left_p
    parallel:
      branches:
        ps1: {initial: a, states: {a: {exit: left_ps1, on: {x: {to: b}}}, b: {final: true}}}
        ps2: {initial: a, states: {a: {exit: left_ps2, on: {x: {to: b}}}, b: {final: true}}}
    on: {foo: {to: p}, bar: {to: pass}}
    transitions: {to: fail}
"""
        + ENDS
    ).start()
    world.receive("foo")
    run_through(world)
    world.receive("bar")
    run_through(world)
    assert world.skills == ["left_ps2", "left_ps1", "left_p"] * 2


def test_144_events_that_wait_are_taken_in_the_order_in_which_they_came() -> None:
    world = World(
        """
  s0: {activity: work, transitions: {to: waiting}}
  waiting: {on: {foo: {to: s1}, bar: {to: fail}}}
  s1: {on: {bar: {to: pass}, foo: {to: fail}}}
"""
        + ENDS
    ).start()
    world.receive("foo")
    world.receive("bar")
    world.complete()
    assert world.state == "pass"


def test_149_where_no_condition_holds_nothing_is_done() -> None:
    world = World(
        """
  s0:
    transitions: [{to: fail, when: "false"}, {to: fail, when: context.v == 1}]
    on: {bar: {to: pass}}
"""
        + ENDS
    ).start(v=0)
    assert world.state == "s0"
    world.receive("bar")
    assert world.state == "pass"


def test_158_executable_content_runs_in_document_order() -> None:
    world = World("  s0: {transitions: {to: pass, do: [event1, event2]}}" + ENDS).start()
    assert run_through(world).skills == ["event1", "event2"]


def test_159_after_an_error_the_rest_of_a_block_is_skipped() -> None:
    world = World(
        """
  s0: {entry: [{skill: this_will_fail, retry: {attempts: 1}}, count], transitions: {to: fail}, on_error: {to: pass}}
"""
        + ENDS
    ).start()
    run_through(world, {"this_will_fail": OSError("it did")})
    assert (world.state, world.skills) == ("pass", ["this_will_fail"])


def test_185_what_is_sent_with_a_shorter_delay_comes_first() -> None:
    world = World("  s0: {after: {2s: {to: fail}, 1s: {to: pass}}}" + ENDS).start()
    world.pass_time(timedelta(seconds=3))
    assert world.state == "pass"


def test_187_what_was_to_be_sent_later_is_not_once_the_instance_has_ended() -> None:
    world = World("  s0: {after: {1s: {to: fail}}, on: {end: {to: pass}}}" + ENDS).start()
    world.receive("end")
    assert (world.state, world.timers) == ("pass", {})


def test_208_a_delayed_event_can_be_cancelled() -> None:
    world = World(
        """
  s0: {after: {1s: {to: fail}}, on: {cancel: {to: s1}}}
  s1: {after: {2s: {to: pass}}}
"""
        + ENDS
    ).start()
    world.receive("cancel")
    world.pass_time(timedelta(seconds=3))
    assert world.state == "pass"


def test_237_leaving_the_state_cancels_what_it_invoked() -> None:
    world = World(
        """
  s0: {start: {workflow: child}, after: {1s: {to: s1}}, transitions: {to: fail}}
  s1: {after: {2s: {to: pass}}}
"""
        + ENDS
    ).start()
    (key,) = world.children
    world.pass_time(timedelta(seconds=1))
    assert not world.children
    assert world.send(ChildFinished(key, "completed", "end", {})).outcome == "ignored"
    world.pass_time(timedelta(seconds=2))
    assert world.state == "pass"


def test_247_the_end_of_what_was_invoked_is_told() -> None:
    world = World(
        "  s0: {start: {workflow: child}, transitions: {to: pass}, after: {2s: {to: fail}}}" + ENDS
    ).start()
    world.child_ends("end")
    assert world.state == "pass"


def test_252_nothing_of_what_was_invoked_counts_after_the_state_was_left() -> None:
    world = World(
        """
  s0: {start: {workflow: child}, on: {timeout: {to: s1}}, transitions: {to: fail}}
  s1: {start: {workflow: other}, transitions: {to: fail}, after: {2s: {to: pass}}}
"""
        + ENDS
    ).start()
    (key,) = world.children
    world.receive("timeout")
    world.send(ChildFinished(key, "completed", "end", {}))
    assert world.state == "s1"
    world.pass_time(timedelta(seconds=2))
    assert world.state == "pass"


def test_372_a_final_state_is_done_after_its_entry() -> None:
    world = World(
        """
  s0:
    parallel: {branches: {one: {initial: s0final, states: {s0final: {final: true, entry: count}}}}}
    transitions: {to: pass}
"""
        + ENDS
    ).start()
    assert world.state == "s0"
    world.complete(activity="count")
    assert world.state == "pass"


def test_405_the_content_of_transitions_runs_in_order_after_the_states_are_left() -> None:
    world = World(
        """
  s0: {exit: event1, transitions: {to: s1, do: [event2, event3]}}
  s1: {entry: event4, transitions: {to: pass}}
"""
        + ENDS
    ).start()
    assert run_through(world).skills == ["event1", "event2", "event3", "event4"]


def test_407_exit_handlers_run() -> None:
    world = World(
        "  s0: {exit: {skill: count, save: v}, transitions: {to: s1}}\n"
        "  s1: {transitions: [{to: pass, when: context.v == 1}, {to: fail}]}" + ENDS
    ).start(v=0)
    assert run_through(world, {"count": 1}).state == "pass"


def test_416_a_state_with_states_in_it_is_done_when_a_final_one_of_them_is_entered() -> None:
    world = World(
        """
  s1:
    parallel: {branches: {s11: {initial: s111, states: {s111: {transitions: {to: s11final}}, s11final: {final: true}}}}}
    after: {1s: {to: fail}}
    transitions: {to: pass}
"""
        + ENDS
    ).start()
    assert world.state == "pass"


def test_423_events_are_taken_until_one_of_them_fits() -> None:
    world = World(
        """
  s0: {activity: work, transitions: {to: s1}}
  s1: {on: {externalEvent2: {to: pass}}}
  never: {on: {externalEvent1: {to: fail}}}
"""
        + ENDS
    ).start()
    world.receive("externalEvent1")
    world.receive("externalEvent2")
    world.complete()
    assert world.state == "pass"


def test_487_an_illegal_assignment_is_an_error_and_assigns_nothing() -> None:
    world = World("  s1: {on: {go: {to: fail, set: {v: 2, w: event.no.such.place}}}}" + ENDS).start(
        v=1
    )
    with pytest.raises(EventRefused, match=r"event\.no"):
        world.receive("go")
    assert (world.state, world.context) == ("s1", {"v": 1})
