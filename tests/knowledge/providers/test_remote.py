"""Both vendors through their real SDKs, against a local server that speaks their protocols."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from higherself.knowledge.errors import (
    ProviderMisconfigured,
    ProviderUnavailable,
    TextsRefused,
)
from higherself.knowledge.providers.openai import openai_embeddings
from higherself.knowledge.providers.portions import estimated_tokens
from higherself.knowledge.providers.remote import HARMLESS, RemoteEmbeddings
from higherself.knowledge.providers.retrying import FOR_A_QUESTION, Patience
from higherself.knowledge.providers.voyage import voyage_embeddings
from higherself.testing.clock import ManualClock
from higherself.testing.embeddings import EmbeddingServer, Fault, Vendor, embedding_server

KEY = "sk-a-very-secret-key"
SECOND = timedelta(seconds=1)
BRIEFLY = replace(FOR_A_QUESTION, one_try=timedelta(milliseconds=150))
TEXTS = ["two cups of green tea", "a late train", "tea for two"]


@dataclass(frozen=True)
class Case:
    """One vendor: its side of the server, and how to make a provider for it."""

    vendor: Vendor
    url: str
    clock: ManualClock
    question: Patience = FOR_A_QUESTION

    def provider(self, model: str | None = None, dimensions: int | None = None) -> RemoteEmbeddings:
        voyage = self.vendor.name == "voyage"
        make: Any = voyage_embeddings if voyage else openai_embeddings
        made: RemoteEmbeddings = make(
            KEY,
            base_url=self.url,
            model=model or ("voyage-4" if voyage else "text-embedding-3-small"),
            dimensions=dimensions,
            clock=self.clock,
            question=self.question,
            draw=lambda: 0.0,
        )
        return made

    async def embed(self, *texts: str, purpose: Any = "document", **options: Any) -> Any:
        """Embed with a provider of its own."""
        provider = self.provider(**options)
        try:
            return await provider.embed(texts or TEXTS, purpose=purpose)
        finally:
            await provider.close()

    async def fails(self, *faults: Fault, purpose: Any = "query") -> ProviderUnavailable:
        """Return how a call ends when its requests fail so."""
        self.vendor.script(*faults)
        with pytest.raises(ProviderUnavailable) as raised:
            await self.embed("tea", purpose=purpose)
        assert self.vendor.name in str(raised.value), "it names the tier"
        assert KEY not in str(raised.value)
        return raised.value


@pytest.fixture
def vendors() -> Iterator[EmbeddingServer]:
    with embedding_server() as vendors:
        yield vendors


@pytest.fixture(params=["openai", "voyage"])
def case(vendors: EmbeddingServer, request: pytest.FixtureRequest) -> Case:
    vendor: Vendor = getattr(vendors, request.param)
    return Case(vendor, getattr(vendors, f"{request.param}_url"), ManualClock())


async def test_vectors_have_length_one_and_the_order_of_the_texts(case: Case) -> None:
    vectors = await case.embed()
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[2] > 0.4 > vectors[0] @ vectors[1]
    case.vendor.script("shuffled")
    np.testing.assert_array_equal(await case.embed(), vectors)


async def test_the_request_is_what_the_vendor_expects(case: Case) -> None:
    await case.embed(*TEXTS)
    await case.embed(*TEXTS, purpose="query")
    document, question = case.vendor.requests
    assert (document.key, document.texts) == (KEY, tuple(TEXTS))
    of_voyage = case.vendor.name == "voyage"
    assert document.input_type == ("document" if of_voyage else None)
    assert question.input_type == ("query" if of_voyage else None)


async def test_no_text_no_request(case: Case) -> None:
    vectors = await case.provider().embed([])
    assert vectors.shape == (0, case.provider().space.dimensions)
    assert case.vendor.requests == []


async def test_fewer_dimensions_are_asked_for(case: Case) -> None:
    vectors = await case.embed(dimensions=512)
    assert vectors.shape == (3, 512)
    assert case.vendor.requests[0].dimensions == 512
    assert case.provider(dimensions=512).space.name.partition("@")[0].endswith("/512")


async def test_a_long_list_is_cut_into_requests_that_the_vendor_takes(case: Case) -> None:
    texts = [f"text number {number}" for number in range(case.vendor.most_texts + 5)]
    vectors = await case.embed(*texts, dimensions=256)
    assert [len(each.texts) for each in case.vendor.requests] == [case.vendor.most_texts, 5]
    assert case.vendor.texts == texts
    (alone,) = await case.embed(texts[-1], dimensions=256)
    np.testing.assert_allclose(vectors[-1], alone, atol=1e-6)


async def test_a_request_has_no_more_tokens_than_the_vendor_takes(case: Case) -> None:
    texts = ["word " * 4_000 for _ in range(70)]
    await case.embed(*texts, dimensions=256)
    sizes = [sum(map(estimated_tokens, each.texts)) for each in case.vendor.requests]
    assert len(sizes) > 1
    assert max(sizes) <= (320_000 if case.vendor.name == "voyage" else 300_000)


@pytest.mark.parametrize(
    ("fault", "reason", "permanent"),
    [
        ("unauthorized", "refuses the key.*_API_KEY", True),
        ("forbidden", "refuses the key.*_API_KEY", True),
        ("rate_limited", "429", False),
        ("rate_limited_with_wait", "429", False),
        ("server_error", "500 .*had an error", False),
        ("overloaded", "503 .*overloaded", False),
        ("html_error", "502 .*page of HTML", False),
        ("html", "no list of embeddings.*_BASE_URL", False),
        ("hang", "did not answer within 0.15 s", False),
        ("dropped", "cannot be reached", False),
        ("cut", "cannot be reached", False),
        ("wrong_dimensions", r"vectors of \d+ dimensions, and its space has", False),
        ("too_few", "0 vectors for 1 texts|no list of embeddings", False),
        ("nan", "not all finite", False),
        ("zeros", "zeros", False),
    ],
)
async def test_every_fault_has_its_reason(
    case: Case, fault: Fault, reason: str, permanent: bool
) -> None:
    if fault == "hang":
        case = replace(case, question=BRIEFLY)
    error = await case.fails(fault, fault)
    assert re.search(reason, str(error))
    assert error.permanent is permanent
    assert error.timed_out is (fault == "hang")
    assert error.retry_after == (SECOND if fault == "rate_limited_with_wait" else None)


async def test_a_quota_that_is_used_up_is_not_waited_for(vendors: EmbeddingServer) -> None:
    case = Case(vendors.openai, vendors.openai_url, ManualClock())
    error = await case.fails("quota", purpose="document")
    assert error.permanent
    assert len(case.vendor.requests) == 1


async def test_nothing_is_printed_or_logged_of_a_cut_connection(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    await case.fails("cut", "cut")
    assert capsys.readouterr() == ("", "")


async def test_nobody_listens(case: Case) -> None:
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await replace(case, url="http://127.0.0.1:1/v1").embed("tea", purpose="query")


async def test_a_question_has_one_quick_second_try(case: Case) -> None:
    case.vendor.script("server_error")
    assert len(await case.embed("tea", purpose="query")) == 1
    await case.fails("server_error", "server_error")
    assert len(case.vendor.requests) == 4
    assert case.clock.slept == [timedelta(milliseconds=200)] * 2


async def test_a_question_does_not_wait_as_long_as_it_is_asked_to(case: Case) -> None:
    case.vendor.wait = timedelta(seconds=20)
    error = await case.fails("rate_limited_with_wait")
    assert error.retry_after == timedelta(seconds=20)
    assert case.clock.slept == []


async def test_documents_wait_as_long_as_they_are_asked_to(case: Case) -> None:
    case.vendor.wait = timedelta(seconds=20)
    case.vendor.script("rate_limited_with_wait", "server_error", "cut", "overloaded")
    assert len(await case.embed()) == 3
    assert case.clock.slept == [timedelta(seconds=wait) for wait in (20, 2, 4, 8)]


@pytest.mark.parametrize("fault", ["unauthorized", "forbidden"])
async def test_what_cannot_pass_is_not_tried_again(case: Case, fault: Fault) -> None:
    await case.fails(fault, purpose="document")
    assert len(case.vendor.requests) == 1


async def test_a_model_that_does_not_exist_needs_a_person(case: Case) -> None:
    case.vendor.models = {}
    error = await case.fails(purpose="document")
    assert error.permanent
    assert "not supported" in str(error)


async def test_a_bad_text_does_not_take_the_others_down(case: Case) -> None:
    case.vendor.poison = "BAD"
    texts = [f"text {number}" for number in range(20)]
    texts[7], texts[13] = "a BAD text", ""
    with pytest.raises(TextsRefused) as raised:
        await case.embed(*texts)
    assert sorted(raised.value.reasons) == [7, 13]
    assert "cannot be embedded" in raised.value.reasons[7]
    vectors = raised.value.vectors
    refused = np.isnan(vectors).any(axis=1)
    assert np.flatnonzero(refused).tolist() == [7, 13]
    good = [text for number, text in enumerate(texts) if number not in (7, 13)]
    np.testing.assert_allclose(vectors[~refused], await case.embed(*good), atol=1e-6)


async def test_when_every_text_is_refused_it_is_not_for_the_texts(case: Case) -> None:
    case.vendor.poison = ""
    error = await case.fails(purpose="document")
    assert error.permanent
    assert "refuses every request" in str(error)
    assert [each.texts for each in case.vendor.requests] == [("tea",), (HARMLESS,)]


async def test_a_connection_is_kept(case: Case, vendors: EmbeddingServer) -> None:
    provider = case.provider()
    for _ in range(3):
        await provider.embed(["tea"])
    await provider.close()
    assert vendors.connections == 1


@pytest.mark.parametrize("vendor", ["openai", "voyage"])
def test_the_sdk_is_not_loaded_before_it_is_needed(vendor: str) -> None:
    sdk = {"openai": "openai", "voyage": "voyageai"}[vendor]
    code = (
        f"import sys\n"
        f"from higherself.kernel.clock import SYSTEM_CLOCK\n"
        f"from higherself.knowledge.providers.{vendor} import {vendor}_embeddings as make\n"
        f"model = {'voyage-4' if vendor == 'voyage' else 'text-embedding-3-small'!r}\n"
        f"make('k', base_url='http://h', model=model, dimensions=None, clock=SYSTEM_CLOCK)\n"
        f"assert {sdk!r} not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("vendor", "model", "dimensions", "space"),
    [
        ("voyage", "voyage-4", None, "voyage-4/1024"),
        ("voyage", "voyage-4-large", None, "voyage-4/1024"),
        ("voyage", "voyage-4-lite", 256, "voyage-4/256"),
        ("voyage", "voyage-law-2", None, "voyage/voyage-law-2/1024"),
        ("voyage", "voyage-9", 300, "voyage/voyage-9/300"),
        ("openai", "text-embedding-3-small", None, "openai/text-embedding-3-small/1536@127.0.0.1"),
        ("openai", "text-embedding-3-large", 300, "openai/text-embedding-3-large/300@127.0.0.1"),
        ("openai", "nomic-embed-text", 768, "openai/nomic-embed-text/768@127.0.0.1"),
    ],
)
def test_the_space_of_a_model(
    vendors: EmbeddingServer, vendor: str, model: str, dimensions: int | None, space: str
) -> None:
    case = Case(getattr(vendors, vendor), vendors.openai_url, ManualClock())
    provider = case.provider(model, dimensions)
    assert provider.space.name == space
    assert provider.model == model


@pytest.mark.parametrize(
    ("vendor", "model", "dimensions", "told"),
    [
        ("voyage", "voyage-4", 300, "VOYAGE_DIMENSIONS is 300; voyage-4 has 256, 512, 1024, 2048"),
        ("voyage", "voyage-law-2", 512, "voyage-law-2 has 1024"),
        ("voyage", "voyage-9", None, "VOYAGE_DIMENSIONS must say"),
        ("openai", "text-embedding-3-small", 1537, "has 1536 or fewer"),
        ("openai", "text-embedding-ada-002", 512, "text-embedding-ada-002 has 1536$"),
        ("openai", "nomic-embed-text", None, "OPENAI_EMBEDDING_DIMENSIONS must say"),
    ],
)
def test_dimensions_that_a_model_does_not_have(
    vendors: EmbeddingServer, vendor: str, model: str, dimensions: int | None, told: str
) -> None:
    case = Case(getattr(vendors, vendor), vendors.openai_url, ManualClock())
    with pytest.raises(ProviderMisconfigured, match=told):
        case.provider(model, dimensions)
