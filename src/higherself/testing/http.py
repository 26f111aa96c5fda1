"""The whole HTTP application in a thread of its own, for tests that ask over a real socket."""

import asyncio
import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPMessage
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from higherself.app.settings import Settings
from higherself.app.wiring import HigherSelf
from higherself.cli.serve import compose, http_config
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.migrate import migrate
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.testing.postgres import create_database, drop_database, in_database


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Site:
    """A running application: ``hs`` is what it serves, ``prefix`` the path it is mounted under.

    ``stop`` tells it to stop before the end of the test.
    """

    port: int
    hs: HigherSelf
    prefix: str
    app: Any
    stop: threading.Event

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request (a ``body`` that is no bytes as JSON) and return the answer."""
        sent = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, self.prefix + path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for ``path`` as a browser does."""
        return self.ask("GET", path, headers={"Accept": "text/html", **headers})


@contextmanager
def running(
    server: EmbeddedPostgres,
    *,
    prefix: str = "",
    prepare: Callable[[Any], None] = lambda app: None,
    **settings: Any,
) -> Iterator[Site]:
    """Yield the application on a fresh database of ``server``, gone afterwards.

    ``prepare`` may add to the application; ``settings`` are those of the environment.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    create_database(server.admin_url, name)
    url = in_database(server.url, name)
    asyncio.run(_migrated(url))
    given = {"DATABASE_URL": url, "HIGHERSELF_EMBEDDING_TIERS": ("local",), **settings}
    site: Future[Site] = Future()
    stop = threading.Event()
    thread = threading.Thread(
        target=_serve, args=(Settings.model_validate(given), prefix, prepare, site, stop)
    )
    thread.start()
    try:
        yield site.result(timeout=60)
    finally:
        stop.set()
        thread.join()
        drop_database(server.admin_url, name)


async def _migrated(url: str) -> None:
    await migrate(url, clock=SYSTEM_CLOCK)


def _serve(
    settings: Settings,
    prefix: str,
    prepare: Callable[[Any], None],
    site: Future[Site],
    stop: threading.Event,
) -> None:
    try:
        asyncio.run(_served(settings, prefix, prepare, site, stop))
    except BaseException as error:
        if site.done():
            raise
        site.set_exception(error)


async def _served(
    settings: Settings,
    prefix: str,
    prepare: Callable[[Any], None],
    site: Future[Site],
    stop: threading.Event,
) -> None:
    async with HigherSelf.open(settings) as hs:
        composed = compose(hs)
        prepare(composed)
        app: Any = Starlette(routes=[Mount(prefix, composed)]) if prefix else composed
        with socket.create_server(("127.0.0.1", 0)) as listener:

            class Server(uvicorn.Server):
                async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                    await super().startup(sockets)
                    port = listener.getsockname()[1]
                    site.set_result(Site(port, hs, prefix, composed, stop))

                async def on_tick(self, counter: int) -> bool:
                    return stop.is_set() or await super().on_tick(counter)

                async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
                    for end in composed.state.endings:
                        end()
                    await super().shutdown(sockets)

            await Server(http_config(app)).serve(sockets=[listener])
