"""Events from outside: taken, kept, ignored or refused, and always with a reason."""

from typing import Any

import pytest
from tests.workflow.world import World, run_through

from higherself.kernel.errors import Rejected
from higherself.workflow.errors import EventRefused, InstanceFinished
from higherself.workflow.machine import Received, Started, TimerDue

SHOP = """
  shopping: {on: {order.placed: {to: packing, set: {item: event.item}}, wish: {set: {wish: event.item}}}}
  packing: {activity: pack, transitions: {to: packed}}
  packed: {on: {order.sent: {to: sent, when: event.weight < 10}}}
  sent: {final: true}
"""


def test_an_unknown_event_is_refused_with_a_suggestion() -> None:
    world = World(SHOP).start()
    with pytest.raises(EventRefused, match=r"'order\.plaecd' was refused.*mean 'order\.placed'"):
        world.receive("order.plaecd")


def test_an_event_nobody_waits_for_is_refused_and_the_text_says_what_is_awaited() -> None:
    world = World(SHOP).start()
    before = world.snapshot
    with pytest.raises(EventRefused, match=r"nobody waits for it in shopping"):
        world.receive("order.sent", weight=1)
    assert world.snapshot is before


def test_an_event_that_comes_while_the_instance_is_busy_is_kept_until_it_is_awaited() -> None:
    world = World(SHOP).start()
    world.receive("order.placed", item="tea")
    step = world.receive("order.sent", weight=1)
    assert (step.outcome, world.status) == ("kept", "running")
    run_through(world)
    assert world.status == "completed"


def test_a_kept_event_that_nobody_waits_for_after_all_is_told_and_forgotten() -> None:
    world = World(SHOP).start()
    world.receive("order.placed", item="tea")
    world.receive("wish", item="milk")
    run_through(world)
    assert not world.snapshot.kept
    assert world.history[-1].note == "nobody waited for it when the instance could take it"
    assert "wish" not in world.context


def test_a_kept_event_whose_data_do_not_fit_is_told_and_forgotten() -> None:
    world = World(SHOP).start()
    world.receive("order.placed", item="tea")
    world.receive("order.sent")
    run_through(world)
    assert (world.state, world.status) == ("packed", "waiting")
    assert "event.weight" in (world.history[-1].error or "")


def test_kept_events_are_taken_in_the_order_in_which_they_came() -> None:
    world = World(
        """
  busy: {activity: work, transitions: {to: listening}}
  listening: {on: {say: {set: {said: "context.said + [event.word]"}}, end: {to: done}}}
  done: {final: true}
""".replace('"context.said + [event.word]"', "event.word")
    ).start(said="")
    for word in ("one", "two", "three"):
        world.receive("say", word=word)
    world.receive("end")
    run_through(world)
    assert [entry.changes.get("said") for entry in world.history if entry.changes][1:] == [
        "one", "two", "three",
    ]  # fmt: skip
    assert world.status == "completed"


def test_the_same_event_counts_once() -> None:
    world = World(SHOP).start()
    world.receive("wish", "e1", item="milk")
    step = world.receive("wish", "e1", item="cake")
    assert (step.outcome, step.reason) == ("ignored", "event e1 has been counted already")
    assert world.context["wish"] == "milk"


def test_also_while_it_is_kept() -> None:
    world = World(SHOP).start()
    world.receive("order.placed", item="tea")
    world.receive("order.sent", "e1", weight=1)
    assert world.receive("order.sent", "e1", weight=1).outcome == "ignored"
    run_through(world)
    assert world.status == "completed"


def test_an_event_whose_guards_are_false_is_told_with_the_reason() -> None:
    world = World(SHOP).start()
    world.receive("order.placed", item="tea")
    run_through(world)
    step = world.receive("order.sent", weight=12)
    assert (step.outcome, world.state) == ("ignored", "packed")
    assert step.reason == "no transition for order.sent: guard false because event.weight = 12"
    assert world.history[-1].note == step.reason


def test_a_guard_on_a_missing_field_refuses_the_event_and_leaves_the_instance_alone() -> None:
    world = World(SHOP).start()
    world.receive("order.placed", item="tea")
    run_through(world)
    before = world.snapshot
    with pytest.raises(EventRefused, match=r"event\.weight"):
        world.receive("order.sent", wieght=1)
    assert world.snapshot is before


def test_a_missing_field_in_set_refuses_the_event_too() -> None:
    with pytest.raises(EventRefused, match=r"event\.item"):
        World(SHOP).start().receive("order.placed")


@pytest.mark.parametrize(("data", "says"), [
    pytest.param({"item": float("inf")}, "inf is not a JSON number", id="no JSON"),
    pytest.param({"item": "\0"}, "NUL", id="a NUL"),
    pytest.param({"item": "x" * 300_000}, "takes no 300,011 bytes with event", id="too large"),
])  # fmt: skip
def test_data_that_cannot_be_stored_are_refused(data: dict[str, Any], says: str) -> None:
    world = World(SHOP).start()
    with pytest.raises(Rejected, match=says):
        world.receive("order.placed", **data)


def test_too_many_events_for_a_busy_instance_are_refused() -> None:
    world = World(SHOP).start()
    world.receive("order.placed", item="tea")
    for number in range(100):
        world.receive("wish", item=number)
    with pytest.raises(EventRefused, match="100 events wait already"):
        world.receive("wish", item="one too many")


def test_a_finished_instance_takes_nothing_and_says_so() -> None:
    world = World(SHOP).start()
    world.receive("order.placed", item="tea")
    run_through(world)
    world.receive("order.sent", weight=1)
    with pytest.raises(InstanceFinished, match="is completed and takes nothing more"):
        world.receive("wish", item="milk")


def test_what_comes_late_to_a_finished_instance_from_ourselves_is_ignored() -> None:
    world = World("""
  waiting: {after: {1h: {to: done}}, on: {go: {to: done}}}
  done: {final: true}
""").start()
    timer = world.timer("after.1h")
    world.receive("go")
    assert world.send(TimerDue(timer)).outcome == "ignored"
    assert world.send(Started()).outcome == "ignored"


def test_what_was_handed_in_can_be_changed_afterwards_without_harm() -> None:
    data = {"item": ["tea"]}
    world = World(SHOP).start()
    world.send(Received("wish", data))
    data["item"].append("milk")
    assert world.context["wish"] == ["tea"]
