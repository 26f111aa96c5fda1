"""A connection to NATS: nats-py's, with a shorter way for what comes and goes most.

nats-py connects, authenticates, encrypts and speaks the protocol. What it does beside costs more
than the message itself: a task and a queue for every subscription, a regular expression for every
frame, a future for every write. So frames of our own subscriptions are taken out of the stream
before it sees them, and what is sent within one turn of the event loop goes out in one write.

It is not reconnected: `link` opens a new one, since of what was going on nothing can be known.

This module imports nats-py, which is an extra; it is imported when NATS is set up.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.protocol.parser import Parser

from higherself.kernel import telemetry
from higherself.kernel.errors import Unavailable

Take = Callable[[bytes, bytes, bytes, bytes], None]
"""Takes a frame: subject, where to answer, headers as they came (or nothing), payload."""

Answer = tuple[bytes, bytes]
"""Headers and payload of what was answered."""

Late = Callable[[], Exception]
"""Makes the error of what was not answered in time."""

CONNECT_WITHIN = 2
ANSWERS_WITHIN = 2.0
LOOK_EVERY = 0.05
MUCH = 262_144
"""Bytes written since the last look whether the server takes them."""

LARGEST_PAYLOAD = 1_048_576
"""What NATS takes by default, headers included; there is room in it for 1 MB of data."""


class CutOff(Unavailable):
    """There is no connection to the NATS server just now, or it was lost while something was sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the NATS server does not answer: {reason}; check that it runs, and NATS_URL "
            "(`higherself doctor` tells more)"
        )


class Wire(Client):
    """One connection. `lost` is set when it has ended, for whatever reason."""

    def __init__(self) -> None:
        super().__init__()
        self._ps = _Frames(self)
        self.lost = asyncio.Event()
        self.taken: dict[bytes, Take] = {}
        self._loop = asyncio.get_running_loop()
        self._awaited: dict[bytes, tuple[asyncio.Future[Answer], float, Late]] = {}
        self._looks = False
        self._answers = b""
        self._asked = 0
        self._since_looked = 0
        self._writes = False

    @property
    def server(self) -> dict[str, Any]:
        """What the server said of itself when we connected."""
        return self._server_info

    async def open(self, servers: Sequence[str], credentials: str | None) -> None:
        """Connect to one of ``servers``.

        Raises
            OSError, TimeoutError, nats.errors.Error: it does not answer, or does not want us.
        """
        async with asyncio.timeout(CONNECT_WITHIN):
            await self.connect(
                list(servers),
                name="higherself",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_WITHIN,
                ping_interval=3600,  # `link` asks, and more often
                error_cb=_note,
                closed_cb=self._note_lost,
                user_credentials=credentials,
            )
        self._answers = f"{self.new_inbox()}.".encode()
        await self.take(f"{self._answers.decode()}*", self._take_answer)

    async def take(self, subject: str, take: Take, *, group: str = "") -> int:
        """Give what comes on ``subject`` to ``take``; return what `leave` wants to know.

        The server knows of it when this returns, so whatever is sent from then on comes.

        Raises
            CutOff: it does not answer, or the connection broke meanwhile.
        """
        try:
            subscription = await self.subscribe(subject, queue=group, cb=_never)
        except (OSError, nats.errors.Error) as error:
            self._note_end(repr(error))
            raise CutOff(f"the connection was lost ({error!r})") from error
        self.taken[str(subscription._id).encode()] = take
        if not await self.answers(within=ANSWERS_WITHIN):
            raise CutOff("it was lost while something was subscribed to")
        return subscription._id

    async def leave(self, number: int) -> None:
        """Take no more. What was under way has come when this returns."""
        subscription = self._subs.get(number)
        if subscription is not None and not self.lost.is_set():
            with suppress(nats.errors.Error, TimeoutError, OSError):
                await subscription.unsubscribe()
                await self.flush(timeout=1)
        self.taken.pop(str(number).encode(), None)

    @property
    def has_written_much(self) -> bool:
        """Whether it is time for `room`."""
        return self._since_looked > MUCH

    async def room(self) -> None:
        """Wait until the server takes what is written, if much was."""
        if self.has_written_much and self._transport is not None:
            self._since_looked = 0
            self._write()
            with suppress(ConnectionError):  # then the futures say so
                await self._transport.drain()  # type: ignore[no-untyped-call]

    def tell(self, subject: bytes, answer_to: bytes, header: bytes, payload: bytes) -> None:
        """Send a frame. `room` is for whoever sends many."""
        if self.lost.is_set():
            raise CutOff("the connection was lost")
        head, size = len(header), len(header) + len(payload)
        if head:
            line = b"HPUB %b %b %d %d\r\n" % (subject, answer_to, head, size)
        else:
            line = b"PUB %b %b %d\r\n" % (subject, answer_to, size)
        self._pending.append(b"%b%b%b\r\n" % (line, header, payload))
        self._pending_data_size += size
        self._since_looked += size
        if not self._writes:
            self._writes = True
            self._loop.call_soon(self._write)

    def ask(
        self, subject: bytes, header: bytes, payload: bytes, *, within: float, late: "Late"
    ) -> "asyncio.Future[Answer]":
        """Send a frame, and return its answer, or what ``late`` makes if there is none in time.

        Seconds are kept to a twentieth: a timer for each would cost more than the frame.
        """
        self._asked += 1
        token = b"%x" % self._asked
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self.tell(subject, self._answers + token, header, payload)
        self._awaited[token] = answer, self._loop.time() + within, late
        if not self._looks:
            self._looks = True
            self._loop.call_later(LOOK_EVERY, self._look_for_late)
        return answer

    async def asked(self, subject: str, payload: bytes, *, within: float) -> Answer:
        """Return the answer to a question without headers.

        Raises
            CutOff: there was none.
        """
        return await self.ask(
            subject.encode(),
            b"",
            payload,
            within=within,
            late=lambda: CutOff(f"no answer on {subject} within {within:g} s"),
        )

    async def answers(self, *, within: float) -> bool:
        """Return whether the server is there."""
        try:
            async with asyncio.timeout(within):
                await self.flush(timeout=int(within) + 1)
        except (TimeoutError, nats.errors.Error, OSError):
            return False
        return not self.lost.is_set()

    def cut(self, reason: str) -> None:
        """End the connection, so that a new one is opened, and the server looked at again."""
        self._note_end(reason)

    async def shut(self) -> None:
        """End the connection at once, whether anybody listens at the other end or not."""
        self._note_end("it was closed")
        self._pending, self._pending_data_size = [], 0
        self._abort()
        with suppress(Exception):  # it is thrown away
            async with asyncio.timeout(1):
                await self._close(Client.CLOSED, False)

    async def _send_ping(self, future: "asyncio.Future[Any] | None" = None) -> None:
        """Ask whether the server is there; it answers when it has done what was sent before.

        nats-py's own question overtakes what is still to be written.
        """
        self._write()
        await super()._send_ping(future)

    async def _process_op_err(self, e: Exception) -> None:
        self._note_end(repr(e))

    async def _note_lost(self) -> None:
        self._note_end(str(self.last_error or "it closed the connection"))

    def _note_end(self, reason: str) -> None:
        if self.lost.is_set():
            return
        self.lost.set()
        awaited, self._awaited = self._awaited, {}
        for answer, _, _ in awaited.values():
            if not answer.done():
                answer.set_exception(CutOff(f"the connection was lost ({reason})"))
                answer.exception()  # whoever waits gets it; if nobody does, it is no news

    def _abort(self) -> None:
        """Close the socket without waiting for what a dead peer will never take."""
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    def _write(self) -> None:
        self._writes = False
        if self._pending and self.is_connected and self._transport is not None:
            frames, self._pending, self._pending_data_size = self._pending, [], 0
            try:
                self._transport.writelines(frames)
            except (OSError, RuntimeError) as error:
                self._note_end(repr(error))

    def _take_answer(self, subject: bytes, answer_to: bytes, header: bytes, payload: bytes) -> None:
        awaited = self._awaited.pop(subject[len(self._answers) :], None)
        if awaited is not None and not awaited[0].done():
            awaited[0].set_result((header, payload))

    def _look_for_late(self) -> None:
        """End what has waited for long enough, and forget what nobody waits for any more."""
        now = self._loop.time()
        over = [
            token
            for token, (answer, until, _) in self._awaited.items()
            if until <= now or answer.done()
        ]
        for token in over:
            answer, _, late = self._awaited.pop(token)
            if not answer.done():
                answer.set_exception(late())
        self._looks = bool(self._awaited) and not self.lost.is_set()
        if self._looks:
            self._loop.call_later(LOOK_EVERY, self._look_for_late)


