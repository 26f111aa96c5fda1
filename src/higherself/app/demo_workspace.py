"""The Notion of the demo: the emulator, as a process of its own that ends with this one."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from higherself.kernel.errors import Misconfigured, Unavailable
from higherself.kernel.tasks import in_background

TOKEN = "ntn_demo"  # noqa: S105  it opens nothing but the demo's workspace
COMMAND = (
    sys.executable, "-m", "notion_emulator.cli", "serve",
    "--port", "0", "--plan", "business", "--token", TOKEN, "--until-eof",
)  # fmt: skip

SECONDS_TO_START, SECONDS_TO_END, SECONDS_TO_ANSWER = 30, 5, 30


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace that answers at ``base_url``."""

    base_url: str

    @property
    def viewer(self) -> str:
        """Where a browser shows it."""
        return f"{self.base_url}/__emu/ui"

    def shown(self, page: str) -> str:
        """Return where a browser shows one page."""
        return f"{self.viewer}/{page}"

    async def act(self, action: str, **given: Any) -> dict[str, Any]:
        """Do something as a person who works in Notion."""
        return await self._ask("POST", f"/__emu/human/{action}", given)

    async def requests(self) -> int:
        """Return how many requests to Notion's API there were so far."""
        return int((await self._ask("GET", "/__emu/stats"))["requests"])

    async def page_called(self, title: str) -> str:
        """Return the id of the page with a title."""
        found = await self._ask("POST", "/v1/search", {"query": title})
        for page in found["results"]:
            names = (page.get("properties") or {}).get("title", {}).get("title", [])
            if "".join(part["plain_text"] for part in names) == title:
                return str(page["id"])
        raise Misconfigured(f"the demo's workspace has no page {title!r}")

    async def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        return await asyncio.to_thread(_asked, self.base_url, method, path, body)


def _asked(base_url: str, method: str, path: str, body: Any) -> dict[str, Any]:
    at = urlsplit(base_url)
    connection = HTTPConnection(at.hostname or "", at.port, timeout=SECONDS_TO_ANSWER)
    headers = {"Authorization": f"Bearer {TOKEN}", "Notion-Version": "2026-03-11", "Content-Type": "application/json"}  # fmt: skip
    try:
        sent = None if body is None else json.dumps(body)
        connection.request(method, path, sent, headers)
        answer = connection.getresponse()
        text = answer.read()
    except OSError as error:
        raise Unavailable(f"the Notion emulator does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise Misconfigured(f"the Notion emulator refused {path}: {text[:500].decode()}")
    found: dict[str, Any] = json.loads(text)
    return found


@asynccontextmanager
async def emulated(seed: Path) -> AsyncIterator[Workspace]:
    """Yield a new workspace with what ``seed`` says, in a process that ends with the block.

    It ends with this process too, however that ends: it waits for the end of its input, which is
    ours. Ctrl-C does not reach it, as it would before we have ended.

    Raises
        Misconfigured: it does not start; the text says why.
    """
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--seed", str(seed),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None  # noqa: S101  it was asked for
    try:
        address = await _address(process.stderr)
        async with in_background(_ignored(process.stderr)):
            yield Workspace(address)
    finally:
        await _end(process)


async def _address(said: asyncio.StreamReader) -> str:
    lines = []
    try:
        async with asyncio.timeout(SECONDS_TO_START):
            while line := (await said.readline()).decode(errors="replace").rstrip():
                if found := re.search(r"http://\S+", line):
                    return found[0]
                lines.append(line)
    except TimeoutError:
        lines.append(f"nothing was heard of it for {SECONDS_TO_START} s")
    why = " ".join(lines[-3:]) or "it ended at once"
    raise Misconfigured(f"the Notion emulator does not start: {why}")


async def _ignored(said: asyncio.StreamReader) -> None:
    while await said.read(65_536):
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None  # noqa: S101  it was asked for
    process.stdin.close()
    try:
        async with asyncio.timeout(SECONDS_TO_END):
            await process.wait()
    except (TimeoutError, asyncio.CancelledError):
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
