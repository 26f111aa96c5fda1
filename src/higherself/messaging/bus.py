"""The bus: who has a view of it can send, ask, publish and be told, whatever road a message takes.

Views are cheap: each handler gets its own. What a view sends is made in `composing` and goes out by
`sending`; here is how it handles what comes.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from higherself.kernel.tasks import in_background
from higherself.messaging.composing import OURS, copied
from higherself.messaging.consumer import AT_ONCE, GRACE, LEASE, Consumer
from higherself.messaging.errors import MessageMalformed
from higherself.messaging.exchange import Exchange
from higherself.messaging.model import RetryPolicy
from higherself.messaging.patterns import group_topic
from higherself.messaging.protocol import TO, Identity, address
from higherself.messaging.sending import Receipt, Reply, RequestFailed, RequestRefused, Sender
from higherself.messaging.serving import Answer, Served, serve
from higherself.messaging.subscribing import Told
from higherself.messaging.walking import Health


@dataclass(frozen=True, slots=True, kw_only=True)
class Bus(Sender):
    """A view of the bus. Made by `bus_of`, then by `speaking_as`, `about`, `within`."""

    def serving(
        self,
        to: str,
        handler: Answer,
        *,
        concurrency: int = 16,
        policy: RetryPolicy | None = None,
    ) -> Served:
        """Return a subscription to what is sent to ``agent:NAME`` or ``topic:NAME``.

        Run it with `consuming`, or in a `Consumer`. What ``handler`` returns answers a request. What it raises is tried again by ``policy``; when
        that ends, who asked gets a failure; `Rejected` is a refusal at once. Each runs with a view
        about its message: ``bus.about(delivery.envelope)``.
        """
        where = address(to)
        if where.topic is None:
            raise MessageMalformed(TO, f"{to!r} cannot be served; name an agent or a topic")
        return serve(self, where.topic, handler, concurrency, policy or RetryPolicy())

    async def subscribe(
        self,
        pattern: str,
        handler: Answer,
        *,
        group: str,
        entity: str | None = None,
        concurrency: int = 16,
        policy: RetryPolicy | None = None,
        described: str = "",
    ) -> Served:
        """Have ``group`` told of events (of one business) from now on, and return what handles them.

        ``lead.*`` means one word, ``booking.>`` all the rest. It lasts until `unsubscribe`, whether
        somebody works for the group or not; of all who do, in any process, one gets each event.
        Subscribe a group to several patterns and run one of what is returned.
        """
        if entity is not None:
            await self.exchange.entities.remember(entity)
        await self.exchange.subscriptions.add(
            pattern, group=group, entity=entity, described=described
        )
        return serve(self, group_topic(group), handler, concurrency, policy or RetryPolicy())

    async def unsubscribe(self, group: str, pattern: str | None = None) -> int:
        """Tell ``group`` no more (of one pattern); return how many patterns it had."""
        return await self.exchange.subscriptions.drop(group, pattern)

    async def subscriptions(self) -> list[Told]:
        """Return all groups and what they are told of."""
        return await self.exchange.subscriptions.all()

    async def health(self) -> list[Health]:
        """Ask every road how it is."""
        return await self.exchange.health()

    @asynccontextmanager
    async def consuming(
        self,
        *served: Served,
        direct: bool = True,
        lease: timedelta = LEASE,
        grace: timedelta = GRACE,
        at_once: int = AT_ONCE,
    ) -> AsyncIterator[Consumer]:
        """Handle messages while the block runs; with ``direct``, also what comes without the table.

        ``at_once``: of all that are ``served`` together.
        """
        consumer = Consumer(
            self.exchange.store,
            *served,
            clock=self.exchange.clock,
            lease=lease,
            grace=grace,
            at_once=at_once,
        )
        async with AsyncExitStack() as stack:
            if direct:
                for each in served:
                    await stack.enter_async_context(self.hearing(each))
            await stack.enter_async_context(in_background(consumer.run()))
            yield consumer

    @asynccontextmanager
    async def hearing(self, served: Served) -> AsyncIterator[None]:
        """Handle what comes directly while the block runs, on every direct road."""
        async with AsyncExitStack() as stack:
            for road in self.exchange.direct.roads:
                hearing = road.hear(
                    served.topic, served.heard, group=served.topic, patience=served.policy.timeout
                )
                await stack.enter_async_context(hearing)
            yield


def bus_of(exchange: Exchange, identity: Identity, *, entity: str | None = None) -> Bus:
    """Return a view of the bus that nothing has caused yet."""
    return Bus(exchange=exchange, identity=identity, entity=entity)


__all__ = [
    "OURS",
    "Bus",
    "Receipt",
    "Reply",
    "RequestFailed",
    "RequestRefused",
    "bus_of",
    "copied",
]
