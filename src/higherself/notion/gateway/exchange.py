"""One request to Notion and its answer, through notion-client; nothing is tried again here.

Everything goes through the client's ``request()``: its typed methods drop parameters that they do
not know, and say nothing.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from typing import Any

from higherself.notion.ports import JsonObject, Query

API_VERSION = "2026-03-11"
CONNECTING = 10.0
"""Seconds to reach the server. Notion itself gives a request up after about a minute."""

LONGEST = timedelta(seconds=75)
READING = 65.0
CONNECTIONS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file, or a part of one, for Notion to keep."""

    name: str
    type: str
    data: bytes
    part: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: ``path`` is what comes after ``/v1/``."""

    method: str
    path: str
    query: Query | None = None
    body: JsonObject | None = None
    file: File | None = None

    @property
    def reads(self) -> bool:
        """Whether it may be repeated: it changes nothing, or once is as good as twice."""
        if self.method in ("GET", "DELETE"):
            return True
        return self.method == "POST" and (self.path == "search" or self.path.endswith("/query"))

    @property
    def name(self) -> str:
        """What messages and metrics call it: without identifiers."""
        parts = [part if part.isalpha() or "_" in part else "*" for part in self.path.split("/")]
        return f"{self.method} {'/'.join(parts)}"


class Failure(Exception):
    """What came back in place of an answer.

    ``status`` is None if there was none: then ``sent`` tells whether the request may have arrived.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str = "",
        facts: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        sent: bool = True,
        timed_out: bool = False,
    ) -> None:
        super().__init__(message)
        self.message, self.status, self.code = message, status, code
        self.facts, self.headers = dict(facts or {}), dict(headers or {})
        self.sent, self.timed_out = sent, timed_out


@dataclass(slots=True)
class Exchange:
    """Sends requests with a token, over connections that are kept."""

    token: str
    base_url: str
    longest: timedelta = LONGEST
    _client: Any = None
    _modules: Any = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def send(self, call: Call) -> JsonObject:
        """Send one request and return its answer.

        Raises
            Failure: there is none, or it is an error.
        """
        if self._client is None:
            await self._open()
        notion, httpx = self._modules
        try:
            async with asyncio.timeout(self.longest.total_seconds()):
                answer = await self._client.request(
                    path=call.path,
                    method=call.method,
                    query=dict(call.query) if call.query else None,
                    body=call.body,
                    form_data=_form(call.file),
                )
        except (TimeoutError, notion.errors.RequestTimeoutError) as error:
            connecting = isinstance(error.__context__, httpx.ConnectTimeout | httpx.PoolTimeout)
            raise Failure(
                "Notion did not answer in time", sent=not connecting, timed_out=True
            ) from error
        except notion.errors.HTTPResponseError as error:
            raise _failure(error.status, error.body, error.headers) from error
        except notion.errors.InvalidPathParameterError as error:
            raise Failure(str(error), status=400, code="validation_error") from error
        except httpx.TransportError as error:
            unsent = isinstance(error, httpx.ConnectError | httpx.ProxyError)
            raise Failure(f"Notion cannot be reached ({_named(error)})", sent=not unsent) from error
        except ValueError as error:  # no JSON: a page of HTML, or half an answer
            raise Failure("Notion's answer cannot be read", status=200) from error
        if not isinstance(answer, dict):
            raise Failure("Notion's answer is no object", status=200)
        return answer

    async def close(self) -> None:
        """Release the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _open(self) -> None:
        async with self._opening:
            if self._client is not None:
                return
            # A tenth of a second, beside the event loop.
            notion = await asyncio.to_thread(import_module, "notion_client")
            httpx = import_module("httpx")
            quiet = logging.Logger("notion_client")  # it would tell bodies
            quiet.addHandler(logging.NullHandler())
            connections = httpx.AsyncClient(
                limits=httpx.Limits(
                    max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS
                )
            )
            client = notion.AsyncClient(
                auth=self.token,
                base_url=self.base_url,
                notion_version=API_VERSION,
                retry=False,
                logger=quiet,
                log_level=logging.CRITICAL,
                client=connections,
            )
            connections.timeout = httpx.Timeout(READING, connect=CONNECTING)
            self._modules, self._client = (notion, httpx), client


def _form(file: File | None) -> dict[str, Any] | None:
    if file is None:
        return None
    form: dict[str, Any] = {"file": (file.name, file.data, file.type)}
    if file.part is not None:
        form["part_number"] = str(file.part)
    return form


def _failure(status: int, body: str, headers: Mapping[str, str]) -> Failure:
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return Failure("Notion's answer cannot be read", status=status, headers=headers)
    facts = said.get("additional_data")
    return Failure(
        str(said.get("message", "")),
        status=status,
        code=str(said.get("code", "")),
        facts=facts if isinstance(facts, dict) else None,
        headers=headers,
    )


def _named(error: Exception) -> str:
    return type(error).__name__ if not str(error) else str(error)
