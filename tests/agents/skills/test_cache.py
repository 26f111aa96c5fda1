"""Results that are kept: under which key, how long, how many; each made once."""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself import Cache, SkillCall, skill
from higherself.agents.skills import Skill, SkillRegistry, skills_in
from higherself.agents.skills.flights import Flights
from higherself.agents.skills.invocation import SkillInvoker
from higherself.agents.skills.keys import key_of
from higherself.agents.skills.memory import MemoryResults
from higherself.testing.clock import ManualClock

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)
scalars = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, 0.5]) | text
)
JSON = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from("ab"), JSON, max_size=2)

CALL = SkillCall(key="key")


def of(function: Callable[..., Any], **said: Any) -> Skill:
    (found,) = skills_in({"it": skill(**said)(function)})
    return found


def anything(**given: Any) -> Any:
    return given


ANYTHING = of(anything, effects="pure")


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON: of one kind, and with the same text."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and one == other


@given(objects, objects)
def test_two_inputs_have_one_key_if_and_only_if_they_are_equal_as_json(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    keys = [key_of(ANYTHING, "spa", each) for each in (one, other)]
    assert (keys[0] == keys[1]) is same(one, other)


@given(objects)
def test_the_order_of_names_and_the_kind_of_list_do_not_matter(value: dict[str, Any]) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: turned(value[name]) for name in reversed(value)}
        return tuple(map(turned, value)) if isinstance(value, list) else value

    assert key_of(ANYTHING, "spa", turned(value)) == key_of(ANYTHING, "spa", value)


def test_name_version_code_and_business_tell_keys_apart() -> None:
    skills = SkillRegistry()
    skills.add(ANYTHING, digest="other code")
    keys = {
        key_of(ANYTHING, "spa", {}),
        key_of(ANYTHING, "gallery", {}),
        key_of(of(anything, version="2"), "spa", {}),
        key_of(of(anything, name="something"), "spa", {}),
        key_of(skills["anything"], "spa", {}),
    }
    assert len(keys) == 5


@pytest.mark.parametrize("value", [math.nan, object(), {1: 2}, "\ud800", {"a": {3}}])
def test_what_is_no_json_has_no_key(value: Any) -> None:
    assert key_of(ANYTHING, "spa", {"a": value}) is None


# In memory


def kept(clock: ManualClock, **bounds: int) -> MemoryResults:
    return MemoryResults(clock, **bounds)


MINUTE = timedelta(minutes=1)


def test_a_result_is_kept_as_long_as_it_is_said() -> None:
    clock = ManualClock()
    memory = kept(clock)
    memory.put(b"k", ANYTHING, "spa", b"1", MINUTE)
    clock.move(timedelta(seconds=59))
    assert memory.get(b"k") == b"1"
    clock.move(timedelta(seconds=1))
    assert memory.get(b"k") is None
    assert (len(memory), memory.size) == (0, 0)


def test_old_results_are_forgotten_also_if_nobody_asks() -> None:
    clock = ManualClock()
    memory = kept(clock)
    memory.put(b"a", ANYTHING, "spa", b"1", MINUTE)
    memory.put(b"b", ANYTHING, "spa", b"1", 2 * MINUTE)
    clock.move(MINUTE)
    assert memory.prune() == 1
    assert memory.get(b"b") == b"1"


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 700), st.booleans()), max_size=40),
    st.integers(1, 4),
    st.integers(300, 3000),
)
def test_there_are_never_more_than_may_be_and_what_was_used_last_stays(
    steps: list[tuple[str, int, bool]], most: int, most_bytes: int
) -> None:
    memory = kept(ManualClock(), most=most, most_bytes=most_bytes)
    used: list[bytes] = []  # what a plain list would keep, oldest first
    for name, length, write in steps:
        key, result = name.encode(), b"x" * length
        if write:
            memory.put(key, ANYTHING, "spa", result, MINUTE)
            if key in used:
                used.remove(key)
            if length + 300 <= most_bytes:
                used.append(key)
        elif memory.get(key) is not None:
            used.remove(key)
            used.append(key)
        assert len(memory) <= most
        assert memory.size <= most_bytes
        present = [each for each in used if memory.get(each) is not None]
        assert present == used[len(used) - len(present) :]
        used = present
    assert memory.clear() == len(used)
    assert memory.size == 0


def test_the_results_of_one_skill_or_business_can_be_forgotten() -> None:
    memory, other = kept(ManualClock()), of(anything, name="other")
    for number, (each, entity) in enumerate(
        [(ANYTHING, "spa"), (ANYTHING, "gallery"), (other, "spa")]
    ):
        memory.put(bytes([number]), each, entity, b"1", MINUTE)
    assert memory.clear("anything", entity="spa") == 1
    assert memory.clear("nothing") == 0
    assert memory.clear(entity="spa") == 1
    assert memory.clear("anything") == 1


# Once


