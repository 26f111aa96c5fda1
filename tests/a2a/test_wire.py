"""What goes over the wire: the card, the bindings' own errors, versions; and tasks that outlive us."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import pytest
from a2a.types.a2a_pb2 import GetTaskRequest, Task, TaskState
from tests.a2a import seen
from tests.a2a.conftest import a_message, peer, with_agents
from tests.a2a.test_tasks import result, sent

from higherself.a2a import http
from higherself.db.embedded import EmbeddedPostgres
from higherself.testing.http import Answer, Site, running

CARD = "/.well-known/agent-card.json"
VERSION = {"A2A-Version": "1.0"}


def call(site: Site, method: str, params: Any, **headers: str) -> Any:
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    answer = site.ask("POST", "/a2a", body, headers={**VERSION, **headers})
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    read = answer.json()
    assert (read["jsonrpc"], read["id"]) == ("2.0", 7)
    return read


def rest(site: Site, method: str, path: str, body: Any = None) -> Answer:
    return site.ask(method, f"/a2a/v1{path}", body, headers=VERSION)


# The card


def test_the_card_says_who_we_are_and_what_can_be_asked(site: Site) -> None:
    card = site.ask("GET", CARD).json()
    for field in ("name", "description", "version", "capabilities", "skills"):
        assert card[field]
    assert card["capabilities"]["streaming"] is True
    assert not card["capabilities"].get("pushNotifications")
    assert [(each["protocolBinding"], each["url"]) for each in card["supportedInterfaces"]] == [
        ("JSONRPC", f"http://127.0.0.1:{site.port}/a2a"),
        ("HTTP+JSON", f"http://127.0.0.1:{site.port}/a2a/v1"),
    ]
    skills = {each["id"]: each for each in card["skills"]}
    assert {"capability:booking", "skill:greet", "skill:search_knowledge"} <= skills.keys()
    assert "skill:change" not in skills
    assert "booking.asked" in skills["capability:booking"]["description"]
    assert {"agent", "booker", "bookings"} <= set(skills["capability:booking"]["tags"])


def test_the_card_is_sent_again_only_if_it_has_changed(site: Site) -> None:
    answer = site.ask("GET", CARD)
    assert "max-age=" in answer.headers["Cache-Control"]
    again = site.ask("GET", CARD, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


# Bindings


def test_json_rpc_has_its_own_errors(site: Site) -> None:
    unparsable = site.ask("POST", "/a2a", b"{", headers=VERSION).json()
    assert unparsable["error"]["code"] == -32700
    wrong = site.ask("POST", "/a2a", {"jsonrpc": "1.0", "id": 1}, headers=VERSION).json()
    assert wrong["error"]["code"] == -32600
    assert call(site, "NoSuchMethod", {})["error"]["code"] == -32601
    assert call(site, "SendMessage", {"message": {}})["error"]["code"] == -32602
    assert call(site, "GetTask", {"id": "nothing"})["error"]["code"] == -32001
    assert call(site, "GetExtendedAgentCard", {})["error"]["code"] == -32004


def test_http_with_json_has_its_own_errors(site: Site) -> None:
    missing = rest(site, "GET", "/tasks/nothing")
    error = missing.json()["error"]
    assert (missing.status, error["code"], error["status"]) == (404, 404, "NOT_FOUND")
    (info,) = [each for each in error["details"] if each["@type"].endswith("ErrorInfo")]
    assert (info["reason"], info["domain"]) == ("TASK_NOT_FOUND", "a2a-protocol.org")
    assert rest(site, "GET", "/extendedAgentCard").status == 400
    assert rest(site, "POST", "/message:send", {"message": {}}).status == 400
    assert rest(site, "GET", "/tasks?pageSize=1&contextId=none").json()["tasks"] == []


def test_fields_that_must_be_there_are_there(site: Site) -> None:
    listed = call(site, "ListTasks", {"contextId": "none"})["result"]
    assert listed["nextPageToken"] == ""
    assert listed["tasks"] == []
    message = {
        "messageId": uuid4().hex,
        "role": "ROLE_USER",
        "parts": [{"text": "Ana"}],
        "metadata": {"skill": "skill:greet"},
    }
    task = call(site, "SendMessage", {"message": message})["result"]["task"]
    assert task["status"]["timestamp"].endswith("Z")
    without = call(site, "ListTasks", {"contextId": task["contextId"]})["result"]["tasks"]
    assert "artifacts" not in without[0]


@pytest.mark.parametrize(
    ("version", "served"),
    [("1.0", True), ("1.0.3", True), ("", False), ("0.3", False), ("9.0", False)],
)
def test_only_the_version_that_is_served_is_answered(
    site: Site, version: str, served: bool
) -> None:
    headers = {"A2A-Version": version}
    answer = call(site, "GetTask", {"id": "nothing"}, **headers)
    assert answer["error"]["code"] == (-32001 if served else -32009)
    status = site.ask("GET", "/a2a/v1/tasks/nothing", headers=headers).status
    assert status == (404 if served else 400)


def test_strangers_are_refused(site: Site) -> None:
    assert site.ask("GET", CARD, headers={"Host": "evil.example"}).status == 421
    assert site.ask("POST", "/a2a", {}, headers={"Sec-Fetch-Site": "cross-site"}).status == 403


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([{"data": {"numbers": 1e400}}], id="a number without end"),
        pytest.param([{"text": "a\0b"}], id="a NUL character"),
        pytest.param([{"text": "x" * 1_100_000}], id="more than a message may have"),
        pytest.param([], id="nothing"),
    ],
)
def test_what_cannot_be_taken_is_refused(site: Site, parts: list[Any]) -> None:
    message = {"messageId": uuid4().hex, "role": "ROLE_USER", "parts": parts}
    refused = call(
        site, "SendMessage", {"message": {**message, "metadata": {"skill": "skill:add"}}}
    )
    assert refused["error"]["code"] == -32602
    answer = call(site, "ListTasks", {"pageSize": 1})["result"]
    assert all(task["history"][0]["messageId"] != message["messageId"] for task in answer["tasks"])


# What can be set


def test_without_the_sdk_the_addresses_say_what_to_install(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "is_installed", lambda: False)
    with running(server) as site:
        for answer in (site.ask("GET", CARD), site.ask("POST", "/a2a", {})):
            assert answer.status == 501
            assert "pip install 'higherself-network-server[a2a]'" in answer.json()["detail"]


def test_it_can_be_off(server: EmbeddedPostgres) -> None:
    with running(server, HIGHERSELF_A2A="off") as site:
        assert site.ask("GET", CARD).status == 404


# Tasks outlive the server


def test_a_task_is_done_by_who_comes_later(
    server: EmbeddedPostgres, database_url: str, tmp_path: Path
) -> None:
    folder = seen.ours_in(tmp_path)
    with running(server, DATABASE_URL=database_url, HIGHERSELF_URL="https://x.example/") as site:
        # No worker runs an agent here, so that this waits; then the server goes away.
        card = json.loads(site.ask("GET", CARD).body)
        assert card["supportedInterfaces"][0]["url"] == "https://x.example/a2a"
        message: dict[str, Any] = {
            "messageId": "m-1",
            "role": "ROLE_USER",
            "parts": [{"data": {"room": "green"}}],
            "metadata": {"skill": "agent:booker", "type": "booking.asked"},
        }
        refused = call(site, "SendMessage", {"message": message})
        assert "booker" in refused["error"]["message"]  # of whom nobody has heard yet
    given: dict[str, Any] = {"DATABASE_URL": database_url, "HIGHERSELF_EXTENSIONS": (folder,)}
    with running(server, **given) as site:
        sending = {"message": message, "configuration": {"returnImmediately": True}}
        task = call(site, "SendMessage", sending)["result"]["task"]
        assert task["status"]["state"] == "TASK_STATE_SUBMITTED"
    with running(server, prepare=with_agents, **given) as site:
        done = anyio.run(finished, site, task["id"])
        assert result(done)["booked"] == "green"
        again = call(site, "SendMessage", {"message": message})["result"]["task"]
        assert again["id"] == task["id"]


async def finished(site: Site, task: str) -> Task:
    async with peer(site) as client:
        with anyio.fail_after(20):
            while True:
                kept = await client.get_task(GetTaskRequest(id=task))
                if kept.status.state == TaskState.TASK_STATE_COMPLETED:
                    return kept
                await anyio.sleep(0.05)


def test_who_waits_is_let_go_when_the_server_stops(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    seen.forget()
    folder = seen.ours_in(tmp_path)
    with running(server, HIGHERSELF_EXTENSIONS=(folder,)) as site:
        task = anyio.run(told_to_stop, site)
        assert task.status.state == TaskState.TASK_STATE_WORKING
        seen.RELEASED.set()


async def told_to_stop(site: Site) -> Task:
    async def stop() -> None:
        while not seen.STARTED.is_set():  # noqa: ASYNC110  the other thread has no event of ours
            await anyio.sleep(0.01)
        site.stop.set()

    with anyio.fail_after(10):
        async with peer(site) as client, anyio.create_task_group() as group:
            group.start_soon(stop)
            return await sent(client, a_message(skill="skill:wait_for_it", data={}))
    raise AssertionError
