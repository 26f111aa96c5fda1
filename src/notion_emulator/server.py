"""Run the emulator over TCP: here, or in a thread for tests."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

import uvicorn

from notion_emulator.app import Emulated, create_app


class Emulator:
    """An emulator on a free port of this machine, in a thread, for the length of a ``with``.

    ``base_url`` is what a Notion client takes; ``app`` is the workspace itself.
    """

    def __init__(self, app: Emulated | None = None, *, port: int = 0) -> None:
        self.app = app or create_app(seed_name="empty")
        # asyncio turns Nagle off only where the protocol is named; else answers wait 40 ms.
        self._socket = socket.socket(proto=socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(self.app, log_level="critical", access_log=False, lifespan="on")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    @property
    def base_url(self) -> str:
        """The address, without ``/v1``."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self) -> str:
        """A token that is known."""
        return next(iter(self.app.store.connections))

    def __enter__(self) -> Emulator:
        self._socket.listen(128)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.should_exit = self._server.force_exit = True  # some requests never end
        self._thread.join(10)
        self._socket.close()
