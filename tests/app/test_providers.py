"""The registry: each tier is built by itself, or says why not."""

import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from higherself.app import providers
from higherself.app.providers import build_reranker, build_tiers, make_tier
from higherself.app.settings import Settings
from higherself.knowledge.errors import TierPaused
from higherself.knowledge.providers import local
from higherself.knowledge.reranking import GuardedReranker
from higherself.knowledge.tiers import Tier
from higherself.testing.embeddings import EmbeddingServer, embedding_server

LETTERS = """
import numpy as np
from higherself.knowledge.model import EmbeddingSpace

class Provider:
    space = EmbeddingSpace(name="letters/2", provider="letters", model="letters", dimensions=2)
    window = 100
    on_machine = True

    def count_tokens(self, texts):
        return [len(text) for text in texts]

    async def embed(self, texts, *, purpose="document"):
        return np.ones((len(texts), 2), np.float32) / np.sqrt(2)

    def close(self):
        pass
"""
"""What another package may bring."""


@pytest.fixture
def vendors() -> Iterator[EmbeddingServer]:
    with embedding_server() as vendors:
        yield vendors


def built(**settings: Any) -> dict[str, Tier]:
    return {tier.name: tier for tier in build_tiers(Settings.model_validate(settings))}


def with_keys(vendors: EmbeddingServer, **settings: Any) -> dict[str, Tier]:
    return built(
        VOYAGE_API_KEY="pa-key",
        VOYAGE_BASE_URL=vendors.voyage_url,
        OPENAI_API_KEY="sk-key",
        OPENAI_BASE_URL=vendors.openai_url,
        **settings,
    )


async def test_the_order_is_that_of_the_settings() -> None:
    assert list(built()) == ["voyage", "openai", "local"]
    assert list(built(HIGHERSELF_EMBEDDING_TIERS=("local", "voyage"))) == ["local", "voyage"]


async def test_without_a_key_a_tier_is_off() -> None:
    tiers = built()
    assert tiers["voyage"].reason == "VOYAGE_API_KEY is not set"
    assert tiers["openai"].reason == "OPENAI_API_KEY is not set"
    assert not tiers["voyage"].live
    assert tiers["local"].live
    assert tiers["local"].on_machine
    assert tiers["local"].space == local.SPACE


async def test_with_keys_all_tiers_embed(vendors: EmbeddingServer) -> None:
    tiers = with_keys(
        vendors, VOYAGE_DIMENSIONS=256, OPENAI_EMBEDDING_MODEL="text-embedding-3-large"
    )
    assert (await tiers["voyage"].embed(["tea"])).shape == (1, 256)
    assert (await tiers["openai"].embed(["tea"])).shape == (1, 3072)
    assert [each.key for each in vendors.voyage.requests] == ["pa-key"]
    assert [each.key for each in vendors.openai.requests] == ["sk-key"]
    assert not tiers["voyage"].on_machine
    for tier in tiers.values():
        await tier.close()


@pytest.mark.parametrize(
    ("settings", "off", "told"),
    [
        ({"VOYAGE_DIMENSIONS": 300}, "voyage", "VOYAGE_DIMENSIONS is 300"),
        ({"OPENAI_EMBEDDING_MODEL": "mine"}, "openai", "OPENAI_EMBEDDING_DIMENSIONS must say"),
    ],
)
async def test_a_value_that_makes_no_sense_takes_one_tier_down(
    vendors: EmbeddingServer, settings: dict[str, Any], off: str, told: str
) -> None:
    tiers = with_keys(vendors, **settings)
    assert [name for name, tier in tiers.items() if not tier.live] == [off]
    assert told in (tiers[off].reason or "")


async def test_a_missing_package_takes_one_tier_down(
    vendors: EmbeddingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "find_spec", lambda name: name != "voyageai" or None)
    tiers = with_keys(vendors)
    assert tiers["voyage"].reason == (
        "the package voyageai is missing; pip install 'higherself-network-server[voyage]'"
    )
    assert tiers["openai"].live


def test_the_distribution_is_called_so() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert f'name = "{providers.DISTRIBUTION}"' in project
    assert all(f"\n{extra} = [" in project for extra in ("voyage", "openai"))


async def test_limits_are_those_of_the_settings(vendors: EmbeddingServer) -> None:
    tiers = with_keys(vendors, HIGHERSELF_EMBEDDING_DAILY_TOKENS="voyage=5")
    limits = {name: tier.described()["daily_tokens"] for name, tier in tiers.items()}
    assert limits == {"voyage": 5, "openai": None, "local": None}


def test_a_tier_can_be_had_with_another_model(vendors: EmbeddingServer) -> None:
    settings = Settings.model_validate({"VOYAGE_API_KEY": "k", "OPENAI_API_KEY": "k"})
    made = partial(make_tier, settings=settings)
    assert made("voyage", "voyage-3.5", None).space.name == "voyage/voyage-3.5/1024"
    assert made("voyage", "voyage-4-lite", 256).space.name == "voyage-4/256"
    large = made("openai", "text-embedding-3-large", 512)
    assert large.space.name == "openai/text-embedding-3-large/512"
    assert large.name != "openai", "it is counted apart"
    assert not made("local", "another", None).live
    assert "has 256, 512" in (made("voyage", "voyage-4", 3).reason or "")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> str:
    """A package whose module is the parameter, with an entry point for the tier `letters`."""
    (tmp_path / "letters_of_a_test.py").write_text(request.param)
    info = tmp_path / "letters-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[higherself.providers]\nletters = letters_of_a_test:Provider\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "letters_of_a_test", raising=False)
    return "letters"


