"""One side of a request over NATS, in a process of its own; run by `bus_nats.py`.

``bus_nats_side.py NAME answer SETTINGS`` answers until its standard input ends, and then prints the
CPU seconds that it used. ``bus_nats_side.py NAME ask SETTINGS OUTSTANDING SECONDS`` asks, and prints one
JSON object. SETTINGS is JSON: url, monitoring, database.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

TEXT = "x" * 1000
PAYLOAD = {"text": TEXT}
KEY = b"k" * 32

Call = Callable[[], Awaitable[object]]


class NatsPy:
    """nats-py alone: bytes there, the same bytes back."""

    async def answer(self, stack: AsyncExitStack, settings: Any) -> None:
        """Answer."""
        import nats

        client = await nats.connect(settings["url"])
        stack.push_async_callback(client.close)

        async def back(message: Any) -> None:
            await client.publish(message.reply, message.data)

        await client.subscribe("plain", cb=back)
        await client.flush()

    async def ask(self, stack: AsyncExitStack, settings: Any) -> Call:
        """Return what asks once."""
        import nats

        client = await nats.connect(settings["url"])
        stack.push_async_callback(client.close)
        return lambda: client.request("plain", TEXT.encode(), timeout=10)


class Road:
    """Our road alone: a signed CloudEvents envelope there, another one back."""

    async def _open(self, stack: AsyncExitStack, settings: Any) -> Any:
        from higherself.messaging.nats import NatsSettings, open_nats

        reached = NatsSettings(url=settings["url"], monitoring=settings["monitoring"])
        return await stack.enter_async_context(open_nats(reached, KEY))

    def _said(self) -> Any:
        from datetime import UTC, datetime

        from higherself.kernel.ids import new_id
        from higherself.messaging.envelope import Envelope, MessageId

        now = datetime.now(UTC)
        identifier = MessageId(new_id(now))
        return Envelope(
            id=identifier,
            source="urn:higherself:agent:echo",
            type="echo",
            time=now,
            correlation_id=str(identifier),
            data=PAYLOAD,
            extensions={"to": "agent:echo", "performative": "request"},
        )

    async def answer(self, stack: AsyncExitStack, settings: Any) -> None:
        """Answer."""
        from datetime import timedelta

        nats, answer = await self._open(stack, settings), self._said()

        async def back(envelope: Any) -> Any:
            return answer

        hearing = nats.direct.hear("echo", back, group="g", patience=timedelta(seconds=10))
        await stack.enter_async_context(hearing)

    async def ask(self, stack: AsyncExitStack, settings: Any) -> Call:
        """Return what asks once."""
        from datetime import timedelta

        nats, question, patience = (
            await self._open(stack, settings),
            self._said(),
            timedelta(seconds=10),
        )
        return lambda: nats.direct.request("echo", question, timeout=patience)


class Bus:
    """The whole bus: addressed, traced, budgeted, handled by what handles durable messages too."""

    async def _open(self, stack: AsyncExitStack, settings: Any) -> Any:
        from higherself.db.pool import open_database
        from higherself.messaging.bus import bus_of
        from higherself.messaging.exchange import open_exchange
        from higherself.messaging.nats import NatsSettings, open_nats
        from higherself.messaging.postgres import open_channel
        from higherself.messaging.protocol import OPERATOR

        url = settings["database"]
        database = await stack.enter_async_context(open_database(url))
        channel = await stack.enter_async_context(open_channel(url, database))
        reached = NatsSettings(url=settings["url"], monitoring=settings["monitoring"])
        nats = await stack.enter_async_context(open_nats(reached, KEY))
        opening = open_exchange(
            channel.outbox, channel.store, database, durable=[nats.durable], direct=[nats.direct]
        )
        return bus_of(await stack.enter_async_context(opening), OPERATOR)

    async def answer(self, stack: AsyncExitStack, settings: Any) -> None:
        """Answer."""
        from higherself.messaging.protocol import Identity

        bus = await self._open(stack, settings)

        async def back(delivery: Any) -> Any:
            return delivery.data

        echo = bus.speaking_as(Identity("agent", "echo"))
        served = echo.serving("agent:echo", back, concurrency=64)
        await stack.enter_async_context(bus.hearing(served))

    async def ask(self, stack: AsyncExitStack, settings: Any) -> Call:
        """Return what asks once."""
        from datetime import timedelta

        bus, timeout = await self._open(stack, settings), timedelta(seconds=10)

        async def call() -> object:
            reply = await bus.request("agent:echo", "echo", PAYLOAD, timeout=timeout)
            if reply.road != "nats":
                raise AssertionError(reply.road)
            return reply

        return call


class FastStream:
    """FastStream on NATS, with a model at both ends."""

    async def answer(self, stack: AsyncExitStack, settings: Any) -> None:
        """Answer."""
        from faststream.nats import NatsBroker
        from pydantic import BaseModel

        class Said(BaseModel):
            text: str

        broker = NatsBroker(settings["url"], logger=None)

        async def echo(message: Said) -> Said:
            return message

        echo.__annotations__.update({"message": Said, "return": Said})
        broker.subscriber("fs")(echo)
        await broker.start()
        stack.push_async_callback(broker.stop)

    async def ask(self, stack: AsyncExitStack, settings: Any) -> Call:
        """Return what asks once."""
        from faststream.nats import NatsBroker

        broker = NatsBroker(settings["url"], logger=None)
        await broker.start()
        stack.push_async_callback(broker.stop)

        async def call() -> object:
            answer = await broker.request(PAYLOAD, "fs", timeout=10)
            return await answer.decode()

        return call


SIDES = {"nats-py": NatsPy, "road": Road, "bus": Bus, "faststream": FastStream}


async def answering(name: str, settings: Any) -> None:
    """Answer until standard input ends."""
    async with AsyncExitStack() as stack:
        await SIDES[name]().answer(stack, settings)
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(time.process_time() if line else "", flush=True)


async def asking(name: str, settings: Any, outstanding: int, seconds: float) -> None:
    """Ask so many at a time, for a while."""
    async with AsyncExitStack() as stack:
        call = await SIDES[name]().ask(stack, settings)
        for _ in range(200):
            await call()
        print("begins", flush=True)
        sys.stdin.readline()
        took: list[float] = []
        until = time.perf_counter() + seconds

        async def caller() -> None:
            while (began := time.perf_counter()) < until:
                await call()
                took.append(time.perf_counter() - began)

        began, cpu = time.perf_counter(), time.process_time()
        async with asyncio.TaskGroup() as group:
            for _ in range(outstanding):
                group.create_task(caller())
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        took.sort()
        found = {"count": len(took), "wall": wall, "cpu": cpu, "p50": took[len(took) // 2]}
        print(json.dumps(found), flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    if sys.argv[2] == "answer":
        asyncio.run(answering(sys.argv[1], json.loads(sys.argv[3])))
    else:
        arguments = int(sys.argv[4]), float(sys.argv[5])
        asyncio.run(asking(sys.argv[1], json.loads(sys.argv[3]), *arguments))
