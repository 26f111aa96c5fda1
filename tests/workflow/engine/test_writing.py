"""Steps are stored together, and each whole or not at all."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from tests.workflow.engine.bench import Bench

from higherself.kernel.errors import HigherSelfError
from higherself.kernel.ids import InstanceId, new_id
from higherself.messaging.envelope import MessageId
from higherself.workflow.engine.model import Handled, Write
from higherself.workflow.engine.wiring import SETTINGS
from higherself.workflow.engine.writing import Writer, open_writer
from higherself.workflow.machine import Received, Snapshot, Started, advance, new_instance

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def started(bench: Bench, entity: str = "default") -> Write:
    stored = await bench.engine.definition("under_test")
    definition, digest = stored.definition, stored.content_hash
    fresh = new_instance(definition, instance=InstanceId(new_id(NOW)), entity=entity)
    step = advance(definition, fresh, Started({}), NOW)
    return Write(definition=definition, digest=digest, before=0, step=step)


async def moved(bench: Bench, snapshot: Snapshot, **more: object) -> Write:
    definition = (await bench.engine.definition("under_test")).definition
    step = advance(definition, snapshot, Received("tick"), NOW)
    return Write(definition=definition, before=snapshot.sequence, step=step, **more)  # type: ignore[arg-type]


@pytest.fixture
async def ticking(bench: Bench) -> Bench:
    await bench.define(
        """
  waiting: {on: {tick: [{set: {n: "context.n + 1"}}], go: {to: done}}, after: {1h: {to: done}}}
  done: {final: true}
""",
        head="context: {n: 0}",
    )
    await bench.start()  # the business is known from here on
    return bench


async def stored(writer: Writer, writes: list[Write]) -> list[bool | Exception]:
    async def one(write: Write) -> bool | Exception:
        try:
            return await writer.store(write)
        except HigherSelfError as error:
            return error

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(write)) for write in writes]
    return [task.result() for task in tasks]


@pytest.mark.parametrize(("at_once", "side_by_side"), [(64, 1), (1, 3), (5, 2)])
async def test_of_many_steps_those_that_are_stale_are_left_out(
    ticking: Bench, at_once: int, side_by_side: int
) -> None:
    async with open_writer(ticking.database, at_once=at_once, side_by_side=side_by_side) as writer:
        begun = [await started(ticking) for _ in range(30)]
        assert await stored(writer, begun) == [True] * 30
        first = [await moved(ticking, write.snapshot) for write in begun]
        assert await stored(writer, first) == [True] * 30
        half = [await moved(ticking, (first if n % 2 else begun)[n].snapshot) for n in range(30)]
        assert await stored(writer, half) == [bool(n % 2) for n in range(30)]
    for n, write in enumerate(begun):
        history = await ticking.history(write.snapshot.instance)
        assert len(history) == (3 if n % 2 else 2)


async def test_an_instance_does_not_begin_with_a_definition_that_was_replaced(
    bench: Bench,
) -> None:
    waits = "  waiting: {on: {go: {to: done}}}\n  done: {final: true}\n"
    await bench.define(waits)
    begun = await started(bench)
    await bench.define(waits.replace("go", "leave"))
    async with open_writer(bench.database) as writer:
        await bench.engine.start("under_test")
        assert await writer.store(begun) is False
    assert (await bench.engine.page()).total == 1


async def test_of_steps_of_one_instance_one_is_stored(ticking: Bench) -> None:
    async with open_writer(ticking.database) as writer:
        begun = await started(ticking)
        await writer.store(begun)
        step = await moved(ticking, begun.snapshot)
        assert sorted(await stored(writer, [step] * 10), key=bool) == [False] * 9 + [True]
    assert len(await ticking.history(begun.snapshot.instance)) == 2


async def test_a_step_that_cannot_be_stored_harms_no_other(ticking: Bench) -> None:
    async with open_writer(ticking.database) as writer:
        good, bad = await started(ticking), await started(ticking, entity="nobody_knows")
        results = await stored(writer, [good, bad, await started(ticking)])
    assert results[0] is results[2] is True
    assert isinstance(results[1], HigherSelfError)


async def test_a_step_without_its_lease_is_not_stored(ticking: Bench) -> None:
    async with open_writer(ticking.database) as writer:
        begun = await started(ticking)
        await writer.store(begun)
        handled = Handled(MessageId(uuid4()), 1, "c")
        step = await moved(ticking, begun.snapshot, handled=handled)
        assert await writer.store(step) is False
        ((message,),) = await ticking.asked(
            "SELECT message_id FROM higherself.message WHERE subject = %(instance)s",
            {"instance": str(begun.snapshot.instance)},
        )
        for lease, accepted in ((1, False), (0, True), (0, False)):
            handled = Handled(MessageId(message), lease, "c")
            step = await moved(ticking, begun.snapshot, handled=handled)
            assert await writer.store(step) is accepted
    assert len(await ticking.history(begun.snapshot.instance)) == 2


async def test_the_statement_goes_by_the_keys_of_what_it_names(ticking: Bench) -> None:
    """No table is read as a whole, so a step costs the same whatever there is beside it."""
    from higherself.db.pool import open_database

    await ticking.asked(
        "INSERT INTO higherself.message (message_id, topic, source, type, time, correlation_id,"
        " hop_count, data, priority, status, due_at) SELECT gen_random_uuid(), 'x', 's', 't', now(),"
        " 'c', 0, '{}', 1, 'ready', now() FROM generate_series(1, 2000)"
    )
    begun = await started(ticking)
    async with (
        open_database(ticking.url, connections=1, settings=SETTINGS) as aside,
        open_writer(aside, at_once=1) as writer,
    ):
        await writer.store(begun)
        ((message,),) = await ticking.asked(
            "SELECT message_id FROM higherself.message WHERE subject = %(instance)s",
            {"instance": str(begun.snapshot.instance)},
        )
        await ticking.asked("ANALYZE higherself.message")
        await ticking.asked("SELECT pg_stat_force_next_flush()")
        counted = (
            "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_user_tables WHERE relname = 'message'"
        )
        ((before,),) = await ticking.asked(counted)
        step = await moved(ticking, begun.snapshot, handled=Handled(MessageId(message), 0, "c"))
        assert await writer.store(step)
    await ticking.asked("SELECT pg_stat_force_next_flush()")
    ((after,),) = await ticking.asked(counted)
    assert after - before < 50
