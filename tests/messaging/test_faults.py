"""Real processes that are killed, frozen and stopped, a server that is killed, connections that are cut.

Nothing is lost, every effect is there once, the order of a key holds, and it goes on by itself.
"""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue

import psycopg
import pytest
from tests.messaging import worker
from tests.messaging.proxy import Proxy, before_postgres
from tests.messaging.rig import (
    Rig,
    make_effects,
    message,
    postgres_rig,
    take_effect,
    until,
)

from higherself.db import embedded
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.migrate import migrate
from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Unavailable

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(sys.platform != "linux", reason="signals of Linux"),
]

LEASE = worker.LEASE.total_seconds()


class Worker:
    """A process that handles messages, and what it says."""

    def __init__(self, url: str, seconds: float, concurrency: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, worker.__file__, url, str(seconds), str(concurrency)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.put(line.strip())

    async def says(self, word: str) -> str:
        """Wait until it says something that begins with ``word``, and return the line."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                line = self.said.get_nowait()
            except Empty:
                assert self.process.poll() is None or not self.said.empty(), "it has ended"
                await asyncio.sleep(0.005)
                continue
            if line.startswith(word):
                return line
        raise AssertionError(f"it never said {word!r}")

    def everything(self) -> list[str]:
        lines = []
        while not self.said.empty():
            lines.append(self.said.get())
        return lines

    def send(self, kind: signal.Signals) -> None:
        self.process.send_signal(kind)


Start = Callable[..., Worker]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts workers, and sees that none is left."""
    workers: list[Worker] = []

    def begin(url: str, seconds: float = 0.02, concurrency: int = 4) -> Worker:
        workers.append(Worker(url, seconds, concurrency))
        return workers[-1]

    yield begin
    for each in workers:
        each.process.kill()
        each.process.wait()
        assert each.process.stdout is not None
        each.process.stdout.close()


async def all_settled(rig: Rig) -> bool:
    open_ones = "SELECT count(*) FROM message WHERE status IN ('ready', 'waiting', 'leased')"
    return await rig.sql(open_ones) == [(0,)]


async def exactly_once_and_in_order(rig: Rig, sent: int, keys: int) -> None:
    """Every effect is there once, those of a key in order; and everything was delivered."""
    effects = [int(each) for each in await rig.effects()]
    assert sorted(effects) == list(range(sent))
    for key in range(keys):
        of_key = [each for each in effects if each % keys == key]
        assert of_key == sorted(of_key)
    assert await rig.sql("SELECT status, count(*) FROM message GROUP BY 1") == [("delivered", sent)]


async def send_numbers(rig: Rig, count: int, keys: int) -> None:
    await rig.outbox.send(
        *(message(number, partition_key=f"key {number % keys}") for number in range(count))
    )


async def test_workers_that_are_killed_lose_nothing(rig: Rig, start: Start) -> None:
    sent, keys = 150, 10
    dice = random.Random(7)
    workers = [start(rig.url), start(rig.url)]
    for each in workers:
        await each.says("ready")
    await send_numbers(rig, sent, keys)
    for _ in range(4):
        victim = dice.randrange(2)
        await workers[victim].says("begun")
        workers[victim].send(signal.SIGKILL)
        workers[victim] = start(rig.url)
        await workers[victim].says("ready")
    await until(lambda: all_settled(rig))
    await exactly_once_and_in_order(rig, sent, keys)


async def test_what_a_killed_worker_had_is_taken_over_when_its_lease_runs_out(
    rig: Rig, start: Start
) -> None:
    victim = start(rig.url, 60, 1)
    identifier = await rig.send(0, partition_key="a")
    await victim.says("begun")
    heir = start(rig.url)
    await heir.says("ready")
    victim.send(signal.SIGKILL)
    killed = time.monotonic()
    assert await heir.says("begun") == "begun 0 2"
    assert time.monotonic() - killed < LEASE + 2
    (ended,) = await rig.ended(identifier)
    assert (ended.status, ended.attempt) == ("delivered", 2)
    assert "died" in ended.errors[0]


async def test_a_frozen_worker_that_wakes_up_changes_nothing(rig: Rig, start: Start) -> None:
    frozen = start(rig.url, 0.3, 1)
    identifier = await rig.send(0, partition_key="a")
    await frozen.says("begun")
    frozen.send(signal.SIGSTOP)
    other = start(rig.url)
    await other.says("ended 0")
    behind = await rig.send(1, partition_key="a")
    await rig.ended(identifier, behind)
    frozen.send(signal.SIGCONT)
    after = await rig.send(2, partition_key="a")
    await rig.ended(after)
    await asyncio.sleep(0.6)
    assert "ended 0 1" not in frozen.everything()
    assert await rig.effects() == ["0", "1", "2"]


async def test_a_worker_that_freezes_within_its_transaction_holds_nobody_up_for_long(
    rig: Rig, start: Start
) -> None:
    """The server ends what stands still in it, and whoever has the lease by then goes on."""
    identifier = await rig.send(0, partition_key="a")
    frozen = rig.store.once(await rig.claims_and_freezes())
    await take_effect(await frozen.__aenter__(), "by the frozen one")
    heir = start(rig.url)
    await heir.says("ready")
    (ended,) = await rig.ended(identifier)
    assert ended.status == "delivered"
    assert await rig.effects() == ["0"]
    with pytest.raises((Unavailable, psycopg.Error)):
        await frozen.__aexit__(None, None, None)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
async def test_a_stopped_worker_finishes_what_it_has_begun(
    rig: Rig, start: Start, kind: signal.Signals
) -> None:
    stopped = start(rig.url, 0.5, 2)
    await stopped.says("ready")
    await send_numbers(rig, 6, 6)
    for _ in range(2):
        await stopped.says("begun")
    stopped.send(kind)
    assert await asyncio.to_thread(stopped.process.wait, 15) == 0
    rest = stopped.everything()
    assert sorted(rest) == ["ended 0 1", "ended 1 1", "stopped"]
    assert await rig.effects() in (["0", "1"], ["1", "0"])
    states = await rig.sql("SELECT status, attempt, count(*) FROM message GROUP BY 1, 2 ORDER BY 1")
    assert states == [("delivered", 1, 2), ("ready", 0, 4)]


async def test_two_workers_share(rig: Rig, start: Start) -> None:
    workers = [start(rig.url, 0.02, 2), start(rig.url, 0.02, 2)]
    for each in workers:
        await each.says("ready")
    await send_numbers(rig, 80, 80)
    await until(lambda: all_settled(rig))
    await exactly_once_and_in_order(rig, 80, 80)
    shares = [sum(line.startswith("ended") for line in each.everything()) for each in workers]
    assert sum(shares) == 80
    assert min(shares) >= 20


# The server.


@contextmanager
def own_server() -> Iterator[tuple[Path, str]]:
    """A home with a server of its own, which may be killed."""
    folder = Path(tempfile.mkdtemp(prefix="higherself-messages-"))
    folder.chmod(0o755)
    home = folder / "home"
    try:
        with EmbeddedPostgres.attach(home) as held:
            yield home, held.url
    finally:
        embedded.stop(home)
        shutil.rmtree(folder)


async def test_a_killed_server_loses_nothing(start: Start) -> None:
    sent, keys, kills = 120, 8, 2
    with own_server() as (home, url):
        await migrate(url, clock=SYSTEM_CLOCK)
        make_effects(url)
        workers = [start(url, 0.05), start(url, 0.05)]
        for each in workers:
            await each.says("ready")
        async with open_database(url) as database, postgres_rig(url, database) as rig:
            sending = asyncio.create_task(send_stubbornly(rig, sent, keys))
            for _ in range(kills):
                for each in workers:
                    await each.says("begun")
                pid = embedded.status(home).pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                again = await asyncio.to_thread(EmbeddedPostgres.attach, home)
                assert again.url == url
            await sending
            assert all(each.process.poll() is None for each in workers), "they go on by themselves"
            await until(lambda: settled_if_it_answers(rig))
            await exactly_once_and_in_order(rig, sent, keys)


async def send_stubbornly(rig: Rig, count: int, keys: int) -> None:
    """Send one after the other, each until it is known to be stored."""
    for number in range(count):
        keyed = message(number, partition_key=f"key {number % keys}", idempotency_key=f"n{number}")

        async def stored(keyed: object = keyed) -> bool:
            try:
                await rig.outbox.send(keyed)  # type: ignore[arg-type]
            except Unavailable:
                return False
            return True

        await until(stored)
        await asyncio.sleep(0.02)


async def settled_if_it_answers(rig: Rig) -> bool:
    try:
        return await all_settled(rig)
    except Unavailable:
        return False


# Connections.


@pytest.fixture
async def proxy(messages_url: str) -> AsyncIterator[Proxy]:
    async with before_postgres(messages_url) as proxy:
        yield proxy


@pytest.fixture
async def behind(proxy: Proxy) -> AsyncIterator[Rig]:
    """A channel whose every connection goes through the proxy."""
    async with open_database(proxy.url) as database, postgres_rig(proxy.url, database) as rig:
        yield rig


async def test_a_commit_that_is_not_answered_counts_once(
    rig: Rig, behind: Rig, proxy: Proxy
) -> None:
    """Whether the handler's transaction is stored is not known to it; its effects are there once."""
    sent = [await rig.send(number, partition_key="a") for number in range(10)]
    proxy.cut_answers_to(b"COMMIT", 3)
    async with behind.consuming(behind.effect, policy=worker.POLICY):
        ended = await rig.ended(*sent)
    assert proxy.cuts == 0
    assert {each.status for each in ended} == {"delivered"}
    assert await rig.effects() == [str(number) for number in range(10)]


async def test_a_settlement_that_is_not_answered_counts(
    rig: Rig, behind: Rig, proxy: Proxy
) -> None:
    sent = [await rig.send(number) for number in range(10)]
    proxy.cut_answers_to(b"delivered", 2)
    async with behind.consuming(concurrency=1):
        ended = await rig.ended(*sent)
    assert proxy.cuts == 0
    assert {(each.status, each.attempt) for each in ended} == {("delivered", 1)}
    assert sorted(behind.handled) == list(range(10))


async def test_a_send_that_is_not_answered_is_sent_again_without_harm(
    rig: Rig, behind: Rig, proxy: Proxy
) -> None:
    keyed = message("invoice", idempotency_key="invoice 7")
    proxy.cut_answers_to(b"invoice 7", 1)
    with pytest.raises(Unavailable):
        await behind.outbox.send(keyed)
    (again,) = await behind.outbox.send(keyed)
    assert not again.is_new, "it was stored the first time"
    async with rig.consuming():
        await rig.ended(again.id)
    assert rig.handled == ["invoice"]


async def test_a_consumer_whose_connections_are_cut_goes_on(rig: Rig, behind: Rig) -> None:
    kill = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    async with behind.consuming(behind.effect, policy=worker.POLICY):
        for number in range(5):
            with psycopg.connect(rig.url, autocommit=True) as connection:
                connection.execute(kill)
            await send_stubbornly(rig, number + 1, 1)
            await until(lambda: settled_if_it_answers(rig))
    with psycopg.connect(rig.url) as connection:
        rows = connection.execute("SELECT value FROM test.effect ORDER BY number").fetchall()
    assert [value for (value,) in rows] == ["0", "1", "2", "3", "4"]
