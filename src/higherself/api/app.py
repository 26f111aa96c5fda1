"""The HTTP application: routes, health, metrics."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Response

from higherself import __version__
from higherself.api.approvals import approval_routes
from higherself.api.guard import Guard
from higherself.api.human_tasks import human_task_routes
from higherself.api.knowledge import knowledge_routes
from higherself.api.problems import add_problems
from higherself.api.templates import template_routes
from higherself.api.unsubscribe import unsubscribe_routes
from higherself.api.webhooks import webhook_routes
from higherself.app.health import Check, ready
from higherself.app.telemetry import METRICS_TYPE, metrics
from higherself.app.wiring import HigherSelf
from higherself.kernel.jsonvalue import shown

SECONDS_TO_BE_READY = 5

_OK = {"ok": True}
_READY = {"ok": True, "checks": [{"name": "database", "ok": True, "detail": "answers", "fix": ""}]}


def create_app(hs: HigherSelf) -> FastAPI:
    """Return the application that serves ``hs``, which the caller has opened and will close.

    Other edges add to ``app.state``: to ``beside`` functions that return what is held open while it
    serves, to ``endings`` functions that are called when it begins to stop.
    """
    app = FastAPI(
        title="HigherSelf Network Server",
        version=__version__,
        description="What the business knows, over HTTP. Errors are RFC 9457 problem details.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_beside,
    )
    app.state.beside, app.state.endings = [], []
    add_problems(app)
    app.add_middleware(Guard)
    app.include_router(knowledge_routes(hs))
    app.include_router(webhook_routes(hs))
    app.include_router(human_task_routes(hs))
    app.include_router(approval_routes(hs))
    app.include_router(template_routes(hs))
    app.include_router(unsubscribe_routes(hs))

    @app.get("/healthz", tags=["health"], responses=_example(_OK))
    async def healthz() -> dict[str, bool]:
        """Say that the process is alive."""
        return _OK

    @app.get("/readyz", tags=["health"], responses={**_example(_READY), 503: {}})
    async def readyz() -> Response:
        """Say whether requests can be answered now, and what is wrong if not."""
        checks = await _readiness(hs)
        ok = all(check.ok for check in checks)
        body = shown({"ok": ok, "checks": checks}, indent=None)
        return Response(body, 200 if ok else 503, media_type="application/json")

    @app.get("/metrics", tags=["health"], response_class=Response)
    async def prometheus() -> Response:
        """Return the metrics in Prometheus' text format."""
        return Response(metrics(), media_type=METRICS_TYPE)

    return app


@asynccontextmanager
async def _beside(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        for held in app.state.beside:
            await stack.enter_async_context(held())
        yield


async def _readiness(hs: HigherSelf) -> list[Check]:
    try:
        async with asyncio.timeout(SECONDS_TO_BE_READY):
            return await ready(hs)
    except TimeoutError:
        late = f"did not answer within {SECONDS_TO_BE_READY} seconds"
        return [Check("database", False, late, "see `higherself doctor`")]


def _example(value: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": value}}}}
