"""Moving an instance to another version: what has to fit, and what becomes of what it waits for."""

from datetime import timedelta
from typing import Any

import pytest
from tests.workflow.world import INSTANCE, NOON, World, machine

from higherself.workflow.definition import WorkflowDefinition, load, load_text
from higherself.workflow.errors import (
    ControlRefused,
    InstanceFinished,
    MigrationRefused,
    WrongDefinition,
)
from higherself.workflow.machine import Paused, Received, Resumed, Step, migrated, new_instance

BEFORE = """
  drafting: {activity: {skill: write, save: text}, compensate: shred, transitions: {to: waiting}}
  waiting:
    on: {go: {to: done}, again: {to: drafting}}
    after: {3d: {to: done}}
    transitions: {to: done, when: context.ready}
  done: {final: true}
"""


def version_2(states: str, head: str = "") -> WorkflowDefinition:
    initial = states.strip().partition(":")[0]
    text = f"workflow: under_test\nversion: 2\ninitial: {initial}\n{head}\nstates:\n{states}"
    return load_text(text, file="under_test_2.yaml").definition


def move(world: World, new: WorkflowDefinition, by: str = "") -> Step:
    """Move the world's instance, and have the world go on with the new version."""
    step = migrated(world.definition, new, world.snapshot, world.now, by=by)
    world.take(step, new)
    return step


def waiting(**context: Any) -> World:
    world = World(BEFORE).start(ready=False, **context)
    world.complete("Dear Ada")
    assert world.state == "waiting"
    return world


def misfits(world: World, states: str, head: str = "") -> list[str]:
    with pytest.raises(MigrationRefused) as caught:
        migrated(world.definition, version_2(states, head), world.snapshot, NOON)
    return list(caught.value.misfits)


def test_the_version_changes_and_the_history_says_so() -> None:
    world = waiting()
    step = move(world, version_2(BEFORE), by="ann")
    (entry,) = step.history
    assert (entry.cause, entry.note, entry.data) == ("migrated", "version 1 to 2", {"by": "ann"})
    assert step.snapshot.version == 2
    assert not step.commands
    assert step.reason.startswith("guard false because context.ready = false")


def test_timers_keep_the_time_they_are_due() -> None:
    world = waiting()
    world.now = NOON + timedelta(days=1)
    move(world, version_2(BEFORE))
    assert list(world.timers.values()) == [NOON + timedelta(days=3)]
    world.pass_time(timedelta(days=2))
    assert world.state == "done"


def test_from_then_on_it_goes_by_the_new_version() -> None:
    world = waiting()
    move(world, version_2(BEFORE.replace("go: {to: done}", "go: {to: checking}") + """
  checking: {activity: check, transitions: {to: done}}
"""))  # fmt: skip
    world.receive("go")
    assert (world.state, world.skills) == ("checking", ["write", "check"])


def test_an_activity_that_runs_is_still_waited_for() -> None:
    world = World(BEFORE).start(ready=True)
    move(world, version_2(BEFORE))
    world.complete("Dear Ada")
    assert (world.state, world.context["text"]) == ("done", "Dear Ada")


def test_a_guard_that_holds_in_the_new_version_is_not_waited_for_any_more() -> None:
    world = waiting()
    step = move(world, version_2(BEFORE.replace("when: context.ready", "when: not context.ready")))
    assert [entry.cause for entry in step.history] == ["migrated", "automatic"]
    assert world.status == "completed"


def test_a_paused_instance_stays_paused() -> None:
    world = waiting()
    world.send(Paused())
    move(world, version_2(BEFORE.replace("when: context.ready", "when: not context.ready")))
    assert (world.state, world.status) == ("waiting", "paused")
    world.send(Resumed())
    assert world.status == "completed"


def test_defaults_that_are_new_are_added_to_the_context() -> None:
    world = waiting()
    step = move(world, version_2(BEFORE, "context: {priority: 3, text: none}"))
    assert world.context == {"ready": False, "text": "Dear Ada", "priority": 3}
    assert step.history[0].changes == {"priority": 3}


def test_everything_that_does_not_fit_is_said_at_once() -> None:
    world = waiting()
    assert misfits(world, "\n  waitin: {on: {go: {to: done}}}\n  done: {final: true}\n") == [
        "there is no state 'waiting'; did you mean 'waitin'?",
        "there is no compensation 'drafting/compensate'",
    ]


def test_the_error_says_what_to_do() -> None:
    world = waiting()
    with pytest.raises(MigrationRefused, match=r"cannot be moved from version 1 to 2") as caught:
        migrated(world.definition, version_2("\n  done: {final: true}\n"), world.snapshot, NOON)
    assert "\n- there is no state 'waiting'" in str(caught.value)
    assert "wait until it is past this" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(("after: {3d:", "after: {4d:"), "there is no timer 'after.3d' in waiting; did you mean 'after.4d'?", id="a timer is gone"),
        pytest.param(("compensate: shred, ", ""), "there is no compensation 'drafting/compensate'", id="a compensation is gone"),
    ],
)  # fmt: skip
def test_what_an_instance_that_waits_cannot_do_without(change: tuple[str, str], said: str) -> None:
    (found,) = misfits(waiting(), BEFORE.replace(*change))
    assert found.startswith(said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(("activity: {skill: write, save: text}", "activity: type"), "activity drafting/activity is under way as write, and is now type", id="another skill"),
        pytest.param(("activity: {skill: write, save: text}, compensate: shred", "entry: write"), "there is no activity 'drafting/activity'", id="no activity"),
        pytest.param(("activity: {skill: write, save: text}", "collaborate: {pattern: chain, steps: [{role: a, task: b}]}"), "there is no activity 'drafting/activity'", id="a collaboration"),
    ],
)  # fmt: skip
def test_what_an_instance_that_works_cannot_do_without(change: tuple[str, str], said: str) -> None:
    (found,) = misfits(World(BEFORE).start(), BEFORE.replace(*change))
    assert found.startswith(said)


