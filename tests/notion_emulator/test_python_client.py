"""notion-client, the Python client that the server uses, over TCP: every method is answered."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from notion_client import AsyncClient
from notion_client import api_endpoints as endpoints
from notion_client.errors import APIResponseError, HTTPResponseError

from notion_emulator.server import Emulator

ID = "00000000-0000-4000-8000-000000000099"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
async def notion(emulator: Emulator) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(
        auth=emulator.token, base_url=emulator.base_url, notion_version="2026-03-11"
    ) as client:
        yield client


def methods(part: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every public method of a client's endpoints, by its path."""
    for name, inner in vars(part).items():
        if isinstance(inner, endpoints.Endpoint):
            yield from methods(inner, f"{path}{name}.")
    if isinstance(part, endpoints.Endpoint):
        for name, method in inspect.getmembers(part, inspect.ismethod):
            if not name.startswith("_") or name == "__call__":
                yield path + name, method


async def test_there_are_as_many_methods_as_the_client_has(notion: AsyncClient) -> None:
    assert len(dict(methods(notion))) == 47


async def test_every_method_is_answered(notion: AsyncClient) -> None:
    unknown = []
    for path, method in methods(notion):
        given: dict[str, Any] = {
            name: ID
            for name, parameter in inspect.signature(method).parameters.items()
            if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        }
        if path == "file_uploads.send":
            given["file"] = ("a.txt", b"a")
        try:
            await method(**given)
        except (APIResponseError, HTTPResponseError) as error:
            if json.loads(error.body)["code"] == "invalid_request_url":
                unknown.append(path)
    assert unknown == []
