"""A way to a server, by a Unix socket or TCP, which can be cut in the manners that networks have."""

import asyncio
import shutil
import socket
import struct
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, quote, urlsplit

Manner = Literal["open", "hole", "one_way", "reset"]
"""Hole: it accepts, and nothing moves. One way: the server hears us, and its answers are lost.
Reset: connections end at once, also new ones."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Way:
    """What comes while it is cut is lost, and its connections are never of use again."""

    def __init__(self, reach: Callable[[], Awaitable[Streams]]) -> None:
        self._reach = reach
        self._manner: Manner = "open"
        self.url, self.port = "", 0
        self._serving: set[asyncio.Task[None]] = set()

    def cut(self, manner: Manner) -> None:
        self._manner = manner
        if manner == "reset":
            self._end_all()

    def heal(self) -> None:
        """Let new connections through; those that have lost something are ended, as by a keepalive."""
        self._manner = "open"
        self._end_all()

    def _end_all(self) -> None:
        for task in self._serving:
            task.cancel()

    async def close(self) -> None:
        self._end_all()
        if self._serving:
            await asyncio.wait(self._serving)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            if self._manner != "reset":
                back, forth = await self._reach()
                ends.append(forth)
                async with asyncio.TaskGroup() as tasks:
                    there = tasks.create_task(self._carry(reader, forth, {"hole"}))
                    here = tasks.create_task(self._carry(back, writer, {"hole", "one_way"}))
                    await asyncio.wait([there, here], return_when=asyncio.FIRST_COMPLETED)
                    there.cancel()
                    here.cancel()
        except (asyncio.CancelledError, OSError):
            pass
        finally:
            for each in ends:
                reset(each)

    async def _carry(
        self, come: asyncio.StreamReader, go: asyncio.StreamWriter, lost: set[Manner]
    ) -> None:
        with suppress(OSError):
            while data := await come.read(65_536):
                if self._manner not in lost:
                    go.write(data)
                    await go.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST, where there is such a thing."""
    peer: socket.socket = writer.get_extra_info("socket")
    if peer.family != socket.AF_UNIX:
        with suppress(OSError):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def way_to_postgres(url: str) -> AsyncIterator[Way]:
    """Yield a way to the server of ``url``; its own `url` leads through it."""
    folder = Path(tempfile.mkdtemp(prefix="hs-way-"))
    parts = urlsplit(url)
    target = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
    way = Way(lambda: asyncio.open_unix_connection(target))
    way.url = parts._replace(query=f"host={quote(str(folder), safe='')}").geturl()
    try:
        async with await asyncio.start_unix_server(way.accept, folder / ".s.PGSQL.5432"):
            yield way
            await way.close()
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def way_to_port(port: int) -> AsyncIterator[Way]:
    way = Way(lambda: asyncio.open_connection("127.0.0.1", port))
    server = await asyncio.start_server(way.accept, "127.0.0.1", 0)
    way.port = server.sockets[0].getsockname()[1]
    async with server:
        yield way
        await way.close()
