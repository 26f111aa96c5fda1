"""What holds of every pattern, whatever agents and clocks do."""

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.agents.coordination.world import World

from higherself.agents.coordination import (
    PATTERNS,
    Answered,
    Bid,
    Cancelled,
    Event,
    Failed,
    HandedOff,
    PersonAnswered,
    Refused,
    Target,
    Unreachable,
    plan_of,
    reduce,
)
from higherself.agents.coordination.state import ENDED

NAMES = st.sampled_from(["ana", "bo", "cy"])


@st.composite
def plans(draw: st.DrawFn, patterns: tuple[str, ...] = PATTERNS) -> dict[str, Any]:
    pattern = draw(st.sampled_from(patterns))
    count = 1 if pattern == "request" else draw(st.integers(1, 4))
    steps = []
    for number in range(count):
        step: dict[str, Any] = {"task": f"t{number}", "id": f"s{number}"}
        step |= draw(st.sampled_from([{"name": "ana"}, {"role": "any"}]))
        step |= draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "timeout": st.just("30s"),
                    "hedge": st.just("5s"),
                    "attempts": st.integers(1, 3),
                    "on_failure": st.sampled_from(["fail", "ignore", "retry"]),
                    "substitute": st.just([{"name": "bo"}, {"role": "other"}]),
                    "compensate": st.sampled_from(
                        ["undo", {"task": "undo", "timeout": "1m", "name": "cy"}]
                    ),
                },
            )
        )
        steps.append(step)
    plan: dict[str, Any] = {"pattern": pattern, "steps": steps, "timeout": "1h"}
    if pattern == "concurrent":
        plan["join"] = draw(st.sampled_from(["all", "first", *range(1, count + 1)]))
        plan |= draw(st.sampled_from([{}, {"at_once": 1}, {"at_once": 2}]))
    if pattern == "escalation":
        plan |= draw(st.sampled_from([{}, {"people": {"roles": ["owner"], "timeout": "10m"}}]))
    if pattern == "handoff":
        plan["hops"] = draw(st.integers(1, 3))
    return plan


def begun(plan: dict[str, Any]) -> World:
    audience = {step["id"]: ("ana", "bo", "cy") for step in plan["steps"]}
    return World(plan_of(plan)).start(**audience)


def replies(draw: Any, task: str, number: int) -> Event:
    agent = draw(NAMES)
    event: Event = draw(
        st.sampled_from(
            [
                Answered(task, number, agent),
                Answered(task, None, agent),
                Failed(task, "boom", agent=agent),
                Failed(task, "never", again=False),
                Refused(task, "no", agent),
                Unreachable(task, "nobody"),
                Bid(task, agent, price=number, seconds=7, confidence=0.5),
                HandedOff(task, draw(st.sampled_from([None, Target(name="bo")])), "hard"),
            ]
        )
    )
    return event


@given(st.data())
def test_it_ends_whatever_happens_and_what_comes_twice_or_late_changes_nothing(
    data: st.DataObject,
) -> None:
    world = begun(data.draw(plans()))
    limit = world.now + timedelta(hours=1)
    undoing = 3 * 4 * timedelta(hours=1) + timedelta(hours=1)
    for number in range(400):
        if world.ends:
            break
        choices = ["timer", *sorted(world.open)]
        if world.state.asks_people:
            choices.append("person")
        choice = data.draw(st.sampled_from(choices))
        if choice == "timer":
            world.next_timer()
        elif choice == "person":
            world.happens(PersonAnswered(data.draw(st.sampled_from(["approved", "rejected"])), "p"))
        else:
            world.open.pop(choice)
            world.happens(replies(data.draw, choice, number))
        before, event = world.state, world.events[-1]
        again, commands = reduce(world.plan, before, event, world.now)
        assert again is before
        assert commands == ()
    else:
        raise AssertionError(f"it goes on: {world.state}")
    assert world.now <= limit + undoing
    for event in list(world.events):
        assert world.happens(event) == ()  # after the end, nothing is asked


@given(plans())
def test_if_nobody_ever_says_anything_it_ends_by_itself(plan: dict[str, Any]) -> None:
    world = begun(plan)
    for _ in range(200):
        if world.ends:
            return
        world.next_timer()
    raise AssertionError("it goes on")


@given(plans(), st.integers(0, 8))
def test_cancelling_ends_it_once_all_is_undone(plan: dict[str, Any], answered: int) -> None:
    world = begun(plan)
    for _ in range(answered):
        if world.ends or not world.open:
            break
        task = sorted(world.open)[0]
        if world.open[task].kind == "bid":
            world.happens_to(task, lambda name: Bid(name, "ana", 1))
        else:
            world.answer(task, task)
    if not world.ends:
        world.happens(Cancelled("enough"))
        while world.open:
            assert {each.kind for each in world.open.values()} == {"undo"}
            world.answer(next(iter(world.open)))
        assert world.end.status == "cancelled"


@given(plans(("chain",)), st.data())
def test_what_is_undone_is_the_reverse_of_what_was_done(
    plan: dict[str, Any], data: st.DataObject
) -> None:
    world = begun(plan)
    for _ in range(data.draw(st.integers(0, len(plan["steps"]) - 1))):
        world.answer(next(iter(world.open)))
    done = [each for each in world.state.done if world.plan.by_id[each].compensate]
    world.happens(Cancelled("enough"))
    while world.open:
        world.answer(next(iter(world.open)))
    asked = [each.step for each in world.asked if each.kind == "undo"]
    assert asked == done[::-1] == list(world.state.undone)


@given(plans(("concurrent",)), st.permutations(range(4)), st.permutations(range(4)))
def test_the_order_of_answers_makes_no_difference_to_all(
    plan: dict[str, Any], one: list[int], other: list[int]
) -> None:
    plan.pop("at_once", None)
    outcomes = []
    for order in (one, other):
        world = begun({**plan, "join": "all"})
        for number in order:
            if number < len(plan["steps"]):
                world.answer(f"s{number}/1", f"result {number}")
        outcomes.append(world.end.outcome)
    assert outcomes[0] == outcomes[1]
    assert str(outcomes[0]) == str(outcomes[1])  # the keys stand in the same order, too


@given(plans(("concurrent",)), st.data())
def test_a_quorum_counts_each_branch_once(plan: dict[str, Any], data: st.DataObject) -> None:
    world = begun(plan)
    while not world.ends:
        tasks = sorted(world.open)
        choice = data.draw(st.sampled_from(["timer", *tasks]))
        if choice == "timer":
            world.next_timer()
        else:
            world.open.pop(choice)
            world.happens(replies(data.draw, choice, 1))
        if world.state.status == "running":
            assert len(world.state.done) < max(world.plan.needed, 1)
    done = world.state.done
    assert len(done) == len(set(done))
    if world.end.status == "completed":
        lost = len(world.state.lost) if world.plan.join == "all" else 0
        assert len(done) == max(world.plan.needed - lost, 1)
    assert world.state.status in ENDED
