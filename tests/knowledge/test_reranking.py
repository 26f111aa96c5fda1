"""A reranker orders what the fusion found; whatever it does, the answer is there and says so."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.knowledge.tiers_in_use import QUICK, InUse, document, in_use

from higherself.db.pool import Database, open_database
from higherself.kernel import telemetry
from higherself.kernel.ids import ChunkId, DocumentId
from higherself.knowledge.errors import ProviderUnavailable, QueryRejected, TierPaused
from higherself.knowledge.ledger_postgres import PostgresLedger
from higherself.knowledge.model import FoundChunk, FoundDocument, Hit, Why
from higherself.knowledge.providers.local import LocalEmbeddings
from higherself.knowledge.providers.reranking import voyage_reranker
from higherself.knowledge.reranking import GuardedReranker, by_score, no_reranker, reordered
from higherself.knowledge.search_postgres import SESSION_SETTINGS
from higherself.knowledge.tier_health import TierPolicy
from higherself.testing.clock import ManualClock
from higherself.testing.embeddings import FAULTS, EmbeddingServer, embedding_server

QUERY = "is a deposit refunded after the gong"
DOCUMENTS = {
    "gong": "A gong, another gong, and one more gong.",
    "more": "Deposit and deposit and deposit for a retreat. Ask Renata what will be refunded, when "
    "it is refunded, and how long it takes until whatever is refunded arrives at your bank.",
    "answer": "A deposit is refunded.",
    "train": "The train is late again.",
}
"""By its words alone the first would win: nothing else has the rarest word of the question."""


class Words:
    """A reranker of somebody else's: a passage is the better, the shorter it is."""

    name = "words"
    model = "shorter"

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.read: list[str] = []
        self.answer: Any = None
        self.closed = False

    async def rerank(self, query: str, passages: Sequence[str]) -> Sequence[float]:
        self.read += passages
        if self.errors:
            raise self.errors.pop(0)
        return [-len(each) for each in passages] if self.answer is None else self.answer

    def close(self) -> None:
        self.closed = True


def a_hit(number: int, text: str = "tea", *, local_only: bool = False) -> Hit:
    document = FoundDocument(
        DocumentId(UUID(int=number)), "default", "api", str(number), "", None, (), {}, None, "own",
        local_only,
    )  # fmt: skip
    return Hit(number, 1 / number, document, FoundChunk(ChunkId(number), 0, "", text), Why())


def numbers(hits: Sequence[Hit]) -> list[int]:
    return [hit.chunk.id for hit in hits]


@pytest.mark.parametrize(
    ("scores", "order"),
    [
        pytest.param({1: 0.1, 2: 0.9, 3: 0.5}, [2, 3, 1], id="best first"),
        pytest.param({1: 0.5, 2: 0.5, 3: 0.5}, [1, 2, 3], id="of the same score, the order stays"),
        pytest.param({1: -8.0, 3: -0.5}, [3, 2, 1], id="one without a score keeps its place"),
        pytest.param({2: 0.1, 3: 0.7}, [1, 3, 2], id="also the first place"),
        pytest.param({}, [1, 2, 3], id="no scores"),
    ],
)
def test_the_order_is_that_of_the_scores(scores: dict[ChunkId, float], order: list[int]) -> None:
    hits = by_score([a_hit(1), a_hit(2), a_hit(3)], scores)
    assert numbers(hits) == order
    assert [hit.rank for hit in hits] == [1, 2, 3]
    assert {hit.chunk.id: hit.why.rerank_score for hit in hits} == {
        ChunkId(number): scores.get(ChunkId(number)) for number in (1, 2, 3)
    }
    assert [hit.score for hit in hits] == [1 / number for number in order], "that of the fusion"


async def test_a_private_passage_is_shown_to_nobody_elsewhere() -> None:
    hits = [a_hit(1, "a long text"), a_hit(2, "secret", local_only=True), a_hit(3, "short")]
    reranker = Words()
    order = await reordered(GuardedReranker("words", reranker), "q", hits)
    assert reranker.read == ["a long text", "short"]
    assert numbers(order.hits) == [3, 2, 1]
    assert (order.reranker, order.reason) == ("words", None)

    here = await reordered(GuardedReranker("words", reranker, on_machine=True), "q", hits)
    assert numbers(here.hits) == [3, 2, 1]
    assert "secret" in reranker.read