PARALLEL = """
  both:
    parallel:
      branches:
        text: {initial: a, states: {a: {on: {next: {to: b}}}, b: {final: true}}}
        money: {activity: count}
    transitions: {to: asking}
  asking: {approval: {roles: [owner], timeout: 1d, approved: {to: calling}, rejected: {to: done}, expired: {to: done}}}
  calling: {start: {workflow: booking}, transitions: {to: done}}
  done: {final: true}
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(("        money: {activity: count}\n", ""), ["there is no branch 'both.money'", "there is no activity 'both.money.run/activity'"], id="a branch is gone"),
        pytest.param(("        money:", "        more: {activity: x}\n        money:"), ["branch more of state both is new, and would never begin"], id="a branch is new"),
        pytest.param(("{initial: a, states: {a: {on: {next: {to: b}}}", "{initial: c, states: {c: {on: {next: {to: b}}}"), ["there is no state 'a' in both.text"], id="a state of a branch is gone"),
    ],
)  # fmt: skip
def test_branches_have_to_fit(change: tuple[str, str], said: list[str]) -> None:
    world = World(PARALLEL).start()
    found = misfits(world, PARALLEL.replace(*change))
    assert [text.partition(";")[0] for text in found] == said


def test_a_branch_that_has_ended_has_to_have_ended_there_too() -> None:
    world = World(PARALLEL).start()
    world.receive("next")
    states = PARALLEL.replace("b: {final: true}}", "b: {on: {next: {to: c}}}, c: {final: true}}")
    assert misfits(world, states) == ["state both.text.b is no longer final"]


def test_an_approval_and_a_sub_workflow_have_to_fit() -> None:
    world = World(PARALLEL).start()
    world.receive("next")
    world.complete()
    assert world.state == "asking"
    states = PARALLEL.replace("asking: {approval: {roles: [owner], timeout: 1d, approved: {to: calling}, rejected: {to: done}, expired: {to: done}}}", "asking: {on: {go: {to: calling}}}")  # fmt: skip
    assert misfits(world, states) == [
        "the approval asking/approval, which is waited for, is not there",
        "there is no timer 'approval' in asking",
    ]
    world.decide("approved")
    states = PARALLEL.replace("start: {workflow: booking}", "activity: call")
    assert misfits(world, states) == [
        "the sub-workflow calling/start, which is waited for, is not there"
    ]


def test_the_context_has_to_fit_the_new_schema() -> None:
    schema = "schema: {properties: {text: {type: integer}}}"
    (found,) = misfits(waiting(), BEFORE, schema)
    assert found.startswith("context.text does not fit the schema")


def test_a_deadline_that_runs_has_to_be_there() -> None:
    world = World("\n  a: {on: {go: {to: b}}}\n  b: {final: true}\n", head="deadline: 3d").start()
    assert misfits(world, "\n  a: {on: {go: {to: b}}}\n  b: {final: true}\n") == [
        "there is no deadline any more"
    ]


def test_an_event_that_is_kept_has_to_be_waited_for_somewhere() -> None:
    world = World(BEFORE).start()
    world.send(Received("again"))
    states = BEFORE.replace(", again: {to: drafting}", "")
    assert misfits(world, states) == ["there is no event 'again'; there is go"]


def test_a_finished_instance_stays_what_it_was() -> None:
    world = waiting()
    world.receive("go")
    with pytest.raises(InstanceFinished):
        migrated(world.definition, version_2(BEFORE), world.snapshot, NOON)


def test_only_instances_of_the_old_version_move_and_only_within_one_workflow() -> None:
    world = waiting()
    other = load(
        {"workflow": "other", "version": 2, "initial": "a", "states": {"a": {"final": True}}}
    )
    with pytest.raises(WrongDefinition):
        migrated(world.definition, other, world.snapshot, NOON)
    with pytest.raises(WrongDefinition):
        migrated(version_2(BEFORE), world.definition, world.snapshot, NOON)
    with pytest.raises(ControlRefused, match="is of version 1 already"):
        migrated(world.definition, machine(BEFORE), world.snapshot, NOON)


def test_what_has_not_started_is_not_moved() -> None:
    old = machine(BEFORE)
    snapshot = new_instance(old, instance=INSTANCE, entity="the_7_space")
    with pytest.raises(ControlRefused, match="has not started"):
        migrated(old, version_2(BEFORE), snapshot, NOON)


def test_a_move_forth_and_back_changes_nothing_but_the_history() -> None:
    world = waiting()
    before = world.snapshot
    there = migrated(world.definition, version_2(BEFORE), before, NOON)
    back = migrated(version_2(BEFORE), world.definition, there.snapshot, NOON)
    assert (back.snapshot.version, back.snapshot.sequence) == (1, before.sequence + 2)
    assert back.snapshot.positions == before.positions
    assert back.snapshot.timers == before.timers
