"""Both roads over one connection, and the drain behind the durable one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.errors import Misconfigured
from higherself.messaging.nats.settings import NatsSettings

if TYPE_CHECKING:
    from higherself.messaging.exchange import Outbox
    from higherself.messaging.nats.direct import NatsDirectRoad
    from higherself.messaging.nats.drain import Drain
    from higherself.messaging.nats.durable import NatsRoad
    from higherself.messaging.nats.link import Link


@dataclass(frozen=True, slots=True)
class Nats:
    """What `open_nats` yields: the roads, and the connection that they share."""

    durable: "NatsRoad"
    direct: "NatsDirectRoad"
    link: "Link"
    key: bytes
    clock: Clock

    def drain(self, outbox: "Outbox", database: Database) -> "Drain":
        """Return what brings messages to PostgreSQL, while its `run` runs; for every worker."""
        from higherself.messaging.nats.drain import Drain

        return Drain(self.link, self.key, outbox, database, self.clock)


@asynccontextmanager
async def open_nats(
    settings: NatsSettings, key: bytes, *, clock: Clock = SYSTEM_CLOCK
) -> AsyncIterator[Nats]:
    """Yield the roads over the NATS server at ``settings.url``.

    ``key`` is the secret of the installation (`subscribing.signing_key`); the names of its stream
    and subjects are made of it, so several installations may share a server. If the server is away
    it begins nevertheless, and uses it as soon as it is there.

    Raises
        Misconfigured: the extra `nats` is missing, or the server does not keep what it acknowledges
            (too old, no JetStream, no sync on every write); the text says what to do.
    """
    try:
        from higherself.messaging.nats.link import open_link
    except ImportError as error:
        raise Misconfigured(
            f"NATS_URL is set, and what speaks to NATS is not installed ({error}); run "
            "`pip install 'higherself-network-server[nats]'`, or unset NATS_URL"
        ) from error
    from higherself.messaging.nats.direct import NatsDirectRoad
    from higherself.messaging.nats.durable import NatsRoad
    from higherself.messaging.nats.writing import Seal

    seal = Seal(key)
    roads: list[NatsDirectRoad] = []
    async with open_link(
        settings,
        seal.installation,
        clock,
        prepare=lambda link: roads.append(NatsDirectRoad(link, seal, clock)),
    ) as link:
        yield Nats(NatsRoad(link, seal, clock), roads[0], link, key, clock)
