"""Time: durations, schedules, timeouts and deadlines."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.workflow.world import NOON, World, machine, run_through

from higherself.workflow.definition import as_data, load
from higherself.workflow.machine import TimerDue

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_a_state_is_left_after_the_duration() -> None:
    world = World("""
  waiting: {after: {3d: {to: done}}}
  done: {final: true}
""").start()
    assert world.reason == "timer until 2026-03-05 12:00:00 UTC (after 3d)"
    world.pass_time(3 * DAY - timedelta(seconds=1))
    assert world.state == "waiting"
    world.pass_time(timedelta(seconds=1))
    assert world.status == "completed"


def test_several_durations_count_from_the_entry_and_a_false_guard_lets_one_pass() -> None:
    world = World("""
  waiting:
    after:
      1h: {do: remind}
      2h: {to: early, when: context.impatient}
      3h: {to: late}
  early: {final: true}
  late: {final: true}
""").start(impatient=False)
    world.pass_time(HOUR)
    run_through(world)
    assert world.skills == ["remind"]
    world.pass_time(HOUR)
    assert world.history[-1].note == "guard false because context.impatient = false"
    world.pass_time(HOUR)
    assert world.state == "late"


def test_leaving_a_state_cancels_its_timers_and_a_late_one_is_ignored() -> None:
    world = World("""
  waiting: {after: {1h: {to: late}}, on: {go: {to: calm}}}
  calm: {on: {end: {to: late}}}
  late: {final: true}
""").start()
    timer = world.timer("after.1h")
    world.receive("go")
    assert not world.timers
    assert world.send(TimerDue(timer)).outcome == "ignored"


def test_a_schedule_comes_round_until_the_state_is_left() -> None:
    world = World("""
  waiting:
    cron:
      "0 9 * * 1":
        - {to: done, when: context.count >= 2}
        - {set: {count: context.count + 1}}
  done: {final: true}
""").start(count=0)
    times = []
    while world.status == "waiting":
        times.append(world.snapshot.timers[world.timer('cron["0 9 * * 1"]')].due_at)
        world.next_timer()
    assert times == [datetime(2026, 3, day, 9, tzinfo=UTC) for day in (9, 16, 23)]


def test_a_schedule_goes_by_the_clock_of_the_definitions_time_zone() -> None:
    world = World(
        """
  waiting: {cron: {"30 9 * * *": {set: {n: context.n + 1}}}, on: {end: {to: done}}}
  done: {final: true}
""",
        head="timezone: America/New_York",
    )
    world.now = datetime(2026, 3, 7, 12, tzinfo=UTC)  # the night after, clocks go forward
    world.start(n=0)
    times = []
    for _ in range(3):
        times.append(min(world.timers.values()))
        world.next_timer()
    assert times == [
        datetime(2026, 3, 7, 14, 30, tzinfo=UTC),
        datetime(2026, 3, 8, 13, 30, tzinfo=UTC),
        datetime(2026, 3, 9, 13, 30, tzinfo=UTC),
    ]


def test_a_late_schedule_is_not_made_up_for() -> None:
    world = World("""
  waiting: {cron: {"0 * * * *": {set: {n: context.n + 1}}}, on: {end: {to: done}}}
  done: {final: true}
""").start(n=0)
    world.now = NOON + 10 * HOUR
    world.send(TimerDue(world.timer('cron["0 * * * *"]')))
    assert world.context == {"n": 1}
    assert list(world.timers.values()) == [NOON + 11 * HOUR]


def test_the_timeout_of_a_state_stops_its_work() -> None:
    world = World("""
  working: {activity: slow, timeout: 2h, on_timeout: {to: late}, transitions: {to: done}, on_error: {to: broken}}
  late: {final: true}
  broken: {final: true}
  done: {final: true}
""").start()
    world.pass_time(HOUR)
    world.break_down()
    assert world.state == "working"
    world.pass_time(HOUR)
    assert world.state == "late"


def test_without_a_way_for_timeouts_errors_go_theirs() -> None:
    world = World("""
  working: {activity: slow, timeout: 2h, transitions: {to: done}, on_error: {to: broken, set: {why: event.type}}}
  broken: {final: true}
  done: {final: true}
""").start()
    world.pass_time(2 * HOUR)
    assert (world.state, world.context) == ("broken", {"why": "Timeout"})


def test_a_timer_that_is_due_while_entry_activities_run_is_kept_until_they_have() -> None:
    world = World("""
  waiting: {entry: prepare, after: {1h: {to: done}}}
  done: {final: true}
""").start()
    world.pass_time(HOUR)
    assert (world.state, world.last and world.last.outcome) == ("waiting", "kept")
    world.complete()
    assert world.status == "completed"


def test_the_deadline_stops_everything_wherever_it_is() -> None:
    world = World(
        """
  working: {activity: slow, exit: clean_up, transitions: {to: done}}
  over: {final: true}
  done: {final: true}
""",
        head="deadline: 2d\non_deadline: {to: over, do: tell}",
    ).start()
    world.pass_time(2 * DAY)
    assert world.skills == ["slow", "clean_up"]
    run_through(world)
    assert (world.state, world.skills) == ("over", ["slow", "clean_up", "tell"])


def test_a_deadline_without_a_way_fails_the_instance() -> None:
    world = World(
        """
  waiting: {on: {go: {to: done}}}
  done: {final: true}
""",
        head="deadline: 30d",
    ).start()
    world.pass_time(30 * DAY)
    assert world.reason == "failed in waiting: the deadline of under_test version 1 has passed"


def test_an_instance_that_ends_in_time_has_no_deadline_left() -> None:
    world = World(
        """
  waiting: {on: {go: {to: done}}}
  done: {final: true}
""",
        head="deadline: 30d",
    ).start()
    world.receive("go")
    assert not world.timers


def test_timers_may_be_years_ahead() -> None:
    world = World("""
  waiting: {after: {1500w: {to: done}}}
  done: {final: true}
""").start()
    world.next_timer()
    assert (world.status, world.now.year) == ("completed", 2054)


# --- Waits that each instance reckons for itself.

RECKONED = """
  waiting:
    after:
      "{{ context.wait }}": {to: done}
    on_error: {to: review}
  review: {on: {again: {to: waiting}}}
  done: {final: true}
"""


@pytest.mark.parametrize(
    ("wait", "passes"),
    [
        ("3d", timedelta(days=3)),
        (90, timedelta(seconds=90)),
        ("0d", timedelta(0)),
        ("2026-03-04T12:00:00Z", timedelta(days=2)),
        ("2026-03-02T08:00:00-05:00", timedelta(hours=1)),
        ("2020-01-01T00:00:00Z", timedelta(0)),
    ],
)
def test_a_wait_is_what_the_context_says_when_the_state_is_entered(
    wait: object, passes: timedelta
) -> None:
    world = World(RECKONED).start(wait=wait)
    (due,) = world.timers.values()
    assert due - world.now == passes
    world.pass_time(passes)
    assert world.state == "done"


@pytest.mark.parametrize("wait", ["soon", None, True, "99999999999d", {"days": 3}])
def test_a_wait_that_is_none_is_an_error_of_the_state(wait: object) -> None:
    assert World(RECKONED).start(wait=wait).state == "review"
    assert World(RECKONED).start().state == "review", "it is missing"


def test_a_reckoned_wait_is_written_again_as_it_was() -> None:
    definition = machine(RECKONED)
    assert load(as_data(definition)) == definition
    assert "{{ context.wait }}" in str(as_data(definition))
