"""What the consumer itself costs a message: a store that does nothing, a handler that does less."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.ids import new_id
from higherself.messaging.consumer import Consumer
from higherself.messaging.envelope import Envelope, MessageId
from higherself.messaging.model import Ahead, Claim, Claimed
from higherself.messaging.ports import Delivery, Subscription

COUNT, AT_ONCE = 30_000, 16


class Nowhere:
    """A store with a few messages, each of which leases the one that follows it."""

    patience = timedelta(seconds=15)

    def __init__(self, messages: list[Claimed]) -> None:
        self._messages = messages

    async def claim(self, free: object, **options: Any) -> Claim:
        """Return them, once."""
        messages, self._messages = tuple(self._messages), []
        asked = SYSTEM_CLOCK.monotonic()
        return Claim(messages=messages, now=SYSTEM_CLOCK.now(), asked=asked)

    async def look_ahead(self, topics: object, **options: Any) -> Ahead:
        """See nothing."""
        return Ahead(now=SYSTEM_CLOCK.now(), due_at=None, lapses_at=None)

    @asynccontextmanager
    async def listen(self, topics: object, wake: object) -> AsyncIterator["Nowhere"]:
        """Hear nothing."""
        yield self

    @asynccontextmanager
    async def keeper(self) -> AsyncIterator["Nowhere"]:
        """Renew everything."""
        yield self

    async def renew(self, leases: dict[MessageId, int], lease: timedelta) -> set[MessageId]:
        """Return all."""
        return set(leases)


def message() -> Claimed:
    """Return a message under lease."""
    now = SYSTEM_CLOCK.now()
    identifier = MessageId(new_id(now))
    envelope = Envelope(id=identifier, source="s", type="t", time=now, correlation_id="c")
    return Claimed(
        envelope=envelope, topic="work", sequence=1, lane=None, attempt=1, lapses=0, lease=1
    )


async def overhead() -> float:
    """Return the microseconds of CPU from one handler's reservation to the end of the next handler."""
    messages = [message() for _ in range(COUNT)]
    following = iter(messages[AT_ONCE:])
    done = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        delivery.settled = True
        if (successor := next(following, None)) is None:
            done.set()
        elif (reservation := consumer.reserve("work", after=delivery)) is not None:
            reservation.begin(successor, asked=SYSTEM_CLOCK.monotonic())

    work = Subscription(topic="work", handler=handle, concurrency=AT_ONCE)
    consumer = Consumer(Nowhere(messages[:AT_ONCE]), work)  # type: ignore[arg-type]
    began = time.process_time()
    task = asyncio.get_running_loop().create_task(consumer.run())
    await done.wait()
    spent = time.process_time() - began
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return 1e6 * spent / COUNT
