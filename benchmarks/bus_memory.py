"""One request and its answer within one process, again and again: ours, two peers', the bare loop.

Run by `bus.py`, each in a process of its own: ``bus_memory.py NAME OUTSTANDING SECONDS``. Prints one
JSON object: hops a second (a hop is a request with its answer), p50 and p95 of one in ms, CPU a hop.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

PAYLOAD = {"text": "x" * 1000}
"""About 1 KB as JSON, as all figures are."""

Call = Callable[[], Awaitable[object]]


async def ours(stack: AsyncExitStack) -> Call:
    """Ask an agent over the bus, on the road `memory`."""
    from datetime import timedelta

    from measure import throwaway_server

    from higherself.db.migrate import migrate
    from higherself.db.pool import open_database
    from higherself.kernel.clock import SYSTEM_CLOCK
    from higherself.messaging.bus import bus_of
    from higherself.messaging.exchange import open_exchange
    from higherself.messaging.postgres import open_channel
    from higherself.messaging.protocol import OPERATOR, Identity
    from higherself.testing.postgres import in_database

    server = stack.enter_context(throwaway_server())
    url = in_database(server.url, server.fresh_database("bus", ours=True))
    await migrate(url, clock=SYSTEM_CLOCK)
    database = await stack.enter_async_context(open_database(url))
    channel = await stack.enter_async_context(open_channel(url, database))
    exchange = await stack.enter_async_context(
        open_exchange(channel.outbox, channel.store, database)
    )
    bus = bus_of(exchange, OPERATOR)

    async def answer(delivery: Any) -> Any:
        return delivery.data

    served = bus.speaking_as(Identity("agent", "echo")).serving(
        "agent:echo", answer, concurrency=64
    )
    await stack.enter_async_context(bus.hearing(served))
    timeout = timedelta(seconds=10)

    async def call() -> object:
        reply = await bus.request("agent:echo", "echo", PAYLOAD, timeout=timeout)
        if reply.road != "memory" or reply.data != PAYLOAD:
            raise AssertionError(reply)
        return reply

    return call


async def loop(stack: AsyncExitStack) -> Call:
    """Hand the same envelope through a queue, written and read as JSON at both ends; no checks."""
    from datetime import UTC, datetime

    from pydantic_core import from_json, to_json

    from higherself.kernel.ids import new_id
    from higherself.messaging.envelope import Envelope, MessageId

    queue: asyncio.Queue[tuple[bytes, asyncio.Future[bytes]]] = asyncio.Queue()

    def written(data: Any) -> bytes:
        now = datetime.now(UTC)
        identifier = MessageId(new_id(now))
        envelope = Envelope(
            id=identifier,
            source="urn:higherself:agent:echo",
            type="echo",
            time=now,
            correlation_id=str(identifier),
            data=data,
        )
        return to_json(envelope.cloudevent())

    async def handle() -> None:
        while True:
            text, answer = await queue.get()
            event = Envelope.read(from_json(text))
            answer.set_result(written(event.data))

    async def call() -> object:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        await queue.put((written(PAYLOAD), answer))
        return Envelope.read(from_json(await answer))

    group = await stack.enter_async_context(asyncio.TaskGroup())
    tasks = [group.create_task(handle()) for _ in range(4)]
    for task in tasks:
        stack.callback(task.cancel)
    return call


async def autogen(stack: AsyncExitStack) -> Call:
    """Send a message to an agent of AutoGen's in-process runtime."""
    from dataclasses import dataclass

    from autogen_core import (
        AgentId,
        MessageContext,
        RoutedAgent,
        SingleThreadedAgentRuntime,
        message_handler,
    )

    @dataclass
    class Said:
        text: str

    class Echo(RoutedAgent):
        @message_handler
        async def heard(self, message: Said, ctx: MessageContext) -> Said:
            return message

    Echo.heard.__annotations__.update(message=Said, ctx=MessageContext)
    runtime = SingleThreadedAgentRuntime()
    await Echo.register(runtime, "echo", lambda: Echo("echo"))
    runtime.start()
    stack.push_async_callback(runtime.stop)
    to = AgentId("echo", "default")

    async def call() -> object:
        return await runtime.send_message(Said(PAYLOAD["text"]), to)

    return call


async def faststream(stack: AsyncExitStack) -> Call:
    """Ask a subscriber of FastStream over its in-memory broker for NATS."""
    from faststream.nats import NatsBroker, TestNatsBroker
    from pydantic import BaseModel

    class Said(BaseModel):
        text: str

    broker = NatsBroker()

    async def echo(message: Said) -> Said:
        return message

    echo.__annotations__.update({"message": Said, "return": Said})
    broker.subscriber("echo")(echo)
    await stack.enter_async_context(TestNatsBroker(broker))

    async def call() -> object:
        answer = await broker.request(PAYLOAD, "echo", timeout=10)
        return await answer.decode()

    return call


RUNTIMES = {
    "higherself": ours,
    "bare loop": loop,
    "autogen-core": autogen,
    "faststream": faststream,
}


async def measured(call: Call, outstanding: int, seconds: float) -> dict[str, float]:
    """Call so many times at once for a while."""
    for _ in range(200):
        await call()
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
    return {
        "rate": len(took) / wall,
        "p50": 1000 * took[len(took) // 2],
        "p95": 1000 * took[int(len(took) * 0.95)],
        "cpu": 1e6 * cpu / len(took),
    }


async def main(name: str, outstanding: int, seconds: float) -> None:
    """Measure one runtime and print the figures."""
    async with AsyncExitStack() as stack:
        call = await RUNTIMES[name](stack)
        print(json.dumps(await measured(call, outstanding, seconds)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
