"""What the local servers of tests share: a thread with a listener, a little of HTTP, and bad manners."""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import TypeVar

from higherself.kernel.clock import SYSTEM_CLOCK

PAGE = b"<!DOCTYPE html><html><body>Bad gateway</body></html>"
"""What a proxy answers when the server behind it does not."""

UNANSWERED = frozenset({"hang", "dropped", "cut"})
"""Faults after which nobody has the answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came in. Names of ``headers`` are in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered, and how.

    ``fault``: "hang" (no answer, ever), "dropped" (the connection is closed without one), "cut" (in
    the middle of it), "slow" (``late``); any other is in the answer itself.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    fault: str | None = None
    late: timedelta = timedelta()


class HttpServer(ABC):
    """Answers requests, badly if that is asked for. ``connections`` counts them."""

    connections = 0

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it ends."""
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while await _deliver(self.answer(await read_request(reader)), reader, writer):
                    pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def _deliver(
    answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """Write an answer, and return whether the connection goes on."""
    raw = http_answer(answer.status, answer.body, answer.headers)
    match answer.fault:
        case "hang":
            await reader.read()  # until the other side gives up
        case "cut":
            writer.write(raw[: -len(answer.body) // 2])
            await writer.drain()
        case "slow":
            await SYSTEM_CLOCK.sleep(answer.late)
        case _:
            pass
    if answer.fault in UNANSWERED:
        return False
    writer.write(raw)
    await writer.drain()
    return True


S = TypeVar("S", bound=HttpServer)


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Return the next request of a connection.

    Raises
        IncompleteReadError: it ended.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    lines = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in lines}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(head[0].split(" ")[1], headers, body)


def http_answer(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """Return an answer as it goes over the wire."""
    kind = "text/html" if body.startswith(b"<") else "application/json"
    lines = {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}
    told = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    known = {each.value: each.phrase for each in HTTPStatus}
    return f"HTTP/1.1 {status} {known.get(status, 'Unknown')}\r\n{told}\r\n".encode() + body


@contextmanager
def listening(make: Callable[[int], S], port: int = 0, *, name: str) -> Iterator[S]:
    """Yield what ``make`` makes of the port, serving in a thread of its own, until the block ends."""
    started: Future[S] = Future()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        connections: set[asyncio.Task[None]] = set()

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = loop.create_task(started.result().converse(reader, writer))
            connections.add(task)
            task.add_done_callback(connections.discard)

        listener = await asyncio.start_server(connected, "127.0.0.1", port)
        started.set_result(make(listener.sockets[0].getsockname()[1]))
        await stop.wait()
        listener.close()
        for task in connections:
            task.cancel()
        await asyncio.wait(connections) if connections else None

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except OSError as error:
            started.set_exception(error)
        finally:
            loop.close()

    thread = threading.Thread(target=run, name=name)
    thread.start()
    try:
        yield started.result(timeout=30)
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join()
