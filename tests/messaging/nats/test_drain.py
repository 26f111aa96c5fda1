"""The drain brings everything to PostgreSQL, in order, once, whoever is killed meanwhile."""

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import psycopg
import pytest
from tests.messaging.nats import drainer
from tests.messaging.proxy import before_port, before_postgres
from tests.messaging.rig import Rig, identified, message, until

from higherself.db.pool import Database, open_database
from higherself.kernel.errors import Unavailable
from higherself.kernel.tasks import in_background
from higherself.messaging.model import Message
from higherself.messaging.nats import Nats, NatsSettings, open_nats
from higherself.messaging.nats.writing import Seal, packed
from higherself.messaging.postgres import open_channel
from higherself.testing.nats import NatsServer

pytestmark = pytest.mark.postgres


@asynccontextmanager
async def draining(url: str, nats: Nats) -> AsyncIterator[Any]:
    """Drain in this process while the block runs."""
    async with (
        open_database(url, connections=2) as database,
        open_channel(url, database) as channel,
    ):
        drain = nats.drain(channel.outbox, database)
        async with in_background(drain.run()):
            yield drain


def stored(url: str) -> list[tuple[Any, ...]]:
    """Return what is in the table, in the order in which it will be handled."""
    with psycopg.connect(url) as connection:
        connection.execute("SET search_path = higherself")
        connection.execute("SET higherself.entity = '*'")
        return connection.execute(
            "SELECT data, partition_key, status, topic, reason FROM message ORDER BY sequence"
        ).fetchall()


def in_order(count: int, keys: int) -> list[Message]:
    return [
        identified(message(number, partition_key=f"key {number % keys}")) for number in range(count)
    ]


def assert_whole(url: str, count: int) -> None:
    """Everything is there once, and what has the same key in its order."""
    rows = stored(url)
    assert sorted(row[0] for row in rows) == list(range(count))
    for key in {row[1] for row in rows}:
        of_key = [row[0] for row in rows if row[1] == key]
        assert of_key == sorted(of_key)


async def test_what_was_sent_before_a_worker_runs_is_brought_when_it_does(
    messages_url: str, nats: Nats
) -> None:
    await nats.durable.send(*in_order(1200, 7))
    async with draining(messages_url, nats):
        await until(lambda: len(stored(messages_url)) == 1200)
        await until(lambda: is_empty(nats))
    assert_whole(messages_url, 1200)


async def is_empty(nats: Nats) -> bool:
    return await nats.durable.pending() == 0


async def test_what_is_no_message_becomes_a_dead_letter_with_its_bytes(
    messages_url: str, nats: Nats
) -> None:
    wire, subject = nats.link.up(), nats.link.subject("durable.work")
    right = Seal(nats.key).of("message")
    good = identified(message("good"))
    payload = packed(good, nats.clock.now())
    stranger = identified(message("of nobody", entity="nobody"))
    unsigned, forged = b"no signature", Seal(b"another").of("message").header(payload)
    for header, text in [
        (b"", unsigned),
        (forged, payload),
        (right.header(b"\xff\x00"), b"\xff\x00"),
        (right.header(b"{}"), b"{}"),
        (right.header(payload), payload),
    ]:
        answer = wire.ask(subject.encode(), header, text, within=2, late=TimeoutError)
        assert b"error" not in (await answer)[1]
    await nats.durable.send(stranger, identified(message("last")))
    async with draining(messages_url, nats):
        await until(lambda: is_empty(nats))
    rows = stored(messages_url)
    assert [row[0] for row in rows if row[2] == "ready"] == ["good", "last"]
    dead = [row for row in rows if row[2] == "dead"]
    assert {row[3] for row in dead} == {"nats.refused"}
    reasons = [row[4] for row in dead]
    assert [reason.split(":")[0] for reason in reasons[:2]] == [
        "a message with this signature cannot be taken"
    ] * 2
    assert "no JSON" in reasons[2]
    assert "manner" in reasons[3]
    assert "PostgreSQL refuses it" in reasons[4]
    assert dead[0][0]["payload"] == "no signature"
    assert dead[2][0]["payload"] == {"base64": "/wA="}
    assert json.loads(dead[4][0]["payload"])["data"] == "of nobody"


async def test_one_of_two_drains_works_and_the_other_takes_over(
    messages_url: str, steady: NatsServer, key: bytes, nats: Nats
) -> None:
    loop = asyncio.get_running_loop()
    async with open_nats(steady.settings(), key) as other:
        async with AsyncExitStack() as stack:
            first = await stack.enter_async_context(draining(messages_url, nats))
            await until(lambda: first.works)
            second = await stack.enter_async_context(draining(messages_url, other))
            await asyncio.sleep(0.7)
            assert (first.works, second.works) == (True, False)
            await nats.durable.send(*in_order(50, 3))
            await until(lambda: len(stored(messages_url)) == 50)
        async with draining(messages_url, other) as heir:
            async with draining(messages_url, nats) as leaving:
                await until(lambda: heir.works or leaving.works)
                left_at = loop.time()
            await until(lambda: heir.works)
            assert loop.time() - left_at < 1, "who stops in order says good-bye"


