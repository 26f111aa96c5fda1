"""What people do to an instance: pause, resume, cancel, retry."""

from datetime import timedelta

import pytest
from tests.workflow.world import World, run_through

from higherself.kernel.errors import Rejected
from higherself.workflow.errors import ControlRefused, EventRefused, InstanceFinished
from higherself.workflow.machine import Cancelled, Paused, Resumed, Retried, TimerDue

HOUR = timedelta(hours=1)

FLOW = """
  working: {activity: {skill: work, save: result, retry: {attempts: 2}}, transitions: {to: waiting}}
  waiting: {on: {go: {to: done}, note: {set: {note: event.text}}}, after: {1h: {to: late}}}
  done: {final: true}
  late: {final: true}
"""


def test_a_paused_instance_keeps_everything_and_goes_on_where_it_was() -> None:
    world = World(FLOW).start()
    world.send(Paused("ann"))
    assert (world.status, world.reason) == ("paused", "paused until somebody resumes it")
    assert world.complete("R").outcome == "kept"
    assert world.receive("note", text="hello").outcome == "kept"
    assert world.state == "working"
    world.send(Resumed("ann"))
    assert (world.state, world.status) == ("waiting", "waiting")
    assert world.context == {"result": "R", "note": "hello"}


def test_timers_that_become_due_meanwhile_count_when_it_is_resumed() -> None:
    world = World(FLOW).start()
    world.complete("R")
    world.send(Paused())
    world.pass_time(2 * HOUR)
    assert world.state == "waiting"
    world.send(Resumed())
    assert world.state == "late"


def test_a_timer_that_is_sent_twice_meanwhile_counts_once() -> None:
    world = World(FLOW).start()
    world.complete("R")
    world.send(Paused())
    world.pass_time(HOUR)
    (timer,) = world.timers
    assert world.send(TimerDue(timer)).outcome == "ignored"
    world.send(Resumed())
    assert world.state == "late"


def test_a_failed_attempt_meanwhile_is_repeated_when_it_is_resumed() -> None:
    world = World(FLOW).start()
    world.send(Paused())
    world.break_down()
    assert len(world.asked) == 1
    world.send(Resumed())
    assert world.asked[-1].attempt == 2


def test_pausing_twice_and_resuming_what_runs_change_nothing() -> None:
    world = World(FLOW).start()
    assert world.send(Resumed()).outcome == "ignored"
    world.send(Paused())
    assert world.send(Paused()).outcome == "ignored"


def test_a_failed_instance_is_not_paused() -> None:
    world = failed()
    with pytest.raises(ControlRefused, match="has failed; it stands still until it is retried"):
        world.send(Paused())


def test_a_paused_instance_can_be_cancelled() -> None:
    world = World(FLOW).start()
    world.send(Paused())
    world.complete("R")
    world.send(Cancelled("enough"))
    assert world.status == "cancelled"


def failed() -> World:
    world = World(FLOW).start()
    world.break_down()
    world.break_down("out of paper")
    assert world.status == "failed"
    return world


def test_a_failed_activity_is_retried_under_its_key_with_fresh_attempts() -> None:
    world = failed()
    key = world.key()
    world.send(Retried(by="ann"))
    assert [(each.key, each.attempt) for each in world.asked] == [(key, 1), (key, 2), (key, 3)]
    assert world.status == "running"
    world.break_down()
    assert world.asked[-1].attempt == 4
    world.break_down()
    assert world.status == "failed"


def test_with_an_edited_context_it_is_a_new_run_under_a_new_key() -> None:
    states = FLOW.replace("skill: work,", 'skill: work, input: {n: "{{ context.n }}"},')
    world = World(states).start(n=1)
    world.break_down()
    world.break_down()
    key = world.key()
    world.send(Retried(context={"n": 2}))
    assert (world.asked[-1].input, world.asked[-1].attempt) == ({"n": 2}, 1)
    assert world.asked[-1].key != key
    world.complete("R")
    assert world.context == {"n": 2, "result": "R"}


def test_what_comes_for_a_failed_instance_is_kept_until_it_is_retried() -> None:
    world = failed()
    assert world.receive("note", text="hello").outcome == "kept"
    world.send(Retried())
    assert world.complete("R").outcome == "taken"
    assert world.context["note"] == "hello"


