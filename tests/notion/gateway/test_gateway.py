"""The gateway: requests arrive as they were given, and what goes wrong is told or tried again."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from tests.notion.conftest import Hasty, Json, a_database, a_page, connected, requests, text

from higherself.db.pool import Database
from higherself.kernel import telemetry
from higherself.kernel.breaker import BreakerPolicy
from higherself.kernel.errors import HigherSelfError
from higherself.notion.errors import (
    Committed,
    EditConflict,
    NotAuthorised,
    NotionForbidden,
    NotionRejected,
    NotionThrottled,
    NotionUnavailable,
    PageNotFound,
)
from higherself.notion.gateway.connection import NotionConnection
from higherself.notion.gateway.gateway import Patience
from higherself.notion.ports import Query
from notion_emulator.server import Emulator

pytestmark = pytest.mark.postgres

NEW = {"parent": {"workspace": True}, "properties": {"title": text("Hello")}}


@pytest.fixture
async def hasty(emulator: Emulator, database: Database) -> AsyncIterator[NotionConnection]:
    """A connection that does not wait long between tries."""
    async with connected(emulator, database, clock=Hasty()) as notion:
        yield notion


async def test_what_is_given_arrives_as_it_is(notion: NotionConnection, emulator: Emulator) -> None:
    query: Query = {"filter_properties": ["title", "a%3Ab"], "page_size": 7}
    body = {"allow_async": True, "markdown_version": "v2", "is_archived": False, "é": [None, 1.5]}
    for method, path in (("GET", "pages/x"), ("POST", "pages"), ("PATCH", "blocks/x/children")):
        with pytest.raises(HigherSelfError):
            await notion.gateway.request(
                method, path, query=query, body=None if method == "GET" else body
            )
    arrived = requests(emulator)
    assert [(each["method"], each["path"]) for each in arrived] == [
        ("GET", "/v1/pages/x"),
        ("POST", "/v1/pages"),
        ("PATCH", "/v1/blocks/x/children"),
    ]
    for each in arrived:
        assert each["query"] == "filter_properties=title&filter_properties=a%253Ab&page_size=7"
        assert each["version"] == "2026-03-11"
        assert each["body"] == "" if each["method"] == "GET" else json.loads(each["body"]) == body


PASSING: list[Json] = [
    {"kind": "error", "status": 500},
    {"kind": "error", "status": 502},
    {"kind": "error", "status": 503},
    {"kind": "error", "status": 504},
    {"kind": "html", "status": 502},
    {"kind": "html", "status": 200},
    {"kind": "empty", "status": 503},
    {"kind": "truncated"},
    {"kind": "reset"},
]
"""Faults that pass: a request that reads is repeated, one that writes is not."""


async def test_what_reads_is_repeated(hasty: NotionConnection, emulator: Emulator) -> None:
    page = await a_page(hasty)
    for fault in [*PASSING, {"kind": "overloaded"}, {"kind": "conflict"}]:
        failing = emulator.app.faults.add({**fault, "times": 2})
        assert (await hasty.api.page(page))["id"] == page
        assert failing.hits == 2, fault


async def test_what_writes_is_not_repeated_unless_nothing_was_written(
    hasty: NotionConnection, emulator: Emulator
) -> None:
    for fault in PASSING:
        failing = emulator.app.faults.add({**fault, "times": 1})
        with pytest.raises(NotionUnavailable) as told:
            await hasty.gateway.request("POST", "pages", body=NEW)
        assert told.value.ambiguous
        assert failing.hits == 1, fault
    for fault in ({"kind": "overloaded"}, {"kind": "conflict"}, {"kind": "rate_limited"}):
        failing = emulator.app.faults.add({**fault, "times": 1})
        assert (await hasty.gateway.request("POST", "pages", body=NEW))["object"] == "page"
        assert failing.hits == 1, fault


async def test_a_write_that_was_saved_says_what_it_made(
    hasty: NotionConnection, emulator: Emulator
) -> None:
    emulator.app.faults.add({"kind": "committed", "times": 1})
    with pytest.raises(Committed) as told:
        await hasty.gateway.request("POST", "pages", body=NEW)
    assert told.value.resource in emulator.app.store.nodes


async def test_a_blocked_connection_is_left_alone(
    hasty: NotionConnection, emulator: Emulator
) -> None:
    failing = emulator.app.faults.add({"kind": "blocked"})
    with pytest.raises(NotionForbidden, match="ask Notion's support"):
        await hasty.api.me()
    assert failing.hits == 1


async def test_conflicts_end(hasty: NotionConnection, emulator: Emulator) -> None:
    failing = emulator.app.faults.add({"kind": "conflict"})
    with pytest.raises(EditConflict, match="read it again"):
        await hasty.gateway.request("POST", "pages", body=NEW)
    assert 2 <= failing.hits <= 6


async def test_a_query_that_takes_too_long_asks_for_less(
    hasty: NotionConnection, emulator: Emulator
) -> None:
    _, source = await a_database(hasty)
    for number in range(30):
        body = {
            "parent": {"data_source_id": source},
            "properties": {"Name": {"title": text(str(number))}},
        }
        await hasty.gateway.request("POST", "pages", body=body)
    emulator.app.faults.add({"kind": "timeout", "route": "/query$", "max_page_size": 10})
    assert len([row async for row in hasty.api.query(source)]) == 30
    sizes = [
        json.loads(each["body"])["page_size"]
        for each in requests(emulator)
        if each["path"].endswith("query")
    ]
    assert sizes == [100, 50, 25, 12, 6, 6, 6, 6, 6]


async def test_no_request_of_anybody_leaves_during_a_pause(
    emulator: Emulator, database: Database
) -> None:
    async with connected(emulator, database) as one, connected(emulator, database) as other:
        await one.api.me()
        await other.api.me()
        emulator.app.faults.add({"kind": "rate_limited", "retry_after": 2, "times": 1})
        emulator.app.log.clear()
        async with asyncio.TaskGroup() as group:
            group.create_task(one.api.me())
            await asyncio.sleep(0.6)  # until what was taken before has lapsed
            for _ in range(5):
                group.create_task(other.api.me())
        at = [datetime.fromisoformat(each["at"]) for each in requests(emulator)]
        statuses = [each["status"] for each in requests(emulator)]
    assert statuses.count(200) == 6
    assert min(at[1:]) - at[0] >= timedelta(seconds=2)
    assert max(at) - at[0] < timedelta(seconds=4)


async def test_ninety_seconds_are_ninety_seconds(emulator: Emulator, database: Database) -> None:
    async with connected(emulator, database) as notion:
        emulator.app.faults.add({"kind": "rate_limited", "retry_after": 90, "times": 1})
        waiting = asyncio.ensure_future(notion.api.me())
        while True:
            await asyncio.sleep(0.05)
            if (standing := await notion.described())["paused_for"]:
                break
        assert timedelta(seconds=88) < standing["paused_for"] <= timedelta(seconds=90)
        assert standing["reason"] == "public_api_request_rate_limit"
        assert not waiting.done()
        waiting.cancel()
    short = Patience(live=timedelta(seconds=1))
    async with connected(emulator, database, patience=short) as notion:
        with pytest.raises(NotionThrottled, match="no turn within"):
            await notion.api.me()
    assert len(requests(emulator)) == 1


async def test_a_pause_longer_than_there_is_time_is_told(
    emulator: Emulator, database: Database
) -> None:
    emulator.app.faults.add({"kind": "rate_limited", "retry_after": 90})
    short = Patience(live=timedelta(seconds=30))
    async with connected(emulator, database, patience=short) as notion:
        with pytest.raises(NotionThrottled, match="asks to wait") as told:
            await notion.api.me()
        assert told.value.retry_after == timedelta(seconds=90)
        assert (await notion.described())["paused_for"] > timedelta(seconds=80), "for all others"


async def test_what_hangs_is_given_up(emulator: Emulator, database: Database) -> None:
    page = NEW
    async with connected(
        emulator, database, longest=timedelta(seconds=0.3), clock=Hasty()
    ) as notion:
        await notion.api.me()
        emulator.app.faults.add({"kind": "latency", "seconds": 1.0, "times": 1})
        with pytest.raises(NotionUnavailable, match="in time") as told:
            await notion.gateway.request("POST", "pages", body=page)
        assert told.value.ambiguous
        emulator.app.faults.add({"kind": "latency", "seconds": 1.0, "times": 1})
        assert (await notion.api.me())["type"] == "bot", "a request that reads is repeated"


async def test_after_some_failures_notion_is_left_alone(
    emulator: Emulator, database: Database
) -> None:
    policy = BreakerPolicy(failures=3, pause=timedelta(seconds=0.5))
    async with connected(emulator, database, breaker=policy, clock=Hasty()) as notion:
        failing = emulator.app.faults.add({"kind": "error", "status": 500})
        with pytest.raises(NotionUnavailable, match="HTTP 500"):
            await notion.api.me()
        assert failing.hits == 3
        with pytest.raises(NotionUnavailable, match="left alone") as told:
            await notion.api.me()
        assert told.value.retry_after is not None
        assert failing.hits == 3, "nothing leaves"
        emulator.app.faults.items.clear()
        await asyncio.sleep(0.6)
        assert (await notion.api.me())["type"] == "bot"
        assert notion.gateway.described()["circuit"] == "closed"


async def test_a_wrong_token_says_where_there_are_right_ones(
    emulator: Emulator, database: Database
) -> None:
    async with connected(emulator, database, token="ntn_wrong") as notion:
        with pytest.raises(NotAuthorised, match=r"NOTION_TOKEN .*profile/integrations"):
            await notion.api.me()


async def test_what_is_not_shared_says_how_to_share_it(notion: NotionConnection) -> None:
    with pytest.raises(PageNotFound, match="share it with the connection"):
        await notion.api.page("01234567-89ab-4def-8123-456789abcdef")


async def test_a_missing_capability_is_named(notion: NotionConnection, emulator: Emulator) -> None:
    page = await a_page(notion)
    connection = next(iter(emulator.app.store.connections.values()))
    connection.capabilities = frozenset({"read_content"})
    with pytest.raises(NotionForbidden, match="'Insert content'"):
        await notion.gateway.request("POST", "pages", body=NEW)
    with pytest.raises(NotionForbidden, match="'Update content'"):
        await notion.writes.update_page(page, in_trash=True, key="k")
    with pytest.raises(NotionForbidden, match="'Insert comments'"):
        await notion.writes.comment(page, "x", key="c")
    with pytest.raises(NotionForbidden, match="'Read comments'"):
        _ = [each async for each in notion.api.comments(page)]


async def test_a_wrong_request_says_what_is_wrong(notion: NotionConnection) -> None:
    with pytest.raises(NotionRejected, match="parent") as told:
        await notion.gateway.request("POST", "pages", body={"properties": {}})
    assert told.value.code == "validation_error"


async def test_nobody_there(database: Database) -> None:
    with Emulator() as gone:
        pass
    async with connected(gone, database, clock=Hasty()) as notion:
        with pytest.raises(NotionUnavailable, match="cannot be reached") as told:
            await notion.gateway.request("POST", "pages", body=NEW)
        assert not told.value.ambiguous, "it never left"


async def test_neither_the_token_nor_a_text_is_logged(
    hasty: NotionConnection, emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    emulator.app.faults.add({"kind": "error", "status": 500, "times": 1})
    page = await a_page_with_secret(hasty)
    with pytest.raises(NotionRejected):
        await hasty.writes.update_page(page, properties={"Secret text": {"number": 1}}, key="k")
    assert emulator.token not in caplog.text
    assert "Secret text" not in caplog.text


async def a_page_with_secret(notion: NotionConnection) -> str:
    body = {**NEW, "properties": {"title": text("Secret text")}}
    with pytest.raises(NotionUnavailable):
        await notion.gateway.request("POST", "pages", body=body)
    return str((await notion.gateway.request("POST", "pages", body=body))["id"])


class Heard:
    """Keeps what is told of requests."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, dict[str, str]]] = []
        self.seconds: dict[str, float] = {}
        self.gauges: dict[str, float] = {}

    def event(self, level: str, name: str, facts: Json) -> None: ...

    def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
        self.counted.append((name, labels))

    def gauge(self, name: str, value: float, labels: dict[str, str]) -> None:
        self.gauges[name] = value

    def duration(self, name: str, seconds: float, labels: dict[str, str]) -> None:
        self.seconds[name] = self.seconds.get(name, 0) + seconds


async def test_requests_are_counted_by_lane_and_outcome(
    hasty: NotionConnection, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    monkeypatch.setattr(telemetry, "_sink", heard)
    emulator.app.faults.add({"kind": "rate_limited", "retry_after": 1, "times": 1})
    await hasty.api.me()
    await hasty.api.in_lane("backfill").me()
    assert heard.counted == [
        ("notion.gateway.requested", {"lane": "live", "outcome": "429"}),
        ("notion.gateway.requested", {"lane": "live", "outcome": "answered"}),
        ("notion.gateway.requested", {"lane": "backfill", "outcome": "answered"}),
    ]
    assert heard.seconds["notion.budget.waited"] >= 0.9
    assert heard.seconds["notion.gateway.answered"] > 0
    assert 99_990 < heard.gauges["notion.budget.left"] < 100_000
