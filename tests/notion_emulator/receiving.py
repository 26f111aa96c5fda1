"""A receiver of webhooks on a port of this machine, for tests."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Json = dict[str, Any]


class Receiver:
    """Keeps what it gets; answers 200, or what ``refuse`` says for the next so many."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        self.refuse: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.append((self.headers["x-notion-signature"], body))
                self.send_response(outer.refuse.pop(0) if outer.refuse else 200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/webhooks/notion"

    @property
    def secret(self) -> str:
        """The token that was sent last."""
        given = [json.loads(body) for _, body in self.got]
        return str([g for g in given if "verification_token" in g][-1]["verification_token"])

    @property
    def events(self) -> list[Json]:
        given = [json.loads(body) for _, body in self.got]
        return [g for g in given if "type" in g]

    @property
    def types(self) -> list[str]:
        return [e["type"] for e in self.events]

    def signed_well(self, secret: str) -> list[bool]:
        """Tell of each event whether it is signed with a token."""
        return [
            hmac.compare_digest(
                "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(), signature
            )
            for signature, body in self.got
            if b'"type"' in body
        ]

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()
