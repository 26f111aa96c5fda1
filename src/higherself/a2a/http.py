"""A2A at ``/a2a`` and the agent card of the HTTP application, if the SDK is installed."""

from importlib.util import find_spec

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from higherself.app.wiring import HigherSelf
from higherself.kernel.clock import SYSTEM_CLOCK

CARD, RPC = "/.well-known/agent-card.json", "/a2a"
INSTALL = "pip install 'higherself-network-server[a2a]'"


def is_installed() -> bool:
    """Whether the SDK is here, with what it needs to serve."""
    return all(find_spec(name) is not None for name in ("a2a", "google.protobuf", "sse_starlette"))


def add_a2a(app: FastAPI, hs: HigherSelf) -> None:
    """Serve agents elsewhere, as the setting HIGHERSELF_A2A has it.

    Without the SDK, the addresses say how to install it.
    """
    if hs.settings.a2a == "off":
        return
    if not is_installed():
        app.router.routes.append(Route(CARD, _missing, methods=["GET"], include_in_schema=False))
        app.router.routes.append(Route(RPC, _missing, methods=["POST"], include_in_schema=False))
        return
    from higherself.a2a.edge import A2aEdge

    edge = A2aEdge(hs, offering=hs.settings.a2a, clock=SYSTEM_CLOCK)
    app.state.a2a = edge
    app.state.beside.append(edge.serving)
    app.state.endings.append(edge.end)
    app.router.routes.extend(edge.routes())


async def _missing(request: Request) -> Response:
    raise HTTPException(501, f"agents elsewhere are served with the extra `a2a`: {INSTALL}")
