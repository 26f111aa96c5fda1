"""Sub-workflows: started once, waited for, told, cancelled."""

from datetime import timedelta
from uuid import UUID

from tests.workflow.world import World

from higherself.workflow.machine import Cancelled, NotifyParent, Parent, Retried, StartChild

PARENT = """
  qualified:
    start: {workflow: booking, version: 2, context: {email: "{{ context.email }}"}, save: booking}
    transitions: [{to: won, when: event.state == 'booked'}, {to: lost}]
    on_error: {to: lost, set: {why: event.message}}
    timeout: 30d
    on_timeout: {to: lost}
  won: {final: true}
  lost: {final: true}
"""


def test_a_sub_workflow_is_started_with_its_own_context() -> None:
    world = World(PARENT).start(email="ada@example.org", score=3)
    (command,) = world.children.values()
    assert command == StartChild(
        f"{world.snapshot.instance}/1/qualified/start", "booking", 2, {"email": "ada@example.org"}
    )
    assert world.reason == (
        "waits for workflow booking to end or timer until 2026-04-01 12:00:00 UTC (timeout)"
    )


def test_its_context_is_saved_and_its_state_can_be_asked_for() -> None:
    world = World(PARENT).start(email="ada@example.org")
    world.child_ends("booked", slot="ten")
    assert (world.state, world.context["booking"]) == ("won", {"slot": "ten"})
    assert world.history[-1].data == {"status": "completed", "state": "booked"}


def test_a_cancelled_one_goes_where_errors_go() -> None:
    world = World(PARENT).start(email="ada@example.org")
    world.child_ends("offered", "cancelled")
    assert (world.state, world.context["why"]) == (
        "lost", "workflow booking was cancelled in state offered",
    )  # fmt: skip


def test_without_a_way_the_parent_fails_and_starts_another_when_it_is_retried() -> None:
    world = World("""
  qualified: {start: {workflow: booking}, transitions: {to: won}}
  won: {final: true}
""").start()
    first = set(world.children)
    world.child_ends("offered", "cancelled")
    assert world.status == "failed"
    world.send(Retried())
    assert world.children.keys() - first
    world.child_ends("booked") if len(world.children) == 1 else None
    assert world.status == "completed"


def test_when_the_parent_goes_on_without_it_the_child_is_cancelled() -> None:
    world = World(PARENT).start(email="ada@example.org")
    world.pass_time(timedelta(days=30))
    assert (world.state, world.children) == ("lost", {})


def test_an_instance_tells_the_one_that_started_it_how_it_ended() -> None:
    parent = Parent(UUID(int=1), "1/1/qualified/start")
    states = """
  offered: {on: {booking.made: {to: booked, set: {slot: event.slot}}}}
  booked: {final: true}
"""
    world = World(states, parent=parent).start()
    world.receive("booking.made", slot="ten")
    told = NotifyParent(parent.instance, parent.key, "completed", "booked", {"slot": "ten"})
    assert world.commands[-1] == told
    world = World(states, parent=parent).start()
    world.send(Cancelled("no longer wanted"))
    assert world.commands[-1] == NotifyParent(
        parent.instance, parent.key, "cancelled", "offered", {}
    )


def test_a_failed_child_keeps_its_parent_waiting_because_it_can_be_retried() -> None:
    parent = Parent(UUID(int=1), "k")
    world = World("""
  working: {activity: {skill: work, retry: {attempts: 1}}, transitions: {to: done}}
  done: {final: true}
""", parent=parent).start()  # fmt: skip
    world.break_down()
    assert world.status == "failed"
    assert not any(isinstance(each, NotifyParent) for each in world.commands)
