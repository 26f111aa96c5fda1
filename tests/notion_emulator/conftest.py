from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from notion_emulator.app import Emulated, virtual_app

Json = dict[str, Any]
TOKEN = "ntn_emulator"


class Client:
    """Speaks to an emulator in this process."""

    def __init__(self, app: Emulated, version: str = "2026-03-11") -> None:
        self.app = app
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://emulator",
            headers={"Authorization": f"Bearer {TOKEN}", "Notion-Version": version},
        )

    async def ask(self, method: str, path: str, body: Any = None, status: int = 200) -> Json:
        answer = await self.http.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    async def page(self, title: str = "Page", **more: Any) -> str:
        body = {"parent": {"workspace": True}, "properties": {"title": text(title)}, **more}
        return str((await self.ask("POST", "/v1/pages", body))["id"])


def text(content: str) -> list[Json]:
    return [{"text": {"content": content}}]


def paragraph(content: str) -> Json:
    return {"paragraph": {"rich_text": text(content)}}


@pytest.fixture
def app() -> Emulated:
    return virtual_app()


@pytest.fixture
async def client(app: Emulated) -> AsyncIterator[Client]:
    made = Client(app)
    yield made
    await made.http.aclose()
