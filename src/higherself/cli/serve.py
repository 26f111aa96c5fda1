"""The command that runs the server: API and dashboard in one process, until it is told to stop."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from higherself.cli.output import plain, say

if TYPE_CHECKING:
    import asyncio
    import socket

    import uvicorn
    from fastapi import FastAPI

    from higherself.app.wiring import HigherSelf

SECONDS_TO_DRAIN = 20


@click.command(epilog="Example: higherself serve --port 8788")
@click.option("--host", help="The address to listen on. Default: HIGHERSELF_HOST, or 127.0.0.1.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port to listen on; 0: any that is free. Default: HIGHERSELF_PORT, or 8787.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    default=0,
    show_default=True,
    help="Worker processes beside the one inside.",
)
def serve(*, host: str | None, port: int | None, workers: int) -> None:
    """Run the API, the dashboard and a worker until Ctrl-C or SIGTERM.

    Then requests that have begun are answered, activities that run may finish for 20 seconds, and
    the embedded PostgreSQL is stopped.
    """
    import asyncio

    asyncio.run(_serve(host, port, workers))


async def _serve(host: str | None, port: int | None, workers: int) -> None:
    from higherself.app.settings import load_settings
    from higherself.app.wiring import HigherSelf
    from higherself.cli.stopping import asked_to_stop

    stop = asked_to_stop()
    settings, _ = load_settings()
    with listen(host or settings.host, settings.port if port is None else port) as listener:
        async with HigherSelf.open(settings, report=say) as hs:
            await serve_until_stopped(hs, listener=listener, stop=stop, workers=workers)
    say("stopped")


async def serve_until_stopped(
    hs: "HigherSelf",
    *,
    listener: "socket.socket | None" = None,
    stop: "asyncio.Event | None" = None,
    workers: int = 0,
    quiet: bool = False,
    notion: bool = True,
) -> None:
    """Serve ``hs`` until SIGTERM or Ctrl-C; answer what has begun, then return.

    It runs activities itself, and ``workers`` more processes do; these stop with it. If it is to be
    ``quiet``, it tells nobody where it is, and keeps no log; without ``notion``, it leaves that to
    whoever calls.

    Raises
        Misconfigured: the address of the settings cannot be listened on; the text says why.
    """
    import contextlib

    import uvicorn

    from higherself.app.notion_sync import follow_notion
    from higherself.app.notion_workflows import keep_workflows
    from higherself.app.telemetry import install_telemetry
    from higherself.cli.processes import keep_workers
    from higherself.cli.stopping import asked_to_stop
    from higherself.kernel.tasks import in_background, side_by_side

    at = listener or listen(hs.settings.host, hs.settings.port)
    app = compose(hs)
    asked = stop or asked_to_stop()
    told: Callable[[str], None] = (lambda line: None) if quiet else say

    class Server(uvicorn.Server):
        def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
            return contextlib.nullcontext()  # ours are set, also for while it is not yet running

        async def startup(self, sockets: "list[socket.socket] | None" = None) -> None:
            await super().startup(sockets)
            told(f"dashboard: {_url(at)}  (Ctrl-C stops)")

        async def on_tick(self, counter: int) -> bool:
            return asked.is_set() or await super().on_tick(counter)

        async def shutdown(self, sockets: "list[socket.socket] | None" = None) -> None:
            for end in app.state.endings:
                end()  # answers that would go on for ever end, so that nothing waits for them
            await super().shutdown(sockets)

    if not quiet:
        install_telemetry(hs.settings)
    for problem in (await hs.hosted.install()).problems.values():
        told(plain(problem))
    beside = side_by_side(
        hs.knowledge.upkeep.keep_up(),
        hs.hosted.worker().run(),
        hs.hosted.upkeep(),
        hs.webhooks.keep_up(),
        hs.agents.work(),
        hs.agents.upkeep(),
        hs.happenings.work(),
        hs.human_tasks.work(),
        hs.outbound.postman.run(),
        hs.drain_nats(),
        keep_workers(workers),
        *(
            each(hs, lambda line: told(plain(line)))
            for each in (follow_notion, keep_workflows)
            if notion
        ),
    )
    async with in_background(beside):
        await Server(http_config(app)).serve(sockets=[at])


def http_config(app: "FastAPI") -> "uvicorn.Config":
    """Return how uvicorn is to serve ``app``: quietly, alone, and with time to drain."""
    import uvicorn

    return uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=SECONDS_TO_DRAIN,
    )


def compose(hs: "HigherSelf") -> "FastAPI":
    """Return the whole application on ``hs``: the API, the dashboard, the doors for assistants."""
    from higherself.a2a.http import add_a2a
    from higherself.api.app import create_app
    from higherself.dashboard.views import add_dashboard
    from higherself.mcp.http import add_mcp

    app = create_app(hs)
    add_dashboard(app, hs)
    add_mcp(app, hs)
    add_a2a(app, hs)
    return app


def listen(host: str, port: int) -> "socket.socket":
    """Return a socket that listens on ``host`` and ``port``.

    Raises
        Misconfigured: it is not of this machine alone, it is taken, or it does not exist.
    """
    import ipaddress
    import socket

    from higherself.kernel.errors import Misconfigured

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise Misconfigured(f"HIGHERSELF_HOST: there is no address {host!r} ({error})") from error
    if not all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found):
        raise Misconfigured(
            f"{host} can be reached from other machines, and this release has no authentication: "
            "listen on 127.0.0.1 and put a proxy with authentication in front"
        )
    family, _, _, _, address = found[0]
    try:
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        raise Misconfigured(
            f"cannot listen on {host}, port {port} ({error.strerror}): stop what listens there, or "
            "take another port with `higherself serve --port 8788` or HIGHERSELF_PORT"
        ) from error


def _url(listener: "socket.socket") -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
