"""The one loop behind everything that happens later: claim what is due, handle it, settle it."""

import asyncio
import math
import os
import random
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from higherself.kernel import telemetry
from higherself.kernel.backoff import exponential
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.tasks import in_background, raise_if_cancelled, task_group
from higherself.messaging.flights import TROUBLE_BASE, TROUBLE_CEILING, Flights
from higherself.messaging.model import Claimed, Expired, Lapsed
from higherself.messaging.ports import Delivery, Listener, MessageStore, Subscription

LEASE = timedelta(seconds=10)
"""How long a message stays with a consumer of which nothing is heard."""

GRACE = timedelta(seconds=20)
"""How long handlers may go on when the consumer is to stop."""

LAST_WORDS = timedelta(seconds=5)
"""How long cancelled handlers have to come to an end, and their messages to be given back."""

WINDOW = 512
"""How far a claim looks when the one before met messages that have to wait for others."""

NOW = timedelta(0)
SOON = timedelta(milliseconds=50)
"""When to look again at messages that are behind one whose row is locked just now."""

A_BREATH = timedelta(milliseconds=5)
"""How long what nobody announces may come too late, so that what has come goes first."""

A_WHILE = timedelta(milliseconds=200)
"""For how long nobody has to look for leases that have run out."""


class Consumer:
    """Handles the messages of some topics. `run` it; cancelling that lets it finish and stop.

    It claims no more than its subscriptions may handle at once, so nothing is claimed and lies
    about, and what is too much waits where it is safe.
    """

    def __init__(
        self,
        store: MessageStore,
        *subscriptions: Subscription,
        clock: Clock = SYSTEM_CLOCK,
        draw: Callable[[], float] = random.random,
        lease: timedelta = LEASE,
        grace: timedelta = GRACE,
    ) -> None:
        self._store, self._clock, self._draw = store, clock, draw
        self._subscriptions = {each.topic: each for each in subscriptions}
        self._lease, self._grace = lease, grace
        self._name = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(2)}"
        self._flights = Flights(store, clock, draw, lease, self._landed)
        self._look = asyncio.Event()
        self._behind: set[str] = set()
        self._window = 0
        self._looked_ahead = -math.inf
        self._group: asyncio.TaskGroup | None = None
        self._stops = False

    @property
    def name(self) -> str:
        """Whose the messages are that are under lease here."""
        return self._name

    @property
    def lease(self) -> timedelta:
        """How long they stay so when nothing is heard of this consumer."""
        return self._lease

    def reserve(self, topic: str, *, after: Delivery | None = None) -> "Reservation | None":
        """Keep room for one more message of ``topic``, which the caller is about to lease for us.

        So whoever stores a message in a statement of his own can have it handled here without a
        claim: stored as leased by `name` for the length of `lease`, with lease 1, attempt 1, no
        lane, and told of by `Reservation.begin` once that is committed. ``after``: a delivery of
        this topic that ends in the same statement, and leaves its room. None: there is no room, or
        this consumer does not run, or is about to stop; then the message is for all to claim.
        """
        subscription = self._subscriptions.get(topic)
        if subscription is None or self._group is None or self._stops:
            return None
        left = 0 if after is None or after.message.topic != topic else 1
        if self._flights.taken(topic) - left >= subscription.concurrency:
            return None
        self._flights.take(topic)
        return Reservation(self, topic)

    async def run(self) -> None:
        """Consume until cancelled.

        Then nothing more is claimed; handlers may finish for a while, and what they have not
        finished by then (or when this is cancelled again) is given back as if it had not been
        claimed. While the store does not answer, it goes on trying.
        """
        topics = list(self._subscriptions)
        async with (
            self._store.listen(topics, self._look.set) as listener,
            in_background(self._flights.renewal.run()),
            task_group() as group,
        ):
            settling = group.create_task(self._flights.settle_for_ever())
            try:
                await self._claim_for_ever(listener, group)
            except asyncio.CancelledError:
                self._stops = True
                if not settling.done():
                    await self._drain()
                raise
            finally:
                self._group = None

    async def _claim_for_ever(self, listener: Listener, group: asyncio.TaskGroup) -> None:
        failures, self._group = 0, group
        while True:
            self._look.clear()
            try:
                # Once in the length of a lease, so that it is seen in time when one runs out.
                wait = min(listener.patience, self._lease, await self._claim(group))
                failures = 0
            except HigherSelfError as error:
                telemetry.warning("messaging.claim.failed", reason=str(error))
                failures += 1
                wait = exponential(
                    failures, base=TROUBLE_BASE, ceiling=TROUBLE_CEILING, jitter=self._draw()
                )
            raise_if_cancelled()
            if wait > NOW:
                await self._heard(wait)

    async def _claim(self, group: asyncio.TaskGroup) -> timedelta:
        """Claim as much as there is room for, and return when to look again at the latest."""
        free = {
            topic: room
            for topic, each in self._subscriptions.items()
            if (room := each.concurrency - self._flights.taken(topic)) > 0
        }
        self._behind = self._subscriptions.keys() - free.keys()
        if not free:
            return timedelta.max
        claim = await self._store.claim(
            free, consumer=self._name, lease=self._lease, window=self._window
        )
        self._flights.saw(claim)
        self._window = WINDOW if claim.unfinished else 0
        got = Counter(message.topic for message in claim.messages)
        self._behind |= {topic for topic, room in free.items() if got[topic] >= room}
        for message in claim.messages:
            expires_at = message.envelope.expires_at
            late = expires_at is not None and expires_at <= claim.now
            self._begin(group, message, claim.asked, Expired() if late else None)
        if claim.unfinished:
            return NOW
        if claim.stuck:
            return SOON
        full = len(claim.messages) >= sum(free.values())
        if claim.messages and not full:
            await self._heard(A_BREATH)  # handlers first, and more may be on its way
        if self._clock.monotonic() - self._looked_ahead < A_WHILE.total_seconds():
            if self._look.is_set():
                return NOW
            if full:
                return timedelta.max
        return await self._look_ahead(group, claim.now)

    async def _heard(self, wait: timedelta) -> None:
        """Return when there may be something to claim, and after ``wait`` at the latest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(wait.total_seconds()):
                await self._look.wait()

    async def _look_ahead(self, group: asyncio.TaskGroup, since: datetime) -> timedelta:
        """Return how long there will be nothing to claim, if nobody sends anything.

        Also while there is always something, leases run out that nobody else would notice.
        """
        topics = list(self._subscriptions)
        ahead = await self._store.look_ahead(
            topics, since=since, consumer=self._name, lease=self._lease
        )
        self._looked_ahead = self._clock.monotonic()
        if ahead.lapses_at is not None and ahead.lapses_at <= ahead.now:
            return await self._claim_lapsed(group, topics)
        return min(
            (at - ahead.now for at in (ahead.due_at, ahead.lapses_at) if at is not None),
            default=timedelta.max,
        )

    async def _claim_lapsed(self, group: asyncio.TaskGroup, topics: Sequence[str]) -> timedelta:
        """Settle what others have claimed and not settled in time."""
        claim = await self._store.claim_lapsed(
            topics, consumer=self._name, lease=self._lease, limit=WINDOW
        )
        self._flights.saw(claim)
        for message in claim.messages:
            self._begin(group, message, claim.asked, Lapsed())
        return A_WHILE

    def _begin(
        self,
        group: asyncio.TaskGroup,
        message: Claimed,
        asked: float,
        outcome: Expired | Lapsed | None,
    ) -> None:
        self._flights.take(message.topic)
        self._flights.begin(group, message, self._subscriptions[message.topic], asked, outcome)

    def _begin_reserved(self, message: Claimed, asked: float) -> None:
        if self._group is None:  # it has stopped meanwhile: others get it when the lease runs out
            self._flights.free(message.topic)
            telemetry.warning("messaging.message.left_over", topic=message.topic)
            return
        self._flights.begin(self._group, message, self._subscriptions[message.topic], asked)

    def _release(self, topic: str) -> None:
        self._flights.free(topic)
        if topic in self._behind:
            self._look.set()

    def _landed(self, message: Claimed, status: str) -> None:
        """Look again if there may be something that could not be claimed before."""
        if status == "ready" or message.lane is not None or message.topic in self._behind:
            self._look.set()

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(self._grace.total_seconds()):
                await self._flights.all_landed()
        except (TimeoutError, asyncio.CancelledError):
            self._flights.dismiss()
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS.total_seconds()):
                    await self._flights.all_landed()


class Reservation:
    """Room for one message. It has to be used or given back, in the consumer's event loop."""

    __slots__ = ("_consumer", "_open", "_topic")

    def __init__(self, consumer: Consumer, topic: str) -> None:
        self._consumer, self._topic = consumer, topic
        self._open = True

    def begin(self, message: Claimed, *, asked: float) -> None:
        """Handle ``message``, which is stored as leased by the consumer, as if it had claimed it.

        ``asked``: our monotonic clock before the statement that leased it.
        """
        if not self._open or message.topic != self._topic or message.lane is not None:
            raise AssertionError(f"this room was not kept for message {message.id}")
        self._open = False
        self._consumer._begin_reserved(message, asked)

    def release(self) -> None:
        """Give the room back, unless it has been used."""
        if self._open:
            self._open = False
            self._consumer._release(self._topic)
