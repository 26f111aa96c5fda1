"""Put the engine together on a database: the adapters, and what runs beside it."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from higherself.db.entities import Entities
from higherself.db.pool import Database, open_database
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.messaging.consumer import Consumer
from higherself.messaging.ports import Subscription
from higherself.messaging.postgres import SESSION_SETTINGS, PostgresChannel, open_channel
from higherself.workflow.engine.activities import ActivityRunner
from higherself.workflow.engine.engine import Engine
from higherself.workflow.engine.postgres import PostgresDefinitions, PostgresInstances
from higherself.workflow.engine.servertime import ServerTime
from higherself.workflow.engine.stepping import Stepper
from higherself.workflow.engine.watching import Watch
from higherself.workflow.engine.worker import CONCURRENCY, LEASE, Worker
from higherself.workflow.engine.writing import AT_ONCE, open_writer

SETTINGS = {**SESSION_SETTINGS, "enable_material": "off"}
"""Steps go by the primary keys, however small a table was when the statement was planned."""


@dataclass(frozen=True)
class Workflows:
    """The engine, and what its workers need."""

    engine: Engine
    channel: PostgresChannel
    watch: Watch
    clock: Clock

    def consumer(
        self, runner: ActivityRunner, *more: Subscription, concurrency: int = CONCURRENCY
    ) -> Consumer:
        """Return a worker: whoever runs it has activities run by ``runner``, and ``more`` handled."""
        worker = Worker(self.engine, runner, self.channel.outbox, self.clock)
        return Consumer(
            self.channel.store,
            *worker.subscriptions(concurrency=concurrency),
            *more,
            clock=self.clock,
            lease=LEASE,
        )


@asynccontextmanager
async def open_workflows(
    url: str,
    database: Database,
    *,
    clock: Clock = SYSTEM_CLOCK,
    at_once: int = AT_ONCE,
    side_by_side: int = 1,
) -> AsyncIterator[Workflows]:
    """Yield the engine on the database at ``url``.

    ``at_once`` steps are stored by one statement at most, ``side_by_side`` such statements at a time.
    """
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(open_channel(url, database, clock=clock))
        aside = await stack.enter_async_context(
            open_database(url, connections=side_by_side, settings=SETTINGS)
        )
        writer = await stack.enter_async_context(
            open_writer(aside, at_once=at_once, side_by_side=side_by_side)
        )
        instances = PostgresInstances(database)
        definitions = PostgresDefinitions(database, clock)
        stepper = Stepper(
            instances=instances,
            definitions=definitions,
            writer=writer,
            time=ServerTime(database, clock),
            clock=clock,
            draw=random.random,
        )
        engine = Engine(
            instances=instances,
            definitions=definitions,
            stepper=stepper,
            entities=Entities(database, clock),
        )
        yield Workflows(engine, channel, Watch(instances, clock), clock)
