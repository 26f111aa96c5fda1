"""From the settings to a model that answers, or to templates that say why not."""

import importlib.util
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from higherself.agents.llm.model import Ask, Source
from higherself.agents.llm.usage import Price
from higherself.app import language_model
from higherself.app.language_model import build_language_model, day_limit, probed
from higherself.app.settings import Settings
from higherself.app.wiring import HigherSelf
from higherself.db.pool import Database
from higherself.testing.llm import ModelServer, model_server

pytestmark = pytest.mark.postgres

KEY = "sk-secret-key"
QUESTION: Ask[str] = Ask(
    prompt="When are deposits refunded?", sources=(Source(text="Deposits are refunded soon."),)
)


@pytest.fixture(scope="module")
def serving() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


@pytest.fixture
def vendor(serving: ModelServer) -> ModelServer:
    serving.recover()
    serving.requests.clear()
    return serving


def settings(**given: Any) -> Settings:
    return Settings.model_validate(given)


def anthropic(vendor: ModelServer, **more: Any) -> Settings:
    given = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": vendor.anthropic_url}
    return settings(HIGHERSELF_LLM="anthropic:claude-sonnet-5", **given, **more)


async def test_templates_are_the_default(database: Database) -> None:
    configured = build_language_model(settings(), database)
    assert not configured.wrong
    answer = await configured.model.complete(QUESTION)
    assert answer.reason == "no language model is configured (HIGHERSELF_LLM)"
    assert (answer.degraded, answer.output) == (True, "Deposits are refunded soon. [1]")


async def test_a_model_answers_and_what_it_cost_is_in_the_ledger(
    database: Database, vendor: ModelServer
) -> None:
    configured = build_language_model(anthropic(vendor, HIGHERSELF_LLM_PRICE="3,15"), database)
    answer = await configured.model.complete(QUESTION)
    assert (answer.degraded, answer.output) == (False, "Certainly.")
    assert answer.usage.micro_usd > 0
    assert configured.described()["input_price"] == 3
    await configured.close()


async def test_a_business_whose_money_is_spent_gets_templates(
    database: Database, vendor: ModelServer
) -> None:
    limits = {"HIGHERSELF_LLM_PRICE": "3,15", "HIGHERSELF_LLM_DAILY_USD": "5,default=0"}
    configured = build_language_model(anthropic(vendor, **limits), database)
    answer = await configured.model.complete(QUESTION)
    assert answer.degraded
    assert "budget of default for today" in str(answer.reason)
    assert vendor.requests == []
    await configured.close()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"HIGHERSELF_LLM": "anthropic:claude-sonnet-5"}, "set ANTHROPIC_API_KEY"),
        ({"HIGHERSELF_LLM": "openai:gpt-5-mini"}, "set OPENAI_API_KEY"),
        (
            {"HIGHERSELF_LLM": "openai:gpt-99", "OPENAI_API_KEY": KEY},
            "price of openai:gpt-99 is not known.*HIGHERSELF_LLM_PRICE",
        ),
    ],
)
async def test_what_is_missing_is_told_and_templates_do_the_work(
    database: Database, given: dict[str, str], said: str
) -> None:
    import re

    configured = build_language_model(settings(**given), database)
    assert configured.wrong
    answer = await configured.model.complete(QUESTION)
    assert answer.degraded
    assert re.search(said, str(answer.reason))
    check = await probed(settings(**given))
    assert not check.ok
    assert re.search(said, check.detail)
    assert KEY not in check.detail


async def test_a_missing_extra_is_named(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str) -> ModuleSpec | None:
        return None if name == "pydantic_ai" else importlib.util.find_spec(name)

    monkeypatch.setattr(language_model, "find_spec", without)
    given = settings(HIGHERSELF_LLM="openai:gpt-5-mini", OPENAI_API_KEY=KEY)
    configured = build_language_model(given, database)
    assert "pip install 'higherself-network-server[openai]'" in str(configured.reason)


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("anthropic:claude-sonnet-5", Price(input=2_000_000, output=10_000_000, cached=200_000, written=2_500_000)),
        ("openai:gpt-5-mini", Price(input=250_000, output=2_000_000, cached=25_000, written=250_000)),
    ],
)  # fmt: skip
async def test_prices_of_the_vendors_are_known(database: Database, name: str, price: Price) -> None:
    given = settings(HIGHERSELF_LLM=name, OPENAI_API_KEY=KEY, ANTHROPIC_API_KEY=KEY)
    configured = build_language_model(given, database)
    assert configured.endpoint is not None
    assert configured.endpoint.price == price


async def test_a_server_of_ones_own_needs_no_key_and_costs_nothing(
    database: Database, vendor: ModelServer
) -> None:
    given = settings(HIGHERSELF_LLM="openai:llama3", OPENAI_BASE_URL=vendor.openai_url)
    configured = build_language_model(given, database)
    answer = await configured.model.complete(QUESTION)
    assert (answer.degraded, answer.usage.micro_usd) == (False, 0)
    assert vendor.requests[0].route == "chat"
    assert configured.described()["on_machine"]
    await configured.close()


def test_limits_are_of_a_business() -> None:
    given = settings(HIGHERSELF_LLM_DAILY_USD="1,gallery=none", HIGHERSELF_LLM_DAILY_TOKENS="7")
    assert day_limit(given, "gallery").micro_usd is None
    assert day_limit(given, "other").micro_usd == 1_000_000
    assert day_limit(given, "other").tokens == 7


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (None, "ready: anthropic:claude-sonnet-5, answers as claude-sonnet-5; 5 dollars"),
        ("unauthorized", "refuses the key (HTTP 401)"),
        ("server_error", "answers 500"),
    ],
)
async def test_the_doctor_asks_for_a_word(vendor: ModelServer, fault: Any, said: str) -> None:
    vendor.script(fault)
    check = await probed(anthropic(vendor, HIGHERSELF_LLM_PRICE="3,15"))
    assert check.ok == (fault is None)
    assert said in check.detail
    assert check.ok or check.fix
    assert len(vendor.requests) == 1


async def test_an_open_server_has_it(
    database_url: str, tmp_path: Path, vendor: ModelServer
) -> None:
    given = anthropic(
        vendor, DATABASE_URL=database_url, HIGHERSELF_EMBEDDING_TIERS=("local",),
        HIGHERSELF_HOME=str(tmp_path),
    )  # fmt: skip
    async with HigherSelf.open(given, workflows=False) as hs:
        assert hs.language_model is hs.language_model
        answer = await hs.language_model.model.complete(QUESTION)
        assert not answer.degraded
