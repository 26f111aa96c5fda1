"""Activities: what they are given, how they are tried again, and what becomes of them."""

from datetime import timedelta

import pytest
from tests.workflow.world import NOON, World, run_through

from higherself.workflow.machine import (
    ActivityCompleted,
    ActivityFailed,
    ActivityTimedOut,
    RunActivity,
    RunCollaboration,
)

SECOND = timedelta(seconds=1)

WORK = """
  working:
    agent: {capability: enrichment}
    activity:
      skill: enrich
      input: {email: "{{ context.email }}", note: "for {{ context.name }}"}
      save: contact
      timeout: 30s
      retry: {attempts: 3, backoff: 2s, factor: 3, max: 5s, not_on: [Rejected]}
    transitions: {to: done}
    on_error: {to: review, set: {why: event}}
  done: {final: true}
  review: {final: true}
"""


def working() -> World:
    return World(WORK).start(email="ada@example.org", name="Ada")


def test_an_activity_is_asked_for_with_all_that_is_needed_to_run_it() -> None:
    world = working()
    (command,) = world.running.values()
    assert command == RunActivity(
        key=f"{world.snapshot.instance}/1/working/activity",
        activity="working/activity",
        skill="enrich",
        input={"email": "ada@example.org", "note": "for Ada"},
        attempt=1,
        due_at=NOON,
        timeout=timedelta(seconds=30),
        agent=world.definition.states["working"].agent,
    )
    assert (world.status, world.reason) == ("running", "runs enrich")


def test_its_result_is_saved_and_the_history_says_who_and_how_long() -> None:
    world = working()
    world.send(ActivityCompleted(world.key(), {"score": 3}, agent="nyra", milliseconds=12.5))
    assert world.context["contact"] == {"score": 3}
    last = world.history[-1]
    assert (last.cause, last.event, last.agent, last.milliseconds, last.attempt) == (
        "activity", "working/activity", "nyra", 12.5, 1,
    )  # fmt: skip
    assert (last.source, last.target) == ("working", "done")


def test_a_failed_attempt_is_repeated_later_under_the_same_key() -> None:
    world = working()
    key = world.key()
    world.break_down("no answer", "OSError")
    assert [(each.key, each.attempt, each.due_at) for each in world.asked] == [
        (key, 1, NOON), (key, 2, NOON + 2 * SECOND),
    ]  # fmt: skip
    assert (
        world.reason == "runs enrich again at 2026-03-02 12:00:02 UTC (attempt 2 of 3): no answer"
    )
    assert (world.history[-1].attempt, world.history[-1].error) == (1, "no answer")


@pytest.mark.parametrize(("draw", "waits"), [
    pytest.param(0.0, [2, 5], id="no jitter, and max is the most"),
    pytest.param(0.5, [1, 2.5], id="half of it"),
    pytest.param(1.0, [0, 0], id="at once"),
])  # fmt: skip
def test_the_waits_grow_and_the_draw_shortens_them(draw: float, waits: list[float]) -> None:
    world = working()
    world.draw = draw
    world.break_down()
    world.break_down()
    assert [(each.due_at - NOON).total_seconds() for each in world.asked[1:]] == waits


def test_when_the_attempts_are_exhausted_it_goes_where_errors_go() -> None:
    world = working()
    for _ in range(3):
        world.break_down("no answer", "OSError")
    assert (world.state, world.skills) == ("review", ["enrich"])
    assert world.context["why"] == {
        "type": "OSError", "message": "no answer", "activity": "working/activity", "attempts": 3,
    }  # fmt: skip


@pytest.mark.parametrize(("types", "retryable"), [
    pytest.param(("higherself.errors.Rejected",), True, id="an error it is not to be tried again on"),
    pytest.param(("CardDeclined", "Rejected"), True, id="what descends from one"),
    pytest.param(("OSError",), False, id="the worker knows better"),
])  # fmt: skip
def test_some_errors_are_never_tried_again(types: tuple[str, ...], retryable: bool) -> None:
    world = working()
    world.break_down("no", *types, retryable=retryable)
    assert world.state == "review"


def test_a_timeout_is_a_failure_like_others() -> None:
    world = working()
    world.send(ActivityTimedOut(world.key(), 1))
    assert world.history[-1].error == "it took longer than 30s"
    assert world.asked[-1].attempt == 2


def test_exhausted_by_timeouts_it_goes_where_timeouts_go() -> None:
    world = World("""
  working:
    activity: {skill: slow, timeout: 5s, retry: {attempts: 1}}
    transitions: {to: done}
    on_timeout: {to: late}
    on_error: {to: broken}
  done: {final: true}
  late: {final: true}
  broken: {final: true}
""").start()
    world.send(ActivityTimedOut(world.key(), 1))
    assert world.state == "late"


def test_without_a_way_for_errors_the_instance_has_failed_and_says_why() -> None:
    world = World("""
  working: {activity: {skill: work, retry: {attempts: 1}}, transitions: {to: done}}
  done: {final: true}
""").start()
    world.break_down("out of paper", "OSError")
    assert (world.status, world.state) == ("failed", "working")
    assert world.reason == "failed in working: out of paper"


def test_guards_choose_among_the_ways_for_errors() -> None:
    world = World("""
  working:
    activity: {skill: work, retry: {attempts: 1}}
    transitions: {to: done}
    on_error: [{to: gone, when: event.type == 'NotFound'}, {to: broken}]
  done: {final: true}
  gone: {final: true}
  broken: {final: true}
""").start()
    world.break_down("no such page", "NotFound")
    assert world.state == "gone"


