"""Renewing leases while handlers run, from a thread of its own.

So a handler that computes without ever waiting does not lose its lease, as it would if the event
loop that it blocks had to renew it.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.tasks import abandonable
from higherself.messaging.envelope import MessageId
from higherself.messaging.model import Claimed
from higherself.messaging.ports import LeaseKeeper, MessageStore

PORTION = 3
"""A lease is renewed when this part of it is over: it survives one renewal that fails."""


class Renewal:
    """Renews what it is told to hold. ``lost`` is called with messages that others have by now."""

    def __init__(
        self,
        store: MessageStore,
        clock: Clock,
        lease: timedelta,
        lost: Callable[[set[MessageId]], None],
    ) -> None:
        self._store, self._clock, self._lease, self._lost = store, clock, lease, lost
        self._held: dict[MessageId, tuple[int, float]] = {}

    def hold(self, message: Claimed, *, until: float) -> None:
        """Renew the lease on ``message`` until the clock's monotonic time ``until``.

        Then it runs out: whoever has not come back by then hangs.
        """
        self._held[message.id] = message.lease, until

    def let_go(self, message: MessageId) -> None:
        """Renew it no more."""
        self._held.pop(message, None)

    async def run(self) -> None:
        """Renew until cancelled."""
        loop = asyncio.get_running_loop()

        def lost(messages: set[MessageId]) -> None:
            loop.call_soon_threadsafe(self._lost, messages)

        stopped = threading.Event()
        try:
            await abandonable(lambda: asyncio.run(self._renew(stopped, lost)))
        finally:
            stopped.set()

    async def _renew(
        self, stopped: threading.Event, lost: Callable[[set[MessageId]], None]
    ) -> None:
        keeper: LeaseKeeper | None = None
        every = self._lease.total_seconds() / PORTION
        async with AsyncExitStack() as stack:
            while not await asyncio.to_thread(stopped.wait, every):
                now = self._clock.monotonic()
                held = self._held.copy()
                leases = {each: lease for each, (lease, until) in held.items() if now < until}
                if not leases:
                    continue
                try:
                    if keeper is None:
                        keeper = await stack.enter_async_context(self._store.keeper())
                    kept = await keeper.renew(leases, self._lease)
                except HigherSelfError as error:
                    telemetry.warning("messaging.leases.not_renewed", reason=str(error))
                    continue
                if missing := leases.keys() - kept:
                    lost(set(missing))
