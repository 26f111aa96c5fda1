"""Reading a stream from its beginning, in its order, without a gap; see `drain`."""

import asyncio
from collections import deque
from dataclasses import dataclass

from pydantic_core import to_json

from higherself.messaging.nats.client import CutOff, Wire
from higherself.messaging.nats.fitness import SECOND
from higherself.messaging.nats.link import API, asked

AT_ONCE = 500
BYTES_AT_ONCE = 4_000_000
"""What is asked of JetStream at a time, and taken from here."""

FRESH_FOR = 10
HEARTBEAT = 1
SILENT_FOR = 3.0
"""Seconds: how long a question stays open; how often JetStream says that it is still there; after how
long without a word it is not."""

GONE_AFTER = 30
"""Seconds after which JetStream forgets a reader that asks for nothing."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the stream keeps at a place, as it came."""

    place: int
    subject: str
    header: bytes
    payload: bytes


class Reading:
    """Reads on from a place. JetStream sends as soon as something is there, up to what was asked for.

    It does not acknowledge: what is in PostgreSQL is deleted from the stream, and whoever begins
    again begins with what is left.
    """

    def __init__(self, wire: Wire, stream: str, consumer: str) -> None:
        self._wire, self._stream, self._consumer = wire, stream, consumer
        self._come: deque[Kept] = deque()
        self._size = 0
        self._some = asyncio.Event()
        self._open = 0
        self._next = 1
        self._ended: str | None = None
        self._number: int | None = None
        self._inbox = b""

    @classmethod
    async def begin(cls, wire: Wire, stream: str) -> "Reading":
        """Return what reads the stream from its first message on.

        Raises
            CutOff: JetStream does not answer.
        """
        made = await asked(
            wire,
            f"CONSUMER.CREATE.{stream}",
            stream_name=stream,
            config={
                "deliver_policy": "all",
                "ack_policy": "none",
                "replay_policy": "instant",
                "inactive_threshold": GONE_AFTER * SECOND,
                "mem_storage": True,
                "num_replicas": 1,
            },
        )
        consumer = made.get("name")
        if not isinstance(consumer, str):
            wire.cut(f"the stream {stream} cannot be read")
            raise CutOff(f"the stream {stream} cannot be read: {made.get('error')}")
        reading = cls(wire, stream, consumer)
        inbox = wire.new_inbox()
        reading._inbox = inbox.encode()
        reading._number = await wire.take(inbox, reading._take)
        reading._ask()
        return reading

    @property
    def rest(self) -> int:
        """How many have come and are not taken yet."""
        return len(self._come)

    async def some(self) -> list[Kept]:
        """Wait for some messages, and return them.

        Raises
            CutOff: it has to be begun again.
        """
        while not self._come:
            if self._ended is not None or self._wire.lost.is_set():
                raise CutOff(self._ended or "the connection was lost")
            if not self._open:
                self._ask()
            self._some.clear()
            try:
                async with asyncio.timeout(SILENT_FOR):
                    await self._some.wait()
            except TimeoutError:
                raise CutOff(f"JetStream said nothing for {SILENT_FOR:g} s") from None
        taken: list[Kept] = []
        size = 0
        while self._come and len(taken) < AT_ONCE and size < BYTES_AT_ONCE:
            taken.append(self._come.popleft())
            size += len(taken[-1].payload)
        if not self._open and len(self._come) < AT_ONCE:
            self._ask()
        return taken

    async def end(self) -> None:
        """Read no more."""
        if self._number is not None:
            await self._wire.leave(self._number)
        if not self._wire.lost.is_set():
            await asked(self._wire, f"CONSUMER.DELETE.{self._stream}.{self._consumer}")

    def _ask(self) -> None:
        if self._ended is not None or self._wire.lost.is_set():
            return
        self._open = AT_ONCE
        question = {
            "batch": AT_ONCE,
            "max_bytes": BYTES_AT_ONCE,
            "expires": FRESH_FOR * SECOND,
            "idle_heartbeat": HEARTBEAT * SECOND,
        }
        subject = f"{API}CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}".encode()
        self._wire.tell(subject, self._inbox, b"", to_json(question))

    def _take(self, subject: bytes, answer_to: bytes, header: bytes, payload: bytes) -> None:
        self._some.set()
        if not answer_to.startswith(b"$JS.ACK."):
            self._note(header)
            return
        words = answer_to.split(b".")
        place, number = (words[5], words[6]) if len(words) == _SHORT else (words[7], words[8])
        if int(number) != self._next:
            self._ended = f"a message is missing: {self._next} did not come, {int(number)} did"
            return
        if self._ended is None:
            self._next += 1
            self._open -= 1
            self._come.append(Kept(int(place), subject.decode(), header, payload))

    def _note(self, header: bytes) -> None:
        """Look at what is no message: `NATS/1.0 CODE words`."""
        status = header[9:12]
        if status in (b"408", b"409") and b"Consumer" not in header.partition(b"\r\n")[0]:
            self._open = 0  # the question was open for long enough, or has brought enough bytes
        elif status != b"100":
            self._ended = header.partition(b"\r\n")[0].decode(errors="replace")


_SHORT = 9
"""Words of where to acknowledge, where there is one JetStream; else there are its domain and account."""
