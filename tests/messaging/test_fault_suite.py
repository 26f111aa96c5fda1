"""The fault suite: agents in a chain, in real processes, while everything around them fails.

Numbers as in CI; `benchmarks/bus_faults.py` runs the same with those of the plan.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.messaging.lab.lab import ByBus, ByRoad, Lab, drop_lab, make_lab
from tests.messaging.lab.plan import STAGES, Plan
from tests.messaging.proxy import Manner, Proxy, before_port, before_postgres
from tests.messaging.rig import Rig, identified, nats_for_tests, until
from tests.messaging.test_faults import own_server

from higherself.db import embedded
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.migrate import migrate
from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import HigherSelfError
from higherself.messaging.errors import TopicFull
from higherself.messaging.exchange import open_exchange
from higherself.messaging.nats import Nats, open_nats
from higherself.messaging.postgres import open_channel
from higherself.messaging.roads import Road
from higherself.messaging.subscribing import signing_key
from higherself.testing.nats import NatsServer, nats_server

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(sys.platform != "linux", reason="signals of Linux"),
]


@pytest.fixture
async def lab(messages_url: str) -> AsyncIterator[Lab]:
    make_lab(messages_url)
    lab = Lab(Plan(url=messages_url))
    yield lab
    lab.close()
    drop_lab(messages_url)


async def test_f1_workers_killed_at_random(lab: Lab, rig: Rig) -> None:
    sent, kills = 600, 6
    await lab.start(3, seconds=0.01)
    sending = asyncio.create_task(lab.send(rig.outbox, range(sent)))
    for _ in range(kills):
        await asyncio.sleep(lab.dice.uniform(0.1, 0.4))
        await lab.kill_one()
    await sending
    await lab.finished(sent)
    lab.check(sent)


async def test_f1_a_clean_stop_hands_over_at_once(lab: Lab, rig: Rig) -> None:
    (stopped,) = await lab.start(1, seconds=0.02)
    await lab.send(rig.outbox, range(200))
    await asyncio.sleep(0.3)
    await lab.start(1)
    before = len(lab.effects())
    stopped.signal(signal.SIGTERM)
    await asyncio.to_thread(stopped.process.wait, 20)
    began = time.monotonic()
    await until(lambda: len(lab.effects()) > before)
    assert time.monotonic() - began < 1
    await lab.finished(200)
    lab.check(200)


async def test_f2_the_server_killed_under_load() -> None:
    sent, kills = 300, 3
    with own_server() as (home, url):
        await migrate(url, clock=SYSTEM_CLOCK)
        make_lab(url)
        lab = Lab(Plan(url=url, seconds=0.01))
        try:
            await lab.start(2)
            async with open_database(url) as database, open_channel(url, database) as channel:
                sending = asyncio.create_task(lab.send(channel.outbox, range(sent), at_once=5))
                resumed = []
                for _ in range(kills):
                    await asyncio.sleep(lab.dice.uniform(0.2, 0.6))
                    pid = embedded.status(home).pid
                    assert pid is not None
                    os.kill(pid, signal.SIGKILL)
                    await asyncio.sleep(lab.dice.uniform(0, 1))
                    await asyncio.to_thread(EmbeddedPostgres.attach, home)
                    acknowledged, listens = len(lab.acknowledged), time.monotonic()
                    await until(partial(goes_on, lab, acknowledged, sending))
                    resumed.append(time.monotonic() - listens)
                await sending
                await lab.finished(sent)
            assert max(resumed) < 3
            assert all(each.alive for each in lab.workers), "workers go on by themselves"
            lab.check(sent)
        finally:
            lab.close()


async def test_f4_everything_comes_up_to_five_times(lab: Lab, rig: Rig) -> None:
    sent = 300
    await lab.start(2)
    messages = [lab.identified(n) for n in range(sent)]
    await rig.outbox.send(*messages)
    for _ in range(4):
        await rig.outbox.send(*lab.dice.sample(messages, sent // 2))
    lab.acknowledged |= set(range(sent))
    await lab.finished(sent)
    await rig.outbox.send(*messages)  # long after: they are known as long as they are kept
    await asyncio.sleep(0.5)
    lab.check(sent)


async def test_f6_poison_costs_nobody_else_anything(lab: Lab, rig: Rig) -> None:
    """One in a hundred fails for ever, and one kills its process: both become dead letters."""
    sent = 300
    poison: dict[int, str] = {7: "raise", 107: "raise", 207: "raise", 150: "die"}
    await lab.start(3, attempts=4)
    for n in range(sent):
        message = lab.message(n)
        if n in poison:
            said: Any = message.data
            message = type(message)(
                topic=message.topic, type=message.type, source=message.source, data={**said, "poison": poison[n]},
                idempotency_key=message.idempotency_key,
            )  # fmt: skip
        await rig.outbox.send(message)

    async def keep_up() -> None:
        while True:
            for place, each in enumerate(lab.workers):
                if not each.alive:
                    each.close()
                    (lab.workers[place],) = await lab.start(1, attempts=4)
                    lab.workers.pop()
            await asyncio.sleep(0.05)

    keeping = asyncio.create_task(keep_up())
    lab.acknowledged |= set(range(sent)) - poison.keys()
    try:
        await lab.finished(sent - len(poison))

        async def all_dead() -> bool:
            rows = await rig.sql("SELECT count(*) FROM message WHERE status = 'dead'")
            return bool(rows == [(len(poison),)])

        await until(all_dead)
    finally:
        keeping.cancel()
    lab.check(sent - len(poison))
    dead = await rig.sql(
        "SELECT data->>'n', attempt, lapses, reason, cardinality(errors) FROM message WHERE status = 'dead'"
    )
    for n, attempt, lapses, reason, errors in dead:
        assert int(n) in poison
        assert reason
        assert errors >= 3
        assert (lapses == 3) if poison[int(n)] == "die" else (attempt == 4)
    for identifier in await rig.sql("SELECT message_id FROM message WHERE status = 'dead'"):
        await rig.sql(
            "UPDATE message SET data = (data::jsonb - 'poison')::json WHERE message_id = %s",
            identifier[0],
        )
        await rig.requeue(identifier[0])
    await lab.finished(sent)
    assert len(lab.effects()) == sent * STAGES


async def test_f7_a_producer_that_is_too_fast_is_pushed_back(lab: Lab, rig: Rig) -> None:
    (slow,) = await lab.start(1, seconds=0.002, concurrency=8)
    async with rig.narrow(most_due=200) as narrow:
        began = time.monotonic()
        pushed = 0
        acknowledged = 0
        while time.monotonic() - began < 4:
            numbers = range(acknowledged, acknowledged + 20)
            try:
                await narrow.outbox.send(*(lab.message(n) for n in numbers))
            except TopicFull:
                pushed += 1
                await asyncio.sleep(0.02)
                continue
            acknowledged += 20
            lab.acknowledged |= set(numbers)
        assert pushed, "it never said that it is too much"
        await lab.finished(acknowledged, patience=30)
    assert slow.alive
    lab.check(acknowledged)


async def test_f8_a_frozen_worker_is_fenced(lab: Lab, rig: Rig) -> None:
    (frozen,) = await lab.start(1, seconds=0.3, concurrency=3)
    await lab.send(rig.outbox, range(60))
    await asyncio.sleep(0.5)
    frozen.signal(signal.SIGSTOP)
    await lab.start(1)
    await lab.finished(60, patience=20)
    frozen.signal(signal.SIGCONT)
    await asyncio.sleep(1)
    lab.check(60)
    mine = lab.rows("SELECT count(*) FROM lab.effect WHERE worker = 'w1'")
    assert mine[0][0] < 60 * STAGES


@pytest.mark.parametrize("skew", [-1.0, 1.0])
async def test_f9_a_worker_whose_clock_is_wrong(lab: Lab, rig: Rig, skew: float) -> None:
    """Expiry and order are judged by the store's clock."""
    await lab.start(1, skew=skew)
    await lab.send(rig.outbox, range(60))
    hour = timedelta(minutes=30)
    await rig.outbox.send(*(lab.message(n, expires=hour) for n in range(60, 80)))
    lab.acknowledged |= set(range(80))
    await lab.finished(80)
    lab.check(80)
    assert await rig.sql("SELECT count(*) FROM message WHERE status = 'expired'") == [(0,)]


