"""What a running server holds for assistants: the SDK's server, and its sessions over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from higherself.app.open_skills import Offering, OpenSkills
from higherself.app.sdk_logs import tell_of
from higherself.app.wiring import HigherSelf
from higherself.kernel.clock import Clock
from higherself.kernel.tasks import in_background
from higherself.mcp.calls import Calls
from higherself.mcp.offers import offers_of
from higherself.mcp.server import build_server

LARGEST_REQUEST = 4 * 1024 * 1024
MOST_SESSIONS = 1_000
IDLE = timedelta(minutes=30)
"""A session of which nothing was heard for so long is forgotten; the assistant begins a new one."""

TO_FINISH = timedelta(seconds=10)
"""For calls that run when the server is told to stop."""

_HOSTS = ("127.0.0.1", "localhost", "[::1]")


class McpEdge:
    """The tools of a program, ready to be served over one road or the other."""

    def __init__(self, calls: Calls, clock: Clock) -> None:
        self.calls = calls
        self.server: Server[Any] = build_server(calls)
        self._clock = clock
        self._manager: StreamableHTTPSessionManager | None = None
        self._ending = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if self._manager is None:
            raise HTTPException(503, "the server is starting or stopping; try again in a moment")
        await self._manager.handle_request(scope, receive, send)

    def end(self) -> None:
        """Begin no more, let what runs finish, then end all sessions."""
        self._ending.set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Keep sessions while the block runs, or until `end`."""
        ready = asyncio.Event()
        async with in_background(self._keep(ready)):
            await ready.wait()
            yield

    async def _keep(self, ready: asyncio.Event) -> None:
        manager = StreamableHTTPSessionManager(
            self.server,
            security_settings=TransportSecuritySettings(
                allowed_hosts=[each + port for each in _HOSTS for port in ("", ":*")],
                allowed_origins=[f"http://{each}{port}" for each in _HOSTS for port in ("", ":*")],
            ),
            max_request_body_size=LARGEST_REQUEST,
            session_idle_timeout=IDLE.total_seconds(),
            max_sessions=MOST_SESSIONS,
        )
        async with manager.run():
            self._manager = manager
            ready.set()
            try:
                await self._ending.wait()
            finally:
                self._manager = None
            await self._finished()

    async def _finished(self) -> None:
        until = self._clock.monotonic() + TO_FINISH.total_seconds()
        while self.calls.running and self._clock.monotonic() < until:
            await self._clock.sleep(timedelta(milliseconds=20))
        await self._clock.sleep(timedelta(milliseconds=100))  # the last answers go out


def edge_of(
    hs: HigherSelf, *, offering: Offering, only: str | None = None, clock: Clock
) -> McpEdge:
    """Return what ``hs`` has for assistants; for all businesses, or ``only`` for one."""
    tell_of("mcp")
    skills = OpenSkills(hs, offering, only=only)
    offers = offers_of(skills.skills.values())
    return McpEdge(Calls(offers, skills, clock, only=only), clock)
