"""Handlers that answer: the same one for what comes from the table and for what comes directly."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from higherself.db.pool import Transaction
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonValue
from higherself.messaging.envelope import Envelope
from higherself.messaging.model import (
    DONE,
    Cancelled,
    Claimed,
    Done,
    Failed,
    Outcome,
    RetryPolicy,
    Snoozed,
)
from higherself.messaging.ports import Delivery, HandledBefore, Subscription
from higherself.messaging.protocol import PERFORMATIVE, REPLY_TO
from higherself.messaging.roads import Hearer
from higherself.messaging.settlement import End

if TYPE_CHECKING:
    from higherself.messaging.bus import Bus

Ending = Done | Failed | Snoozed | Cancelled
"""How a handler may end a message otherwise than by an answer."""

Answer = Callable[[Delivery], Awaitable[JsonValue | Ending]]
"""Handles a message. What it returns is the answer, if one is awaited; an outcome is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served(Subscription):
    """A subscription whose handler answers; ``heard`` handles what comes directly."""

    heard: Hearer


def serve(bus: "Bus", topic: str, handler: Answer, concurrency: int, policy: RetryPolicy) -> Served:
    """Return the subscription of ``topic`` by which ``handler`` answers, as who ``bus`` speaks for."""
    answering = _Answering(bus, topic, handler, asyncio.Semaphore(concurrency))
    return Served(
        topic=topic,
        handler=answering.deliver,
        concurrency=concurrency,
        policy=policy,
        ended=answering.ended,
        heard=answering.hear,
    )


@dataclass(frozen=True, slots=True)
class _Answering:
    bus: "Bus"
    topic: str
    handler: Answer
    room: asyncio.Semaphore

    async def deliver(self, delivery: Delivery) -> Outcome | None:
        """Handle a message of the table. The answer is stored with the note that it is handled."""
        envelope = delivery.envelope
        purse = self.bus.exchange.purse_of(envelope)  # kept until the answer has gone
        try:
            result = await self.handler(delivery)
        except Rejected as error:
            if REPLY_TO not in envelope.extensions:
                raise
            await self.bus.reply(envelope, _reason(error), performative="refuse")
            return Cancelled(f"refused: {error}")
        if isinstance(result, Ending):
            return result
        if delivery.settled:
            await self.bus.reply(envelope, result)
            del purse
            return None
        sends = await self.bus.prepared_reply(envelope, result)
        del purse
        return DONE if sends is None else Done(sends)

    async def ended(self, tx: Transaction, message: Claimed, end: End) -> None:
        """Tell who asked that there will be no answer, in the transaction that ends the request."""
        if end.reason is not None and not end.reason.startswith("refused: "):
            told: JsonValue = {"reason": end.reason, "status": end.status}
            await self.bus.within(tx).reply(message.envelope, told, performative="failure")

    async def hear(self, envelope: Envelope) -> Envelope | None:
        """Handle what came directly, once; a failure is the answer."""
        claimed = Claimed(
            envelope=envelope,
            topic=self.topic,
            sequence=0,
            lane=None,
            attempt=1,
            lapses=0,
            lease=0,
        )
        delivery = Delivery(claimed, self.bus.exchange.heard)
        purse = self.bus.exchange.purse_of(envelope)  # kept until the answer has gone
        try:
            async with self.room:
                result = await self.handler(delivery)
        except HandledBefore:
            result = None
        except Rejected as error:
            return self._told(envelope, _reason(error), refuses=True)
        except Exception as error:  # noqa: BLE001  it is about this message alone; who asked is told
            return self._told(envelope, _reason(error))
        if isinstance(result, Failed | Cancelled):
            return self._told(envelope, {"reason": result.reason})
        if isinstance(result, Snoozed):
            return self._told(envelope, {"reason": f"not before {result.wait} are over"})
        if envelope.extensions.get(PERFORMATIVE) == "inform":
            return None
        answer = self.bus.answer_to(envelope, None if isinstance(result, Done) else result)
        del purse
        return answer

    def _told(self, envelope: Envelope, reason: JsonValue, *, refuses: bool = False) -> Envelope:
        return self.bus.answer_to(envelope, reason, performative="refuse" if refuses else "failure")


def _reason(error: Exception) -> JsonValue:
    return {"reason": str(error) or type(error).__name__, "error": type(error).__name__}
