"""A worker process of the laboratory: ``python worker.py '{"url": ..., "agents": 3, ...}'``.

Agents stand in a chain. A message is about a number of a conversation; each agent that handles it has
one effect (a row), and passes it on in the same transaction, until it went through `STAGES` of them.
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import AsyncExitStack, suppress
from datetime import datetime, timedelta
from typing import Any

from tests.messaging.lab.plan import STAGES, Plan, agent_of, next_hop

from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.tasks import in_background
from higherself.messaging.bus import bus_of
from higherself.messaging.consumer import Consumer
from higherself.messaging.exchange import open_exchange
from higherself.messaging.nats import NatsSettings, open_nats
from higherself.messaging.ports import Delivery, Subscription
from higherself.messaging.postgres import open_channel
from higherself.messaging.protocol import Identity
from higherself.messaging.subscribing import signing_key


class Skewed(Clock):
    """A clock that is wrong by some hours."""

    def __init__(self, hours: float) -> None:
        self._off = timedelta(hours=hours)

    def now(self) -> datetime:
        return SYSTEM_CLOCK.now() + self._off

    def monotonic(self) -> float:
        return SYSTEM_CLOCK.monotonic()

    async def sleep(self, wait: timedelta) -> None:
        await SYSTEM_CLOCK.sleep(wait)


async def main(plan: Plan) -> None:
    """Handle messages until cancelled."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    clock: Clock = Skewed(plan.skew) if plan.skew else SYSTEM_CLOCK
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(plan.url, connections=6))
        channel = await stack.enter_async_context(open_channel(plan.url, database, clock=clock))
        exchange = await stack.enter_async_context(
            open_exchange(channel.outbox, channel.store, database, clock=clock)
        )

        async def handle(delivery: Delivery) -> None:
            said: Any = delivery.data
            if said.get("poison") == "die":
                os._exit(137)
            if said.get("poison") == "raise":
                raise RuntimeError("poison")
            await asyncio.sleep(plan.seconds)
            bus = bus_of(exchange, Identity("agent", delivery.message.topic.partition(".")[2]))
            async with delivery.once() as tx:
                await tx.connection.execute(
                    "INSERT INTO lab.effect (n, stage, conversation, worker, extra)"
                    " VALUES (%s, %s, %s, %s, %s)",
                    [
                        said["n"],
                        said["stage"],
                        said["conversation"],
                        plan.name,
                        delivery.envelope.extensions.get("labmark"),
                    ],
                )
                if said["stage"] + 1 < STAGES:
                    hop = next_hop(said)
                    mark = (
                        {"labmark": m} if (m := delivery.envelope.extensions.get("labmark")) else {}
                    )
                    await bus.about(delivery.envelope).within(tx).send(
                        f"topic:{agent_of(hop, plan.agents)}", "lab.step", hop,
                        partition_key=str(said["conversation"]), extensions=mark,
                    )  # fmt: skip

        agents = [
            Subscription(
                topic=f"agent.a{number}",
                handler=handle,
                concurrency=plan.concurrency,
                policy=plan.policy,
            )
            for number in range(plan.agents)
        ]
        consumer = Consumer(
            channel.store,
            *agents,
            lease=plan.lease,
            clock=clock,
            grace=timedelta(seconds=8),
            at_once=plan.at_once,
        )
        if plan.nats is not None:
            settings = NatsSettings(url=plan.nats, monitoring=plan.monitoring)
            key = await signing_key(database)
            nats = await stack.enter_async_context(open_nats(settings, key, clock=clock))
            drain = nats.drain(channel.outbox, database)
            await stack.enter_async_context(in_background(drain.run()))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await consumer.run()


if __name__ == "__main__":
    with suppress(asyncio.CancelledError, KeyboardInterrupt):
        asyncio.run(main(Plan.read(json.loads(sys.argv[1]))))