async def test_where_everything_is_private_nobody_is_asked() -> None:
    reranker = Words()
    hits = [a_hit(1, local_only=True)]
    order = await reordered(GuardedReranker("words", reranker), "q", hits)
    assert (order.hits, order.reranker, order.reason, reranker.read) == (hits, None, None, [])


async def test_without_a_reranker_the_order_stays_and_the_answer_says_why() -> None:
    order = await reordered(no_reranker(), "q", [a_hit(2), a_hit(1)])
    assert numbers(order.hits) == [2, 1]
    assert order.reason == "not reranked: there is no reranker: HIGHERSELF_RERANKER is not set"


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (Words(ZeroDivisionError("by nought")), "words failed: ZeroDivisionError"),
        (Words(ProviderUnavailable("it is broken")), "it is broken"),
        (Words(QueryRejected("what a question")), "words failed: what a question"),
    ],
    ids=["a mistake", "unavailable", "refused"],
)
async def test_a_reranker_may_raise_whatever_it_likes(broken: Words, told: str) -> None:
    guarded = GuardedReranker("words", broken)
    order = await reordered(guarded, "q", [a_hit(1), a_hit(2)])
    assert numbers(order.hits) == [1, 2]
    assert order.reason is not None
    assert told in order.reason


@pytest.mark.parametrize("answer", [[1.0], [1.0, 2.0, 3.0], [1.0, float("nan")], [1.0, None], 7])
async def test_an_answer_that_makes_no_sense_orders_nothing(answer: Any) -> None:
    reranker = Words()
    reranker.answer = answer
    guarded = GuardedReranker("words", reranker)
    order = await reordered(guarded, "q", [a_hit(1), a_hit(2)])
    assert numbers(order.hits) == [1, 2]
    assert order.reason is not None
    assert "words" in order.reason
    assert guarded.described()["failures"] == 1


async def test_it_is_left_alone_when_it_fails_again_and_again() -> None:
    clock = ManualClock()
    reranker = Words(*[ProviderUnavailable("no")] * 3)
    guarded = GuardedReranker("words", reranker, clock=clock, draw=lambda: 0.0)
    orders = [await reordered(guarded, "q", [a_hit(1)]) for _ in range(5)]
    assert len(reranker.read) == 3
    assert "left alone until" in (orders[-1].reason or "")
    assert guarded.described()["state"] == "paused"
    with pytest.raises(TierPaused):
        await guarded.rerank("q", ["tea"])
    await guarded.probe()
    assert guarded.described()["state"] == "ready"
    clock.move(timedelta(hours=1))
    assert (await reordered(guarded, "q", [a_hit(1)])).reranker == "words"


async def test_a_search_that_is_given_up_says_nothing_of_the_reranker() -> None:
    guarded = GuardedReranker("words", Words(asyncio.CancelledError()))
    with pytest.raises(asyncio.CancelledError):
        await guarded.rerank("q", ["tea"])
    assert guarded.described()["failures"] == 0


async def test_what_it_tells() -> None:
    reranker = Words()
    guarded = GuardedReranker("words", reranker)
    await guarded.rerank("q", ["tea", "bath"])
    told = guarded.described()
    assert (told["name"], told["model"], told["state"]) == ("words", "shorter", "ready")
    assert (told["requests"], told["texts"], told["on_machine"]) == (1, 2, False)
    await guarded.close()
    assert reranker.closed
    off = no_reranker().described()
    assert (off["name"], off["state"], off["reason"]) == (
        *(None, "off"),
        "HIGHERSELF_RERANKER is not set",
    )
    assert off.keys() == told.keys()


async def test_its_metrics_are_not_those_of_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    class Sink:
        def event(self, level: str, name: str, facts: dict[str, Any]) -> None: ...
        def gauge(self, name: str, value: float, labels: dict[str, str]) -> None: ...
        def duration(self, name: str, seconds: float, labels: dict[str, str]) -> None:
            heard.append(name)

        def count(self, name: str, amount: float, labels: dict[str, str]) -> None:
            heard.append(name)

    monkeypatch.setattr(telemetry, "_sink", Sink())
    await GuardedReranker("words", Words()).rerank("q", ["tea"])
    assert {name.rpartition(".")[0] for name in heard} == {"knowledge.reranking"}
    assert "knowledge.reranking.scored" in heard


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddingServer]:
    with embedding_server() as server:
        yield server


@pytest.fixture
def vendors(running: EmbeddingServer) -> EmbeddingServer:
    for vendor in (running.openai, running.voyage):
        vendor.recover()
        vendor.requests.clear()
        vendor.poison = None
    return running


