"""Instances are started, moved on, steered; whatever happens at the same time, once."""

import asyncio
from uuid import uuid4

import pytest
from tests.workflow.engine.bench import Bench

from higherself.kernel.errors import HigherSelfError, Rejected
from higherself.workflow.engine.errors import (
    EntryNotFound,
    InstanceNotFound,
    WorkflowNotFound,
)
from higherself.workflow.errors import (
    DefinitionChanged,
    EventRefused,
    InstanceFinished,
    NotEntitled,
    NothingToDecide,
)
from higherself.workflow.machine import Decided, Paused

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

WAITS = """
  waiting:
    on:
      go: {to: done}
      note: [{set: {sum: "context.sum + event.n", count: "context.count + 1"}}]
  done: {final: true}
"""
NOTES = "context: {sum: 0, count: 0}"


async def together(*coroutines: object) -> list[object]:
    """Return what each comes to, or what it raised."""

    async def one(each: object) -> object:
        try:
            return await each  # type: ignore[misc]
        except HigherSelfError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(each)) for each in coroutines]
    return [task.result() for task in tasks]


async def test_an_instance_is_where_its_definition_begins(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    started = await bench.engine.start("under_test", context={"extra": 1}, entity="the_7_space")
    assert (started.state, started.status, started.sequence) == ("waiting", "waiting", 1)
    assert (started.entity, started.waits_for) == ("the_7_space", "event")
    assert started.reason == "waits for event go or note"
    stored = await bench.engine.get(started.instance)
    assert stored.snapshot.context == {"sum": 0, "count": 0, "extra": 1}


async def test_a_key_starts_once_whoever_uses_it(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    started = await together(*[bench.engine.start("under_test", key="order-7") for _ in range(12)])
    assert len({each.instance for each in started}) == 1  # type: ignore[attr-defined]
    other = await bench.engine.start("under_test", key="order-7", entity="another")
    assert other.instance != started[0].instance  # type: ignore[attr-defined]
    assert (await bench.engine.page()).total == 2


async def test_a_business_that_was_forgotten_begins_anew(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    first = await bench.start(entity="the_7_space")
    await bench.asked("DELETE FROM higherself.entity WHERE slug = 'the_7_space'")
    with pytest.raises(InstanceNotFound):
        await bench.engine.send(first, "go")
    assert (await bench.engine.start("under_test", entity="the_7_space")).status == "waiting"
    assert (await bench.engine.page()).total == 1


async def test_an_unknown_workflow_says_which_one_was_meant(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    with pytest.raises(WorkflowNotFound, match="did you mean 'under_test'"):
        await bench.engine.start("under_tset")
    with pytest.raises(WorkflowNotFound, match="under_test version 9"):
        await bench.engine.start("under_test", version=9)
    with pytest.raises(InstanceNotFound):
        await bench.engine.get(uuid4())
    with pytest.raises(InstanceNotFound):
        await bench.engine.history(uuid4())


async def test_an_event_with_an_id_counts_once_however_often_and_late_it_comes(
    bench: Bench,
) -> None:
    await bench.define(WAITS, head=NOTES)
    instance = await bench.start()
    await together(*[bench.engine.send(instance, "note", {"n": 0}, id="first") for _ in range(8)])
    for n in range(1, 61):  # more than a snapshot remembers
        await bench.engine.send(instance, "note", {"n": n}, id=f"note-{n}")
    again = await bench.engine.send(instance, "note", {"n": 0}, id="first")
    assert again.sequence == 62
    context = (await bench.engine.get(instance)).snapshot.context
    assert context == {"sum": sum(range(61)), "count": 61}
    await bench.history(instance)


async def test_an_id_that_was_seen_is_no_error_after_the_end_either(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    instance = await bench.start()
    await bench.engine.send(instance, "go", id="the-end")
    assert (await bench.engine.send(instance, "go", id="the-end")).status == "completed"
    with pytest.raises(InstanceFinished):
        await bench.engine.send(instance, "go", id="another")


async def test_events_that_come_at_the_same_time_all_count(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    instance = await bench.start()
    sent = await together(*[bench.engine.send(instance, "note", {"n": n}) for n in range(40)])
    assert not [each for each in sent if isinstance(each, Exception)]
    context = (await bench.engine.get(instance)).snapshot.context
    assert context == {"sum": sum(range(40)), "count": 40}
    assert len(await bench.history(instance)) == 41


async def test_a_hot_instance_takes_what_many_send(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    instance = await bench.start()
    sent = await together(
        *[bench.engine.send(instance, "note", {"n": 1}, id=f"n{n % 150}") for n in range(300)]
    )
    assert not [each for each in sent if isinstance(each, Exception)]
    context = (await bench.engine.get(instance)).snapshot.context
    assert context == {"sum": 150, "count": 150}


async def test_two_processes_fight_for_an_instance_and_none_loses(
    bench: Bench, database_url: str
) -> None:
    from tests.workflow.engine.bench import opened

    await bench.define(WAITS, head=NOTES)
    instance = await bench.start()
    async with opened(database_url, bench.database) as other:
        sent = await together(
            *[
                (bench, other)[n % 2].engine.send(instance, "note", {"n": 1}, id=f"n{n // 2}")
                for n in range(80)
            ]
        )
    assert not [each for each in sent if isinstance(each, Exception)]
    context = (await bench.engine.get(instance)).snapshot.context
    assert context == {"sum": 40, "count": 40}
    await bench.history(instance)


async def test_an_event_that_is_refused_leaves_the_instance_as_it_was(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    instance = await bench.start()
    before = await bench.engine.get(instance)
    with pytest.raises(EventRefused, match="did you mean 'go'"):
        await bench.engine.send(instance, "goo")
    with pytest.raises(Rejected, match=r"event\.n"):
        await bench.engine.send(instance, "note", {"m": 1})
    with pytest.raises(Rejected):
        await bench.engine.send(instance, "note", {"n": "x" * 300_000})
    with pytest.raises(Rejected):
        await bench.engine.send(instance, "note", {"n": {1, 2}})  # type: ignore[dict-item]
    assert await bench.engine.get(instance) == before


async def test_of_two_people_who_decide_at_once_one_does(bench: Bench) -> None:
    await bench.define("""
  asked: {approval: {roles: [owner], approved: {to: done}, rejected: {to: lost}}}
  done: {final: true}
  lost: {final: true}
""")
    instance = await bench.start()
    assert (await bench.engine.get(instance)).instance.waits_for == "approval"
    decided = await together(
        bench.engine.approve(instance, by="maria", roles=["owner"]),
        bench.engine.approve(instance, by="paul", roles=["owner"], outcome="rejected"),
        bench.engine.approve(instance, by="maria", roles=["owner"]),
    )
    refused = [each for each in decided if isinstance(each, NothingToDecide | InstanceFinished)]
    assert len(refused) == 2
    assert len(await bench.history(instance)) == 2


async def test_what_is_paused_keeps_what_comes(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    instance = await bench.start()
    assert (await bench.engine.pause(instance, by="maria")).status == "paused"
    assert (await bench.engine.pause(instance)).sequence == 2
    assert (await bench.engine.send(instance, "go")).status == "paused"
    assert (await bench.engine.resume(instance)).status == "completed"


async def test_a_cancelled_instance_says_why(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    instance = await bench.start()
    cancelled = await bench.engine.cancel(instance, reason="booked elsewhere", by="maria")
    assert (cancelled.status, cancelled.reason) == ("cancelled", "cancelled: booked elsewhere")
    assert cancelled.finished_at is not None
    with pytest.raises(InstanceFinished):
        await bench.engine.cancel(instance, reason="again")


async def test_a_moment_of_the_past_can_be_looked_at(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    instance = await bench.start()
    for n in range(3):
        await bench.engine.send(instance, "note", {"n": n})
    await bench.engine.send(instance, "go")
    moment = await bench.engine.at(instance, 3)
    assert (moment.context, moment.state, moment.status) == (
        {"sum": 1, "count": 2},
        "waiting",
        "waiting",
    )
    latest = await bench.engine.at(instance, 5)
    stored = await bench.engine.get(instance)
    assert (latest.context, latest.state) == (stored.snapshot.context, stored.instance.state)
    with pytest.raises(EntryNotFound):
        await bench.engine.at(instance, 6)


async def test_an_instance_moves_to_another_version_if_it_fits(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    instance = await bench.start()
    await bench.define(WAITS.replace("go: {to: done}", "leave: {to: done}"), head=NOTES, version=2)
    await bench.define("  elsewhere: {on: {go: {to: done}}}\n  done: {final: true}\n", version=3)
    with pytest.raises(HigherSelfError, match="waiting"):
        await bench.engine.migrate(instance, 3)
    moved = await bench.engine.migrate(instance, 2, by="maria")
    assert (moved.version, moved.sequence) == (2, 2)
    with pytest.raises(EventRefused):
        await bench.engine.send(instance, "go")
    assert (await bench.engine.send(instance, "leave")).status == "completed"


async def test_a_definition_may_change_until_an_instance_uses_it(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    await bench.define(WAITS.replace("go:", "leave:"), head=NOTES)
    instance = await bench.start()
    with pytest.raises(DefinitionChanged, match="version: 2"):
        await bench.define(WAITS, head=NOTES)
    await bench.define(WAITS.replace("go:", "leave:"), head=NOTES)  # the same is no change
    assert (await bench.engine.send(instance, "leave")).status == "completed"


async def test_history_cannot_be_changed(bench: Bench) -> None:
    await bench.define(WAITS, head=NOTES)
    await bench.start()
    with pytest.raises(Exception, match="never changed"):
        await bench.asked("UPDATE higherself.workflow_history SET sequence = sequence + 1")


async def test_lists_page_and_filter(bench: Bench) -> None:
    from higherself.workflow.engine.model import Wanted

    await bench.define(WAITS, head=NOTES)
    started = [await bench.start(entity=("one", "two")[n % 2]) for n in range(7)]
    for instance in started[:3]:
        await bench.engine.send(instance, "go")
    first = await bench.engine.page(limit=4)
    assert [each.instance for each in first.instances] == started[:2:-1]
    second = await bench.engine.page(limit=4, before=first.next)
    assert [each.instance for each in second.instances] == started[2::-1]
    assert (first.total, second.next) == (7, None)
    for wanted, total in (
        (Wanted(status="completed"), 3),
        (Wanted(workflow="under_test"), 7),
        (Wanted(workflow="under_test", status="waiting"), 4),
        (Wanted(workflow="other"), 0),
        (Wanted(state="done"), 3),
        (Wanted(entity="one", status="completed"), 2),
    ):
        page = await bench.engine.page(wanted)
        assert (page.total, len(page.instances)) == (total, total)
    assert (await bench.engine.page(limit=2, counted=5)).counted_all is False
    assert (await bench.engine.page(limit=2, counted=None)).total == 7
    (listed,) = await bench.engine.overview()
    assert (listed.name, listed.versions, listed.unfinished) == ("under_test", (1,), 4)


async def test_steering_counts_once_for_an_id(bench: Bench) -> None:
    await bench.define(
        "  a: {approval: {roles: [owner], approved: {to: b}, rejected: {to: c}}}\n"
        "  b: {approval: {roles: [owner], approved: {to: c}, rejected: {to: c}}}\n"
        "  c: {final: true}\n"
    )
    instance = await bench.start()
    approved = Decided("approved", by="ada", roles=("owner",))
    assert await bench.engine.steer(instance, approved, id="n/1") is not None
    assert await bench.engine.steer(instance, approved, id="n/1") is None
    assert (await bench.engine.get(instance)).instance.state == "b"
    paused = await bench.engine.steer(instance, Paused(by="ada"), id="n/2")
    again = await bench.engine.steer(instance, Paused(by="ada"), id="n/3")
    assert paused is not None
    assert again is not None
    assert (paused.outcome, again.outcome) == ("taken", "ignored")
    with pytest.raises(NotEntitled):
        await bench.engine.steer(instance, Decided("approved", by="eve"), id="n/4")
