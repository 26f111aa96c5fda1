"""A gate before a TCP server that can be open, shut (connections end), or jammed (nothing moves)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class TcpGate:
    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.moves = asyncio.Event()
        self.moves.set()
        self.serving: set[asyncio.Task[None]] = set()

    def jam(self) -> None:
        """Let nothing through, new connections neither; those that there are stay as they are."""
        self.moves.clear()

    def open(self) -> None:
        self.moves.set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self.serving.add(task)
        task.add_done_callback(self.serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self.target)
        tasks = [
            asyncio.create_task(self._carry(reader, forth)),
            asyncio.create_task(self._carry(back, writer)),
        ]
        with suppress(asyncio.CancelledError):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for each in (writer, forth):
            each.close()

    async def _carry(self, come: asyncio.StreamReader, go: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await come.read(65_536):
                await self.moves.wait()
                go.write(data)
                await go.drain()


@asynccontextmanager
async def tcp_gate(target: int) -> AsyncIterator[TcpGate]:
    gate = TcpGate(target)
    server = await asyncio.start_server(gate.accept, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    async with server:
        yield gate
        gate.open()
        for task in list(gate.serving):
            task.cancel()
        if gate.serving:
            await asyncio.wait(gate.serving)