class _Frames(Parser):
    """Takes the frames of our own subscriptions; everything else is nats-py's."""

    def __init__(self, wire: Wire) -> None:
        self._left = b""
        super().__init__(wire)

    def reset(self) -> None:
        super().reset()
        self._left = b""

    async def parse(self, data: bytes = b"") -> None:
        text = self._left + data if self._left else data
        at, end, taken = 0, len(text), self.nc.taken
        while at < end:
            stop = text.find(b"\r\n", at)
            if stop < 0:
                break
            kind = text[at]
            if kind not in _MESSAGES:
                await super().parse(text[at : stop + 2])
                at = stop + 2
                continue
            words = text[at:stop].split()
            begin = stop + 2
            after = begin + int(words[-1])
            if after + 2 > end:
                break
            take = taken.get(words[2])
            if take is None:
                await super().parse(text[at : after + 2])
            else:
                _give(take, text, words, begin, after)
            at = after + 2
        self._left = text[at:] if at else text


_MESSAGES = b"MH"


def _give(take: Take, text: bytes, words: list[bytes], begin: int, after: int) -> None:
    with_header = words[0] == b"HMSG"
    body = begin + int(words[-2]) if with_header else begin
    answer_to = words[3] if len(words) == (6 if with_header else 5) else b""
    try:
        take(words[1], answer_to, text[begin:body], text[body:after])
    except Exception as error:  # noqa: BLE001  one frame must not end the connection of all
        telemetry.warning("messaging.nats.frame_dropped", reason=repr(error))


async def _never(message: Msg) -> None:
    raise AssertionError(f"a frame on {message.subject} came the long way")


async def _note(error: Exception) -> None:
    telemetry.info("messaging.nats.error", reason=repr(error))
