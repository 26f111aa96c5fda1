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
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.tasks import abandonable
from higherself.messaging.envelope import MessageId
from higherself.messaging.ports import LeaseKeeper, MessageStore

PORTION = 3
"""A lease is renewed when this part of it is over: it survives one renewal that fails."""


class Renewal:
    """Renews what is under lease here.

    ``held`` returns that, with the numbers of the leases; it is called in the thread. ``lost`` is
    called with messages that others have by now.
    """

    def __init__(
        self,
        store: MessageStore,
        lease: timedelta,
        held: Callable[[], dict[MessageId, int]],
        lost: Callable[[set[MessageId]], None],
    ) -> None:
        self._store, self._lease, self._held, self._lost = store, lease, held, lost

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
                leases = self._held()
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
