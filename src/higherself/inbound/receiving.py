"""Taking a delivery in: the source checked, the signature, the content; then stored, then answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from higherself.inbound.errors import BadSignature, Malformed, SourceNotConfigured
from higherself.inbound.model import Arrived, Source
from higherself.inbound.sources import source_named
from higherself.inbound.store import KEPT_FOR, Deliveries
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError

NOTED_EVERY = timedelta(seconds=30)
AHEAD = timedelta(days=1)
"""How far ahead of ours a source's clock may be, in what it says and not in what it signs."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request. Without a delivery, it was a ping."""

    source: Source
    delivery: UUID | None = None
    is_new: bool = False


class Webhooks:
    """Takes in what is posted. ``secrets`` are those of each source, of which any may sign."""

    def __init__(
        self, deliveries: Deliveries, secrets: Mapping[str, Sequence[str]], clock: Clock
    ) -> None:
        self.deliveries, self._secrets, self._clock = deliveries, secrets, clock
        self._refused: dict[str, int] = {}
        self._noted_at: dict[str, datetime] = {}

    def source(self, name: str) -> Source:
        """Return the source of this name, for which there are secrets.

        Raises
            UnknownSource: there is none.
            SourceNotConfigured: nothing that it sends could be believed.
        """
        source = source_named(name)
        if not self._secrets.get(source.name):
            raise SourceNotConfigured(source.title, source.setting)
        return source

    async def receive(self, name: str, arrived: Arrived) -> Taken:
        """Take one request; when this returns, what it says is stored and will be handled.

        Raises
            UnknownSource, SourceNotConfigured: see `source`.
            BadSignature, StaleDelivery: it is not the source's.
            Malformed: it is, but cannot be read.
            Unavailable: it is not stored; it has to be sent again.
        """
        source = self.source(name)
        if source.pings(arrived):
            telemetry.count("webhooks.ping.answered", source=source.name)
            return Taken(source)
        now = self._clock.now()
        try:
            source.verify(arrived, self._secrets[source.name], now)
            reading = source.read(arrived)
            if not reading.announcements:
                return Taken(source)
            _require_of_our_time(reading.announcements[0].occurred_at, now)
        except (BadSignature, Malformed) as error:
            await self._refuse(source.name, str(error), now)
            raise
        receipt = await self.deliveries.receive(source, arrived, reading)
        telemetry.count(
            "webhooks.delivery.received", source=source.name, fresh=str(receipt.is_new).lower()
        )
        return Taken(source, receipt.delivery, is_new=receipt.is_new)

    async def _refuse(self, source: str, reason: str, now: datetime) -> None:
        """Note that something was refused; not each, so that nobody fills the disk with it."""
        telemetry.count("webhooks.delivery.refused", source=source)
        self._refused[source] = self._refused.get(source, 0) + 1
        noted = self._noted_at.get(source)
        if noted is not None and now - noted < NOTED_EVERY:
            return
        self._noted_at[source] = now
        count = self._refused.pop(source)
        try:
            await self.deliveries.note_refusals(source, count, reason)
        except HigherSelfError as error:
            telemetry.warning("webhooks.refusal.not_noted", reason=str(error))


def _require_of_our_time(occurred_at: datetime | None, now: datetime) -> None:
    """Refuse what is older than what is remembered: it may have come before."""
    if occurred_at is None:
        return
    if now - occurred_at > KEPT_FOR:
        raise Malformed("the time of the event", f"{occurred_at:%Y-%m-%d} is too long ago")
    if occurred_at - now > AHEAD:
        raise Malformed("the time of the event", f"{occurred_at:%Y-%m-%d} is yet to come")