def test_an_instance_can_go_on_from_another_state() -> None:
    world = failed()
    world.send(Retried("waiting", {"result": "by hand"}, "ann"))
    assert (world.state, world.status, world.running) == ("waiting", "waiting", {})
    assert world.context == {"result": "by hand"}
    last = world.history[-1]
    assert (last.cause, last.source, last.target, last.data) == (
        "retried", "working", "waiting", {"by": "ann"},
    )  # fmt: skip


def test_also_when_it_has_not_failed() -> None:
    world = World(FLOW).start()
    world.complete("R")
    world.send(Retried("working"))
    assert (world.state, world.timers) == ("working", {})
    assert world.skills == ["work", "work"]


def test_without_a_failure_a_state_has_to_be_named() -> None:
    with pytest.raises(ControlRefused, match="has not failed; name the state"):
        World(FLOW).start().send(Retried())


def test_a_state_that_does_not_exist_is_refused_with_a_suggestion() -> None:
    with pytest.raises(EventRefused, match="no state 'wating'; did you mean 'waiting'"):
        failed().send(Retried("wating"))


def test_an_edited_context_has_to_fit_the_schema() -> None:
    world = World(FLOW, head="schema: {properties: {result: {type: string}}}").start()
    with pytest.raises(Rejected, match="does not fit the schema"):
        world.send(Retried("waiting", {"result": 3}))


def test_a_guard_that_failed_is_tried_again_without_repeating_the_activity() -> None:
    world = World("""
  working: {activity: work, transitions: [{to: done, when: context.score > 3}, {to: low}]}
  done: {final: true}
  low: {final: true}
""").start()
    world.complete()
    assert world.status == "failed"
    assert "context.score" in world.reason
    world.send(Retried(context={"score": 5}))
    assert (world.state, world.skills) == ("done", ["work"])


def test_a_timer_whose_guard_failed_is_not_lost() -> None:
    world = World("""
  waiting: {after: {1h: [{to: done, when: context.ready}]}, on: {go: {to: done}}}
  done: {final: true}
""").start()
    world.pass_time(HOUR)
    assert world.status == "failed"
    world.send(Retried(context={"ready": True}))
    assert world.status == "completed"


def test_a_state_that_timed_out_is_entered_anew_with_new_timers() -> None:
    world = World("""
  working: {activity: work, timeout: 1h, transitions: {to: done}}
  done: {final: true}
""").start()
    world.pass_time(HOUR)
    assert world.status == "failed"
    world.send(Retried())
    assert (world.skills, len(world.running), len(world.timers)) == (["work", "work"], 1, 1)


def test_a_deadline_counts_anew() -> None:
    world = World(FLOW, head="deadline: 30m").start()
    world.complete("R")
    world.pass_time(HOUR / 2)
    assert world.status == "failed"
    world.send(Retried())
    assert sorted(world.timers.values()) == [world.now + HOUR / 2] * 2
    world.receive("go")
    assert world.status == "completed"


def test_a_bound_on_visits_counts_anew() -> None:
    world = World("""
  waiting: {on: {again: {to: waiting}}, max_visits: 1}
""").start()
    world.receive("again")
    assert world.status == "failed"
    world.send(Retried())
    assert (world.status, world.snapshot.visits) == ("waiting", {"waiting": 1})


def test_a_branch_that_failed_is_retried_by_itself() -> None:
    world = World("""
  both:
    parallel:
      branches:
        one: {activity: {skill: one, retry: {attempts: 1}}}
        two: {activity: two}
    transitions: {to: end}
  end: {final: true}
""").start()
    world.break_down(activity="one")
    assert world.complete("done", "two").outcome == "kept"
    world.send(Retried())
    world.complete(None, "one")
    assert (world.status, world.skills) == ("completed", ["one", "two"])


@pytest.mark.parametrize("event", [Paused(), Resumed(), Cancelled("no"), Retried()])
def test_a_finished_instance_cannot_be_steered(event: Paused) -> None:
    world = run_through(World("  done: {final: true}\n").start())
    with pytest.raises(InstanceFinished):
        world.send(event)