async def test_f10_a_store_that_takes_no_writes_says_so_and_recovers(lab: Lab, rig: Rig) -> None:
    await lab.start(1)
    await lab.send(rig.outbox, range(40))
    await lab.finished(40)
    try:
        await takes_writes(rig, "off")
        began = time.monotonic()
        assert "read-only" in await refusal(rig, lab)
        assert time.monotonic() - began < 5
    finally:
        await takes_writes(rig, "on")
    await lab.send(rig.outbox, range(40, 80))
    await lab.finished(80)
    lab.check(80)


async def test_f11_what_a_newer_release_says_is_passed_on(lab: Lab, rig: Rig) -> None:
    """An attribute that nobody here knows goes all the way through the chain."""
    await lab.start(1)
    await rig.outbox.send(*(lab.message(n, extensions={"labmark": f"m{n}"}) for n in range(20)))
    lab.acknowledged |= set(range(20))
    await lab.finished(20)
    lab.check(20)
    marks = lab.rows("SELECT count(*) FROM lab.effect WHERE extra = 'm' || n")
    assert marks == [(20 * STAGES,)]


async def test_two_hundred_agents(lab: Lab, rig: Rig) -> None:
    sent = 600
    lab.plan = Plan(url=lab.plan.url, agents=200, concurrency=2)
    lab.conversations = 200
    await lab.start(2)
    sending = asyncio.create_task(lab.send(rig.outbox, range(sent), at_once=50))
    for _ in range(3):
        await asyncio.sleep(lab.dice.uniform(0.2, 0.5))
        await lab.kill_one()
    await sending
    await lab.finished(sent)
    lab.check(sent)


