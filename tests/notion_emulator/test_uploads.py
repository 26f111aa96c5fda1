from __future__ import annotations

from typing import Any

import httpx
import pytest

from notion_emulator.app import create_app
from notion_emulator.clock import VirtualClock
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings

Json = dict[str, Any]
PICTURE = bytes(range(256)) * 4


async def sent(client: Any, upload: Json, data: bytes, part: int | None = None, status: int = 200) -> Json:  # fmt: skip
    fields = {} if part is None else {"part_number": str(part)}
    answer = await client.http.post(f"/v1/file_uploads/{upload['id']}/send", data=fields, files={"file": ("a.png", data, "image/png")})  # fmt: skip
    assert answer.status_code == status, answer.text
    found: Json = answer.json()
    return found


async def uploaded(client: Any, data: bytes = PICTURE) -> Json:
    made = await client.ask("POST", "/v1/file_uploads", {})
    assert made["status"] == "pending"
    done = await sent(client, made, data)
    assert (done["status"], done["filename"], done["content_length"]) == ("uploaded", "a.png", len(data))  # fmt: skip
    return done


async def advanced(client: Any, seconds: float) -> None:
    await client.ask("POST", "/__emu/clock/advance", {"seconds": seconds})


def image(upload: Json) -> Json:
    return {"image": {"type": "file_upload", "file_upload": {"id": upload["id"]}}}


async def address(client: Any, page: str) -> Json:
    [block] = (await client.ask("GET", f"/v1/blocks/{page}/children"))["results"]
    found: Json = block["image"]["file"]
    return found


async def test_an_attached_file_has_an_address_that_is_new_each_time_and_expires(client: Any) -> None:  # fmt: skip
    upload = await uploaded(client)
    page = await client.page(children=[image(upload)])
    first, second = await address(client, page), await address(client, page)
    assert first["url"] != second["url"]
    assert first["url"].split("?")[0] == second["url"].split("?")[0]
    assert first["expiry_time"] == "2026-07-04T10:00:00.000Z"
    for one in (first, second):
        got = await client.http.get(one["url"])
        assert (got.status_code, got.content, got.headers["content-type"]) == (200, PICTURE, "image/png")  # fmt: skip
    forged = await client.http.get(first["url"][:-1] + ("0" if first["url"][-1] != "0" else "1"))
    assert forged.status_code == 403
    await advanced(client, 3600)
    late = await client.http.get(first["url"])
    assert (late.status_code, "expired" in late.text) == (403, True)
    assert (await client.http.get((await address(client, page))["url"])).content == PICTURE


async def test_f21_an_address_can_be_dead_at_once(client: Any) -> None:
    page = await client.page(children=[image(await uploaded(client))])
    await client.ask("POST", "/__emu/faults", {"kind": "settings", "change": {"signed_url_s": 0}, "nth": 1})  # fmt: skip
    assert (await client.http.get((await address(client, page))["url"])).status_code == 403
    assert (await client.http.get((await address(client, page))["url"])).status_code == 200


async def test_an_upload_expires_after_an_hour_unless_it_is_attached(client: Any) -> None:
    kept, lost = await uploaded(client), await uploaded(client)
    unsent = await client.ask("POST", "/v1/file_uploads", {})
    page = await client.page(children=[image(kept)])
    await advanced(client, 3600)
    for upload, status in ((kept, "uploaded"), (lost, "expired"), (unsent, "expired")):
        found = await client.ask("GET", f"/v1/file_uploads/{upload['id']}")
        assert found["status"] == status
    assert (await client.ask("GET", f"/v1/file_uploads/{kept['id']}"))["expiry_time"] is None
    await sent(client, unsent, PICTURE, status=400)
    body = {"children": [image(lost)]}
    assert "expired" in (await client.ask("PATCH", f"/v1/blocks/{page}/children", body, 400))["message"]  # fmt: skip
    listed = await client.ask("GET", "/v1/file_uploads?status=expired")
    assert {u["id"] for u in listed["results"]} == {lost["id"], unsent["id"]}


