"""Both rerankers through their vendors' real SDKs, against a local server that speaks their protocols."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from higherself.knowledge.errors import ProviderUnavailable
from higherself.knowledge.providers.portions import estimated_tokens
from higherself.knowledge.providers.remote import HARMLESS
from higherself.knowledge.providers.reranking import (
    PASSAGES,
    RemoteReranker,
    openai_reranker,
    voyage_reranker,
)
from higherself.knowledge.providers.retrying import FOR_A_QUESTION, Patience
from higherself.testing.clock import ManualClock
from higherself.testing.embeddings import EmbeddingServer, Fault, Vendor, embedding_server

KEY = "sk-a-very-secret-key"
SECOND = timedelta(seconds=1)
BRIEFLY = replace(FOR_A_QUESTION, one_try=timedelta(milliseconds=150))
QUESTION = "Is there green tea?"
PASSAGES_READ = ["a late train", "two cups of green tea", "tea for two"]


@dataclass(frozen=True)
class Case:
    """One vendor: its side of the server, and how to make a reranker for it."""

    vendor: Vendor
    url: str
    clock: ManualClock
    question: Patience = FOR_A_QUESTION

    @property
    def name(self) -> str:
        return f"{self.vendor.name}-rerank"

    def reranker(self, model: str | None = None, window: int | None = None) -> RemoteReranker:
        more: dict[str, Any] = {
            "base_url": self.url,
            "window": window,
            "clock": self.clock,
            "question": self.question,
            "draw": lambda: 0.0,
        }
        if self.vendor.name == "voyage":
            return voyage_reranker(KEY, model=model or "rerank-2.5", **more)
        return openai_reranker(
            KEY,
            key_setting="HIGHERSELF_RERANKER_API_KEY",
            url_setting="HIGHERSELF_RERANKER_BASE_URL",
            model=model or "bge-reranker-v2-m3",
            **more,
        )

    async def scores(
        self, passages: Sequence[str] = PASSAGES_READ, query: str = QUESTION, **options: Any
    ) -> list[float]:
        """Return what a reranker of its own says."""
        reranker = self.reranker(**options)
        try:
            return await reranker.rerank(query, passages)
        finally:
            await reranker.close()

    async def fails(self, *faults: Fault) -> ProviderUnavailable:
        """Return how a call ends when its requests fail so."""
        self.vendor.script(*faults)
        with pytest.raises(ProviderUnavailable) as raised:
            await self.scores()
        assert self.name in str(raised.value), "it names who failed"
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


async def test_scores_have_the_order_of_the_passages(case: Case) -> None:
    train, green_tea, tea = await case.scores()
    assert green_tea > tea > train
    case.vendor.script("shuffled")
    assert await case.scores() == [train, green_tea, tea]


async def test_the_request_is_what_the_vendor_expects(case: Case) -> None:
    await case.scores()
    (asked,) = case.vendor.requests
    assert (asked.key, asked.query, asked.texts) == (KEY, QUESTION, tuple(PASSAGES_READ))
    assert asked.model == case.reranker().model


async def test_no_passage_no_request(case: Case) -> None:
    assert await case.scores([]) == []
    assert case.vendor.requests == []


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
        ("html", "no list of scores.*_BASE_URL", False),
        ("hang", "did not answer within 0.15 s", False),
        ("dropped", "cannot be reached", False),
        ("cut", "cannot be reached", False),
        ("wrong_dimensions", "cannot be told apart", False),
        ("too_few", "2 scores for 3 passages", False),
        ("nan", "not a finite number", False),
        ("zeros", "no list of scores", False),
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
    assert (await case.fails("quota")).permanent
    assert len(case.vendor.requests) == 1


async def test_there_is_one_quick_second_try(case: Case) -> None:
    case.vendor.script("server_error")
    assert len(await case.scores()) == 3
    await case.fails("server_error", "server_error")
    assert len(case.vendor.requests) == 4
    assert case.clock.slept == [timedelta(milliseconds=200)] * 2


async def test_many_passages_are_asked_about_in_portions(case: Case) -> None:
    passages = [f"passage {number} about tea" for number in range(PASSAGES + 5)]
    scores = await case.scores(passages)
    assert [len(each.texts) for each in case.vendor.requests] == [PASSAGES, 5]
    assert case.vendor.texts == passages
    (alone,) = await case.scores(passages[-1:])
    assert scores[-1] == pytest.approx(alone)


async def test_of_what_is_too_long_the_beginning_is_sent(case: Case) -> None:
    question, passage = "Is there tea? " * 4_000, "There is tea. " * 10_000
    for window in (1_000, None):
        await case.scores([passage, "tea"], question, window=window)
        asked = case.vendor.requests[-1]
        assert asked.query is not None
        whole = window or case.reranker().window
        assert estimated_tokens(asked.query) == whole // 4
        assert estimated_tokens(asked.texts[0]) == whole - whole // 4
        assert question.startswith(asked.query)
        assert passage.startswith(asked.texts[0])
        assert asked.texts[1] == "tea"


async def test_no_request_has_more_tokens_than_voyage_takes(vendors: EmbeddingServer) -> None:
    """The tokens of the question count once for each passage."""
    case = Case(vendors.voyage, vendors.voyage_url, ManualClock())
    await case.scores(["tea " * 5_000] * 100, "Is there tea? " * 2_000)
    assert len(vendors.voyage.requests) > 1
    assert {each.status for each in vendors.voyage.requests} == {200}


async def test_a_passage_that_is_refused_is_told_and_no_fault_of_the_vendor(case: Case) -> None:
    case.vendor.poison = "green"
    error = await case.fails()
    assert "cannot be scored" in str(error)
    assert not error.permanent
    assert [each.texts[0] for each in case.vendor.requests] == [PASSAGES_READ[0], HARMLESS]


async def test_a_model_that_does_not_exist_needs_a_person(case: Case) -> None:
    case.vendor.rerankers = {}
    error = await case.fails()
    assert error.permanent
    assert "not supported" in str(error)
    if case.vendor.name == "openai":
        assert "check HIGHERSELF_RERANKER_MODEL" in str(error)


async def test_a_window_that_is_too_large_is_told(vendors: EmbeddingServer) -> None:
    case = Case(vendors.openai, vendors.openai_url, ManualClock())
    with pytest.raises(ProviderUnavailable, match="context length of 512"):
        await case.scores(["word " * 2_000], model="bge-reranker-base")
    assert len(await case.scores(["word " * 2_000], model="bge-reranker-base", window=512)) == 1


async def test_a_connection_is_kept(case: Case, vendors: EmbeddingServer) -> None:
    reranker = case.reranker()
    for _ in range(3):
        await reranker.rerank(QUESTION, PASSAGES_READ)
    await reranker.close()
    assert vendors.connections == 1


def test_no_sdk_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys\n"
        "from higherself.kernel.clock import SYSTEM_CLOCK\n"
        "from higherself.knowledge.providers.reranking import voyage_reranker\n"
        "voyage_reranker('k', base_url='http://h', model='m', window=None, clock=SYSTEM_CLOCK)\n"
        "assert not {'openai', 'voyageai'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
