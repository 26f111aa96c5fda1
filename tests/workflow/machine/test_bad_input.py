"""What is refused before anything happens."""

from types import MappingProxyType
from typing import Any

import pytest
from tests.workflow.world import World, machine

from higherself.kernel.errors import Rejected
from higherself.workflow.errors import ControlRefused, WrongDefinition
from higherself.workflow.machine import Paused, Received, Resumed, Started, advance

WAITING = """
  waiting: {on: {go: {to: done, set: {n: event.n}}}}
  done: {final: true}
"""


def test_an_instance_is_moved_on_only_by_the_definition_it_is_pinned_to() -> None:
    world = World(WAITING).start()
    other = machine(WAITING, head="").__class__(
        "under_test", 2, world.definition.initial, world.definition.states
    )
    with pytest.raises(
        WrongDefinition, match="belongs to under_test version 1, not to under_test v"
    ):
        advance(other, world.snapshot, Received("go"), world.now)


def test_nothing_can_happen_before_the_start() -> None:
    with pytest.raises(ControlRefused, match="has not started"):
        World(WAITING).receive("go")


def test_starting_twice_changes_nothing() -> None:
    world = World(WAITING).start()
    assert world.send(Started({"n": 5})).outcome == "ignored"


@pytest.mark.parametrize(("context", "says"), [
    pytest.param({"n": float("nan")}, "n cannot be stored as JSON", id="no JSON"),
    pytest.param({"n": "x" * 300_000}, "the context takes no 300,008 bytes", id="too large"),
    pytest.param({"n": "many"}, "context.n does not fit the schema", id="off the schema"),
    pytest.param({}, 'the context does not fit the schema: "n" is a required', id="incomplete"),
])  # fmt: skip
def test_a_context_that_cannot_be_is_refused(context: dict[str, object], says: str) -> None:
    schema = "schema: {required: [n], properties: {n: {type: integer}}}"
    with pytest.raises(Rejected, match=says):
        World(WAITING, head=schema).start(**context)


def test_the_context_does_not_grow_beyond_its_limit() -> None:
    world = World("""
  growing: {on: {more: {to: growing, set: {n: context.n + 1}, do: []}, text: {set: {text: event.text}}, list: {set: {list: "[context.text, context.text, context.text]"}}, nest: {set: {nest: "[context.list, context.list]"}}}}
""").start(n=0)
    world.receive("text", text="x" * 200_000)
    world.receive("list")
    with pytest.raises(Rejected, match="it has at most 1,000,000"):
        world.receive("nest")


def test_nothing_is_put_into_what_is_no_object() -> None:
    world = World("""
  waiting: {on: {go: {set: {name.first: event.name}}}}
""").start(name="Ada")
    with pytest.raises(
        Rejected, match=r"context\.name is no object, so nothing can be put at name"
    ):
        world.receive("go", name="Ada")


WORKING = """
  working: {activity: {skill: work, retry: {attempts: 1}}, transitions: {to: done}, on_error: {to: odd, set: {why: event.type, said: event.message}}}
  odd: {final: true}
  done: {final: true}
"""
ITSELF: list[Any] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(("result", "says"), [
    pytest.param(object(), "a object is not a JSON value", id="an object"),
    pytest.param({1: 2}, "the key 1 is not a string", id="a key that is no text"),
    pytest.param(float("nan"), "nan is not a JSON number", id="NaN"),
    pytest.param({"a": ["\0"]}, "a[0] cannot be stored as JSON", id="a NUL"),
    pytest.param("\ud800", "half of a surrogate pair", id="half a character"),
    pytest.param({1, 2}, "a set is not a JSON value", id="a set"),
    pytest.param(MappingProxyType({"a": 1}), "it is no JSON", id="a mapping that is no dict"),
    pytest.param(ITSELF, "it is no JSON", id="a list in itself"),
    pytest.param("x" * 300_000, "takes no 300,002 bytes as a result", id="too much"),
])  # fmt: skip
@pytest.mark.parametrize("paused", [False, True])
def test_an_activity_that_returns_garbage_has_failed(result: Any, says: str, paused: bool) -> None:
    world = World(WORKING).start()
    if paused:
        world.send(Paused())
        assert world.receive_result(result).outcome == "kept"
        world.send(Resumed())
    else:
        world.receive_result(result)
    assert (world.state, world.context["why"]) == ("odd", "InvalidResult")
    assert says in str(world.context["said"])


def test_a_tuple_is_a_list_and_what_was_handed_in_is_not_kept() -> None:
    world = World(WORKING.replace("skill: work,", "skill: work, save: found,")).start()
    found: dict[str, Any] = {"names": ("Ada", "Grace")}
    world.complete(found)
    found["names"] = ()
    assert world.context == {"found": {"names": ["Ada", "Grace"]}}


def test_a_result_without_a_place_is_in_the_history_as_our_own() -> None:
    world = World(WORKING).start()
    result = {"n": [1]}
    world.complete(result)
    result["n"].append(2)
    (entry,) = (each for each in world.history if each.cause == "activity")
    assert entry.data == {"n": [1]}
