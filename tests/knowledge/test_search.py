"""Search on the real database with the real model, and against plain arithmetic."""

import asyncio
import math
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import hub_on

from higherself.db.pool import Database
from higherself.kernel.errors import Unavailable
from higherself.kernel.ids import ChunkId
from higherself.knowledge import lexical, search
from higherself.knowledge.analysis import analyse, query_terms
from higherself.knowledge.errors import QueryRejected
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.lexical import LexicalPlan, invert, lexical_plan
from higherself.knowledge.model import Answer, EmbeddingSpace, NewDocument
from higherself.knowledge.revision import in_context

DOCUMENTS = [
    NewDocument(
        external_id="deposit",
        title="Deposits",
        text="A deposit of thirty percent is due when a retreat is booked.",
        entity="practice",
        source="policies",
        tags=("policy", "money"),
        metadata={"lang": "en", "level": 1},
        at=datetime(2026, 1, 10, tzinfo=UTC),
    ),
    NewDocument(
        external_id="bath",
        title="Sound bath",
        text="The sound bath begins at seven. Lie down; the gongs do the rest.",
        entity="space",
        source="pages",
        tags=("service",),
        metadata={"lang": "en"},
        at=datetime(2026, 2, 10, tzinfo=UTC),
    ),
    NewDocument(
        external_id="plumbing",
        title="Plumbing",
        text="A sound repair of the bath needs new seals. Call the plumber.",
        entity="space",
        source="notes",
        at=datetime(2026, 3, 10, tzinfo=UTC),
    ),
    NewDocument(
        external_id="heron",
        title="Passaic Heron",
        text="A large heron of scrap steel by the river. Price 7,400 dollars.",
        entity="space",
        source="pages",
        tags=("artwork", "money"),
    ),
]


@pytest.fixture
async def filled(hub: KnowledgeHub) -> KnowledgeHub:
    await hub.add(DOCUMENTS)
    return hub


def names(answer: Answer) -> list[str]:
    return [hit.document.external_id for hit in answer.hits]


