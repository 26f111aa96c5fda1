"""What stands before every route: who may ask, how much, and what leaves with every answer."""

import ipaddress
import re
import traceback
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from higherself.api.problems import problem
from higherself.app.telemetry import correlated
from higherself.kernel import telemetry
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.ids import new_id

LARGEST_BODY = 32 * 1024 * 1024

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = _SAFE | {"POST", "PUT", "PATCH", "DELETE"}
_QUIET = frozenset({"/healthz", "/readyz", "/metrics", "/static"})
_CORRELATION = re.compile(r"[\w.:-]{1,64}")


class Guard:
    """Wraps the application: refuses, limits, adds headers, logs, survives what nobody expected."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        correlation = _correlation(request.headers)
        started, status = SYSTEM_CLOCK.monotonic(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = correlation
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with correlated(correlation):
            try:
                if (refusal := _refusal(request)) is not None:
                    await refusal(scope, receive, send_with_headers)
                else:
                    await self._app(scope, _limited(receive), send_with_headers)
            except Exception as error:
                telemetry.warning(
                    "http.request.failed",
                    error=type(error).__name__,
                    exception="".join(traceback.format_exception(error)),
                )
                if status:
                    raise
                answer = _unexpected(request, correlation)
                await answer(scope, receive, send_with_headers)
            finally:
                _tell(scope, status, SYSTEM_CLOCK.monotonic() - started)


def _refusal(request: Request) -> Response | None:
    """Return why a request is not answered at all, or None.

    Without authentication, only the address in the browser's bar tells our pages from a stranger's:
    a name that resolves to this machine (DNS rebinding) is not ours.
    """
    host = request.headers.get("host", "")
    if not _is_loopback(host):
        return problem(
            request,
            421,
            f"this server answers for 127.0.0.1 and localhost, not for {host[:100]!r}; "
            "a proxy before it must set Host to the address it forwards to",
        )
    site = request.headers.get("sec-fetch-site", "none")
    if request.method not in _SAFE and site not in {"none", "same-origin"}:
        return problem(request, 403, "a page of another site may not change anything here")
    return None


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _limited(receive: Receive) -> Receive:
    """Return ``receive``, ending in 413 beyond the limit, however much was announced.

    Some of what is too much is still read: a client that is cut off while it writes often never
    reads why.
    """
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received <= LARGEST_BODY:
            return message
        while message.get("more_body") and received < 4 * LARGEST_BODY:
            message = await receive()
            received += len(message.get("body", b""))
        raise HTTPException(
            413,
            f"a body may have {LARGEST_BODY // 2**20} MB; send the documents in several requests",
            {"Connection": "close"},
        )

    return receive_limited


def _correlation(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _CORRELATION.fullmatch(given) else new_id(SYSTEM_CLOCK.now()).hex


def _unexpected(request: Request, correlation: str) -> Response:
    return problem(
        request,
        500,
        "this is a mistake in the server, not in the request; its log has the details under the "
        f"correlation {correlation}",
        correlation=correlation,
    )


def _tell(scope: Scope, status: int, seconds: float) -> None:
    route: Any = scope.get("route")
    path = getattr(route, "path", "(none)")
    method = scope["method"] if scope["method"] in _METHODS else "(other)"
    telemetry.count("http.request.answered", route=path, method=method, status=str(status))
    if path not in _QUIET:
        telemetry.info(
            "http.request.answered",
            method=scope["method"],
            path=scope["path"],
            status=status,
            milliseconds=round(seconds * 1000, 1),
        )
