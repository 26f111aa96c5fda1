"""What the command line tells of the bus."""

import asyncio
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from tests.cli.conftest import Higherself
from tests.messaging.bus_rig import bus_on
from tests.messaging.rig import until

from higherself.db.pool import open_database
from higherself.messaging.bus import Receipt
from higherself.messaging.ports import Delivery
from higherself.messaging.protocol import Identity

pytestmark = pytest.mark.postgres


async def _converse(url: str) -> Receipt:
    async with open_database(url) as database, bus_on(url, database) as bus:
        nyra = bus.speaking_as(Identity("agent", "nyra"))
        done = asyncio.Event()

        async def score(delivery: Delivery) -> None:
            mine = nyra.about(delivery.envelope)
            mine.spend(micro_usd=2500, tokens=40)
            await mine.send("agent:solari", "lead.scored", {"score": 7})
            done.set()

        await bus.subscribe("lead.*", score, group="scoring", described="Scores leads")
        sent = await bus.send("agent:nyra", "lead.captured", {"name": "Ada"})
        async with bus.consuming(nyra.serving("agent:nyra", score)):
            await until(done.is_set)
        return sent


@pytest.fixture
def sent(database_url: str) -> Receipt:
    return asyncio.run(_converse(database_url))


def test_explain_shows_the_tree(higherself: Higherself, sent: Receipt) -> None:
    ran = higherself("messages", "explain", sent.id)
    assert ran.code == 0, ran.err
    first, second, summary = ran.out.splitlines()
    assert first.startswith("lead.captured  operator:local -> agent.nyra")
    assert "0.002500 USD, 40 tokens" in first
    assert "lead.scored  agent:nyra -> agent.solari" in second
    assert "2 messages; still going on; 0.002500 USD, 40 tokens" in summary

    found = higherself("messages", "explain", sent.id, "--json").json
    assert found["micro_usd"] == 2500
    assert found["messages"] == 2
    (caused,) = found["root"]["caused"]
    assert caused["envelope"]["causationid"] == str(sent.id)


def test_what_is_not_there_cannot_be_explained(higherself: Higherself) -> None:
    ran = higherself("messages", "explain", UUID(int=7))
    assert ran.code == 3
    assert "no message" in ran.err


def test_roads_tell_whether_they_answer(higherself: Higherself) -> None:
    ran = higherself("messages", "roads")
    assert ran.code == 0, ran.err
    assert "postgres" in ran.out
    assert "memory" in ran.out
    found = higherself("messages", "roads", "--json").json["roads"]
    assert [(each["road"], each["kind"], each["answers"]) for each in found] == [
        ("postgres", "durable", True),
        ("memory", "direct", True),
    ]


def test_the_spool_is_a_road_if_it_is_on(
    higherself: Higherself, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIGHERSELF_SPOOL", "on")
    found = higherself("messages", "roads", "--json").json["roads"]
    assert [each["road"] for each in found] == ["postgres", "spool", "memory"]
    assert "0 files wait" in found[1]["checked"]


def test_the_documents_are_json(higherself: Higherself, sent: Receipt) -> None:
    schema = higherself("messages", "schema").json
    Draft202012Validator.check_schema(schema)
    document = higherself("messages", "asyncapi").json
    assert document["asyncapi"] == "3.0.0"
    assert "agent.solari" in document["channels"]
    assert any(
        "Scores leads" in each["description"]
        for each in document["operations"].values()
        if "description" in each
    )


def test_groups_are_shown_and_can_be_dropped(higherself: Higherself, sent: Receipt) -> None:
    assert higherself("messages", "groups", "--json").json["groups"][0]["pattern"] == "lead.*"
    assert "scoring" in higherself("messages", "groups").out
    assert higherself("messages", "unsubscribe", "scoring", "--pattern", "x").out == "0 dropped\n"
    assert higherself("messages", "unsubscribe", "scoring").out == "1 dropped\n"
    assert higherself("messages", "groups", "--json").json == {"groups": []}
