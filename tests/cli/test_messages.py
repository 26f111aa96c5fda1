"""Looking at messages and deciding about dead letters, from the outside."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from tests.cli.conftest import Higherself, Ran

from higherself.db.pool import open_database
from higherself.messaging.care import STATUSES
from higherself.messaging.model import Message
from higherself.messaging.postgres import open_channel

pytestmark = pytest.mark.postgres

NOBODY = UUID(int=7)


@pytest.fixture
def sent(database_url: str) -> dict[str, UUID]:
    """A message of each kind, by the data that it carries; those of the lane stand in it in order."""
    messages: dict[str, dict[str, Any]] = {
        "due": {},
        "to come": {"not_before": timedelta(days=1)},
        "ours": {"entity": "gallery"},
        "first": {"topic": "mail.send", "partition_key": "ana"},
        "second": {"topic": "mail.send", "partition_key": "ana"},
        "ended": {"topic": "mail.send"},
    }
    sent = asyncio.run(_sent(database_url, messages))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET search_path = higherself; SET higherself.entity = '*'")
        connection.execute(
            "UPDATE message SET status = 'dead', holds = true, attempt = 5, lease = 5,"
            " reason = 'SMTPError: no such user', finished_at = now(),"
            " errors = ARRAY['2026-11-22T12:00:00Z attempt 5: SMTPError: no such user']"
            " WHERE message_id = %s",
            [sent["first"]],
        )
        for status, name in (("waiting", "second"), ("delivered", "ended")):
            connection.execute(
                "UPDATE message SET status = %s,"
                " finished_at = CASE WHEN %s = 'delivered' THEN now() END WHERE message_id = %s",
                [status, status, sent[name]],
            )
    return sent


async def _sent(url: str, messages: dict[str, dict[str, Any]]) -> dict[str, UUID]:
    async with open_database(url, connections=2) as database, open_channel(url, database) as road:
        async with database.transaction() as tx:
            await tx.connection.execute(
                "INSERT INTO entity (slug, name, created_at) VALUES ('gallery', 'Gallery', now())"
            )
        published: dict[str, UUID] = {}
        for data, more in messages.items():
            given = {"topic": "work", "type": "com.test.v1", "source": "urn:test", "data": data}
            (stored,) = await road.outbox.send(Message(**given | more))
            published[data] = stored.id
        return published


def listed(ran: Ran) -> list[UUID]:
    assert ran.code == 0, ran.err
    return [UUID(each["id"]) for each in ran.json["messages"]]


def status(higherself: Higherself, identifier: UUID) -> str:
    return str(higherself("messages", "show", identifier, "--json").json["status"])


def test_the_latest_come_first(higherself: Higherself, sent: dict[str, UUID]) -> None:
    assert listed(higherself("messages", "list", "--json")) == list(reversed(sent.values()))
    assert listed(higherself("messages", "list", "--limit", 1, "--json")) == [sent["ended"]]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--topic", "mail.send"], ["ended", "second", "first"]),
        (["--entity", "gallery"], ["ours"]),
        (["--status", "ready"], ["ours", "to come", "due"]),
        (["--status", "waiting", "--topic", "mail.send"], ["second"]),
        (["--status", "expired"], []),
        (["--topic", "unheard-of"], []),
    ],
)
def test_only_some(
    higherself: Higherself, sent: dict[str, UUID], options: list[str], found: list[str]
) -> None:
    ran = higherself("messages", "list", *options, "--json")
    assert listed(ran) == [sent[each] for each in found]


def test_every_status_there_is_can_be_asked_for(higherself: Higherself) -> None:
    for each in STATUSES:
        assert listed(higherself("messages", "list", "--status", each, "--json")) == []
    assert higherself("messages", "list", "--status", "lost").code == 2


def test_a_person_sees_a_table(higherself: Higherself, sent: dict[str, UUID]) -> None:
    header, dead = higherself("messages", "dead").out.splitlines()
    assert header.split("\t")[:5] == ["id", "topic", "type", "entity", "status"]
    assert dead.split("\t")[0] == str(sent["first"])
    assert dead.endswith("SMTPError: no such user")


def test_everything_about_one(higherself: Higherself, sent: dict[str, UUID]) -> None:
    shown = higherself("messages", "show", sent["first"], "--json").json
    assert (shown["status"], shown["attempt"], shown["topic"]) == ("dead", 5, "mail.send")
    assert shown["errors"] == ["2026-11-22T12:00:00Z attempt 5: SMTPError: no such user"]
    envelope = shown["envelope"]
    assert (envelope["specversion"], envelope["data"]) == ("1.0", "first")
    assert envelope["partitionkey"] == "ana"
    plain = higherself("messages", "show", sent["first"])
    assert "reason:           SMTPError: no such user" in plain.out


def test_what_is_where(higherself: Higherself, sent: dict[str, UUID]) -> None:
    mail, work = higherself("messages", "topics", "--json").json["topics"]
    assert mail["oldest_seconds"] >= 0
    counts = ("topic", "ready", "scheduled", "waiting", "in_flight", "dead")
    assert [mail[each] for each in counts] == ["mail.send", 0, 0, 1, 0, 1]
    assert [work[each] for each in counts] == ["work", 2, 1, 0, 0, 0]
    assert "in flight" in higherself("messages", "topics").out


def test_a_dead_letter_is_put_back(higherself: Higherself, sent: dict[str, UUID]) -> None:
    ran = higherself("messages", "requeue", sent["first"], "--json")
    assert (ran.code, ran.json) == (0, {"requeued": [str(sent["first"])]})
    shown = higherself("messages", "show", sent["first"], "--json").json
    assert (shown["status"], shown["attempt"], len(shown["errors"])) == ("ready", 0, 1)
    assert status(higherself, sent["second"]) == "waiting", "its turn comes after the first"


def test_a_dead_letter_is_given_up(higherself: Higherself, sent: dict[str, UUID]) -> None:
    assert higherself("messages", "discard", sent["first"]).out == "1 discarded\n"
    shown = higherself("messages", "show", sent["first"], "--json").json
    assert shown["status"] == "cancelled"
    assert shown["reason"] == "discarded: SMTPError: no such user"
    assert status(higherself, sent["second"]) == "ready", "its lane is free"


def test_all_of_a_topic_or_a_business(higherself: Higherself, sent: dict[str, UUID]) -> None:
    elsewhere = ["--all", "--entity", "gallery", "--json"]
    assert higherself("messages", "discard", *elsewhere).json == {"discarded": []}
    there = ["--all", "--topic", "mail.send", "--json"]
    assert higherself("messages", "requeue", *there).json == {"requeued": [str(sent["first"])]}
    assert listed(higherself("messages", "dead", "--json")) == []


@pytest.mark.parametrize("verb", ["requeue", "discard"])
def test_only_dead_letters_can_be_decided_about(
    higherself: Higherself, sent: dict[str, UUID], verb: str
) -> None:
    ran = higherself("messages", verb, sent["due"])
    assert ran.code == 4
    assert "is ready, and only a dead letter" in ran.err
    assert higherself("messages", verb, NOBODY).code == 3
    assert higherself("messages", verb).code == 2
    assert higherself("messages", verb, sent["first"], "--all").code == 2
    assert status(higherself, sent["first"]) == "dead"


def test_a_message_that_is_not_there(higherself: Higherself) -> None:
    ran = higherself("messages", "show", NOBODY)
    assert (ran.code, ran.out) == (3, "")
    assert "higherself messages list" in ran.err
    assert higherself("messages", "show", "seven").code == 2
