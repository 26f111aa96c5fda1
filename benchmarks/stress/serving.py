"""The program as its users run it: `higherself worker` and `higherself serve`, as processes."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from measure import Server

from higherself.db.migrate import migrate
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.testing.postgres import in_database

PROGRAM = (sys.executable, "-c", "from higherself.cli.main import main; main()")
READY_WITHIN = 60.0
STOPS_WITHIN = 60.0


def environment(server: Server, database: str, extensions: Path, home: Path) -> dict[str, str]:
    """Return what a process of the program is told, and nothing of what this one was."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in ("PATH", "HOME", "LANG", "PYTHONPATH")
    }
    return {
        **kept,
        "DATABASE_URL": in_database(server.url, database),
        "HIGHERSELF_HOME": str(home),
        "HIGHERSELF_EXTENSIONS": str(extensions),
        "HIGHERSELF_EMBEDDING_TIERS": "local",
        "HIGHERSELF_LOG": "json",
        "PYTHONUNBUFFERED": "1",
    }


@asynccontextmanager
async def running(
    told: Mapping[str, str], *arguments: str, ready: str, log: Path
) -> AsyncIterator[tuple[subprocess.Popen[bytes], str]]:
    """Yield a process that has said ``ready`` (an expression), and the line in which it did."""
    process = await asyncio.to_thread(_begun, told, arguments, log)
    try:
        yield process, await _said(process, log, re.compile(ready))
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _begun(told: Mapping[str, str], arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as said:
        return subprocess.Popen([*PROGRAM, *arguments], env=dict(told), stdout=said, stderr=said)


async def _said(process: subprocess.Popen[bytes], log: Path, ready: re.Pattern[str]) -> str:
    for _ in range(int(READY_WITHIN / 0.1)):
        text = await asyncio.to_thread(log.read_text, errors="replace")
        if found := next((line for line in text.splitlines() if ready.search(line)), None):
            return found
        if process.poll() is not None:
            raise RuntimeError(f"it ended with {process.returncode}:\n{text[-2000:]}")
        await asyncio.sleep(0.1)
    raise RuntimeError(f"it was not ready within {READY_WITHIN:g} s:\n{text[-2000:]}")


async def prepared(server: Server, kind: str) -> str:
    """Make a database for the program, and return its name."""
    name = server.fresh_database(kind, ours=True)
    await migrate(in_database(server.url, name), clock=SYSTEM_CLOCK)
    return name


@asynccontextmanager
async def asking(server: Server, database: str) -> AsyncIterator[Callable[[str], Awaitable[int]]]:
    """Yield what counts, as the superuser, whom no row-level security narrows."""
    async with await psycopg.AsyncConnection.connect(
        server.as_superuser(database), autocommit=True
    ) as connection:

        async def ask(query: str) -> int:
            cursor = await connection.execute(query.encode())
            row = await cursor.fetchone()
            return int(row[0]) if row else 0

        yield ask


@asynccontextmanager
async def workers(
    server: Server, database: str, extensions: Path, count: int = 2
) -> AsyncIterator[list[int]]:
    """Yield the process numbers of workers that have begun."""
    with TemporaryDirectory(prefix="higherself-stress-") as folder:
        home = Path(folder)
        told = environment(server, database, extensions, home)
        async with AsyncExitStack() as stack:
            begun = [
                await stack.enter_async_context(
                    running(told, "worker", ready=r"^worker with ", log=home / f"worker{n}.log")
                )
                for n in range(count)
            ]
            yield [process.pid for process, _ in begun]
