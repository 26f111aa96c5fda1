"""One LISTEN connection shared by many subscribers, and polling where LISTEN does not work.

A notification is only a hint to look now: what happened is in the tables. So nothing is lost
when one is missed; a subscriber that has waited for the polling interval looks anyway.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg

from higherself.db.inspection import QUERIES, Inspection, connect_plainly, explain_connection
from higherself.kernel import telemetry
from higherself.kernel.backoff import exponential
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.tasks import raise_if_cancelled, task_group

POLL = timedelta(seconds=1)
"""How long a subscriber waits at most where LISTEN does not work."""

RELAXED_POLL = timedelta(seconds=15)
"""How long it waits at most where LISTEN works: only in case a notification was lost."""

RECONNECT_BASE, RECONNECT_CEILING = timedelta(milliseconds=200), timedelta(seconds=10)


class Subscription:
    """Waits for hints on one channel. Hints that come while nobody waits are not lost."""

    def __init__(self, notifications: "Notifications") -> None:
        self._notifications = notifications
        self._hinted = asyncio.Event()

    async def wait(self) -> bool:
        """Return when it is time to look: True after a hint, False after the polling interval."""
        try:
            async with asyncio.timeout(self._notifications.patience.total_seconds()):
                await self._hinted.wait()
        except TimeoutError:
            return False
        self._hinted.clear()
        return True

    def hint(self) -> None:
        """Wake the subscriber."""
        self._hinted.set()


Call = Callable[[str], None]
"""Called with what a notification says; '' for one that may have been missed."""


class Notifications:
    """The hub of a process: subscribe to channels, and keep `run` running beside."""

    def __init__(self, url: str, inspection: Inspection, clock: Clock) -> None:
        self._url = url
        self._listens = not inspection.transaction_pooler
        self._clock = clock
        self._calls: defaultdict[str, list[Call]] = defaultdict(list)
        self._changed = asyncio.Event()
        self._connected = False

    @property
    def patience(self) -> timedelta:
        """How long to wait for a hint before looking anyway."""
        return RELAXED_POLL if self._connected else POLL

    @contextmanager
    def subscribe(self, channel: str) -> Iterator[Subscription]:
        """Yield a subscription to ``channel`` (a plain name)."""
        subscription = Subscription(self)
        with self.calling(channel, lambda _: subscription.hint()):
            yield subscription

    @contextmanager
    def calling(self, channel: str, call: Call) -> Iterator[None]:
        """Call ``call`` on every hint on ``channel`` (a plain name) while the block runs.

        It looks by itself after `patience` without one.
        """
        self._calls[channel].append(call)
        self._changed.set()
        try:
            yield
        finally:
            self._calls[channel].remove(call)
            if not self._calls[channel]:
                del self._calls[channel]
            self._changed.set()

    async def run(self) -> None:
        """Listen until cancelled. A lost connection is made again; nobody notices but a wait."""
        if not self._listens:
            await asyncio.Event().wait()
        failures = 0
        while True:
            try:
                await self._listen()
            except (psycopg.Error, HigherSelfError) as error:
                failures = 1 if self._connected else failures + 1
                reason = explain_connection(error) if isinstance(error, psycopg.Error) else error
                telemetry.warning("db.notifications.lost", reason=str(reason))
            finally:
                self._connected = False
            await self._clock.sleep(
                exponential(failures, base=RECONNECT_BASE, ceiling=RECONNECT_CEILING)
            )

    async def _listen(self) -> None:
        async with await connect_plainly(self._url) as connection:
            listening: set[str] = set()
            while True:
                self._changed.clear()
                wanted = set(self._calls)
                for channel in listening - wanted:
                    await connection.execute(QUERIES["unlisten"].statement({"channel": channel}))
                for channel in wanted - listening:
                    await connection.execute(QUERIES["listen"].statement({"channel": channel}))
                    self._hint(channel)
                listening = wanted
                self._connected = True
                await self._pass_on(connection)

    async def _pass_on(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Pass notifications on until somebody subscribes or leaves."""
        async with task_group() as group:
            receiving = group.create_task(self._receive(connection))
            await self._changed.wait()
            receiving.cancel()

    async def _receive(self, connection: psycopg.AsyncConnection[Any]) -> None:
        async for notification in connection.notifies():
            self._hint(notification.channel, notification.payload)
            raise_if_cancelled()

    def _hint(self, channel: str, said: str = "") -> None:
        """Wake the subscribers of ``channel``, at once.

        Also once LISTEN has taken effect, for the first time or after a gap: nobody knows what
        was missed before, so everybody looks.
        """
        for call in tuple(self._calls.get(channel, ())):
            call(said)
