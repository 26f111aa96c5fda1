"""MCP at ``/mcp`` of the HTTP application, if the SDK is installed."""

from importlib.util import find_spec

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from higherself.app.wiring import HigherSelf
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Misconfigured

PATH = "/mcp"
INSTALL = "pip install 'higherself-network-server[mcp]'"


class McpMissing(Misconfigured):
    """The SDK is not installed."""

    def __init__(self) -> None:
        super().__init__(f"assistants are served with the extra `mcp`: {INSTALL}")


def is_installed() -> bool:
    """Whether the SDK is here."""
    return find_spec("mcp") is not None and find_spec("mcp_types") is not None


def add_mcp(app: FastAPI, hs: HigherSelf) -> None:
    """Serve assistants at ``/mcp`` of ``app``, as the setting HIGHERSELF_MCP has it.

    Without the SDK, the address says how to install it.
    """
    if hs.settings.mcp == "off":
        return
    if not is_installed():
        app.router.routes.append(Route(PATH, _Missing(), include_in_schema=False))
        return
    from higherself.mcp.edge import edge_of

    edge = edge_of(hs, offering=hs.settings.mcp, clock=SYSTEM_CLOCK)
    app.state.mcp = edge
    app.state.beside.append(edge.serving)
    app.state.endings.append(edge.end)
    app.router.routes.append(Route(PATH, edge, include_in_schema=False))


class _Missing:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise HTTPException(501, str(McpMissing()))
