"""A gate before PostgreSQL that can be open, shut (connections end), or jammed (nothing moves)."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit


class Gate:
    def __init__(self, folder: Path, target: str, url: str) -> None:
        self.folder, self.target = folder, target
        parts = urlsplit(url)
        self.url = parts._replace(query=f"host={quote(str(folder), safe='')}").geturl()
        self.moves = asyncio.Event()
        self.moves.set()
        self.is_shut = False
        self.serving: set[asyncio.Task[None]] = set()

    def jam(self) -> None:
        """Let nothing through; connections stay as they are."""
        self.moves.clear()

    def shut(self) -> None:
        """End all connections, and every new one at once."""
        self.is_shut = True
        for task in self.serving:
            task.cancel()

    def open(self) -> None:
        self.is_shut = False
        self.moves.set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self.serving.add(task)
        task.add_done_callback(self.serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_shut:
            writer.close()
            return
        back, forth = await asyncio.open_unix_connection(self.target)
        tasks = [
            asyncio.create_task(self._carry(reader, forth)),
            asyncio.create_task(self._carry(back, writer)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            for each in (writer, forth):
                each.close()

    async def _carry(self, come: asyncio.StreamReader, go: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await come.read(1_000_000):
                await self.moves.wait()
                go.write(data)
                await go.drain()


@asynccontextmanager
async def gate_before(url: str) -> AsyncIterator[Gate]:
    folder = Path(tempfile.mkdtemp(prefix="hs-gate-"))
    sockets = parse_qs(urlsplit(url).query)["host"][0]
    gate = Gate(folder, f"{sockets}/.s.PGSQL.5432", url)
    server = await asyncio.start_unix_server(gate.accept, folder / ".s.PGSQL.5432")
    async with server:
        yield gate
        gate.open()
        for task in list(gate.serving):
            task.cancel()
        if gate.serving:
            await asyncio.wait(gate.serving)
    shutil.rmtree(folder)
