"""Activities run by workers, timers, children, and what goes wrong with them."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.workflow.engine.bench import Bench

from higherself.kernel.errors import Rejected
from higherself.workflow.engine.activities import ActivityCall

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

CHAIN = """
  a: {activity: {skill: add, input: {n: "{{ context.n }}"}, save: n}, transitions: {to: b}}
  b: {activity: {skill: add, input: {n: "{{ context.n }}"}, save: n}, transitions: {to: c}}
  c: {activity: {skill: add, input: {n: "{{ context.n }}"}, save: n}, transitions: {to: done}}
  done: {final: true}
"""
ZERO = "context: {n: 0}"


def add(call: ActivityCall) -> int:
    assert isinstance(call.input, dict)
    return int(call.input["n"]) + 1


async def left(bench: Bench) -> list[tuple[str, str]]:
    """Return the messages that are still there for the engine."""
    found: list[tuple[str, str]] = await bench.asked(
        "SELECT type, status FROM higherself.message"
        " WHERE status NOT IN ('delivered') ORDER BY type"
    )
    return found


async def test_a_chain_of_activities_runs_to_its_end(bench: Bench) -> None:
    bench.skills.functions["add"] = add
    await bench.define(CHAIN, head=ZERO)
    instance = await bench.start()
    async with bench.working():
        done = await bench.until(instance, status="completed")
    assert (await bench.engine.get(instance)).snapshot.context == {"n": 3}
    assert [call.key for call in bench.skills.calls] == [
        f"{instance}/1/a/activity",
        f"{instance}/2/b/activity",
        f"{instance}/3/c/activity",
    ]
    assert [call.attempt for call in bench.skills.calls] == [1, 1, 1]
    history = await bench.history(instance)
    assert [each.cause for each in history] == ["started", "activity", "activity", "activity"]
    assert all(each.milliseconds is not None for each in history[1:])
    assert done.finished_at == history[-1].at
    assert await left(bench) == []


async def test_several_workers_share_many_instances(bench: Bench) -> None:
    bench.skills.functions["add"] = add
    await bench.define(CHAIN, head=ZERO)
    async with bench.working(workers=3, concurrency=4):
        started = [await bench.start() for _ in range(40)]
        for instance in started:
            await bench.until(instance, status="completed")
    assert len(bench.skills.calls) == len({call.key for call in bench.skills.calls}) == 120
    for instance in started:
        assert len(await bench.history(instance)) == 4
    assert await left(bench) == []


async def test_what_fails_is_tried_again_under_its_key_and_then_goes_the_way_of_errors(
    bench: Bench,
) -> None:
    def fails(call: ActivityCall) -> None:
        raise RuntimeError(f"attempt {call.attempt} failed")

    bench.skills.functions["fails"] = fails
    await bench.define("""
  trying:
    activity: {skill: fails, retry: {attempts: 3, backoff: 10ms}}
    on_error: {to: broken, set: {why: event.message, attempts: event.attempts}}
  broken: {final: true}
""")
    instance = await bench.start()
    async with bench.working():
        await bench.until(instance, status="completed")
    assert [call.attempt for call in bench.skills.calls] == [1, 2, 3]
    assert len({call.key for call in bench.skills.calls}) == 1
    context = (await bench.engine.get(instance)).snapshot.context
    assert context == {"why": "attempt 3 failed", "attempts": 3}
    assert await left(bench) == []


async def test_what_is_rejected_is_not_tried_again_and_can_be_retried_with_another_context(
    bench: Bench,
) -> None:
    def careful(call: ActivityCall) -> str:
        assert isinstance(call.input, dict)
        if call.input["email"] is None:
            raise Rejected("email: there is none")
        return "sent"

    bench.skills.functions["careful"] = careful
    await bench.define(
        """
  mailing: {activity: {skill: careful, input: {email: "{{ context.email }}"}}, transitions: {to: done}}
  done: {final: true}
""",
        head="context: {email: null}",
    )
    instance = await bench.start()
    async with bench.working():
        failed = await bench.until(instance, status="failed")
        assert failed.reason == "failed in mailing: email: there is none"
        assert failed.waits_for == "person"
        assert len(bench.skills.calls) == 1
        await bench.engine.retry(instance, context={"email": "a@b.c"}, by="maria")
        await bench.until(instance, status="completed")
    first, second = bench.skills.calls
    assert first.key != second.key


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ({1, 2}, "no JSON"),
        (float("nan"), "no JSON"),
        ("x" * 2_000_000, "at most"),
        (b"b", "no JSON"),
    ],
)
async def test_garbage_fails_and_harms_nothing(bench: Bench, result: object, says: str) -> None:
    bench.skills.functions["garbage"] = lambda call: result
    await bench.define("""
  making: {activity: {skill: garbage, save: made, retry: {attempts: 1}}, transitions: {to: done}}
  done: {final: true}
