"""The bus over PostgreSQL and NATS: which road it takes, and back."""

import asyncio
from datetime import timedelta

import pytest
from tests.messaging.bus_rig import SOON, exchange_on
from tests.messaging.proxy import before_postgres
from tests.messaging.rig import until

from higherself.db.pool import Database, open_database
from higherself.kernel.tasks import in_background
from higherself.messaging.bus import bus_of
from higherself.messaging.nats import Nats, open_nats
from higherself.messaging.ports import Delivery
from higherself.messaging.protocol import OPERATOR, Identity
from higherself.testing.nats import NatsServer

pytestmark = pytest.mark.postgres

ECHO = Identity("agent", "echo")


async def test_an_agent_in_another_process_answers_by_nats(
    messages_url: str, database: Database, steady: NatsServer, key: bytes, nats: Nats
) -> None:
    sources = []

    async def answer(delivery: Delivery) -> object:
        sources.append(delivery.envelope.source)
        return {"heard": delivery.data}

    async with (
        open_nats(steady.settings(), key) as other,
        exchange_on(messages_url, database, direct=[nats.direct]) as here,
        exchange_on(messages_url, database, direct=[other.direct]) as there,
    ):
        bus, elsewhere = bus_of(here, OPERATOR), bus_of(there, OPERATOR).speaking_as(ECHO)
        served = elsewhere.serving("agent:echo", answer)  # type: ignore[arg-type]
        async with elsewhere.hearing(served):
            reply = await bus.request("agent:echo", "ask", {"a": 1}, timeout=SOON)
        assert (reply.road, reply.data) == ("nats", {"heard": {"a": 1}})
        assert reply.envelope.source == "urn:higherself:agent:echo"
        assert sources == ["urn:higherself:operator:local"]
        async with elsewhere.consuming(served):
            pass


async def test_while_postgresql_is_away_messages_go_by_nats_and_come_in_order(
    messages_url: str, database: Database, nats: Nats
) -> None:
    loop = asyncio.get_running_loop()
    handled: list[object] = []

    async def handle(delivery: Delivery) -> None:
        handled.append(delivery.data)

    async with (
        before_postgres(messages_url) as proxy,
        open_database(proxy.url, connections=4) as cut_off,
        exchange_on(proxy.url, cut_off, durable=[nats.durable]) as here,
        exchange_on(messages_url, database) as there,
        in_background(nats.drain(there.outbox, database).run()),
    ):
        bus, worker = bus_of(here, OPERATOR), bus_of(there, OPERATOR).speaking_as(ECHO)
        sent = 0

        async def send() -> str:
            nonlocal sent
            receipt = await bus.send("agent:echo", "count", sent, partition_key="a")
            sent += 1
            return receipt.road

        assert [await send() for _ in range(3)] == ["postgres"] * 3
        proxy.cut("reset")
        began = loop.time()
        assert await send() == "nats"
        assert loop.time() - began < 5
        assert [await send() for _ in range(3)] == ["nats"] * 3
        proxy.heal()
        await until(lambda: nothing_waits(nats))

        async def returned() -> bool:
            return await send() == "postgres"

        await until(returned)
        async with worker.consuming(worker.serving("agent:echo", handle)):
            await until(lambda: len(handled) == sent)
    assert handled == list(range(sent))


async def nothing_waits(nats: Nats) -> bool:
    return await nats.durable.pending() == 0


async def test_health_tells_of_both_roads(
    messages_url: str, database: Database, mortal: NatsServer, key: bytes
) -> None:
    async with (
        open_nats(mortal.settings(), key) as nats,
        exchange_on(
            messages_url, database, durable=[nats.durable], direct=[nats.direct]
        ) as exchange,
    ):
        found = {(each.road, each.kind): each for each in await exchange.health()}
        assert "0 messages wait" in found["nats", "durable"].checked
        assert "NATS 2." in found["nats", "direct"].checked
        mortal.kill()
        await until(lambda: nats.link.wire is None)
        found = {(each.road, each.kind): each for each in await exchange.health()}
        assert not found["nats", "durable"].answers
        assert "NATS_URL" in found["nats", "direct"].checked


async def test_when_nats_is_away_requests_go_by_postgresql(
    messages_url: str, database: Database, mortal: NatsServer, key: bytes
) -> None:
    async def answer(delivery: Delivery) -> object:
        return delivery.data

    async with (
        open_nats(mortal.settings(), key) as nats,
        exchange_on(messages_url, database, direct=[nats.direct]) as here,
        exchange_on(messages_url, database) as there,
    ):
        bus, elsewhere = bus_of(here, OPERATOR), bus_of(there, OPERATOR).speaking_as(ECHO)
        mortal.kill()
        async with elsewhere.consuming(elsewhere.serving("agent:echo", answer)):  # type: ignore[arg-type]
            reply = await bus.request("agent:echo", "ask", 1, timeout=timedelta(seconds=10))
        assert (reply.road, reply.data) == ("postgres", 1)


async def test_nats_is_taken_first_where_it_is_preferred(
    messages_url: str, database: Database, mortal: NatsServer, key: bytes
) -> None:
    """Durable and direct, though both ends are in one process; and back to PostgreSQL without it."""
    handled: list[object] = []

    async def handle(delivery: Delivery) -> object:
        handled.append(delivery.data)
        return delivery.data

    async with (
        open_nats(mortal.settings(), key) as nats,
        exchange_on(
            messages_url,
            database,
            durable=[nats.durable],
            direct=[nats.direct],
            durable_order=("nats", "postgres"),
            direct_order=("nats", "memory"),
        ) as exchange,
        in_background(nats.drain(exchange.outbox, database).run()),
    ):
        await asyncio.wait_for(nats.link.when_up(), 10)
        bus = bus_of(exchange, OPERATOR)
        async with bus.consuming(bus.serving("agent:echo", handle)):  # type: ignore[arg-type]
            reply = await bus.request("agent:echo", "ask", 1, timeout=SOON)
            sent = await bus.send("agent:echo", "note", 2)
            assert (reply.road, sent.road) == ("nats", "nats")
            await until(lambda: len(handled) == 2)
            mortal.kill()
            assert (await bus.send("agent:echo", "note", 3)).road == "postgres"
            await until(lambda: len(handled) == 3)
    assert handled == [1, 2, 3]