async def test_parts_come_in_any_order_and_are_joined(client: Any) -> None:
    body = {"mode": "multi_part", "filename": "a.png", "number_of_parts": 3}
    made = await client.ask("POST", "/v1/file_uploads", body)
    await sent(client, made, b"c", 3)
    await sent(client, made, b"x", 1)
    await sent(client, made, b"a", 1)  # again, as after a failure
    await client.ask("POST", f"/v1/file_uploads/{made['id']}/complete", {}, 400)
    found = await sent(client, made, b"b", 2)
    assert found["number_of_parts"] == {"total": 3, "sent": 3}
    await sent(client, made, b"d", 4, 400)
    await sent(client, made, b"d", None, 400)
    done = await client.ask("POST", f"/v1/file_uploads/{made['id']}/complete", {})
    assert (done["status"], done["content_length"]) == ("uploaded", 3)
    page = await client.page(children=[image(done)])
    assert (await client.http.get((await address(client, page))["url"])).content == b"abc"


async def test_limits_and_things_that_do_not_fit(client: Any) -> None:
    made = await client.ask("POST", "/v1/file_uploads", {})
    await sent(client, made, b"x" * 5_242_881, status=400)
    await sent(client, made, b"x" * 5_242_880)
    await sent(client, made, b"x", status=400)
    page = await client.page()
    pending = await client.ask("POST", "/v1/file_uploads", {})
    body: Json = {"children": [image(pending)]}
    await client.ask("PATCH", f"/v1/blocks/{page}/children", body, 400)
    body = {"children": [image({"id": "00000000-0000-4000-8000-000000000099"})]}
    await client.ask("PATCH", f"/v1/blocks/{page}/children", body, 404)
    await client.ask("POST", "/v1/file_uploads", {"mode": "multi_part", "number_of_parts": 2}, 400)
    await client.ask("POST", "/v1/file_uploads", {"mode": "external_url"}, 400)


@pytest.mark.parametrize(("well", "status"), [(True, "uploaded"), (False, "failed")])
async def test_a_file_from_elsewhere_arrives_or_not(client: Any, well: bool, status: str) -> None:
    client.app.settings = client.app.settings.changed(import_succeeds=well)
    body = {"mode": "external_url", "external_url": "https://example.com/a.png", "filename": "a.png"}  # fmt: skip
    made = await client.ask("POST", "/v1/file_uploads", body)
    assert (await client.ask("GET", f"/v1/file_uploads/{made['id']}"))["status"] == "pending"
    await advanced(client, 2)
    found = await client.ask("GET", f"/v1/file_uploads/{made['id']}")
    assert found["status"] == status
    assert found["file_import_result"]["type"] == ("success" if well else "error")


async def test_over_tcp_with_a_file_that_holds_everything() -> None:
    clock = VirtualClock()
    app = create_app(seed_name="empty", settings=Settings(rate_mode="off"), clock=clock)
    data = b"\r\n--" + bytes(range(256)) + b"\r\n\r\n"
    with Emulator(app) as emulator:
        headers = {"Authorization": f"Bearer {emulator.token}", "Notion-Version": "2026-03-11"}
        async with httpx.AsyncClient(base_url=emulator.base_url, headers=headers) as http:
            made = (await http.post("/v1/file_uploads", json={})).json()
            await http.post(f"/v1/file_uploads/{made['id']}/send", files={"file": ("ä \"b\".bin", data)})  # fmt: skip
            body = {"parent": {"workspace": True}, "icon": {"type": "file_upload", "file_upload": {"id": made["id"]}}}  # fmt: skip
            page = (await http.post("/v1/pages", json=body)).json()
            assert page["icon"]["file"]["url"].startswith(emulator.base_url)
            assert (await http.get(page["icon"]["file"]["url"])).content == data