@pytest.mark.parametrize("answer", [
    pytest.param(lambda key: ActivityCompleted("somebody/1/else/activity", 1), id="another key"),
    pytest.param(lambda key: ActivityFailed(key, 1, "boom"), id="an attempt before this one"),
    pytest.param(lambda key: ActivityFailed(key, 9, "boom"), id="an attempt after this one"),
])  # fmt: skip
def test_what_nobody_waits_for_is_ignored(answer) -> None:  # type: ignore[no-untyped-def]
    world = working()
    world.break_down()
    before = world.snapshot
    step = world.send(answer(world.key()))
    assert (step.outcome, step.reason) == ("ignored", "nobody waits for this any more")
    assert world.snapshot is before


def test_any_attempt_may_bring_the_result() -> None:
    world = working()
    world.break_down()
    world.complete({"score": 1})
    assert world.status == "completed"


@pytest.mark.parametrize(("result", "says"), [
    pytest.param(float("nan"), "nan is not a JSON number", id="no JSON"),
    pytest.param({"x": {1, 2}}, "x cannot be stored as JSON: a set", id="no JSON inside"),
    pytest.param("x" * 300_000, "takes no 300,002 bytes as a result", id="too large"),
])  # fmt: skip
def test_garbage_as_a_result_is_a_failed_attempt(result: object, says: str) -> None:
    world = working()
    key = world.key()
    from higherself.workflow.machine import advance

    step = advance(world.definition, world.snapshot, ActivityCompleted(key, result), world.now)  # type: ignore[arg-type]
    assert says in (step.history[-1].error or "")
    assert step.snapshot.pending[key].attempt == 2
    assert step.snapshot.context == world.context


def test_a_result_off_the_schema_is_a_failed_attempt() -> None:
    world = World(
        """
  working: {activity: {skill: work, save: n}, transitions: {to: done}}
  done: {final: true}
""",
        head="schema: {properties: {n: {type: integer}}}",
    ).start()
    world.complete("many")
    assert 'does not fit the schema: "many" is not of type "integer"' in world.reason
    world.complete(3)
    assert world.status == "completed"


def test_leaving_a_state_cancels_its_activity_and_a_late_result_changes_nothing() -> None:
    world = World("""
  working: {activity: work, on: {stop: {to: done}}, transitions: {to: done}}
  done: {on: {go: {to: end}}}
  end: {final: true}
""").start()
    key = world.key()
    world.receive("stop")
    assert not world.running
    assert world.send(ActivityCompleted(key, 1)).outcome == "ignored"


def test_input_that_cannot_be_rendered_is_an_error_of_the_activity() -> None:
    states = WORK.replace("context.name", "context.nmae")
    world = World(states).start(email="ada@example.org", name="Ada")
    assert world.state == "review"
    why = world.context["why"]
    assert isinstance(why, dict)
    assert why["type"] == "InputFailed"
    assert "did you mean" in str(why["message"])


def test_secrets_are_left_as_references_and_said_where() -> None:
    world = World("""
  working:
    activity:
      skill: call
      input: {headers: {authorization: "Bearer {{ secrets.TOKEN }}"}, body: ["{{ context.text }}"]}
    transitions: {to: done}
  done: {final: true}
""").start(text="{{ secrets.OTHER }}")
    (command,) = world.asked
    assert isinstance(command, RunActivity)
    assert command.input == {
        "headers": {"authorization": "Bearer {{ secrets.TOKEN }}"},
        "body": ["{{ secrets.OTHER }}"],  # what data say is no reference
    }
    assert command.secrets == (("headers", "authorization"),)


def test_a_collaboration_is_asked_for_with_a_task_for_every_agent() -> None:
    world = World("""
  writing:
    collaborate:
      pattern: chain
      steps:
        - {capability: content, task: draft, input: {topic: "{{ context.topic }}"}}
        - {role: marketing_strategist, task: send}
      input: {tone: warm}
      save: campaign
      timeout: 1h
    transitions: {to: done}
  done: {final: true}
""").start(topic="tea")
    (command,) = world.asked
    assert isinstance(command, RunCollaboration)
    assert [(each.task, each.input) for each in command.tasks] == [
        ("draft", {"topic": "tea"}), ("send", {}),
    ]  # fmt: skip
    assert (command.pattern, command.input, command.timeout) == (
        "chain", {"tone": "warm"}, timedelta(hours=1),
    )  # fmt: skip
    world.break_down()
    assert world.asked[-1].attempt == 2
    world.complete({"sent": 3})
    assert world.context["campaign"] == {"sent": 3}


def test_entry_activities_save_too_and_their_failure_goes_where_errors_go() -> None:
    states = """
  greeting:
    entry: {skill: greet, save: greeting, retry: {attempts: 1}}
    on: {go: {to: done}}
    on_error: {to: broken}
  done: {final: true}
  broken: {final: true}
"""
    world = World(states).start()
    world.complete("hello")
    assert world.context == {"greeting": "hello"}
    assert World(states).start().break_down().snapshot.state == "broken"


def test_a_failing_exit_activity_fails_the_instance_and_can_be_retried() -> None:
    from higherself.workflow.machine import Retried

    world = World("""
  first: {exit: {skill: leave, retry: {attempts: 1}}, on: {go: {to: second}}, on_error: {to: first}}
  second: {final: true}
""").start()
    world.receive("go")
    world.break_down()
    assert (world.status, world.state) == ("failed", "first")
    world.send(Retried())
    run_through(world)
    assert world.status == "completed"
