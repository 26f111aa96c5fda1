"""The bus as the program offers it: which roads there are, by the settings."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from higherself.app.settings import Settings
from higherself.db.pool import Database
from higherself.kernel.clock import Clock
from higherself.messaging.exchange import Exchange, open_exchange
from higherself.messaging.nats import Nats
from higherself.messaging.postgres import PostgresChannel
from higherself.messaging.protocol import AddressBook


@asynccontextmanager
async def open_roads(
    settings: Settings,
    database: Database,
    channel: PostgresChannel,
    clock: Clock,
    *,
    book: AddressBook | None = None,
    nats: Nats | None = None,
) -> AsyncIterator[Exchange]:
    """Yield the exchange behind the bus, over all roads that are set up, in the order of the settings."""
    spool = settings.home / "spool" if settings.spool == "on" else None
    async with open_exchange(
        channel.outbox,
        channel.store,
        database,
        durable=[] if nats is None else [nats.durable],
        direct=[] if nats is None else [nats.direct],
        durable_order=settings.roads.durable,
        direct_order=settings.roads.ephemeral,
        spool=spool,
        book=book,
        clock=clock,
    ) as exchange:
        yield exchange
