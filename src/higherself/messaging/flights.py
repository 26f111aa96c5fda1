"""Messages under lease in this process: run their handlers, and store together how they ended."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from higherself.kernel import telemetry
from higherself.kernel.backoff import exponential
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Unavailable
from higherself.kernel.tasks import raise_if_cancelled
from higherself.messaging.envelope import MessageId
from higherself.messaging.handling import outcome_of
from higherself.messaging.model import DONE, Claim, Claimed, Failed, Outcome, Released
from higherself.messaging.ports import Delivery, MessageStore, Settled, Subscription
from higherself.messaging.renewal import Renewal
from higherself.messaging.settlement import DELIVERED, Again, End, settle

TROUBLE_BASE, TROUBLE_CEILING = timedelta(milliseconds=100), timedelta(seconds=5)
"""How long to wait when the store does not answer."""

A_MOMENT = 0.2
"""Seconds that a handler has, whose lease is gone, to hear that it has ended the message itself."""


@dataclass(slots=True, eq=False)
class _Flight:
    """A message on its way from claim to settlement."""

    message: Claimed
    subscription: Subscription
    delivery: Delivery
    kept_until: float
    """When its lease runs out, by our monotonic clock: whoever has not come back by then hangs."""
    over_at: float
    """When its handler has had all the time that it may take, by the same clock."""
    alone: bool = False
    """Whether nothing else may be in hand here while it is handled."""
    task: asyncio.Task[None] | None = None
    lost: bool = False
    overdue: bool = False
    landed: bool = False


_Arrival = tuple[_Flight, Settled]
_Kind = Literal["plain", "answered", "told"]


class Flights:
    """All that is under lease here and not yet settled, and the room that is kept for more.

    ``landed`` is called for each that is settled, with the status it has then, or "lost".
    """

    def __init__(
        self,
        store: MessageStore,
        clock: Clock,
        draw: Callable[[], float],
        lease: timedelta,
        landed: Callable[[Claimed, str], None],
    ) -> None:
        self._store, self._clock, self._draw = store, clock, draw
        self._lease = lease.total_seconds()
        self._landed = landed
        self.renewal = Renewal(store, lease, self._leases, self._lose)
        self._flights: dict[MessageId, _Flight] = {}
        self._watched: set[str] = set()
        self._taken: Counter[str] = Counter()
        self.all_taken = 0
        self._arrived: list[_Arrival] = []
        self._arrival, self._empty = asyncio.Event(), asyncio.Event()
        self._landing = asyncio.Event()
        self.solitary = False
        """Whether a message is here, or about to be handled, that nothing may be beside."""
        self._store_was, self._we_were = datetime.min.replace(tzinfo=UTC), 0.0
        self._dismissed = False
        self._empty.set()

    def taken(self, topic: str) -> int:
        """Return how many messages of ``topic`` are under lease here, or have room kept for them."""
        return self._taken[topic]

    def take(self, topic: str) -> None:
        """Keep room for one more message of ``topic``."""
        self._taken[topic] += 1
        self.all_taken += 1
        self._empty.clear()

    def free(self, topic: str) -> None:
        """Keep it no more."""
        self._taken[topic] -= 1
        self.all_taken -= 1
        if not self._taken[topic]:
            del self._taken[topic]
        if not self._taken:
            self._empty.set()

    def saw(self, claim: Claim) -> None:
        """Note what time it was by the store's clock."""
        self._store_was, self._we_were = claim.now, claim.asked

    def begin(
        self,
        group: asyncio.TaskGroup,
        message: Claimed,
        subscription: Subscription,
        asked: float,
        outcome: Outcome | None = None,
        *,
        alone: bool = False,
    ) -> None:
        """Let the handler begin; or settle the message at once, if its ``outcome`` is known.

        Its room is taken already, and free again when it has landed. ``asked``: our monotonic clock
        before it was leased. ``alone``: it is handled once all else here has landed, and until it
        has, the caller leases nothing more.
        """
        patience = subscription.policy.timeout.total_seconds()
        flight = _Flight(
            message,
            subscription,
            Delivery(message, self._store),
            kept_until=asked + patience + self._lease,
            over_at=self._clock.monotonic() + patience,
        )
        if self._flights.setdefault(message.id, flight) is not flight:  # that lease has run out
            self._take_away(self._flights[message.id])
            self._flights[message.id] = flight
        if outcome is None and self._dismissed:
            outcome = Released()
        if outcome is not None:
            self._arrive(flight, outcome)
            return
        if alone:
            flight.alone = self.solitary = True
            flight.kept_until = flight.over_at = math.inf  # it has all its time when its turn comes
        flight.task = group.create_task(self._fly(flight))
        self._watch(message.topic, patience)

    async def settle_for_ever(self) -> None:
        """Store settlements; those that come in while some are being stored go together."""
        failures = 0
        while True:
            raise_if_cancelled()
            await self._arrival.wait()
            self._arrival.clear()
            arrived, self._arrived = self._arrived, []
            kinds: dict[_Kind, list[_Arrival]] = {"plain": [], "answered": [], "told": []}
            for each in arrived:
                kinds[_kind(each[1])].append(each)
            try:
                await self._store_plain(kinds["plain"])
                await self._store_answered(kinds["answered"])
                for flight, settled in kinds["told"]:
                    await self._store_telling(flight, settled)
                failures = 0
            except HigherSelfError as error:
                telemetry.warning("messaging.settlement.delayed", reason=str(error))
                failures += 1
                self._arrived += [each for each in arrived if not each[0].landed]
                self._arrival.set()
                await self._clock.sleep(
                    exponential(
                        failures, base=TROUBLE_BASE, ceiling=TROUBLE_CEILING, jitter=self._draw()
                    )
                )

    async def all_landed(self) -> None:
        """Return when everything is settled."""
        await self._empty.wait()

    def dismiss(self) -> None:
        """Cancel all handlers; their messages are given back."""
        self._dismissed = True
        for flight in self._flights.values():
            if flight.task is not None:
                flight.task.cancel()

    async def _fly(self, flight: _Flight) -> None:
        subscription, delivery = flight.subscription, flight.delivery
        outcome: Outcome | None
        began = self._clock.monotonic()
        try:
            if flight.alone:
                await self._turn_of(flight)
            outcome = await outcome_of(subscription.handler, delivery)
        except asyncio.CancelledError:
            asked = flight.lost or self._dismissed
            outcome = Released() if asked else Failed("the handler was cancelled from within")
        if flight.overdue and isinstance(outcome, Failed):
            outcome = Failed(f"it took longer than {subscription.policy.timeout}")
        took = self._clock.monotonic() - began
        telemetry.duration("messaging.message.handled", took, topic=subscription.topic)
        if delivery.settled:
            self._land(flight, "delivered")
        elif flight.lost or outcome is None:
            self._land(flight, "lost")
        else:
            self._arrive(flight, outcome)

    async def _turn_of(self, flight: _Flight) -> None:
        """Return when nothing but ``flight`` is left here; its time begins then."""
        while len(self._flights) > 1:
            self._landing.clear()
            await self._landing.wait()
        now, patience = self._clock.monotonic(), flight.subscription.policy.timeout.total_seconds()
        flight.kept_until, flight.over_at = now + patience + self._lease, now + patience
        self._watch(flight.message.topic, patience)

    def _arrive(self, flight: _Flight, outcome: Outcome) -> None:
        self._arrived.append((flight, self._settled(flight, outcome)))
        flight.kept_until = math.inf
        self._arrival.set()

    def _settled(self, flight: _Flight, outcome: Outcome) -> Settled:
        message, subscription = flight.message, flight.subscription
        if outcome is DONE:
            return Settled(message, DELIVERED)
        settlement = settle(message, outcome, subscription.policy, self.now(), self._draw())
        told = isinstance(settlement, End) and settlement.status != "delivered"
        return Settled(message, settlement, subscription.ended if told else None)

    def now(self) -> datetime:
        """Return the time by the store's clock, or a little later than that."""
        return self._store_was + timedelta(seconds=self._clock.monotonic() - self._we_were)

    async def _store_plain(self, arrived: Sequence[_Arrival]) -> None:
        if not arrived:
            return
        wake = {flight.message.topic for flight, _ in arrived} if self._dismissed else ()
        accepted = await self._store.settle([each for _, each in arrived], wake=sorted(wake))
        for flight, settled in arrived:
            settlement = settled.settlement
            status = settlement.status if isinstance(settlement, End) else "ready"
            self._land(flight, status if flight.message.id in accepted else "lost")

    async def _store_answered(self, arrived: Sequence[_Arrival]) -> None:
        """Store ends with what they send. Where that cannot be stored, the attempt has failed."""
        try:
            await self._store_plain(arrived)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  a mistake in one answer must not stop the others
            if len(arrived) > 1:
                for each in arrived:
                    await self._store_answered([each])
                return
            ((flight, _),) = arrived
            failed = Failed(f"what it sends cannot be stored: {error}")
            await self._store_plain([(flight, self._settled(flight, failed))])

    async def _store_telling(self, flight: _Flight, settled: Settled) -> None:
        """Store an end of which somebody is told. If that fails, it is tried again much later."""
        try:
            await self._store_plain([(flight, settled)])
        except HigherSelfError:
            raise
        except Exception as error:  # noqa: BLE001  a mistake about one message must not stop the others
            telemetry.warning("messaging.ended.failed", reason=repr(error))
            again = Again(
                at=self.now() + flight.subscription.policy.ceiling,
                attempt=flight.message.attempt,
                error=f"whoever was to be told of the end failed: {error!r}",
            )
            await self._store_plain([(flight, Settled(flight.message, again))])

    def _land(self, flight: _Flight, status: str) -> None:
        message = flight.message
        if (other := self._flights.pop(message.id, flight)) is not flight:
            self._flights[message.id] = other
        flight.landed = True
        self.solitary = self.solitary and not flight.alone
        self._landing.set()
        self.free(message.topic)
        telemetry.count("messaging.message.settled", topic=message.topic, status=status)
        self._landed(message, status)

    def _leases(self) -> dict[MessageId, int]:
        """Return the leases to be renewed now. Called in another thread, hence the copy."""
        now, flights = self._clock.monotonic(), self._flights.copy()
        return {
            each: flight.message.lease
            for each, flight in flights.items()
            if now < flight.kept_until
        }

    def _watch(self, topic: str, patience: float) -> None:
        if topic not in self._watched:
            self._watched.add(topic)
            asyncio.get_running_loop().call_later(patience, self._stop_overdue, topic)

    def _stop_overdue(self, topic: str) -> None:
        """Cancel handlers that take longer than they may, and look again when the next one does."""
        now, next_at = self._clock.monotonic(), math.inf
        for flight in self._flights.values():
            if flight.message.topic != topic or flight.task is None or flight.overdue:
                continue
            if flight.over_at <= now:
                flight.overdue = True
                flight.task.cancel()
            else:
                next_at = min(next_at, flight.over_at)
        if next_at == math.inf:
            self._watched.discard(topic)
        else:
            asyncio.get_running_loop().call_later(next_at - now, self._stop_overdue, topic)

    def _lose(self, messages: set[MessageId]) -> None:
        """Take messages away from their handlers, unless it turns out that those have ended them."""
        loop = asyncio.get_running_loop()
        for message in messages:
            if (flight := self._flights.get(message)) is not None:
                loop.call_later(A_MOMENT, self._take_away, flight)

    def _take_away(self, flight: _Flight) -> None:
        if flight.task is not None and not flight.landed and not flight.delivery.settled:
            flight.lost = True
            flight.task.cancel()


def _kind(settled: Settled) -> _Kind:
    """Return what can go wrong with storing it: nothing, what it sends, whoever is told."""
    if settled.ended is not None:
        return "told"
    end = settled.settlement
    return "answered" if isinstance(end, End) and end.sends is not None else "plain"