def voyage(
    vendors: EmbeddingServer, *, daily_tokens: int | None = None, **more: Any
) -> GuardedReranker:
    clock = ManualClock()
    return GuardedReranker(
        "voyage-rerank",
        voyage_reranker(
            "key",
            base_url=vendors.voyage_url,
            model="rerank-2.5",
            window=None,
            clock=clock,
            question=QUICK,
            draw=lambda: 1.0,
        ),
        clock=clock,
        policy=TierPolicy(daily_tokens=daily_tokens),
        **more,
    )


@pytest.fixture
async def use(
    database: Database, vendors: EmbeddingServer, local_model: LocalEmbeddings
) -> AsyncIterator[InUse]:
    """A hub on the local model with the reranker of Voyage, and documents."""
    reranker = voyage(vendors, ledger=PostgresLedger(database))
    async with in_use(database, vendors, local_model, ["local"], reranker=reranker) as use:
        await use.hub.add([document(*each) for each in DOCUMENTS.items()])
        yield use
    await reranker.close()


async def found(use: InUse, query: str = QUERY, **options: Any) -> list[str]:
    answer = await use.hub.search(query, **options)
    return [hit.document.external_id for hit in answer.hits]


@pytest.mark.postgres
class TestSearch:
    async def test_the_best_comes_first(self, use: InUse) -> None:
        assert (await found(use, mode="lexical"))[0] == "gong"
        answer = await use.hub.search(QUERY, mode="lexical", rerank=True)
        assert (answer.degraded, answer.reason, answer.reranker) == (False, None, "voyage-rerank")
        assert answer.hits[0].document.external_id == "answer"
        scores = [hit.why.rerank_score or 0.0 for hit in answer.hits]
        assert scores == sorted(scores, reverse=True)
        assert [hit.rank for hit in answer.hits] == [1, 2, 3]
        (asked,) = use.server.voyage.requests
        assert asked.query == QUERY

    @pytest.mark.parametrize("mode", ["hybrid", "vector", "lexical"])
    async def test_it_chooses_from_more_than_are_wanted(self, use: InUse, mode: Any) -> None:
        wanted = await found(use, mode=mode, limit=1, rerank=True)
        assert wanted == ["answer"]
        assert len(use.server.voyage.requests[-1].texts) >= 3

    async def test_who_does_not_ask_for_it_gets_none(self, use: InUse) -> None:
        answer = await use.hub.search(QUERY)
        assert answer.reranker is None
        assert {hit.why.rerank_score for hit in answer.hits} == {None}
        assert use.server.voyage.requests == []

    async def test_it_reads_a_passage_under_its_title(self, use: InUse) -> None:
        await use.hub.add([document("rules", "Refunded within a week.", title="A deposit")])
        await use.hub.search(QUERY, rerank=True)
        assert "A deposit\n\nRefunded within a week." in use.server.voyage.requests[-1].texts

    async def test_the_neighbours_stay_with_their_hit(self, use: InUse) -> None:
        text = "# Tea\n\nGreen tea. " + "word " * 300 + "\n\n# Bath\n\nA deposit is refunded."
        await use.hub.add([document("long", text)])
        answer = await use.hub.search("a deposit for the bath", neighbours=1, rerank=True)
        (hit, *_) = (hit for hit in answer.hits if hit.document.external_id == "long")
        around = {each.ordinal - hit.chunk.ordinal for each in (*hit.before, *hit.after)}
        assert around
        assert around <= {-1, 1}

    @pytest.mark.parametrize("fault", [f for f in FAULTS if f not in ("slow", "shuffled")])
    async def test_whatever_fails_the_order_of_the_fusion_stays(
        self, use: InUse, fault: Any
    ) -> None:
        before = await found(use)
        use.server.voyage.failing = fault
        answer = await use.hub.search(QUERY, rerank=True)
        assert [hit.document.external_id for hit in answer.hits] == before
        assert (answer.degraded, answer.reranker) == (True, None)
        assert answer.reason is not None
        assert answer.reason.startswith("not reranked: voyage-rerank")
        assert {hit.why.rerank_score for hit in answer.hits} == {None}

    @pytest.mark.parametrize("fault", ["slow", "shuffled"])
    async def test_what_is_no_failure_makes_no_difference(self, use: InUse, fault: Any) -> None:
        use.server.voyage.late = timedelta(milliseconds=50)
        use.server.voyage.failing = fault
        assert (await found(use, rerank=True))[0] == "answer"

    async def test_while_its_circuit_is_open_no_request_leaves(self, use: InUse) -> None:
        use.server.voyage.failing = "unauthorized"
        await use.hub.search(QUERY, rerank=True)
        sent, connections = len(use.server.voyage.requests), use.server.connections
        for _ in range(5):
            answer = await use.hub.search(QUERY, rerank=True)
            assert answer.degraded
            assert answer.reason is not None
            assert "voyage-rerank is left alone until" in answer.reason
        assert len(use.server.voyage.requests) == sent
        assert use.server.connections == connections

    async def test_a_private_document_is_never_sent(self, use: InUse) -> None:
        secret = "A deposit of Renata's is refunded."
        private = document("private", secret, title="Only for us", local_only=True)
        await use.hub.add([private])
        fused = await found(use)
        answer = await use.hub.search(QUERY, rerank=True, neighbours=2)
        order = [hit.document.external_id for hit in answer.hits]
        assert order.index("private") == fused.index("private")
        assert (answer.degraded, answer.reranker) == (False, "voyage-rerank")
        (hit,) = (hit for hit in answer.hits if hit.document.local_only)
        assert hit.why.rerank_score is None
        sent = "".join(use.server.voyage.texts)
        assert sent
        assert "Renata's" not in sent
        assert "Only for us" not in sent

    async def test_nothing_found_nothing_sent(self, use: InUse) -> None:
        answer = await use.hub.search("deposit", entity="another", rerank=True)
        assert (answer.hits, answer.degraded) == ((), False)
        assert use.server.voyage.requests == []

    async def test_no_connection_is_held_meanwhile(
        self, use: InUse, database_url: str, local_model: LocalEmbeddings
    ) -> None:
        class Looks(Words):
            """Needs the one connection that there is."""

            async def rerank(self, query: str, passages: Sequence[str]) -> Sequence[float]:
                await one.hub.stats()
                return await super().rerank(query, passages)

        async with open_database(database_url, connections=1, settings=SESSION_SETTINGS) as alone:
            looks = GuardedReranker("looks", Looks())
            async with in_use(alone, use.server, local_model, ["local"], reranker=looks) as one:
                answer = await asyncio.wait_for(one.hub.search(QUERY, rerank=True), 20)
        assert answer.reranker == "looks"

    async def test_both_reasons_are_told(
        self, use: InUse, database: Database, local_model: LocalEmbeddings
    ) -> None:
        use.server.voyage.failing = "overloaded"
        reranker = voyage(use.server)
        async with in_use(database, use.server, local_model, [], reranker=reranker) as words:
            answer = await words.hub.search(QUERY, rerank=True)
        await reranker.close()
        assert answer.reason is not None
        assert "searched by words alone" in answer.reason
        assert "; not reranked: voyage-rerank" in answer.reason

    async def test_a_question_without_words_cannot_be_read(self, use: InUse) -> None:
        with pytest.raises(QueryRejected, match="give it in words"):
            await use.hub.search("", vector=[1.0] * 384, rerank=True)

    async def test_what_was_learned_is_there_for_the_next_process(
        self, use: InUse, database: Database
    ) -> None:
        ledger = PostgresLedger(database)
        first = voyage(use.server, ledger=ledger)
        use.server.voyage.failing = "unauthorized"
        order = await reordered(first, QUERY, [a_hit(1)])
        assert order.reason is not None
        await first.close()
        second = voyage(use.server, ledger=ledger)
        await second.recall()
        assert second.unavailable() is not None
        assert second.described()["failures"] == 1
        await second.close()

    async def test_the_tokens_of_a_day_are_counted(self, use: InUse) -> None:
        reranker = voyage(use.server, daily_tokens=200)
        hits = [a_hit(1, "tea " * 20), a_hit(2, "a bath")]
        orders = [await reordered(reranker, QUERY, hits) for _ in range(10)]
        assert "daily limit of 200 tokens" in (orders[-1].reason or "")
        assert 100 < reranker.described()["tokens"] <= 200
        await reranker.close()


def test_a_hit_keeps_why_it_was_found() -> None:
    found = replace(a_hit(1), why=Why(lexical_rank=3, vector_rank=2, terms=("tea",)))
    (hit,) = by_score([found], {ChunkId(1): 0.25})
    assert hit.why == Why(lexical_rank=3, vector_rank=2, terms=("tea",), rerank_score=0.25)
