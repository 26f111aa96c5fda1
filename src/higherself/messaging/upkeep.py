"""What goes on beside the consumers: counts are told, and what has ended long ago is deleted."""

from datetime import timedelta

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.tasks import raise_if_cancelled
from higherself.messaging.care import PostgresMessageCare, TopicCount

EVERY = timedelta(seconds=30)
"""How often it is looked."""

KEPT = timedelta(days=7)
"""How long messages are kept that have ended; as long, a key counts once."""


class MessageUpkeep:
    """Does what nobody should have to ask for. Any number of processes may run it."""

    def __init__(self, care: PostgresMessageCare, clock: Clock, *, kept: timedelta = KEPT) -> None:
        self._care, self._clock, self._kept = care, clock, kept
        self._told: set[str] = set()

    async def keep_up(self, *, every: timedelta = EVERY) -> None:
        """Look for ever; what goes wrong is told, and tried again the next time."""
        while True:
            try:
                await self.once()
            except HigherSelfError as error:
                telemetry.warning("messaging.upkeep.failed", error=str(error))
            raise_if_cancelled()
            await self._clock.sleep(every)

    async def once(self) -> None:
        """Tell the counts, delete what is old."""
        counts = await self._care.topics()
        for count in counts:
            _tell(count)
        for topic in self._told - {count.topic for count in counts}:
            _tell(TopicCount(topic, 0, 0, 0, 0, 0, None))
        self._told |= {count.topic for count in counts}
        telemetry.count("messaging.answer.expired", await self._care.expire_answers())
        pruned = await self._care.prune(self._kept)
        telemetry.count("messaging.message.pruned", pruned.messages)
        for topic in await self._care.free_waiting():
            telemetry.warning("messaging.lane.stuck", topic=topic)


def _tell(count: TopicCount) -> None:
    for name in ("ready", "scheduled", "waiting", "in_flight", "dead"):
        telemetry.gauge(f"messaging.topic.{name}", getattr(count, name), topic=count.topic)
    oldest = count.oldest.total_seconds() if count.oldest else 0.0
    telemetry.gauge("messaging.topic.oldest_seconds", oldest, topic=count.topic)
