"""Sends, once each, what skills give it; what cannot go now goes later, by whichever process looks."""

import asyncio
import random
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Misconfigured, Rejected
from higherself.kernel.tasks import raise_if_cancelled
from higherself.outbound.errors import (
    BeingSent,
    NotCarried,
    NotCarriedForThem,
    NothingToRelease,
    NotSetUp,
    OutcomeUnknown,
    Refused,
)
from higherself.outbound.ledger import Ledger
from higherself.outbound.model import Channel, Delivery, Origin, Parcel, Status
from higherself.outbound.policy import (
    SEND,
    AllowList,
    Mode,
    Verdict,
    Wish,
    after_a_break,
    decide,
    next_try,
    who_wants_it,
)
from higherself.outbound.ports import Carriers, People

AT_A_TIME = 16
LOOK_AGAIN = timedelta(seconds=5)
REST = timedelta(seconds=30)
"""How long a channel on which nothing went is left alone by the process that saw it."""

ONE_SERVER: frozenset[Channel] = frozenset(["email", "sms"])
"""Channels that all go by one server: if one cannot be carried, no other can either."""

FORGET_EVERY = timedelta(hours=6)


class Postman:
    """Sends parcels. Safe for concurrent use, in any process."""

    def __init__(
        self,
        ledger: Ledger,
        carriers: Carriers,
        people: People,
        clock: Clock,
        *,
        mode: Mode,
        allowed: AllowList,
    ) -> None:
        self.ledger, self._carriers, self._people, self._clock = ledger, carriers, people, clock
        self.mode, self.allowed = mode, allowed
        self._resting: dict[str, float] = {}

    async def send(
        self, parcel: Parcel, origin: Origin, *, unsubscribe: str | None = None
    ) -> Delivery:
        """Send ``parcel`` once for the key of its origin, and return what became of it.

        It is tried at once. If that fails in a way that passes, it is ``queued``: it goes by itself
        when it can. Asked again with the same key, nothing is sent twice.

        Raises
            Refused: whoever it is for does not take it.
            OutcomeUnknown: it may have arrived, and is not sent again by itself.
            NotSetUp, OutOfReach, ParcelRejected: it cannot be sent; nothing was stored.
            BeingSent: another process tries it at this moment.
        """
        known = await self.ledger.of_key(origin.entity, origin.key)
        if known is not None:
            return _ended(known)
        parcel, verdict = await self._verdict(parcel, origin.entity)
        delivery, is_new = await self.ledger.add(parcel, origin, verdict, unsubscribe=unsubscribe)
        if not is_new or verdict != SEND:
            if is_new:
                telemetry.count("outbound.kept", channel=parcel.channel, status=verdict.status)
            return _ended(delivery)
        return _ended(await self._attempt(delivery))

    async def release(
        self, delivery: UUID, *, of: Collection[Status] = ("held", "queued", "failed", "uncertain")
    ) -> Delivery:
        """Send now, because a person wants it, what is held, waits, failed or may not have arrived.

        Raises
            DeliveryUnknown: there is none.
            NothingToRelease: it is none ``of`` these, or may still not be sent; the text says why.
        """
        known = await self.ledger.show(delivery)
        if known.status not in of:
            raise NothingToRelease(
                f"delivery {delivery} is {known.status}; there is nothing to send"
            )
        parcel, verdict = await self._verdict(known.parcel, known.origin.entity)
        if verdict != SEND:
            raise NothingToRelease(f"delivery {delivery} stays as it is: {verdict.reason}")
        claimed = await self.ledger.claim_one(delivery)
        if claimed is None:
            raise NothingToRelease(f"delivery {delivery} is being sent by another process")
        return await self._attempt(replace(claimed, parcel=parcel))

    async def run(self) -> None:
        """Send what waits whenever it is due, for ever. Any number of processes may do so."""
        forget_at = 0.0
        while True:
            wait = LOOK_AGAIN
            try:
                if self._clock.monotonic() >= forget_at:
                    await self.ledger.forget()
                    forget_at = self._clock.monotonic() + FORGET_EVERY.total_seconds()
                await self.round()
                due = await self.ledger.next_due(without=self._asleep())
                wait = LOOK_AGAIN if due is None else min(due, LOOK_AGAIN)
            except HigherSelfError as error:
                telemetry.warning("outbound.round.failed", reason=str(error))
            raise_if_cancelled()
            await self._clock.sleep(max(wait, timedelta(milliseconds=50)))

    async def round(self) -> int:
        """Send what is due; return how much that was."""
        sent = 0
        while claimed := await self.ledger.claim(AT_A_TIME, without=self._asleep()):
            for each in claimed:
                await self._again(each)
                raise_if_cancelled()
            sent += len(claimed)
        return sent

    async def _again(self, delivery: Delivery) -> Delivery:
        """Carry what has waited, unless it may not go any more: people change their minds meanwhile."""
        try:
            parcel, verdict = await self._verdict(delivery.parcel, delivery.origin.entity)
        except (Misconfigured, Rejected) as error:
            return await self._later(delivery, str(error))
        if verdict == SEND:
            return await self._attempt(replace(delivery, parcel=parcel))
        return await self._settled(delivery, verdict.status, reason=verdict.reason)

    def _asleep(self) -> list[str]:
        now = self._clock.monotonic()
        self._resting = {each: until for each, until in self._resting.items() if until > now}
        return sorted(self._resting)

    async def _verdict(self, parcel: Parcel, entity: str) -> tuple[Parcel, Verdict]:
        """Return what is to be done with a parcel, for those of its people who want it."""
        wishes: Mapping[str, Wish] = {}
        if parcel.channel in ("email", "sms"):
            wishes = await self._people.wishes(entity, parcel.to)
        if kept := who_wants_it(parcel, wishes):
            parcel = replace(parcel, to=kept)
        try:
            places = self._carriers[parcel.channel].places(parcel)
        except NotSetUp as missing:
            if self.mode == "live":
                raise
            return parcel, Verdict("held", str(missing))
        return parcel, decide(
            parcel, mode=self.mode, allowed=self.allowed, places=places, wishes=wishes
        )

    async def _attempt(self, delivery: Delivery) -> Delivery:
        """Carry it, and note how that ended."""
        carrier, channel = self._carriers[delivery.parcel.channel], delivery.parcel.channel
        handed_over = False

        async def hand_over() -> None:
            nonlocal handed_over
            if not await self.ledger.hand_over(delivery):
                raise NotCarried("this attempt took so long that another process took it over")
            handed_over = True

        try:
            answer = await carrier.carry(delivery, hand_over)
        except Refused as error:
            return await self._settled(delivery, "failed", reason=str(error))
        except OutcomeUnknown as error:
            return await self._broken_off(delivery, str(error), handed_over=True)
        except (NotCarried, Misconfigured) as error:
            if channel in ONE_SERVER and not isinstance(error, NotCarriedForThem):
                self._resting[channel] = self._clock.monotonic() + REST.total_seconds()
            return await self._later(delivery, str(error))
        except asyncio.CancelledError:
            status = after_a_break(channel, handed_over=handed_over)
            due = self._clock.now() if status == "queued" else None
            with suppress(HigherSelfError):
                await asyncio.shield(
                    self.ledger.settle(
                        delivery, status, reason="it was stopped on the way", due_at=due
                    )
                )
            raise
        except HigherSelfError:
            raise  # the ledger does not answer: what is in it counts
        except Exception as error:  # noqa: BLE001  one that nothing can carry must not stop the others
            reason = f"it cannot be carried: {type(error).__name__}: {error}"
            return await self._broken_off(delivery, reason, handed_over=handed_over)
        self._resting.pop(channel, None)
        return await self._settled(delivery, "sent", answer=answer)

    async def _broken_off(self, delivery: Delivery, reason: str, *, handed_over: bool) -> Delivery:
        """Decide about what broke on the way."""
        if after_a_break(delivery.parcel.channel, handed_over=handed_over) == "queued":
            return await self._later(delivery, reason)
        return await self._settled(delivery, "uncertain", reason=reason)

    async def _later(self, delivery: Delivery, reason: str) -> Delivery:
        due = next_try(
            delivery.attempts,
            created_at=delivery.created_at,
            now=self._clock.now(),
            jitter=random.random() / 2,  # noqa: S311
        )
        if due is None:
            return await self._settled(delivery, "failed", reason=f"given up: {reason}")
        return await self._settled(delivery, "queued", reason=reason, due_at=due)

    async def _settled(self, delivery: Delivery, status: str, **facts: object) -> Delivery:
        settled = await self.ledger.settle(delivery, status, **facts)  # type: ignore[arg-type]
        channel = delivery.parcel.channel
        telemetry.count("outbound.ended", channel=channel, status=status)
        if status in ("failed", "uncertain"):
            told = {"delivery": str(delivery.id), "channel": channel, "reason": facts.get("reason")}
            telemetry.warning(f"outbound.{status}", **told)
        return settled or await self.ledger.show(delivery.id)


def _ended(delivery: Delivery) -> Delivery:
    """Return a delivery unless whoever has it sent should know that it will not arrive."""
    match delivery.status:
        case "failed":
            raise Refused(f"{delivery.parcel.about}: {delivery.reason}")
        case "uncertain":
            raise OutcomeUnknown(
                f"{delivery.parcel.about}: {delivery.reason}; see `higherself deliveries show "
                f"{delivery.id}`"
            )
        case "sending":
            raise BeingSent(f"delivery {delivery.id} is being sent at this moment")
        case _:
            return delivery
