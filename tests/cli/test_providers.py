"""`higherself knowledge providers`: the truth about the tiers, also of processes that are gone."""

from collections.abc import Iterator

import pytest
from tests.cli.conftest import Higherself

from higherself.testing.embeddings import EmbeddingServer, embedding_server

KEY = "pa-a-very-secret-key"


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddingServer]:
    with embedding_server() as vendors:
        monkeypatch.setenv("VOYAGE_API_KEY", KEY)
        monkeypatch.setenv("VOYAGE_BASE_URL", vendors.voyage_url)
        monkeypatch.setenv("HIGHERSELF_EMBEDDING_TIERS", "voyage,openai,local")
        yield vendors


@pytest.mark.postgres
def test_a_tier_that_failed_is_paused_and_says_why(
    higherself: Higherself, vendors: EmbeddingServer
) -> None:
    vendors.voyage.failing = "unauthorized"
    assert higherself("doctor").code == 2
    asked = len(vendors.voyage.requests)
    voyage, openai, local = higherself("knowledge", "providers", "--json").json["providers"]
    assert len(vendors.voyage.requests) == asked, "nothing is sent"
    assert (voyage["state"], voyage["circuit"], voyage["failures"]) == ("paused", "open", 1)
    assert "voyage refuses the key (HTTP 401); check VOYAGE_API_KEY" in voyage["reason"]
    assert voyage["last_error_at"]
    assert voyage["paused_until"]
    assert (openai["state"], openai["reason"]) == ("off", "OPENAI_API_KEY is not set")
    assert (local["state"], local["circuit"]) == ("ready", "closed")

    vendors.voyage.recover()
    assert higherself("doctor").code == 0
    voyage, *_ = higherself("knowledge", "providers", "--json").json["providers"]
    assert (voyage["state"], voyage["circuit"], voyage["reason"]) == ("ready", "closed", None)
    assert (voyage["requests"], voyage["texts"], voyage["tokens"]) == (2, 1, 4)
    assert voyage["latency_ms"] > 0


@pytest.mark.postgres
def test_the_table_shows_the_tokens_of_today(
    higherself: Higherself, vendors: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIGHERSELF_EMBEDDING_DAILY_TOKENS", "voyage=5000")
    assert higherself("doctor").code == 0
    told = higherself("knowledge", "providers")
    header, voyage, openai, local = told.out.splitlines()
    assert header.split("\t")[:3] == ["tier", "state", "space"]
    assert voyage.split("\t")[:3] == ["voyage", "ready", "voyage-4/1024"]
    assert "4 of 5,000" in voyage
    assert openai.endswith("OPENAI_API_KEY is not set")
    assert local.startswith("local\tready\t")
    assert KEY not in told.out + told.err


@pytest.mark.postgres
def test_the_reranker_is_shown_beside_the_tiers(
    higherself: Higherself, vendors: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = higherself("knowledge", "providers", "--json").json["reranker"]
    assert (off["name"], off["state"], off["reason"]) == (
        *(None, "off"),
        "HIGHERSELF_RERANKER is not set",
    )
    monkeypatch.setenv("HIGHERSELF_RERANKER", "voyage")
    assert higherself("doctor").code == 0
    told = higherself("knowledge", "providers", "--json").json["reranker"]
    assert (told["name"], told["state"], told["model"]) == ("voyage-rerank", "ready", "rerank-2.5")
    assert (told["requests"], told["texts"], told["tokens"]) == (1, 1, 8)
    *_, row = higherself("knowledge", "providers").out.splitlines()
    assert row.split("\t")[:3] == ["voyage-rerank", "ready", "rerank-2.5"]


def test_without_a_database_the_settings_are_shown_all_the_same(
    command: Higherself, vendors: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me@127.0.0.1:1/none")
    told = command("knowledge", "providers", "--json")
    assert told.code == 0
    assert "what happened before is not known" in told.err
    assert [row["state"] for row in told.json["providers"]] == ["ready", "off", "ready"]


def test_a_tier_on_this_machine_needs_no_database(command: Higherself) -> None:
    (local,) = command("knowledge", "providers", "--json").json["providers"]
    assert (local["tier"], local["state"], local["on_machine"]) == ("local", "ready", True)
