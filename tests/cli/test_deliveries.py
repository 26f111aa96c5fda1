"""`higherself deliveries`: what is held is seen and released, what failed is sent again, by a real server."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from anyio.from_thread import start_blocking_portal
from tests.cli.conftest import Higherself

from higherself.flows.mail import Mailbox, mail_server

pytestmark = pytest.mark.postgres


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server in a thread of its own: commands have a loop of theirs."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(mail_server()) as box,
    ):
        monkeypatch.setenv("SMTP_URL", box.url)
        yield box


def send(higherself: Higherself, **given: Any) -> Any:
    letter = {"to": "ana@example.org", "subject": "Your visit", "body": "See you **soon**."}
    told = json.dumps({**letter, **given})
    return higherself("skills", "run", "send_email", "--input", told, "--entity", "the_7_space")


def test_what_is_held_is_shown_and_released(
    higherself: Higherself, mail: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert send(higherself).code == 0
    (held,) = higherself("deliveries", "list", "--status", "held", "--json").json["deliveries"]
    assert (held["to"], held["about"]) == (["ana@example.org"], "Your visit")
    shown = higherself("deliveries", "show", held["delivery"], "--json").json
    assert (shown["status"], shown["text"]) == ("held", "See you soon.\n")
    assert "HIGHERSELF_ALLOW_LIST" in shown["reason"]
    assert "Your visit" in higherself("deliveries", "list").out

    refused = higherself("deliveries", "release", held["delivery"])
    assert (refused.code, mail.letters) == (4, [])
    monkeypatch.setenv("HIGHERSELF_ALLOW_LIST", "@example.org")
    done = higherself("deliveries", "release", held["delivery"], "--json").json
    assert (done["status"], done["answer"], len(mail.letters)) == ("sent", "250 taken", 1)
    assert higherself("deliveries", "release", held["delivery"]).code == 4
    assert "See you soon." in higherself("deliveries", "show", held["delivery"]).out
    assert (
        "Subject: Your visit" in higherself("deliveries", "show", held["delivery"], "--content").out
    )


def test_what_failed_is_sent_again(
    higherself: Higherself, mail: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIGHERSELF_ALLOW_LIST", "@example.org")
    mail.mood = "refusing"
    assert "nobody of this name" in send(higherself).err
    (failed,) = higherself("deliveries", "list", "--json").json["deliveries"]
    assert failed["status"] == "failed"
    mail.mood = "well"
    assert higherself("deliveries", "retry", failed["delivery"], "--json").json["status"] == "sent"
    assert higherself("deliveries", "retry", failed["delivery"]).code == 4
    assert len(mail.letters) == 1


def test_a_delivery_that_is_not_there(higherself: Higherself) -> None:
    ran = higherself("deliveries", "show", uuid4())
    assert ran.code == 3
    assert "higherself deliveries list" in ran.err
