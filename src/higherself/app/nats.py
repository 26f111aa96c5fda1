"""NATS as the settings have it: the roads over it, what empties it, and whether it is well."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from higherself.app.settings import Settings
from higherself.db.pool import Database
from higherself.kernel.check import Check
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.messaging.nats import Nats, NatsSettings, open_nats
from higherself.messaging.subscribing import signing_key


@asynccontextmanager
async def opened_nats(
    settings: Settings, database: Database, clock: Clock
) -> AsyncIterator[Nats | None]:
    """Yield the roads over NATS, or None if NATS_URL is not set.

    Raises
        Misconfigured: the server does not keep what it acknowledges, or the extra is missing.
    """
    reached = nats_settings(settings)
    if reached is None:
        yield None
        return
    key = await signing_key(database)
    async with open_nats(reached, key, clock=clock) as nats:
        yield nats


def nats_settings(settings: Settings) -> NatsSettings | None:
    """Return how to reach NATS, if it is set."""
    if settings.nats_url is None:
        return None
    return NatsSettings(
        url=settings.nats_url,
        credentials=str(settings.nats_creds) if settings.nats_creds else None,
        monitoring=settings.nats_monitoring_url,
        replicas=settings.nats_replicas,
    )


async def examined(settings: Settings, database: Database, clock: Clock) -> list[Check]:
    """Ask the NATS server, if there is one: whether it answers, keeps its word, and what waits there."""
    try:
        async with opened_nats(settings, database, clock) as nats:
            if nats is None:
                return []
            return [Check("nats", True, await nats.durable.check())]
    except HigherSelfError as error:
        wrong, _, fix = str(error).partition("; ")
        return [Check("nats", False, wrong, fix or "see docs/howto/use-nats.md")]
