"""A small mail server on this machine, that keeps what it takes and can be told to fail."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Literal

LARGEST = 30_000_000

Mood = Literal["well", "busy", "full", "refusing", "dropping"]
"""``busy``: 451 to everybody; ``full``: 452 to every recipient; ``refusing``: 550 to every recipient; ``dropping``: it takes a letter, and
the connection breaks before it says so."""

_PATH = re.compile(r"(?:FROM|TO):\s*<([^>]*)>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Letter:
    """What was taken: from whom and for whom by the envelope, and the whole message."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The message, read."""
        return message_from_bytes(self.raw, policy=SMTP)

    @property
    def subject(self) -> str:
        """Its subject."""
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """Its plain text."""
        part = self.message.get_body(("plain",))
        return "" if part is None else str(part.get_content())


@dataclass
class Mailbox:
    """Every letter that came, in order. Set ``mood`` to have the server fail."""

    port: int = 0
    mood: Mood = "well"
    letters: list[Letter] = field(default_factory=list)
    connections: int = 0
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """What to set as SMTP_URL."""
        return f"smtp://127.0.0.1:{self.port}"

    def to(self, address: str) -> list[Letter]:
        """Return the letters for an address."""
        return [each for each in self.letters if address.lower() in map(str.lower, each.recipients)]

    async def count(self, least: int, *, seconds: float = 30.0) -> list[Letter]:
        """Wait until there are ``least`` letters, and return them.

        Raises
            TimeoutError: there are fewer after ``seconds``.
        """
        async with asyncio.timeout(seconds):
            while len(self.letters) < least:
                self._came.clear()
                await self._came.wait()
        return self.letters

    def keep(self, letter: Letter) -> None:
        """Take a letter."""
        self.letters.append(letter)
        self._came.set()


@asynccontextmanager
async def mail_server(port: int = 0) -> AsyncIterator[Mailbox]:
    """Yield the mailbox of a mail server on the loopback (RFC 5321: EHLO, MAIL, RCPT, DATA, RSET)."""
    box = Mailbox()
    open_now: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        box.connections += 1
        open_now.add(writer)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await _Session(box, reader, writer).run()
        finally:
            open_now.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=LARGEST)
    box.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield box
        finally:
            for each in list(open_now):
                each.close()


class _Session:
    def __init__(
        self, box: Mailbox, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._box, self._reader, self._writer = box, reader, writer
        self._sender: str | None = None
        self._recipients: list[str] = []

    async def run(self) -> None:
        await self._say("220 localhost ready")
        while line := await self._reader.readline():
            verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            if not await self._answer(verb.upper(), rest):
                return

    async def _answer(self, verb: str, rest: str) -> bool:
        match verb:
            case "EHLO":
                await self._say(
                    f"250-localhost\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE {LARGEST}"
                )
            case "HELO" | "NOOP":
                await self._say("250 localhost")
            case "RSET":
                self._sender, self._recipients = None, []
                await self._say("250 forgotten")
            case "MAIL":
                await self._mail(rest)
            case "RCPT":
                await self._rcpt(rest)
            case "DATA":
                return await self._data()
            case "QUIT":
                await self._say("221 good bye")
                return False
            case _:
                await self._say("502 not here")
        return True

    async def _mail(self, rest: str) -> None:
        found = _PATH.match(rest)
        if self._box.mood == "busy":
            await self._say("451 come again later")
        elif found is None:
            await self._say("501 say MAIL FROM:<address>")
        else:
            self._sender = found[1]
            await self._say("250 well")

    async def _rcpt(self, rest: str) -> None:
        found = _PATH.match(rest)
        if self._box.mood == "refusing":
            await self._say("550 nobody of this name lives here")
        elif self._box.mood == "full":
            await self._say("452 this mailbox is full")
        elif self._sender is None or found is None:
            await self._say("503 say MAIL first, then RCPT TO:<address>")
        else:
            self._recipients.append(found[1])
            await self._say("250 well")

    async def _data(self) -> bool:
        if self._sender is None or not self._recipients:
            await self._say("503 say MAIL and RCPT first")
            return True
        await self._say("354 go on")
        raw = await self._reader.readuntil(b"\r\n.\r\n")
        text = raw[:-3]
        if text.startswith(b"."):
            text = text[1:]
        letter = Letter(self._sender, tuple(self._recipients), text.replace(b"\r\n..", b"\r\n."))
        self._sender, self._recipients = None, []
        self._box.keep(letter)
        if self._box.mood == "dropping":
            return False
        await self._say("250 taken")
        return True

    async def _say(self, text: str) -> None:
        self._writer.write(text.encode() + b"\r\n")
        await self._writer.drain()
