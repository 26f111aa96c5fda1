"""A server with an agent and skills of our own, asked by the SDK's client over a real socket."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import pytest
from a2a.client import Client, ClientConfig, ClientFactory
from a2a.client.card_resolver import A2ACardResolver
from a2a.types.a2a_pb2 import Message, Part, Role, SendMessageConfiguration, SendMessageRequest
from fastapi import FastAPI
from google.protobuf.json_format import ParseDict
from tests.a2a import seen

from higherself.db.embedded import EmbeddedPostgres
from higherself.kernel.tasks import in_background
from higherself.testing.http import Site, running

BINDINGS = ("JSONRPC", "HTTP+JSON")


def with_agents(app: FastAPI) -> None:
    """Have the process run its agents, as a worker does."""
    hs = app.state.a2a.hs
    app.state.beside.append(lambda: in_background(hs.agents.work()))


@pytest.fixture(scope="session")
def one_site(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = seen.ours_in(tmp_path_factory.mktemp("ours"))
    with running(server, prepare=with_agents, HIGHERSELF_EXTENSIONS=(folder,)) as site:
        yield site


@pytest.fixture
def site(one_site: Site) -> Iterator[Site]:
    seen.forget()
    yield one_site
    seen.RELEASED.set()


@asynccontextmanager
async def peer(
    site: Site, binding: str = "JSONRPC", *, streaming: bool = False
) -> AsyncIterator[Client]:
    """Yield the SDK's client, made from the card that ``site`` serves."""
    async with httpx.AsyncClient(timeout=30) as http:
        card = await A2ACardResolver(http, f"http://127.0.0.1:{site.port}").get_agent_card()
        config = ClientConfig(
            httpx_client=http, supported_protocol_bindings=[binding], streaming=streaming
        )
        yield ClientFactory(config).create(card)


def a_message(
    text: str | None = None,
    data: Any = None,
    *,
    skill: str | None = None,
    now: bool = False,
    **more: Any,
) -> SendMessageRequest:
    """Return a request; ``now``: it is not to wait for the end of the task."""
    metadata = {
        key: value
        for key, value in {"skill": skill, "type": more.pop("type", None)}.items()
        if value is not None
    }
    parts = [] if text is None else [Part(text=text)]
    if data is not None:
        parts.append(ParseDict({"data": data}, Part()))
    message = Message(
        message_id=more.pop("message_id", uuid4().hex), role=Role.ROLE_USER, parts=parts, **more
    )
    message.metadata.update(metadata)
    return SendMessageRequest(
        message=message, configuration=SendMessageConfiguration(return_immediately=now)
    )