@pytest.mark.parametrize("package", [LETTERS], indirect=True)
async def test_a_package_brings_a_tier(package: str) -> None:
    tiers = built(HIGHERSELF_EMBEDDING_TIERS=(package, "local"))
    assert tiers[package].on_machine
    assert (await tiers[package].embed(["tea"])).shape == (1, 2)


@pytest.mark.parametrize("package", [LETTERS.replace("on_machine", "elsewhere")], indirect=True)
async def test_a_package_is_taken_to_send_texts_away_unless_it_says_otherwise(package: str) -> None:
    assert not built(HIGHERSELF_EMBEDDING_TIERS=(package,))[package].on_machine


@pytest.mark.parametrize(
    ("package", "told"),
    [
        pytest.param("import nothing_of_the_kind", "ModuleNotFoundError", id="cannot be imported"),
        pytest.param("Other = 1", "AttributeError", id="lacks what the entry point names"),
        pytest.param("Provider = 1", "TypeError", id="is not callable"),
        pytest.param("Provider = dict", "AttributeError", id="makes no provider"),
        pytest.param("def Provider(): 1 / 0", "ZeroDivisionError", id="makes a mistake"),
        pytest.param(
            "from higherself.errors import Misconfigured\n"
            "def Provider(): raise Misconfigured('LETTERS_KEY is not set')",
            "^LETTERS_KEY is not set$",
            id="says itself what it lacks",
        ),
    ],
    indirect=["package"],
)
async def test_a_package_that_fails_takes_one_tier_down(package: str, told: str) -> None:
    tiers = built(HIGHERSELF_EMBEDDING_TIERS=(package, "local"))
    assert not tiers[package].live
    assert re.search(told, tiers[package].reason or "")
    assert tiers["local"].live


def reranker(**settings: Any) -> GuardedReranker:
    return build_reranker(Settings.model_validate(settings))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "HIGHERSELF_RERANKER is not set"),
        ({"HIGHERSELF_RERANKER": "voyage"}, "VOYAGE_API_KEY is not set"),
        (
            {
                "HIGHERSELF_RERANKER": "openai",
                "OPENAI_API_KEY": "sk",
                "HIGHERSELF_RERANKER_MODEL": "m",
            },
            "HIGHERSELF_RERANKER_BASE_URL is not set, and OpenAI itself has no reranker",
        ),
        (
            {"HIGHERSELF_RERANKER": "openai", "HIGHERSELF_RERANKER_BASE_URL": "http://h/v1"},
            "HIGHERSELF_RERANKER_MODEL is not set",
        ),
        (
            {
                "HIGHERSELF_RERANKER": "openai",
                "HIGHERSELF_RERANKER_MODEL": "m",
                "OPENAI_BASE_URL": "http://h/v1",
            },
            "OPENAI_API_KEY is not set",
        ),
    ],
    ids=["none", "no key", "no address", "no model", "no key for the address"],
)
async def test_a_reranker_that_is_off_says_why(settings: dict[str, Any], told: str) -> None:
    made = reranker(**settings)
    assert not made.live
    assert made.reason == told
    with pytest.raises(TierPaused, match=f"there is no reranker: {told}"):
        await made.rerank("q", ["tea"])


async def test_a_missing_package_takes_the_reranker_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "find_spec", lambda name: name != "voyageai" or None)
    made = reranker(HIGHERSELF_RERANKER="voyage", VOYAGE_API_KEY="pa-key")
    assert "pip install 'higherself-network-server[voyage]'" in (made.reason or "")


async def test_voyage_reranks(vendors: EmbeddingServer) -> None:
    made = reranker(
        HIGHERSELF_RERANKER="voyage",
        VOYAGE_API_KEY="pa-key",
        VOYAGE_BASE_URL=vendors.voyage_url,
        HIGHERSELF_EMBEDDING_DAILY_TOKENS="voyage-rerank=1000",
    )
    tea, train = await made.rerank("some tea", ["two cups of tea", "a late train"])
    assert tea > train
    assert [(each.key, each.model) for each in vendors.voyage.requests] == [
        ("pa-key", "rerank-2.5")
    ]
    assert (made.name, made.described()["daily_tokens"]) == ("voyage-rerank", 1000)
    await made.close()


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"OPENAI_BASE_URL": "*"}, "sk-of-openai"),
        ({"HIGHERSELF_RERANKER_BASE_URL": "*"}, "unused"),
        (
            {"HIGHERSELF_RERANKER_BASE_URL": "*", "HIGHERSELF_RERANKER_API_KEY": "its-own"},
            "its-own",
        ),
    ],
    ids=["at the address for embeddings", "elsewhere", "elsewhere with a key"],
)
async def test_another_server_never_gets_the_key_that_is_for_openai(
    vendors: EmbeddingServer, more: dict[str, str], key: str
) -> None:
    made = reranker(
        HIGHERSELF_RERANKER="openai",
        HIGHERSELF_RERANKER_MODEL="bge-reranker-v2-m3",
        OPENAI_API_KEY="sk-of-openai",
        **{name: vendors.openai_url if value == "*" else value for name, value in more.items()},
    )
    assert len(await made.rerank("some tea", ["tea"])) == 1
    assert [each.key for each in vendors.openai.requests] == [key]
    assert made.name == "openai-rerank"
    await made.close()