async def test_many_who_ask_at_once_get_what_one_of_them_makes() -> None:
    flights: Flights[int] = Flights()
    runs: list[int] = []
    go = asyncio.Event()

    async def work() -> int:
        runs.append(1)
        await go.wait()
        return 7

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(flights.once(b"k", work)) for _ in range(100)]
        await asyncio.sleep(0)
        go.set()
    assert [each.result()[0] for each in asked] == [7] * 100
    assert sum(each.result()[1] for each in asked) == len(runs) == 1
    assert len(flights) == 0


async def test_an_error_is_everybodys_and_then_forgotten() -> None:
    flights: Flights[int] = Flights()

    async def work() -> int:
        await asyncio.sleep(0.01)
        raise ValueError("why")

    async def ask() -> str:
        try:
            await flights.once(b"k", work)
        except ValueError as error:
            return str(error)
        return ""

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask()) for _ in range(3)]
    assert [each.result() for each in asked] == ["why"] * 3
    assert await ask() == "why"
    assert len(flights) == 0


async def test_if_the_first_is_cancelled_another_does_the_work() -> None:
    flights: Flights[int] = Flights()
    runs: list[int] = []

    async def work() -> int:
        runs.append(1)
        await asyncio.sleep(0.02)
        return len(runs)

    async with asyncio.TaskGroup() as group:
        first, *others = [group.create_task(flights.once(b"k", work)) for _ in range(4)]
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        others[1].cancel()
    assert first.cancelled()
    assert others[1].cancelled()
    assert [others[0].result()[0], others[2].result()[0]] == [2, 2]
    assert len(runs) == 2


# Through the invoker


class Counting:
    """A skill that counts its runs; ``where`` its results are kept."""

    def __init__(self, clock: ManualClock | None = None, **said: Any) -> None:
        self.calls: list[SkillCall] = []

        async def count(a: Any = None, *, call: SkillCall) -> dict[str, Any]:
            self.calls.append(call)
            await asyncio.sleep(0.001)
            return {"runs": len(self.calls), "entity": call.entity}

        skills = SkillRegistry()
        skills.add(of(count, **{"effects": "read", "cache": Cache("1m")} | said))
        self.invoker = SkillInvoker(skills, clock=clock or ManualClock())

    async def __call__(self, entity: str = "spa", cached: bool = True, **given: Any) -> Any:
        call = SkillCall(key=f"k{len(self.calls)}", entity=entity, agent="nyra", instance="i")
        result: Any = await self.invoker.run("count", given, call, cached=cached)
        return result["runs"]


async def test_a_result_is_made_once_for_each_input_and_business() -> None:
    count = Counting()
    assert [await count(), await count(), await count(a=1), await count(a=1)] == [1, 1, 2, 2]
    assert [await count("gallery"), await count("gallery"), await count()] == [3, 3, 1]
    (tally,) = count.invoker.tallies()
    assert (tally.runs, tally.hits, tally.hit_rate) == (3, 4, 4 / 7)


async def test_a_thousand_who_ask_at_once_run_it_once() -> None:
    count = Counting()
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(count(a={"x": [1]})) for _ in range(1000)]
    assert {each.result() for each in asked} == {1}
    assert len(count.calls) == 1
    (tally,) = count.invoker.tallies()
    assert (tally.runs, tally.hits) == (1, 999)


async def test_whose_result_is_kept_does_not_see_who_asked() -> None:
    count = Counting()
    await count()
    (call,) = count.calls
    assert (call.agent, call.instance, call.entity) == (None, None, "spa")
    assert call.key != "k0"


async def test_after_its_time_it_is_made_anew() -> None:
    clock = ManualClock()
    count = Counting(clock)
    assert await count() == 1
    clock.move(MINUTE)
    assert await count() == 2


async def test_without_the_cache_it_is_run_and_not_kept() -> None:
    count = Counting()
    assert [await count(cached=False), await count(), await count(cached=False)] == [1, 2, 3]
    assert await count() == 2


async def test_what_is_cleared_while_it_is_made_is_not_kept() -> None:
    count = Counting()
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(count())
        await asyncio.sleep(0)
        count.invoker.cached.clear("count")
    assert asked.result() == 1
    assert await count() == 2


async def test_whoever_gets_a_result_may_change_it() -> None:
    count = Counting()
    for _ in range(2):
        got = await count.invoker.run("count", {}, CALL)
        assert isinstance(got, dict)
        got.clear()
    assert await count.invoker.run("count", {}, CALL) == {"runs": 1, "entity": "default"}


async def test_errors_are_not_kept() -> None:
    runs: list[int] = []

    @skill(effects="read", cache=Cache("1m"))
    def fail() -> int:
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("why")
        return 1

    skills = SkillRegistry()
    skills.add(of(fail, effects="read", cache=Cache("1m")))
    invoker = SkillInvoker(skills, clock=ManualClock())
    with pytest.raises(ValueError, match="why"):
        await invoker.run("fail", {}, CALL)
    assert await invoker.run("fail", {}, CALL) == 1


async def test_where_there_is_no_database_each_process_keeps_its_own() -> None:
    count = Counting(cache=Cache("1m", where="postgres"))
    assert [await count(), await count()] == [1, 1]
