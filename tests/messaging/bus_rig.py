"""A bus over the database of the test, and what tests of it say again and again."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.messaging.bus import Bus, bus_of
from higherself.messaging.exchange import Exchange, open_exchange
from higherself.messaging.outbox import MOST_DUE
from higherself.messaging.postgres import open_channel
from higherself.messaging.protocol import OPERATOR, AddressBook
from higherself.messaging.roads import DirectRoad, Road

SOON = timedelta(seconds=10)


@asynccontextmanager
async def exchange_on(
    url: str,
    database: Database,
    *,
    durable: Sequence[Road] = (),
    direct: Sequence[DirectRoad] = (),
    spool: Path | None = None,
    book: AddressBook | None = None,
    clock: Clock = SYSTEM_CLOCK,
    most_due: int = MOST_DUE,
    durable_order: Sequence[str] | None = None,
    direct_order: Sequence[str] | None = None,
) -> AsyncIterator[Exchange]:
    async with (
        open_channel(url, database, clock=clock, most_due=most_due) as channel,
        open_exchange(
            channel.outbox,
            channel.store,
            database,
            durable=durable,
            direct=direct,
            durable_order=durable_order,
            direct_order=direct_order,
            spool=spool,
            book=book,
            clock=clock,
            draw=lambda: 0.0,
        ) as exchange,
    ):
        yield exchange


@asynccontextmanager
async def bus_on(url: str, database: Database, **more: object) -> AsyncIterator[Bus]:
    async with exchange_on(url, database, **more) as exchange:  # type: ignore[arg-type]
        yield bus_of(exchange, OPERATOR)