Start = Callable[[str, NatsSettings, bytes], subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes that drain, and sees that none is left."""
    processes: list[subprocess.Popen[str]] = []

    def begin(url: str, settings: NatsSettings, key: bytes) -> subprocess.Popen[str]:
        arguments = [url, json.dumps(asdict(settings)), key.hex()]
        command = [sys.executable, drainer.__file__, *arguments]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield begin
    for each in processes:
        each.kill()
        each.wait()
        assert each.stdout is not None
        each.stdout.close()


async def works(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "works\n"


async def test_drains_that_are_killed_and_frozen_lose_nothing_and_keep_the_order(
    messages_url: str, steady: NatsServer, key: bytes, nats: Nats, start: Start
) -> None:
    loop = asyncio.get_running_loop()
    victim = start(messages_url, steady.settings(), key)
    await works(victim)
    sent = in_order(3000, 10)
    sending = asyncio.create_task(nats.durable.send(*sent))
    await until(lambda: len(stored(messages_url)) > 200)
    victim.kill()
    killed_at = loop.time()
    frozen = start(messages_url, steady.settings(), key)
    await works(frozen)
    assert loop.time() - killed_at < 6
    frozen.send_signal(signal.SIGSTOP)
    async with draining(messages_url, nats) as heir:
        await until(lambda: heir.works)
        frozen.send_signal(signal.SIGCONT)
        await sending
        await until(lambda: len(stored(messages_url)) == 3000)
        await until(lambda: is_empty(nats))
    assert_whole(messages_url, 3000)


async def test_it_waits_for_postgresql_and_goes_on(messages_url: str, nats: Nats) -> None:
    async with before_postgres(messages_url) as proxy, draining(proxy.url, nats) as drain:
        await nats.durable.send(*in_order(20, 2))
        await until(lambda: len(stored(messages_url)) == 20)
        await until(lambda: is_empty(nats))
        proxy.cut("reset")
        await nats.durable.send(*(identified(message(n, partition_key="a")) for n in range(20, 40)))
        await asyncio.sleep(1)
        assert len(stored(messages_url)) == 20
        assert await nats.durable.pending() == 20
        proxy.heal()
        await until(lambda: len(stored(messages_url)) == 40)
        assert drain.works
    assert_whole(messages_url, 40)


async def test_a_killed_server_loses_nothing_that_it_acknowledged(
    messages_url: str, mortal: NatsServer, key: bytes
) -> None:
    """32 senders that send each again until it is taken, while the server is killed three times."""
    acknowledged: Counter[int] = Counter()
    every = 60

    async with open_nats(mortal.settings(), key) as nats, draining(messages_url, nats):

        async def send(sender: int) -> None:
            for number in range(every):
                what = sender * every + number
                each = identified(message(what, partition_key=f"sender {sender}"))
                while not acknowledged[what]:
                    try:
                        await nats.durable.send(each)
                        acknowledged[what] += 1
                    except Unavailable:
                        await asyncio.sleep(0.02)

        def taken(enough: int) -> bool:
            return acknowledged.total() >= enough

        async with asyncio.TaskGroup() as tasks:
            senders = [tasks.create_task(send(sender)) for sender in range(32)]
            for share in (0.2, 0.5, 0.8):
                await until(partial(taken, int(32 * every * share)))
                await asyncio.to_thread(mortal.kill)
                assert not all(each.done() for each in senders)
                await asyncio.to_thread(mortal.start)
        await until(lambda: len(stored(messages_url)) >= 32 * every)
        await until(lambda: is_empty(nats))
    assert_whole(messages_url, 32 * every)


async def test_a_connection_on_which_nothing_moves_is_noticed_and_mended(
    messages_url: str, steady: NatsServer, key: bytes
) -> None:
    loop = asyncio.get_running_loop()
    async with before_port(steady.port) as proxy:
        settings = steady.settings(url=f"nats://127.0.0.1:{proxy.port}")
        async with open_nats(settings, key) as nats, draining(messages_url, nats):
            await nats.durable.send(*in_order(5, 1))
            proxy.cut("jam")
            jammed_at = loop.time()
            await until(lambda: nats.link.wire is None)
            assert loop.time() - jammed_at < 5
            with pytest.raises(Unavailable):
                await nats.durable.send(identified(message(5)))
            proxy.heal()
            opened_at = loop.time()
            async with asyncio.timeout(5):
                await nats.link.when_up()
            assert loop.time() - opened_at < 3
            await nats.durable.send(identified(message(5, partition_key="key 0")))
            await until(lambda: len(stored(messages_url)) == 6)
    assert_whole(messages_url, 6)


async def test_a_full_topic_makes_it_wait(
    messages_url: str, database: Database, nats: Nats
) -> None:
    async with open_channel(messages_url, database, most_due=10) as channel:
        await nats.durable.send(*(identified(message(number)) for number in range(10)))
        async with in_background(nats.drain(channel.outbox, database).run()):
            await until(lambda: len(stored(messages_url)) == 10)
            await until(lambda: is_empty(nats))
            await nats.durable.send(identified(message("more")))
            await asyncio.sleep(1.2)
            assert await nats.durable.pending() == 1
            with psycopg.connect(messages_url, autocommit=True) as connection:
                connection.execute("SET higherself.entity = '*'")
                connection.execute("DELETE FROM higherself.message")
            await until(lambda: [row[0] for row in stored(messages_url)] == ["more"])


async def test_messages_through_nats_say_so(drained: Rig) -> None:
    identifier = await drained.send("x")
    found = await drained.sql(
        "SELECT extensions->>'road' FROM message WHERE message_id = %s", identifier
    )
    assert found == [("nats",)]
