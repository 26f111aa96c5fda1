"""`higherself models` shows what is configured, and what is spent of how much."""

import asyncio

import pytest
from tests.cli.conftest import Higherself

from higherself.agents.llm.ledger_postgres import PostgresSpendingLedger
from higherself.agents.llm.ports import Reservation
from higherself.agents.llm.usage import UNLIMITED, Usage
from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK

pytestmark = pytest.mark.postgres

USED = Usage(requests=1, input_tokens=1_000, output_tokens=200, micro_usd=1_250_000)


async def spend(url: str) -> None:
    async with open_database(url, connections=1) as database:
        ledger = PostgresSpendingLedger(database, SYSTEM_CLOCK)
        today = SYSTEM_CLOCK.now().date()
        for entity in ("gallery", "practice"):
            made = await ledger.reserve(entity, today, "openai:gpt-5-mini", USED, UNLIMITED)
            assert isinstance(made, Reservation)
            await ledger.settle(made, USED, failed=False)
        await ledger.reserve("gallery", today, "openai:gpt-5-mini", USED, UNLIMITED)


def test_templates_and_no_spending(higherself: Higherself) -> None:
    ran = higherself("models")
    assert ran.code == 0
    assert ran.out.startswith("model: template (template, on this machine)\n")
    assert "why: no language model is configured (HIGHERSELF_LLM)" in ran.out


def test_what_is_spent_of_how_much(
    higherself: Higherself, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(spend(database_url))
    monkeypatch.setenv("HIGHERSELF_LLM", "openai:gpt-5-mini")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-key")
    monkeypatch.setenv("HIGHERSELF_LLM_DAILY_USD", "5,practice=none")
    ran = higherself("models")
    assert ran.out.startswith("model: openai:gpt-5-mini (ready, elsewhere)\nprice: $0.25 a million")
    lines = [line.split("\t") for line in ran.out.splitlines()[-2:]]
    assert lines == [
        ["gallery", "openai:gpt-5-mini", "1", "0", "1,200", "$1.25 of $5.00", "$1.25"],
        ["practice", "openai:gpt-5-mini", "1", "0", "1,200", "$1.25", "$0.00"],
    ]
    assert "sk-secret-key" not in ran.out
    told = higherself("models", "--json", "--entity", "gallery").json
    (row,) = told["spending"]
    assert (row["entity"], row["micro_usd"], row["limit_micro_usd"]) == (
        "gallery",
        1_250_000,
        5_000_000,
    )
    assert told["model"]["state"] == "ready"