@pytest.mark.postgres
class TestOnTheDatabase:
    async def test_meaning_finds_what_words_do_not(self, filled: KnowledgeHub) -> None:
        question = "how much must I pay in advance"
        assert not (await filled.search(question, mode="lexical")).hits
        assert names(await filled.search(question, limit=1)) == ["deposit"]

    async def test_every_hit_says_why(self, filled: KnowledgeHub) -> None:
        answer = await filled.search("gongs and sounds", limit=2)
        first = answer.hits[0]
        assert (first.rank, first.document.external_id) == (1, "bath")
        assert first.why.lexical_rank == 1
        assert first.why.vector_rank == 1
        assert set(first.why.terms) == {"gong", "sound"}
        assert first.chunk.text.startswith("The sound bath")
        assert not answer.degraded

    async def test_a_word_of_the_title_alone_finds_the_document(self, filled: KnowledgeHub) -> None:
        assert names(await filled.search("Passaic", mode="lexical")) == ["heron"]

    async def test_a_quoted_phrase_must_occur(self, filled: KnowledgeHub) -> None:
        for mode in ("hybrid", "vector", "lexical"):
            answer = await filled.search('"sound bath"', mode=mode)
            assert names(answer) == ["bath"], mode

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            pytest.param({"entity": "practice"}, {"deposit"}, id="entity"),
            pytest.param({"sources": ["pages"]}, {"bath", "heron"}, id="source"),
            pytest.param(
                {"sources": ["pages", "notes"]}, {"bath", "heron", "plumbing"}, id="either source"
            ),
            pytest.param({"tags": ["money"]}, {"deposit", "heron"}, id="tag"),
            pytest.param({"tags": ["money", "policy"]}, {"deposit"}, id="all tags"),
            pytest.param({"metadata": {"lang": "en"}}, {"deposit", "bath"}, id="metadata"),
            pytest.param({"metadata": {"level": 1}}, {"deposit"}, id="typed metadata"),
            pytest.param(
                {"since": datetime(2026, 2, 10, tzinfo=UTC)}, {"bath", "plumbing"}, id="since"
            ),
            pytest.param({"until": datetime(2026, 2, 10, tzinfo=UTC)}, {"deposit"}, id="until"),
            pytest.param({"entity": "space", "tags": ["money"]}, {"heron"}, id="together"),
            pytest.param({"tags": ["nowhere"]}, set(), id="nothing matches"),
            pytest.param({"entity": "nobody"}, set(), id="no such business"),
        ],
    )
    @pytest.mark.parametrize("few", [0, 3_000], ids=["by the index", "one by one"])
    async def test_filters_hold_in_every_mode(
        self,
        filled: KnowledgeHub,
        monkeypatch: pytest.MonkeyPatch,
        filters: dict[str, object],
        expected: set[str],
        few: int,
    ) -> None:
        monkeypatch.setattr(search, "FEW", few)
        question = "deposit sound bath heron price plumber"
        for mode in ("hybrid", "vector", "lexical"):
            answer = await filled.search(question, mode=mode, **filters)  # type: ignore[arg-type]
            assert set(names(answer)) == expected, mode

    async def test_neighbours_come_in_order(self, hub: KnowledgeHub) -> None:
        sections = [f"## Part {n}\n\n" + f"Chapter {n} tells of lamp {n}. " * 30 for n in range(5)]
        await hub.add([replace(DOCUMENTS[0], text="\n\n".join(sections))])
        (hit,) = (await hub.search("lamp 2 of chapter 2", limit=1, neighbours=1)).hits
        (before,), (after,) = hit.before, hit.after
        assert (before.ordinal, after.ordinal) == (hit.chunk.ordinal - 1, hit.chunk.ordinal + 1)

    async def test_without_a_model_words_have_to_do_and_it_is_said(
        self, filled: KnowledgeHub, database: Database
    ) -> None:
        poor = hub_on(database, None)
        answer = await poor.search("heron")
        assert (answer.degraded, names(answer)) == (True, ["heron"])
        assert "words alone" in (answer.reason or "")
        with pytest.raises(Unavailable, match="--mode lexical"):
            await poor.search("heron", mode="vector")

    async def test_a_query_beyond_the_models_window_is_answered(self, filled: KnowledgeHub) -> None:
        answer = await filled.search("the heron by the river " * 800, limit=1)
        assert names(answer) == ["heron"]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            pytest.param({"query": "  "}, "empty", id="empty"),
            pytest.param({"query": "a\0b"}, "NUL", id="nul"),
            pytest.param({"query": "x" * 30_000}, "30,000 characters", id="too long"),
            pytest.param({"limit": 0}, "limit is 0", id="no hits wanted"),
            pytest.param({"limit": 5000}, "limit is 5000", id="too many hits wanted"),
            pytest.param({"neighbours": -1}, "neighbours is -1", id="negative neighbours"),
        ],
    )
    async def test_a_request_without_sense_is_refused(
        self, filled: KnowledgeHub, change: dict[str, object], message: str
    ) -> None:
        with pytest.raises(QueryRejected, match=message):
            await filled.search(**{"query": "heron", **change})  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "query", ["'; DROP TABLE document; --", "<script>alert(1)</script>", "%s %(x)s {}", "\\"]
    )
    async def test_a_query_is_only_ever_text(self, filled: KnowledgeHub, query: str) -> None:
        await filled.search(query)
        assert (await filled.stats())["documents"] == len(DOCUMENTS)

    async def test_stop_words_alone_find_nothing_by_words_and_it_is_said(
        self, filled: KnowledgeHub
    ) -> None:
        answer = await filled.search("to be or not to be", mode="lexical")
        assert not answer.hits
        assert "carries meaning" in (answer.reason or "")

    async def test_words_are_scored_as_bm25_says(self, filled: KnowledgeHub) -> None:
        question = "sound bath price deposit"
        answer = await filled.search(question, mode="lexical")
        texts = {d.external_id: in_context(d.title, (), d.text) for d in DOCUMENTS}
        expected = bm25(question, texts)
        assert {h.document.external_id: h.score for h in answer.hits} == pytest.approx(
            expected, rel=1e-3
        )

    async def test_a_small_budget_keeps_the_order_of_the_best(
        self, hub: KnowledgeHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        texts = {f"{n}": f"lamp {'rare ' * (n % 3)} common common shelf {n}" for n in range(60)}
        await hub.add(
            [replace(DOCUMENTS[0], external_id=name, text=text) for name, text in texts.items()]
        )
        full = await hub.search("rare lamp common", mode="lexical", limit=20)
        monkeypatch.setattr(lexical, "FULL_BUDGET", 45)
        bounded = await hub.search("rare lamp common", mode="lexical", limit=20)
        assert [h.score for h in bounded.hits] == pytest.approx([h.score for h in full.hits])

    async def test_of_many_who_finish_at_once_one_builds_the_index(
        self, hub: KnowledgeHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vectors = np.random.default_rng(7).normal(size=(600, 16)).astype(np.float32)
        space = EmbeddingSpace(name="test/16", provider="test", model="test", dimensions=16)
        first, *others = [
            (replace(DOCUMENTS[0], external_id=str(n), text=f"text {n}"), vector)
            for n, vector in enumerate(vectors)
        ]
        await hub.add_embedded(others, space=space)
        monkeypatch.setattr("higherself.knowledge.postgres.INDEX_FROM", 500)
        await asyncio.gather(*(hub.add_embedded([first], space=space) for _ in range(6)))
        (stored,) = [each for each in await hub._store.spaces() if each.name == "test/16"]
        assert not await hub._store.index_vectors(stored), "it is there"

    async def test_the_index_finds_what_comparing_with_all_finds(
        self, hub: KnowledgeHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("higherself.knowledge.postgres.INDEX_FROM", 500)
        random = np.random.default_rng(7)
        vectors = random.normal(size=(1_500, 16)).astype(np.float32)
        space = EmbeddingSpace(name="test/16", provider="test", model="test", dimensions=16)
        await hub.add_embedded(
            [
                (
                    replace(
                        DOCUMENTS[0],
                        external_id=str(n),
                        text=f"text {n}",
                        entity="practice" if n % 50 else "space",
                        tags=("few",) if n % 100 == 0 else (),
                    ),
                    vector,
                )
                for n, vector in enumerate(vectors)
            ],
            space=space,
        )
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        found = wanted = 0
        for query in random.normal(size=(20, 16)).astype(np.float32):
            for filters, allowed in (
                ({}, range(1_500)),
                ({"entity": "space"}, range(0, 1_500, 50)),
                ({"tags": ["few"]}, range(0, 1_500, 100)),
            ):
                answer = await hub.search(
                    "",
                    mode="vector",
                    vector=query,
                    space="test/16",
                    **filters,
                )
                exact = sorted(allowed, key=lambda n: -float(units[n] @ query))[:10]
                assert len(answer.hits) == len(exact)
                wanted += len(exact)
                found += len({str(n) for n in exact} & set(names(answer)))
        assert found / wanted > 0.99


def bm25(question: str, texts: dict[str, str]) -> dict[str, float]:
    """The formula as the books have it, on the terms of the same analysis."""
    frequencies = {name: analyse(text) for name, text in texts.items()}
    lengths = {name: sum(counts.values()) for name, counts in frequencies.items()}
    average = sum(lengths.values()) / len(lengths)
    scores: defaultdict[str, float] = defaultdict(float)
    for term in query_terms(question):
        holders = [name for name, counts in frequencies.items() if term in counts]
        weight = math.log(1 + (len(texts) - len(holders) + 0.5) / (len(holders) + 0.5))
        for name in holders:
            f = frequencies[name][term]
            norm = lexical.K1 * (1 - lexical.B + lexical.B * lengths[name] / average)
            scores[name] += weight * f / (f + norm)
    return dict(scores)


@given(
    st.dictionaries(
        st.text(alphabet="abcde", min_size=1, max_size=3), st.integers(0, 100_000), max_size=12
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_plan_accounts_for_every_term_and_keeps_to_its_budget(counts: dict[str, int]) -> None:
    plan = lexical_plan(counts, chunks=100_000, total_length=10_000_000)
    occurring = {term for term, count in counts.items() if count}
    if not occurring:
        assert plan is None
        return
    assert isinstance(plan, LexicalPlan)
    assert {*plan.full, *plan.rescored, *plan.dropped} == occurring
    read = sum(counts[term] for term in plan.full)
    assert len(plan.full) == 1 or read <= lexical.FULL_BUDGET
    assert sum(counts[term] for term in plan.rescored) <= lexical.RESCORE_BUDGET
    weights = [*plan.full.values(), *plan.rescored.values()]
    assert all(weight > 0 for weight in weights)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["bath", "art", "café"]), st.integers(1, 300)),
        min_size=1,
    )
)
def test_an_inverted_file_holds_every_frequency(chunks: list[dict[str, int]]) -> None:
    texts = [" the ".join(f"{word} " * count for word, count in each.items()) for each in chunks]
    inverted = invert([(ChunkId(number), text) for number, text in enumerate(texts, start=1)])
    runs = {term: postings.tolist() for term, postings in inverted.runs()}
    expected: defaultdict[str, list[int]] = defaultdict(list)
    for number, each in enumerate(chunks, start=1):
        length = min(sum(each.values()), 65_535)
        expected[""].append(number << 24 | length)
        for word, count in each.items():
            term = {"café": "cafe"}.get(word, word)
            expected[term].append(number << 24 | min(count, 255) << 16 | length)
    assert runs == expected
    assert inverted.length == sum(posting & 65_535 for posting in expected[""])
