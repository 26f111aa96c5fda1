"""Laws of merging ranked lists."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from higherself.knowledge import search
from higherself.knowledge.fusion import reciprocal_rank_fusion, score_fusion
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import NewDocument

ITEMS = st.sampled_from("abcdefgh")
POSITIVE = st.integers(1, 1_000).map(lambda n: n / 10)
LISTS = st.dictionaries(ITEMS, POSITIVE, max_size=8)
WEIGHTS = st.integers(1, 10).map(float)
RANKINGS = st.lists(st.tuples(WEIGHTS, LISTS), max_size=4)


@given(RANKINGS)
def test_every_item_of_any_list_is_there_once_best_first(
    rankings: list[tuple[float, dict[str, float]]],
) -> None:
    fused = score_fusion(rankings)
    assert fused.keys() == {item for _, scores in rankings for item in scores}
    assert list(fused.values()) == sorted(fused.values(), reverse=True)
    assert all(0.0 <= score <= 1.0 + 1e-9 for score in fused.values())


@given(LISTS, LISTS, st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_scale_of_a_list_does_not_matter(
    one: dict[str, float], other: dict[str, float], factor: float
) -> None:
    scaled = {item: score * factor for item, score in one.items()}
    assert score_fusion([(0.6, scaled), (0.4, other)]) == score_fusion([(0.6, one), (0.4, other)])


@given(LISTS, LISTS, WEIGHTS)
def test_only_the_ratio_of_the_weights_matters(
    one: dict[str, float], other: dict[str, float], factor: float
) -> None:
    plain = score_fusion([(0.75, one), (0.25, other)])
    assert score_fusion([(0.75 * factor, one), (0.25 * factor, other)]) == pytest.approx(plain)


@given(LISTS, LISTS)
def test_a_longer_list_changes_nothing_for_the_items_above(
    one: dict[str, float], other: dict[str, float]
) -> None:
    assume(one)
    longer = {**one, "further down": min(one.values()) / 2}
    before = score_fusion([(0.65, one), (0.35, other)])
    after = score_fusion([(0.65, longer), (0.35, other)])
    del after["further down"]
    assert list(after.items()) == list(before.items())


@given(LISTS, LISTS, ITEMS)
def test_a_higher_score_never_lowers_an_item_that_is_not_the_best(
    one: dict[str, float], other: dict[str, float], item: str
) -> None:
    assume(item in one and one[item] < max(one.values()))
    raised = {**one, item: max(one.values())}
    before, after = (score_fusion([(0.5, scores), (0.5, other)]) for scores in (one, raised))
    assert after[item] > before[item]
    assert {k: v for k, v in after.items() if k != item} == {
        k: v for k, v in before.items() if k != item
    }


@given(LISTS)
def test_one_list_alone_keeps_its_order_and_its_best_is_one(scores: dict[str, float]) -> None:
    assume(scores)
    fused = score_fusion([(0.65, {}), (0.35, scores)])
    assert list(fused) == sorted(scores, key=lambda item: -scores[item])
    assert next(iter(fused.values())) == 1.0


def test_best_in_both_beats_best_in_one_and_an_item_in_one_list_only_gets_that_share() -> None:
    fused = score_fusion([(0.75, {"both": 0.8, "near": 0.8}), (0.25, {"both": 3.0, "words": 6.0})])
    assert fused == {"both": 0.875, "near": 0.75, "words": 0.25}


def test_a_score_of_nothing_or_less_counts_as_nothing() -> None:
    fused = score_fusion([(0.5, {"a": 0.5, "b": 0.0, "c": -0.3}), (0.5, {"d": 0.0})])
    assert fused == {"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0}


@pytest.mark.parametrize(
    "rankings",
    [
        pytest.param([], id="no list"),
        pytest.param([(0.5, {}), (0.5, {})], id="empty lists"),
    ],
)
def test_of_nothing_comes_nothing(rankings: list[tuple[float, dict[str, float]]]) -> None:
    assert score_fusion(rankings) == {}


@given(st.lists(ITEMS, unique=True))
def test_equals_keep_the_order_they_were_seen_in(items: list[str]) -> None:
    assert list(score_fusion([(1.0, dict.fromkeys(items, 0.5))])) == items
    assert list(reciprocal_rank_fusion([[item] for item in items])) == items


@given(st.lists(st.lists(ITEMS, unique=True), max_size=4))
def test_rank_fusion_holds_every_item_and_ranks_first_what_leads_everywhere(
    rankings: list[list[str]],
) -> None:
    fused = reciprocal_rank_fusion(rankings)
    assert fused.keys() == {item for ranking in rankings for item in ranking}
    assert list(fused.values()) == sorted(fused.values(), reverse=True)
    firsts = {ranking[0] for ranking in rankings if ranking}
    if len(firsts) == 1 and all(rankings):
        assert next(iter(fused)) == firsts.pop()


def test_rank_fusion_sums_the_inverse_ranks() -> None:
    fused = reciprocal_rank_fusion([["a", "b"], ["b"]], k=60)
    assert fused == {"b": 1 / 62 + 1 / 61, "a": 1 / 61}


@pytest.mark.postgres
async def test_how_many_candidates_a_list_contributes_changes_no_score(
    hub: KnowledgeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {
        "words": "Columns of the ledger: steel, tea, refund, cancel, retreat.",
        "meaning": "You are paid back if you cancel a week before the retreat.",
        "neither": "A heron of scrap steel stands by the river.",
    }
    await hub.add([NewDocument(external_id=name, text=text) for name, text in texts.items()])
    question = "can I cancel before the retreat and get a refund"
    best, *_ = (await hub.search(question)).hits
    monkeypatch.setattr(search, "DEPTH", 1)
    (narrow,) = (await hub.search(question, limit=1)).hits
    ranks = (best.why.vector_rank, best.why.lexical_rank)
    assert (best.document.external_id, *ranks) == ("meaning", 1, 2)
    assert (narrow.why.vector_rank, narrow.why.lexical_rank) == (1, None)
    assert (narrow.document, narrow.score) == (best.document, best.score)
