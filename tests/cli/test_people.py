"""Deciding and answering by command."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Higherself

from higherself import HigherSelf
from higherself.app.settings import Settings
from higherself.services.human_task import Asking, HumanTask

pytestmark = pytest.mark.postgres

ENTITY = "the_7_space"


def asked(url: str, *askings: Asking) -> list[HumanTask]:
    async def ask() -> list[HumanTask]:
        async with HigherSelf.open(Settings.model_validate({"DATABASE_URL": url})) as hs:
            return [await hs.human_tasks.ask(each) for each in askings]

    return asyncio.run(ask())


def test_reviews_and_escalations_are_listed_shown_and_decided(
    higherself: Higherself, database_url: str, tmp_path: Path
) -> None:
    review, request = asked(
        database_url,
        Asking(kind="review", entity=ENTITY, key="1", title="A letter", text="Dear Ana", roles=("owner",)),
        Asking(kind="escalation", entity=ENTITY, key="2", title="A question", text="Nobody knows."),
    )  # fmt: skip

    def told(*arguments: Any) -> Any:
        ran = higherself(*arguments, "--json")
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    (listed,) = told("reviews", "list")["reviews"]
    assert (listed["ticket"], listed["status"]) == (review.ticket, "open")
    assert "Dear Ana" in higherself("reviews", "show", review.ticket.lower()).out
    deciding = ("reviews", "decide", review.ticket, "approved", "--as", "bo")
    ran = higherself(*deciding)
    assert (ran.code, "is for owner to decide" in ran.err) == (5, True)
    better = tmp_path / "better.md"
    better.write_text("Dearest Ana")
    done = told(*deciding, "--role", "owner", "--file", better)
    assert (done["decision"], done["answer"], done["by"]) == ("approved", "Dearest Ana", "bo")
    ran = higherself(
        "reviews", "decide", review.ticket, "rejected", "--as", "cy", "--role", "owner"
    )
    assert (ran.code, "approved, by bo" in ran.err) == (4, True)
    assert told("reviews", "list")["reviews"] == []

    assert [each["ticket"] for each in told("escalations", "list")["escalations"]] == [
        request.ticket
    ]
    assert "Nobody knows." in higherself("escalations", "show", request.ticket).out
    ran = higherself("escalations", "answer", request.ticket, "--as", "bo")
    assert (ran.code, "answer:" in ran.err) == (5, True)
    done = told("escalations", "answer", request.ticket, "It is kept.", "--as", "bo")
    assert (done["answer"], done["status"]) == ("It is kept.", "decided")
    assert higherself("escalations", "show", "ESC-NONE").code == 3
