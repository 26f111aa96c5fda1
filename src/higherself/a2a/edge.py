"""What a running server holds for agents elsewhere: the card, the requests, the work behind them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from a2a.server.request_handlers.response_helpers import agent_card_to_dict
from a2a.server.routes.jsonrpc_routes import create_jsonrpc_routes
from a2a.server.routes.rest_routes import create_rest_routes
from a2a.utils.constants import AGENT_CARD_WELL_KNOWN_PATH
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from higherself.a2a.card import REST, RPC, card_of
from higherself.a2a.requests import Requests
from higherself.a2a.store import Tasks
from higherself.a2a.work import Work
from higherself.app.open_skills import Offering, OpenSkills
from higherself.app.sdk_logs import tell_of
from higherself.app.wiring import HigherSelf
from higherself.kernel.clock import Clock
from higherself.kernel.jsonvalue import shown
from higherself.kernel.tasks import in_background

CARD_GOOD_FOR = 60
"""Seconds for which nobody needs to fetch the card again."""


class A2aEdge:
    """The network as one agent for agents elsewhere."""

    def __init__(self, hs: HigherSelf, *, offering: Offering, clock: Clock) -> None:
        tell_of("a2a")
        self.hs, self._skills = hs, OpenSkills(hs, offering)
        self._ending = asyncio.Event()
        self._tasks = Tasks(hs.database, clock)
        self._work = Work(self._tasks, hs.database, hs.bus, self._skills, clock)
        self._requests = Requests(
            self._tasks,
            hs.database,
            hs.bus,
            self._skills,
            self._work,
            self._ending,
            clock,
            agents=hs.agents.list,
        )

    def routes(self) -> list[BaseRoute]:
        """Return the card, the requests over JSON-RPC, and the same over HTTP with JSON."""
        return [
            Route(AGENT_CARD_WELL_KNOWN_PATH, self._card, methods=["GET"]),
            *create_jsonrpc_routes(self._requests, RPC),
            Mount(REST, routes=create_rest_routes(self._requests)),
        ]

    def end(self) -> None:
        """Let nobody wait any longer: tasks go on, and can be asked about again."""
        self._ending.set()
        self._tasks.wake_all()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Do the work behind tasks while the block runs."""
        async with (
            self.hs.bus.consuming(*self._work.served()),
            in_background(self._work.keep_up()),
        ):
            yield

    async def _card(self, request: Request) -> Response:
        base = self.hs.settings.url or str(request.base_url)
        agents = [each.card for each in await self.hs.agents.list()]
        card = agent_card_to_dict(card_of(base, agents, self._skills.skills.values()))
        body = shown(card, indent=None)
        headers = {
            "ETag": f'"{hashlib.sha256(body.encode()).hexdigest()[:32]}"',
            "Cache-Control": f"max-age={CARD_GOOD_FOR}",
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")
