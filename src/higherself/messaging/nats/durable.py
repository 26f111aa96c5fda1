"""The durable way over NATS: a message is taken once JetStream has it on the disk."""

import asyncio
from collections.abc import Sequence

from pydantic_core import from_json

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Misconfigured, Unavailable
from higherself.kernel.tasks import task_group
from higherself.messaging.errors import MessageTooLarge
from higherself.messaging.model import Message, Published
from higherself.messaging.nats.client import LARGEST_PAYLOAD, CutOff, Wire
from higherself.messaging.nats.direct import spelt
from higherself.messaging.nats.link import Link
from higherself.messaging.nats.writing import Seal, packed
from higherself.messaging.outbox import LARGEST

WITHIN = 2.5
"""Seconds that JetStream has for a message; then it is not known whether it has it."""

MOST_IN_FLIGHT = 1000
"""Messages of this process that are not acknowledged yet: JetStream turns away some ten thousand."""

_FULL = (10047, 10077, 10167)
"""JetStream's codes for: no storage left, a limit of the stream, too many requests."""


class StreamFull(Unavailable):
    """The stream takes no more until some of it has been brought to PostgreSQL."""

    def __init__(self, stream: str, what: str) -> None:
        super().__init__(
            f"the stream {stream} of the NATS server takes no more ({what}): see that PostgreSQL "
            "answers and a worker runs, which empties it (`higherself worker`), or send it later"
        )
        self.stream = stream


class NatsRoad:
    """Publishes to JetStream."""

    name = "nats"

    def __init__(self, link: Link, seal: Seal, clock: Clock, *, within: float = WITHIN) -> None:
        self._link, self._clock, self._within = link, clock, within
        self._seal = seal.of("message")
        self._room = asyncio.Semaphore(MOST_IN_FLIGHT)

    async def send(self, *messages: Message) -> list[Published]:
        """Return when the NATS server has all of them on its disk; those of a lane in their order.

        ``is_new`` is what the server knows of the last two minutes; in the table a message counts
        once, whenever it comes.

        Raises
            CutOff, StreamFull: it has perhaps some of them. Send them again with the same ids.
            MessageMalformed, MessageTooLarge, NotJson, TooManyHops: it has none.
        """
        now = self._clock.now()
        for each in messages:
            each.check()
        parcels = [
            (str(each.id), each.topic, self._payload(each, packed(each, now))) for each in messages
        ]
        wire = self._link.up()
        published: list[Published | None] = [None] * len(messages)

        async def send(places: Sequence[int]) -> None:
            for at in places:
                new = await self._send(wire, *parcels[at])
                identifier = messages[at].id
                if identifier is None:
                    raise AssertionError("a message without an identifier was about to leave")
                published[at] = Published(identifier, new)

        lanes = _in_lanes(messages)
        if len(lanes) == 1:
            await send(lanes[0])
        else:
            async with task_group() as tasks:
                for places in lanes:
                    tasks.create_task(send(places))
        telemetry.count("messaging.nats.published", len(messages))
        return [each for each in published if each is not None]

    async def pending(self) -> int:
        """Return how many messages are not yet in PostgreSQL."""
        return int((await self._state())["messages"])

    async def check(self) -> str:
        """Return which server answers, and what waits there.

        Raises
            Unavailable, Misconfigured: none does, or it cannot be used.
        """
        state = await self._state()
        waiting, size = int(state["messages"]), int(state["bytes"])
        where = await self._link.check()
        return f"{where}, stream {self._link.stream}: {waiting:,} messages wait ({size:,} bytes)"

    async def _state(self) -> dict[str, int]:
        found = await self._link.api(f"STREAM.INFO.{self._link.stream}")
        state = found.get("state")
        if not isinstance(state, dict):
            raise CutOff(f"the stream {self._link.stream} cannot be seen: {found.get('error')}")
        return state

    def _payload(self, message: Message, payload: bytes) -> bytes:
        if len(payload) > LARGEST_PAYLOAD - 1024:  # the attributes beside the data are that long
            raise MessageTooLarge(message.type, len(payload), LARGEST)
        return payload

    async def _send(self, wire: Wire, identifier: str, topic: str, payload: bytes) -> bool:
        header = self._seal.header(payload, b"Nats-Msg-Id: %b\r\n" % identifier.encode())
        subject = self._link.subject(f"durable.{spelt(topic)}").encode()
        async with self._room:
            await wire.room()
            status, told = await wire.ask(
                subject, header, payload, within=self._within, late=self._late
            )
        if status.startswith(b"NATS/1.0 503"):
            wire.cut(f"the stream {self._link.stream} is gone")
            raise CutOff(f"nobody keeps the stream {self._link.stream}")
        return self._acknowledged(told)

    def _late(self) -> CutOff:
        return CutOff(f"it did not acknowledge within {self._within:g} s")

    def _acknowledged(self, told: bytes) -> bool:
        """Return whether the message is new to the stream."""
        answer = from_json(told)
        error = answer.get("error")
        if error is None and answer.get("stream") == self._link.stream:
            return not answer.get("duplicate", False)
        what = (error or {}).get("description", f"the stream {answer.get('stream')} took it")
        code = (error or {}).get("err_code", 0)
        if code in _FULL:
            raise StreamFull(self._link.stream, what)
        if (error or {}).get("code") == 503:
            raise CutOff(f"JetStream does not take it: {what}")
        raise Misconfigured(
            f"the NATS server does not take a message: {what}; see that nobody else uses the "
            f"subjects {self._link.subject('durable.>')}"
        )


def _in_lanes(messages: Sequence[Message]) -> list[list[int]]:
    """Return the places of messages that must go one after the other, each lane by itself.

    If all went at once and one in the middle were refused, it would come after the others when it
    is sent again.
    """
    lanes: dict[object, list[int]] = {}
    for at, each in enumerate(messages):
        lane: object = at
        if each.partition_key is not None:
            lane = each.entity, each.topic, each.partition_key
        lanes.setdefault(lane, []).append(at)
    return list(lanes.values())
