"""Sagas: what was done is undone, the latest first."""

from typing import Any

import pytest
from tests.workflow.world import World, run_through

from higherself.workflow.machine import Cancelled, Retried, RunActivity

TRIP = """
  flight:
    activity: {skill: book_flight, save: flight}
    compensate: {skill: cancel_flight, input: {flight: "{{ context.flight }}", was: "{{ event.result }}"}, retry: {attempts: 2}}
    transitions: {to: hotel}
  hotel:
    activity: {skill: book_hotel, save: hotel}
    compensate: {skill: cancel_hotel, input: {hotel: "{{ context.hotel }}"}}
    transitions: {to: car}
  car:
    activity: {skill: book_car, retry: {attempts: 1}}
    compensate: cancel_car
    transitions: {to: booked}
    on_error: {to: given_up, compensate: true, do: apologise}
  booked: {on: {change: {to: flight}}}
  given_up: {final: true}
"""

SKILLS: dict[str, Any] = {"book_flight": "F1", "book_hotel": "H1", "book_car": OSError("no cars")}


def test_a_transition_can_undo_everything_the_latest_first() -> None:
    world = run_through(World(TRIP).start(), SKILLS)
    assert world.skills == [
        "book_flight", "book_hotel", "book_car", "cancel_hotel", "cancel_flight", "apologise",
    ]  # fmt: skip
    assert (world.state, world.snapshot.undo) == ("given_up", ())


def test_an_activity_is_undone_with_what_was_known_when_it_had_ended() -> None:
    world = run_through(World(TRIP).start(), {**SKILLS, "book_car": "C1"})
    world.receive("change")
    world.complete("F2", "book_flight")
    world.send(Cancelled("changed our mind"))
    run_through(world)
    inputs = [each.input for each in world.asked if isinstance(each, RunActivity)]
    undone = [each for each in inputs if isinstance(each, dict) and "was" in each]
    assert undone == [{"flight": "F2", "was": "F2"}, {"flight": "F1", "was": "F1"}]


def test_cancelling_undoes_too_and_tells_when_it_is_done() -> None:
    world = World(TRIP).start()
    world.complete("F1", "book_flight")
    world.send(Cancelled("too expensive", "ann"))
    assert (world.status, world.skills[-1]) == ("running", "cancel_flight")
    run_through(world)
    assert (world.status, world.reason) == ("cancelled", "cancelled: too expensive")
    assert world.skills == ["book_flight", "book_hotel", "cancel_flight"]


def test_cancelling_what_has_nothing_to_undo_ends_at_once() -> None:
    world = World(TRIP).start()
    world.send(Cancelled("no"))
    assert (world.status, world.running) == ("cancelled", {})


def test_undoing_is_tried_again_and_waits_for_a_person_when_it_fails() -> None:
    world = World(TRIP).start()
    world.complete("F1", "book_flight")
    world.send(Cancelled("no"))
    world.break_down("closed")
    world.break_down("closed")
    assert world.reason == "failed in hotel: closed"
    world.send(Retried())
    run_through(world)
    assert world.status == "cancelled"


def test_cancelling_again_gives_up_what_cannot_be_undone() -> None:
    world = World(TRIP).start()
    world.complete("F1", "book_flight")
    world.send(Cancelled("no"))
    world.break_down()
    world.break_down()
    world.send(Cancelled("let it be"))
    assert world.status == "cancelled"
    assert world.history[-1].note == "let it be; 1 compensations are given up"


def test_a_second_cancelling_while_the_first_is_under_way_changes_nothing() -> None:
    world = World(TRIP).start()
    world.complete("F1", "book_flight")
    world.send(Cancelled("no"))
    assert world.send(Cancelled("no")).outcome == "ignored"


def test_a_branch_undoes_only_what_it_did() -> None:
    world = World("""
  both:
    parallel:
      branches:
        one:
          initial: doing
          states:
            doing: {activity: do_one, compensate: undo_one, transitions: {to: checking}}
            checking: {on: {bad: {to: over, compensate: true}}}
            over: {final: true}
        two:
          initial: doing
          states:
            doing: {activity: do_two, compensate: undo_two, transitions: {to: over}}
            over: {final: true}
    transitions: {to: end}
  end: {final: true}
""").start()
    run_through(world)
    world.receive("bad")
    run_through(world)
    assert (world.status, world.skills) == ("completed", ["do_one", "do_two", "undo_one"])


@pytest.mark.parametrize("save", ["", "save: flight, "])
def test_what_cannot_be_rendered_for_undoing_stops_before_it_would_be_needed(save: str) -> None:
    world = World(f"""
  flight:
    activity: {{skill: book_flight, {save}timeout: 1m}}
    compensate: {{skill: cancel_flight, input: {{number: "{{{{ context.number }}}}"}}}}
    transitions: {{to: done}}
  done: {{final: true}}
""").start()
    world.complete("F1")
    assert world.status == "failed"
    world.send(Retried(context={"number": 5}))
    assert world.status == "completed"
    assert world.context["number"] == 5
