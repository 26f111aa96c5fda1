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
from higherself.messaging.model import Claim, Claimed, Expired, Lapsed, Snoozed
from higherself.messaging.ports import Delivery, Listener, MessageStore, Subscription

LEASE = timedelta(seconds=10)
"""How long a message stays with a consumer of which nothing is heard."""

GRACE = timedelta(seconds=20)
"""How long handlers may go on when the consumer is to stop."""

LAST_WORDS = timedelta(seconds=5)
"""How long cancelled handlers have to come to an end, and their messages to be given back."""

AT_ONCE = 256
"""How many messages of all its topics together are handled at a time."""

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

    It claims no more than its subscriptions may handle at once, and ``at_once`` of all of them, so
    nothing is claimed and lies about, and what is too much waits where any other may take it: when
    this one dies, only what it was working on has to wait for the lease.

    It looks where something was announced. Topics get their turn in the order in which that was,
    and all of them are looked at when something is due, and once in the length of a lease.
    """

    def __init__(
        self,
        store: MessageStore,
        *subscriptions: Subscription,
        clock: Clock = SYSTEM_CLOCK,
        draw: Callable[[], float] = random.random,
        lease: timedelta = LEASE,
        grace: timedelta = GRACE,
        at_once: int = AT_ONCE,
    ) -> None:
        self._store, self._clock, self._draw = store, clock, draw
        self._subscriptions = {each.topic: each for each in subscriptions}
        self._lease, self._grace, self._at_once = lease, grace, at_once
        self._name = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(2)}"
        self._flights = Flights(store, clock, draw, lease, self._landed)
        self._look = asyncio.Event()
        self._open: dict[str, None] = {}  # topics that may have something, in order of their turns
        self._sweep_at = -math.inf  # when to look at all of them, by our monotonic clock
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
        if subscription is None or self._group is None or self._stops or self._flights.solitary:
            return None
        left = 0 if after is None or after.message.topic != topic else 1
        if self._flights.taken(topic) - left >= subscription.concurrency:
            return None
        if self._flights.all_taken - left >= self._at_once:
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
            self._store.listen(topics, self._hinted) as listener,
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
            if sweeps := self._clock.monotonic() >= self._sweep_at:
                self._open |= dict.fromkeys(self._subscriptions)
                # Once in the length of a lease, so that it is seen in time when one runs out.
                self._sweep_within(min(listener.patience, self._lease), anew=True)
            try:
                wait = await self._claim(group, sweeps=sweeps)
                failures = 0
            except HigherSelfError as error:
                telemetry.warning("messaging.claim.failed", reason=str(error))
                failures += 1
                wait = exponential(
                    failures, base=TROUBLE_BASE, ceiling=TROUBLE_CEILING, jitter=self._draw()
                )
                self._sweep_within(wait)
            raise_if_cancelled()
            wait = min(wait, timedelta(seconds=self._sweep_at - self._clock.monotonic()))
            if wait > NOW:
                await self._heard(wait)

    async def _claim(self, group: asyncio.TaskGroup, *, sweeps: bool) -> timedelta:
        """Claim as much as there is room for, and return when to look again at the latest."""
        if not (free := self._next()):
            return await self._look_ahead(group, self._flights.now()) if sweeps else timedelta.max
        claim = await self._store.claim(
            free, consumer=self._name, lease=self._lease, window=self._window
        )
        self._flights.saw(claim)
        self._window = WINDOW if claim.unfinished else 0
        got = Counter(message.topic for message in claim.messages)
        if claim.unfinished:  # it is still their turn
            self._open = dict.fromkeys(free) | self._open
        else:
            self._open |= {each: None for each in free if claim.stuck or got[each] >= free[each]}
        for message in claim.messages:
            self._begin_claimed(group, message, claim)
        if claim.unfinished:
            return NOW
        if claim.stuck:
            return SOON
        full = len(claim.messages) >= sum(free.values())
        more = any(topic not in free and self._room(topic) > 0 for topic in self._open)
        if claim.messages and not full and not more:
            await self._heard(A_BREATH)  # handlers first, and more may be on its way
        if self._clock.monotonic() - self._looked_ahead < A_WHILE.total_seconds():
            if more or self._look.is_set():
                return NOW
            if full:
                return timedelta.max
        wait = await self._look_ahead(group, claim.now)
        return NOW if more else wait

    def _next(self) -> dict[str, int]:
        """Return the topics whose turn it is, with the room for each, and see them as looked at."""
        free: dict[str, int] = {}
        if self._flights.solitary:
            return free
        left = self._at_once - self._flights.all_taken
        for topic in self._open:
            if left <= 0:
                break
            if (room := min(self._room(topic), left)) > 0:
                free[topic] = room
                left -= room
        for topic in free:
            del self._open[topic]  # what is announced from here on opens it again
        return free

    def _room(self, topic: str) -> int:
        all_ = self._at_once - self._flights.all_taken
        return min(all_, self._subscriptions[topic].concurrency - self._flights.taken(topic))

    def _hinted(self, topic: str) -> None:
        self._open.setdefault(topic)
        self._look.set()

    def _sweep_within(self, wait: timedelta, *, anew: bool = False) -> None:
        at = self._clock.monotonic() + wait.total_seconds()
        self._sweep_at = at if anew else min(at, self._sweep_at)

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
            wait = await self._claim_lapsed(group, topics)
        else:
            known = (at - ahead.now for at in (ahead.due_at, ahead.lapses_at) if at is not None)
            wait = min(known, default=timedelta.max)
        if wait < timedelta.max:
            self._sweep_within(wait)
        return wait

    async def _claim_lapsed(self, group: asyncio.TaskGroup, topics: Sequence[str]) -> timedelta:
        """Settle what others have claimed and not settled in time.

        Nothing of it is handled here and now: one of them may be what kills processes, and would
        take those that it came with along again.
        """
        claim = await self._store.claim_lapsed(
            topics, consumer=self._name, lease=self._lease, limit=WINDOW
        )
        self._flights.saw(claim)
        for message in claim.messages:
            self._begin(group, message, claim.asked, Lapsed())
        return A_WHILE

    def _begin_claimed(self, group: asyncio.TaskGroup, message: Claimed, claim: Claim) -> None:
        """Handle a message; one that seems to kill processes, with nothing beside it that would die along.

        So whatever was in hand with such a one, even twice, is not taken for what it did. One at a
        time: any other is given back, for this process or another, later.
        """
        expires_at = message.envelope.expires_at
        if expires_at is not None and expires_at <= claim.now:
            self._begin(group, message, claim.asked, Expired())
        elif not self._is_suspect(message):
            self._begin(group, message, claim.asked)
        elif not self._flights.solitary:
            self._begin(group, message, claim.asked, alone=True)
        else:
            later = A_WHILE * (1 + 4 * self._draw())
            self._begin(group, message, claim.asked, Snoozed(later))
            self._sweep_within(later)

    def _is_suspect(self, message: Claimed) -> bool:
        """Whether one more lapse would be the end of it: that has to be its own doing."""
        most = self._subscriptions[message.topic].policy.max_lapses
        return message.lapses > 0 and message.lapses >= most - 1

    def _begin(
        self,
        group: asyncio.TaskGroup,
        message: Claimed,
        asked: float,
        outcome: Expired | Lapsed | Snoozed | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self._flights.take(message.topic)
        subscription = self._subscriptions[message.topic]
        self._flights.begin(group, message, subscription, asked, outcome, alone=alone)

    def _begin_reserved(self, message: Claimed, asked: float) -> None:
        if self._group is None:  # it has stopped meanwhile: others get it when the lease runs out
            self._flights.free(message.topic)
            telemetry.warning("messaging.message.left_over", topic=message.topic)
            return
        self._flights.begin(self._group, message, self._subscriptions[message.topic], asked)

    def _release(self, topic: str) -> None:
        self._flights.free(topic)
        if self._open:
            self._look.set()

    def _landed(self, message: Claimed, status: str) -> None:
        """Look again if there may be something that could not be claimed before."""
        if status == "ready":  # it has waited for its turn before
            self._open = {message.topic: None} | self._open
        elif message.lane is not None:
            self._open.setdefault(message.topic)
        if self._open:
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