@pytest.fixture
def mortal() -> Iterator[NatsServer]:
    """A NATS server that may be killed."""
    with nats_server() as server:
        yield server


@asynccontextmanager
async def on_nats(lab: Lab, server: NatsServer, port: int = 0) -> AsyncIterator[Nats]:
    """Let the lab's workers drain ``server``, and yield its roads, reached by ``port`` if given."""
    lab.plan = replace(lab.plan, nats=server.url, monitoring=server.monitoring)
    settings = server.settings()
    if port:
        settings = replace(settings, url=f"nats://127.0.0.1:{port}")
    async with open_database(lab.plan.url, connections=2) as database:
        key = await signing_key(database)
    async with open_nats(settings, key) as nats:
        await asyncio.wait_for(nats.link.when_up(), 10)
        yield nats


async def test_f1_workers_that_drain_are_killed(lab: Lab) -> None:
    """What JetStream acknowledged arrives, whichever drain dies while it moves it."""
    sent, kills = 600, 5
    async with on_nats(lab, nats_for_tests()) as nats:
        await lab.start(3, seconds=0.01)
        sending = asyncio.create_task(lab.send(ByRoad(nats.durable), range(sent), at_once=10))
        for _ in range(kills):
            await asyncio.sleep(lab.dice.uniform(0.1, 0.4))
            await lab.kill_one()
        await sending
        await lab.finished(sent)
        lab.check(sent)
        assert road_counts(lab) == {"nats": sent}


