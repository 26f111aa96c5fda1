"""A proxy before a server, by a Unix socket or TCP, with the manners that networks have."""

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

Manner = Literal["open", "jam", "hole", "one_way", "reset"]
"""Jam: nothing moves, new connections neither, and goes on where it was. Hole: it accepts, and what
comes is lost. One way: the server hears us, and its answers are lost. Reset: connections end at
once, also new ones."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Connections that have lost something are never of use again: they end when it heals."""

    def __init__(self, reach: Callable[[], Awaitable[Streams]]) -> None:
        self._reach = reach
        self._manner: Manner = "open"
        self._moves = asyncio.Event()
        self._moves.set()
        self._word, self.cuts = b"", 0
        self.url, self.port = "", 0
        self._serving: set[asyncio.Task[None]] = set()

    def cut(self, manner: Manner) -> None:
        self._manner = manner
        if manner == "reset":
            self._end_all()
        elif manner == "jam":
            self._moves.clear()

    def cut_answers_to(self, word: bytes, times: int) -> None:
        """Have the next so many statements with ``word`` reach the server, and their answers not us."""
        self._word, self.cuts = word, times

    def heal(self) -> None:
        """Let everything through; what has lost something is ended, as by a keepalive."""
        if self._manner in ("hole", "one_way"):
            self._end_all()
        self._manner = "open"
        self._moves.set()

    async def close(self) -> None:
        self.heal()
        self._end_all()
        if self._serving:
            await asyncio.wait(self._serving)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def _end_all(self) -> None:
        for task in self._serving:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            if self._manner != "reset":
                back, forth = await self._reach()
                ends.append(forth)
                async with asyncio.TaskGroup() as tasks:
                    doomed = asyncio.Event()
                    there = tasks.create_task(self._forward(reader, forth, doomed))
                    here = tasks.create_task(self._backward(back, writer, doomed))
                    await asyncio.wait([there, here], return_when=asyncio.FIRST_COMPLETED)
                    there.cancel()
                    here.cancel()
        except (asyncio.CancelledError, OSError):
            pass
        finally:
            for each in ends:
                reset(each)

    async def _forward(
        self, come: asyncio.StreamReader, go: asyncio.StreamWriter, doomed: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await come.read(1_000_000):
                await self._moves.wait()
                if self.cuts and self._word in data:
                    self.cuts -= 1
                    doomed.set()
                if self._manner != "hole":
                    go.write(data)
                    await go.drain()

    async def _backward(
        self, come: asyncio.StreamReader, go: asyncio.StreamWriter, doomed: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while data := await come.read(1_000_000):
                await self._moves.wait()
                if doomed.is_set():
                    return
                if self._manner not in ("hole", "one_way"):
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
async def before_postgres(url: str) -> AsyncIterator[Proxy]:
    """Yield a proxy before the server of ``url``; its own `url` leads through it."""
    folder = Path(tempfile.mkdtemp(prefix="hs-proxy-"))
    parts = urlsplit(url)
    target = f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432"
    proxy = Proxy(lambda: asyncio.open_unix_connection(target))
    proxy.url = parts._replace(query=f"host={quote(str(folder), safe='')}").geturl()
    try:
        async with await asyncio.start_unix_server(proxy.accept, folder / ".s.PGSQL.5432"):
            yield proxy
            await proxy.close()
    finally:
        shutil.rmtree(folder)


@asynccontextmanager
async def before_port(port: int) -> AsyncIterator[Proxy]:
    """Yield a proxy before a port of this machine; its own is `port`."""
    proxy = Proxy(lambda: asyncio.open_connection("127.0.0.1", port))
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    async with server:
        yield proxy
        await proxy.close()
