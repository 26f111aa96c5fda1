from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest


async def test_an_unknown_token_is_refused_first(client: Any) -> None:
    client.http.headers["Authorization"] = "Bearer nobody"
    answer = await client.ask("GET", "/v1/nowhere", status=401)
    assert answer["message"] == "API token is invalid."


async def test_an_unknown_route_is_refused_even_for_get(client: Any) -> None:
    answer = await client.ask("GET", "/v1/nowhere", status=400)
    assert answer["code"] == "invalid_request_url"


async def test_the_version_is_required(client: Any) -> None:
    del client.http.headers["Notion-Version"]
    assert (await client.ask("GET", "/v1/users/me", status=400))["code"] == "missing_version"


async def test_a_bad_variant_is_no_uuid(client: Any) -> None:
    path = "/v1/pages/12345678-1234-1234-1234-123456789abc"
    assert "path.page_id should be a valid uuid" in (await client.ask("GET", path, status=400))["message"]  # fmt: skip


async def test_what_is_not_there_is_a_404_with_the_integration(client: Any) -> None:
    path = "/v1/pages/00000000-0000-4000-8000-000000000099"
    answer = await client.ask("GET", path, status=404)
    assert answer["code"] == "object_not_found"
    assert answer["additional_data"]["integration_id"]


@pytest.mark.parametrize(("size", "status"), [(0, 400), (1, 200), (100, 200), (101, 400)])
async def test_page_size(client: Any, size: int, status: int) -> None:
    await client.ask("GET", f"/v1/users?page_size={size}", status=status)


@pytest.mark.parametrize(("limit", "plan"), [(180, "plus"), (600, "business")])
async def test_the_window_of_a_minute(client: Any, limit: int, plan: str) -> None:
    app = client.app
    app.settings = app.settings.changed(rate_mode="window", plan=plan)
    for _ in range(limit):
        await client.ask("GET", "/v1/users/me")
    refused = await client.http.get("/v1/users/me")
    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "60"
    await client.ask("POST", "/__emu/clock/advance", {"seconds": 60})
    await client.ask("GET", "/v1/users/me")


async def test_a_committed_write_answered_as_failed(client: Any) -> None:
    await client.ask("POST", "/__emu/faults", {"kind": "committed", "route": "/v1/pages$", "times": 1})  # fmt: skip
    body = {"parent": {"workspace": True}, "properties": {}}
    answer = await client.ask("POST", "/v1/pages", body, status=503)
    await client.ask("GET", f"/v1/pages/{answer['additional_data']['committed_resource_id']}")


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"kind": "rate_limited", "retry_after": 30}, 429),
        ({"kind": "blocked"}, 429),
        ({"kind": "overloaded"}, 529),
        ({"kind": "error", "status": 500}, 500),
        ({"kind": "html", "status": 502}, 502),
        ({"kind": "empty", "status": 504}, 504),
        ({"kind": "conflict"}, 409),
        ({"kind": "timeout", "max_page_size": 10}, 503),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
async def test_faults(client: Any, fault: dict[str, Any], status: int) -> None:
    await client.ask("POST", "/__emu/faults", fault | {"nth": 1})
    assert (await client.http.get("/v1/users/me")).status_code == status
    assert (await client.http.get("/v1/users/me")).status_code == 200


async def test_what_is_not_shared_is_not_there(client: Any) -> None:
    seen, hidden = await client.page("seen"), await client.page("hidden")
    await client.ask("POST", "/__emu/shares", {"token": "ntn_emulator", "roots": [seen]})
    await client.ask("GET", f"/v1/pages/{seen}")
    await client.ask("GET", f"/v1/pages/{hidden}", status=404)


async def test_versions_differ_in_archived(client: Any) -> None:
    page = await client.page()
    assert "archived" not in await client.ask("GET", f"/v1/pages/{page}")
    await client.ask("PATCH", f"/v1/pages/{page}", {"archived": True}, status=400)
    client.http.headers["Notion-Version"] = "2025-09-03"
    assert (await client.ask("PATCH", f"/v1/pages/{page}", {"archived": True}))["archived"] is True


def test_the_published_signature() -> None:
    token = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"
    body = f'{{"verification_token":"{token}"}}'.encode()
    assert hmac.new(token.encode(), body, hashlib.sha256).hexdigest().startswith("461e8cbcba8a75c3")