async def test_f2_the_nats_server_killed_under_load(lab: Lab, mortal: NatsServer) -> None:
    sent, kills = 400, 3
    async with on_nats(lab, mortal) as nats:
        await lab.start(2, seconds=0.005)
        sending = asyncio.create_task(lab.send(ByRoad(nats.durable), range(sent), at_once=2))
        resumed = []
        for share in range(1, kills + 1):
            await until(partial(has_sent, lab, sent * share // (kills + 1)))
            await asyncio.to_thread(mortal.kill)
            assert not sending.done()
            await asyncio.sleep(lab.dice.uniform(0, 1))
            await asyncio.to_thread(mortal.start)
            acknowledged, listens = len(lab.acknowledged), time.monotonic()
            await until(partial(goes_on, lab, acknowledged, sending))
            resumed.append(time.monotonic() - listens)
        await sending
        await lab.finished(sent)
        assert max(resumed) < 3
        assert all(each.alive for each in lab.workers), "drains go on by themselves"
        lab.check(sent)


@asynccontextmanager
async def bus_behind(way: Proxy, *more: Road, spool: Path | None = None) -> AsyncIterator[ByBus]:
    """Yield a bus whose way to PostgreSQL is ``way``."""
    async with (
        open_database(way.url, connections=3) as database,
        open_channel(way.url, database) as channel,
        open_exchange(
            channel.outbox, channel.store, database, durable=more, spool=spool
        ) as exchange,
    ):
        yield ByBus(exchange)


async def cut_and_healed(
    lab: Lab, bus: ByBus, way: Proxy, manner: Manner, seconds: float, other: str
) -> None:
    """Send all the time while the way is cut; the other road takes over, and hands back."""
    numbers = iter(range(1_000_000))
    stops = asyncio.Event()

    async def keep_sending() -> None:
        while not stops.is_set():
            await lab.send(bus, [next(numbers)])
            await asyncio.sleep(0.01)

    sending = asyncio.create_task(keep_sending())
    await asyncio.sleep(0.4)
    assert {road for _, road in bus.took} == {"postgres"}
    way.cut(manner)
    cut = time.monotonic()
    await asyncio.sleep(seconds)
    way.heal()
    healed = time.monotonic()

    def is_back() -> bool:
        return any(road == "postgres" for _, road in bus.since(healed))

    def is_as_before() -> bool:
        """Whether no conversation follows its detour any more."""
        return is_back() and {road for _, road in bus.took[-20:]} == {"postgres"}

    await until(lambda: sending.done() or is_as_before())
    stops.set()
    await sending
    fell_back = min(at for at, road in bus.since(cut) if road == other)
    came_back = min(at for at, road in bus.since(healed) if road == "postgres")
    assert fell_back < 5
    assert came_back < 6, "at the latest after one try that found it cut, and a pause"
    assert bus.took[-1][1] == "postgres", "it stays where it prefers to be"
    sent = next(numbers)
    await lab.finished(sent)
    lab.check(sent)


@pytest.mark.parametrize(("manner", "seconds"), [("hole", 5), ("one_way", 4), ("reset", 1)])
async def test_f3_the_way_to_postgresql_is_cut(lab: Lab, manner: Manner, seconds: float) -> None:
    """The bus goes over to NATS, and returns. Its order holds: a conversation follows its detour.

    One way: what PostgreSQL stored and could not acknowledge goes by NATS too, and counts once.
    """
    async with (
        on_nats(lab, nats_for_tests()) as nats,
        before_postgres(lab.plan.url) as way,
        bus_behind(way, nats.durable) as bus,
    ):
        await lab.start(2)
        await cut_and_healed(lab, bus, way, manner, seconds, "nats")


async def test_f3_with_the_spool_as_the_only_other_road(lab: Lab, tmp_path: Path) -> None:
    async with (
        before_postgres(lab.plan.url) as way,
        bus_behind(way, spool=tmp_path / "spool") as bus,
    ):
        await lab.start(2)
        await cut_and_healed(lab, bus, way, "reset", 2, "spool")


@pytest.mark.parametrize("manner", ["hole", "one_way", "reset"])
async def test_f3_the_way_to_nats_is_cut(lab: Lab, manner: Manner) -> None:
    """It is noticed, nothing is taken meanwhile, and it goes on by itself."""
    server = nats_for_tests()
    async with before_port(server.port) as way, on_nats(lab, server, way.port) as nats:
        await lab.start(2)
        road = ByRoad(nats.durable)
        await lab.send(road, range(50))
        sending = asyncio.create_task(lab.send(road, range(50, 200), at_once=5))
        way.cut(manner)
        cut = time.monotonic()
        await until(lambda: nats.link.wire is None)
        assert time.monotonic() - cut < 5, "it is noticed"
        await asyncio.sleep(0.5)
        assert not sending.done()
        way.heal()
        healed = time.monotonic()
        await sending
        assert time.monotonic() - healed < 5
        await lab.finished(200)
        lab.check(200)


async def test_f3_nothing_but_the_spool_is_left(lab: Lab, tmp_path: Path) -> None:
    """PostgreSQL and NATS are cut at once: one after the other is asked, within 5 s together."""
    server = nats_for_tests()
    async with (
        before_port(server.port) as nats_proxy,
        on_nats(lab, server, nats_proxy.port) as nats,
        before_postgres(lab.plan.url) as way,
        bus_behind(way, nats.durable, spool=tmp_path / "spool") as bus,
    ):
        await lab.start(2)
        await lab.send(bus, range(50))
        for each in (way, nats_proxy):
            each.cut("reset")
        began = time.monotonic()
        await lab.send(bus, range(50, 100))
        assert time.monotonic() - began < 5
        assert bus.took[-1][1] == "spool"
        for each in (way, nats_proxy):
            each.heal()
        await lab.finished(100)
        lab.check(100)


async def test_f4_the_same_over_both_roads(lab: Lab, rig: Rig) -> None:
    """Copies over both roads, and again when all is done: each counts once, in every stage."""
    sent = 300
    async with on_nats(lab, nats_for_tests()) as nats:
        await lab.start(2)
        messages = [identified(lab.message(n)) for n in range(sent)]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(nats.durable.send(*messages))
            tasks.create_task(rig.outbox.send(*messages))
        lab.acknowledged |= set(range(sent))
        await lab.finished(sent)
        await nats.durable.send(*messages)
        await rig.outbox.send(*messages)
        await until(partial(is_empty, nats))
        await asyncio.sleep(0.3)
        effects = lab.effects()
        assert len(effects) == len(set(effects)) == sent * STAGES


async def test_f5_another_order_over_two_roads(lab: Lab, rig: Rig) -> None:
    """Messages that overtake each other, in windows of 50, on two roads at a time.

    Promised is: each counts once, though it may come on both; on each road, a conversation is
    handled in the order in which that road accepted it; and that order stays the same through all
    stages. *Between* two roads that are used at a time there is no order: that is why a bus uses
    one, and has a conversation follow its detour until it is over (F3 checks the whole order).
    """
    sent, window = 400, 50
    async with on_nats(lab, nats_for_tests()) as nats:
        await lab.start(2)
        accepted: dict[str, list[int]] = {"nats": [], "postgres": []}
        both = set()
        for begin in range(0, sent, window):
            numbers = lab.dice.sample(range(begin, begin + window), window)
            chosen: dict[str, list[int]] = {"nats": [], "postgres": []}
            for n in numbers:
                roads = lab.dice.choice([["nats"], ["postgres"], ["nats", "postgres"]])
                both |= {n} if len(roads) == 2 else set()
                for taken in roads:
                    chosen[taken].append(n)
            async with asyncio.TaskGroup() as tasks:
                for name, road in (("nats", nats.durable), ("postgres", rig.outbox)):
                    messages = [identified(lab.message(n)) for n in chosen[name]]
                    tasks.create_task(road.send(*messages))
                    accepted[name] += chosen[name]
        await lab.finished(sent)
        effects = lab.effects()
        assert len(effects) == len(set(effects)) == sent * STAGES
        for conversation in range(lab.conversations):
            handled = [
                [n for n, at, whose in effects if (at, whose) == (stage, conversation)]
                for stage in range(STAGES)
            ]
            assert handled[1] == handled[0]
            assert handled[2] == handled[0]
            for numbers in accepted.values():
                alone = [n for n in numbers if n % lab.conversations == conversation]
                alone = [n for n in alone if n not in both]
                assert [n for n in handled[0] if n in alone] == alone


async def test_f8_a_frozen_drain_is_fenced(lab: Lab) -> None:
    """It comes back to what others have brought meanwhile, and its copies count for nothing."""
    async with on_nats(lab, nats_for_tests()) as nats:
        (frozen,) = await lab.start(1, seconds=0.02)
        sending = asyncio.create_task(lab.send(ByRoad(nats.durable), range(400), at_once=5))
        await until(partial(has_sent, lab, 100))
        frozen.signal(signal.SIGSTOP)
        await lab.start(1)
        await sending
        await lab.finished(400, patience=20)
        frozen.signal(signal.SIGCONT)
        await asyncio.sleep(1)
        lab.check(400)


async def test_f11_what_a_newer_release_says_comes_by_nats_too(lab: Lab) -> None:
    async with on_nats(lab, nats_for_tests()) as nats:
        await lab.start(1)
        marked = (lab.message(n, extensions={"labmark": f"m{n}"}) for n in range(20))
        await ByRoad(nats.durable).send(*marked)
        lab.acknowledged |= set(range(20))
        await lab.finished(20)
        lab.check(20)
        marks = lab.rows("SELECT count(*) FROM lab.effect WHERE extra = 'm' || n")
        assert marks == [(20 * STAGES,)]


def road_counts(lab: Lab) -> dict[str, int]:
    """Return by which road how many first hops came."""
    return dict(
        lab.rows(
            "SELECT extensions->>'road', count(*) FROM higherself.message"
            " WHERE extensions->>'road' IS NOT NULL GROUP BY 1"
        )
    )


async def is_empty(nats: Nats) -> bool:
    return await nats.durable.pending() == 0


def has_sent(lab: Lab, enough: int) -> bool:
    return len(lab.acknowledged) >= enough


def goes_on(lab: Lab, before: int, sending: asyncio.Task[None]) -> bool:
    return len(lab.acknowledged) > before or sending.done()


async def refusal(rig: Rig, lab: Lab) -> str:
    """Return what sending says, once it is not about a connection that was cut."""
    for _ in range(20):
        try:
            await rig.outbox.send(lab.message(40))
        except HigherSelfError as error:
            if "read-only" in str(error):
                return str(error)
    return ""


async def takes_writes(rig: Rig, answer: str) -> None:
    """Have the database take writes or not, from all connections there are."""
    read_only = "off" if answer == "on" else "on"
    options = "-c default_transaction_read_only=off"
    with psycopg.connect(rig.url, autocommit=True, options=options) as connection:
        name = sql.Identifier(connection.info.dbname)
        setting = sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
        connection.execute(setting.format(name, sql.SQL(read_only)))
        connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