""")
    instance = await bench.start()
    async with bench.working():
        failed = await bench.until(instance, status="failed")
    assert says in failed.reason or "bytes" in failed.reason
    await bench.history(instance)


async def test_what_hangs_times_out(bench: Bench) -> None:
    async def hangs(call: ActivityCall) -> None:
        await asyncio.sleep(60)

    bench.skills.functions["hangs"] = hangs
    await bench.define("""
  waiting_long: {activity: {skill: hangs, timeout: 50ms, retry: {attempts: 2, backoff: 10ms}}, on_timeout: {to: late}}
  late: {final: true}
""")
    instance = await bench.start()
    async with bench.working():
        await bench.until(instance, status="completed", state="late")
    assert len(bench.skills.calls) == 2


async def test_what_nobody_can_run_waits_and_says_for_what(bench: Bench) -> None:
    bench.skills.functions["add"] = add
    await bench.define(CHAIN.replace("skill: add", "skill: ad", 1), head=ZERO)
    instance = await bench.start()
    async with bench.working():
        until = time.monotonic() + 5
        while "nobody has the skill ad" not in (await bench.engine.get(instance)).instance.reason:
            assert time.monotonic() < until
            await asyncio.sleep(0.02)
        assert (await bench.engine.get(instance)).instance.status == "running"
        bench.skills.functions["ad"] = add
        done = await bench.until(instance, status="completed")
    assert "nobody" not in done.reason


async def test_events_reach_an_instance_whose_activity_runs(bench: Bench) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def slow(call: ActivityCall) -> str:
        begun.set()
        await stopped.wait()
        return "too late"

    bench.skills.functions["slow"] = slow
    await bench.define("""
  working: {activity: {skill: slow, save: result}, on: {stop: {to: stopped}}, transitions: {to: done}}
  stopped: {on: {again: {to: done}}}
  done: {final: true}
""")
    instance = await bench.start()
    async with bench.working():
        await begun.wait()
        assert (await bench.engine.send(instance, "stop")).state == "stopped"
        stopped.set()
        await asyncio.sleep(0.2)
        stored = await bench.engine.get(instance)
        assert (stored.instance.state, stored.snapshot.context) == ("stopped", {})
        await bench.until(instance, sequence=2)
        await bench.engine.send(instance, "again")
    assert await left(bench) == []


async def test_a_timer_is_due_in_time_and_gone_when_it_is_not_waited_for(bench: Bench) -> None:
    await bench.define("""
  waiting: {after: {400ms: {to: late}}, on: {go: {to: calm}}}
  calm: {after: {52w: {to: late}}, on: {go: {to: done}}}
  late: {final: true}
  done: {final: true}
""")
    instances = [await bench.start() for _ in range(5)]
    early = await bench.start()
    async with bench.working():
        await bench.engine.send(early, "go")
        for instance in instances:
            await bench.until(instance, state="late")
            first, second = await bench.history(instance)
            assert timedelta(milliseconds=400) <= second.at - first.at < timedelta(seconds=1.4)
        ((due_at,),) = await bench.asked(
            "SELECT due_at FROM higherself.message WHERE status = 'ready'"
        )
        assert due_at - datetime.now(UTC) > timedelta(days=363)
        await bench.engine.send(early, "go")
    assert await left(bench) == []


async def test_branches_run_side_by_side_and_meet(bench: Bench) -> None:
    running = 0
    most = 0

    async def work(call: ActivityCall) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.1)
        running -= 1
        return call.activity

    bench.skills.functions["work"] = work
    await bench.define("""
  split:
    parallel:
      branches:
        one: {initial: x, states: {x: {activity: {skill: work, save: one}, transitions: {to: y}}, y: {final: true}}}
        two: {initial: x, states: {x: {activity: {skill: work, save: two}, transitions: {to: y}}, y: {final: true}}}
        six: {initial: x, states: {x: {activity: {skill: work, save: six}, transitions: {to: y}}, y: {final: true}}}
    transitions: {to: done}
  done: {final: true}
