"""Reading a run from its history."""

from contextlib import suppress
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from tests.workflow.machine.definitions import EVENTS, definitions
from tests.workflow.view.samples import failed_booking, half_done_lead, passing, run_in
from tests.workflow.world import World, run_through

from higherself.kernel.errors import HigherSelfError
from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.machine import Cancelled, Retried
from higherself.workflow.view.graph import DEADLINE
from higherself.workflow.view.mermaid import mermaid
from higherself.workflow.view.svg import svg


def test_the_way_is_told_with_times() -> None:
    run = run_in(half_done_lead())
    assert [visit.state for visit in run.visits] == [
        "captured", "nurturing", "follow_up", "nurturing", "review", "qualified",
    ]  # fmt: skip
    assert run.visits[1].duration == timedelta(days=3)
    assert run.visits[-1].duration is None
    assert run.times["nurturing"] == 2
    assert run.spent["nurturing"] == timedelta(days=4, hours=6)
    assert run.edges["captured", "nurturing"] == 1
    assert run.current == {"qualified"}
    assert run.moved == ()


def test_what_went_wrong_is_told() -> None:
    lead, booking = run_in(half_done_lead()), run_in(failed_booking())
    assert lead.failed is None
    assert lead.errors == {"captured": 1}
    assert lead.visits[0].errors == ("the service is down",)
    assert [(each.skill, each.number, each.error) for each in lead.attempts[:2]] == [
        ("enrich_contact", 1, "the service is down"),
        ("enrich_contact", 2, ""),
    ]
    assert booking.failed == "payment_confirmed"
    assert booking.reason == "the bank does not answer"


def test_a_way_to_the_same_state_is_a_visit_and_staying_is_none() -> None:
    world = World(
        """
  a:
    on:
      again: {to: a}
      note: {set: {noted: true}}
      stop: {to: b}
  b: {final: true}
"""
    ).start()
    world.receive("again")
    world.receive("note")
    world.receive("again")
    run = run_in(world)
    assert run.times == {"a": 3}
    assert run.edges["a", "a"] == 2


def test_the_deadline_is_a_way_of_its_own() -> None:
    head = "deadline: 1d\non_deadline: {to: late}"
    world = World("\n  a: {on: {go: {to: late}}}\n  late: {final: true}\n", head=head).start()
    world.pass_time(timedelta(days=2))
    assert run_in(world).edges == {("(start)", "a"): 1, (DEADLINE, "late"): 1}


def test_what_a_person_did_is_drawn_beside() -> None:
    world = failed_booking()
    world.send(Retried(state="inquiry", by="ann"))
    run = run_in(world)
    assert run.moved == (("payment_confirmed", "inquiry"),)
    assert "moved by hand" in svg(world.definition, run=run)
    assert "moved by hand" in mermaid(world.definition, run=run)


def test_what_was_cancelled_has_left_everything() -> None:
    world = half_done_lead()
    world.send(Cancelled("no longer wanted"))
    run = run_in(world)
    assert run.status == "cancelled"
    assert all(visit.duration is not None for visit in run.visits)


def test_branches_are_visits_of_their_own() -> None:
    world = World(
        """
  a:
    parallel:
      branches:
        one: {activity: first}
        two: {activity: second}
      join: all
    transitions: {to: b}
  b: {final: true}
"""
    ).start()
    passing(world, minutes=1).complete(activity="first")
    run = run_in(world)
    assert run.current == {"a", "a.one.done", "a.two.run"}
    run_through(passing(world, minutes=1))
    run = run_in(world)
    assert run.spent["a"] == timedelta(minutes=2)
    assert run.spent["a.two.run"] == timedelta(minutes=2)
    assert run.spent["a.one.run"] == timedelta(minutes=1)


@given(definition=definitions(), events=st.lists(st.sampled_from([*EVENTS, "time"]), max_size=6))
def test_every_run_can_be_read_and_drawn(definition: WorkflowDefinition, events: list[str]) -> None:
    world = World(definition).start()
    for event in events:
        with suppress(HigherSelfError):  # what it refuses, it refuses
            if world.running:
                world.complete(activity=next(iter(world.running.values())).activity)
            if event != "time":
                world.receive(event)
            elif world.timers.keys() - world.answered:
                world.next_timer()
    run = run_in(world)
    assert run.current >= {world.state} - {""}
    assert sum(run.times.values()) == len(run.visits) == sum(run.edges.values())
    svg(definition, run=run)
