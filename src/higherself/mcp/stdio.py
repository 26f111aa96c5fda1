"""MCP over standard input and output: how an assistant on this machine starts and asks us."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, TextIO, cast

from anyio import AsyncFile, wrap_file
from mcp.server.stdio import stdio_server

from higherself.kernel.tasks import abandonable, in_background
from higherself.mcp.edge import McpEdge


async def serve_stdio(edge: McpEdge, stop: asyncio.Event) -> None:
    """Answer what comes in until it ends, or until ``stop`` is set; what runs then is cancelled.

    Only messages of the protocol go out: what else a skill prints goes to standard error.
    """
    ended = asyncio.Event()

    async def answer(incoming: TextIO, outgoing: TextIO) -> None:
        try:
            lines = cast("AsyncFile[str]", _Lines(incoming))
            async with stdio_server(lines, wrap_file(outgoing)) as (read, write):
                await edge.server.run(read, write, edge.server.create_initialization_options())
        finally:
            ended.set()

    async def stopped() -> None:
        await stop.wait()
        ended.set()

    with _own_streams() as (incoming, outgoing):
        async with in_background(answer(incoming, outgoing)), in_background(stopped()):
            await ended.wait()


class _Lines:
    """The lines of a stream, read in a thread that nobody has to wait for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[str]:
        while line := await abandonable(self._stream.readline):
            yield line


@contextmanager
def _own_streams() -> Iterator[tuple[TextIO, TextIO]]:
    """Yield standard input and output, while whoever else uses them gets nothing and standard error."""
    sys.stdout.flush()
    kept = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    try:
        yield _text(kept[0], "r"), _text(kept[1], "w")
    finally:
        sys.stdout.flush()
        os.dup2(kept[0], 0)
        os.dup2(kept[1], 1)


def _text(descriptor: int, mode: str) -> TextIO:
    # Not closed with the object: a thread may still read from it, and would read another file.
    stream: Any = os.fdopen(descriptor, mode + "b", closefd=False)
    errors = "replace" if mode == "r" else "strict"
    return TextIOWrapper(stream, encoding="utf-8", errors=errors, newline="\n")