""")
    instance = await bench.start()
    async with bench.working(workers=2, concurrency=2):
        await bench.until(instance, status="completed")
    context = (await bench.engine.get(instance)).snapshot.context
    assert set(context) == {"one", "two", "six"}
    assert most >= 2
    await bench.history(instance)
    assert await left(bench) == []


async def test_a_child_runs_and_its_parent_goes_on(bench: Bench) -> None:
    bench.skills.functions["add"] = add
    await bench.define(CHAIN, head=ZERO)
    from higherself.workflow.definition import load

    await bench.engine.add(
        load(
            {
                "workflow": "parent", "version": 1, "initial": "asking",
                "states": {
                    "asking": {
                        "start": {"workflow": "under_test", "context": {"n": 10}, "save": "child"},
                        "transitions": [{"to": "done"}],
                    },
                    "done": {"final": True},
                },
            }
        )
    )  # fmt: skip
    parent = (await bench.engine.start("parent", entity="the_7_space")).instance
    async with bench.working():
        await bench.until(parent, status="completed")
    assert (await bench.engine.get(parent)).snapshot.context == {"child": {"n": 13}}
    child = (await bench.engine.page()).instances[0]
    assert (child.parent, child.entity, child.status) == (parent, "the_7_space", "completed")
    assert await left(bench) == []


async def test_a_child_is_cancelled_with_its_parent(bench: Bench) -> None:
    from higherself.workflow.definition import load

    await bench.define("  waiting: {on: {go: {to: done}}}\n  done: {final: true}\n")
    states: dict[str, Any] = {
        "asking": {"start": {"workflow": "under_test"}, "transitions": [{"to": "done"}]}
    }
    await bench.engine.add(
        load(
            {"workflow": "parent", "version": 1, "initial": "asking",
             "states": {**states, "done": {"final": True}}}
        )
    )  # fmt: skip
    parent = (await bench.engine.start("parent")).instance
    async with bench.working():
        until = time.monotonic() + 5
        while (await bench.engine.page()).total < 2:
            assert time.monotonic() < until
            await asyncio.sleep(0.02)
        child = (await bench.engine.page()).instances[0]
        await bench.engine.cancel(parent, reason="no more")
        await bench.until(child.instance, status="cancelled")


async def test_a_worker_whose_lease_was_taken_changes_nothing(bench: Bench) -> None:
    begun, taken = asyncio.Event(), asyncio.Event()

    async def slow(call: ActivityCall) -> int:
        if len(bench.skills.calls) == 1:
            begun.set()
            await taken.wait()
            return 100
        return 1

    bench.skills.functions["slow"] = slow
    await bench.define("""
  working: {activity: {skill: slow, save: n}, transitions: {to: done}}
  done: {final: true}
""")
    instance = await bench.start()
    async with bench.working():
        await begun.wait()
        await bench.asked(
            "UPDATE higherself.message SET lease = lease + 1, leased_by = 'another',"
            " leased_until = now() + interval '0.3 s'"
        )
        taken.set()
        await asyncio.sleep(0.1)
        assert (await bench.engine.get(instance)).instance.sequence == 1  # its result was refused
        await bench.until(instance, status="completed")
    assert (await bench.engine.get(instance)).snapshot.context == {"n": 1}
    one, other = bench.skills.calls
    assert (one.key, other.attempt > one.attempt) == (other.key, True)


async def test_a_worker_that_is_stopped_gives_back_what_it_has_not_finished(bench: Bench) -> None:
    begun = asyncio.Event()

    async def slow(call: ActivityCall) -> str:
        begun.set()
        if len(bench.skills.calls) == 1:
            await asyncio.sleep(0.3)
        return "done"

    bench.skills.functions["slow"] = slow
    await bench.define("""
  working: {activity: {skill: slow, save: n}, transitions: {to: next_one}}
  next_one: {activity: {skill: slow, save: m}, transitions: {to: done}}
  done: {final: true}
""")
    instance = await bench.start()
    async with bench.working():
        await begun.wait()
    async with bench.working():
        await bench.until(instance, status="completed")
    assert len(await bench.history(instance)) == 3


async def test_a_paused_instance_begins_nothing(bench: Bench) -> None:
    bench.skills.functions["add"] = add
    await bench.define(CHAIN, head=ZERO)
    instance = await bench.start()
    await bench.engine.pause(instance)
    async with bench.working():
        await asyncio.sleep(0.2)
        assert not bench.skills.calls


async def test_an_idle_worker_leaves_the_database_in_peace(bench: Bench) -> None:
    async def commits() -> int:
        await bench.asked("SELECT pg_stat_force_next_flush()")
        ((count,),) = await bench.asked(
            "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        )
        return int(count)

    async with bench.working():
        await asyncio.sleep(1)
        counts = []
        for _ in range(3):  # a vacuum may pass by in one of them
            before = await commits()
            await asyncio.sleep(2)
            counts.append(await commits() - before)
    assert min(counts) <= 2 * 2 + 3


async def test_steps_of_one_instance_are_in_order_of_time(bench: Bench) -> None:
    bench.skills.functions["add"] = add
    await bench.define(CHAIN, head=ZERO)
    instance = await bench.start()
    async with bench.working():
        await bench.until(instance, status="completed")
    assert all(one.at <= other.at for one, other in pairwise(await bench.history(instance)))
