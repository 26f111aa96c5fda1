"""Merge ranked lists into one. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def reciprocal_rank_fusion(rankings: Iterable[Sequence[Item]], *, k: int = 60) -> dict[Item, float]:
    """Return a score for every item of ``rankings``, best first; ties keep first-seen order.

    An item's score is the sum of ``1 / (k + rank)`` over the lists that hold it, ranks counted
    from 1, so scores of different scales never meet.

    Source: Cormack, Clarke, Buettcher, SIGIR 2009; ``k = 60`` is their value.

    >>> list(reciprocal_rank_fusion([["a", "b", "c"], ["b", "d"]]))
    ['b', 'a', 'd', 'c']
    """
    scores: dict[Item, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, start=1):
            scores[item] = scores.get(item, 0.0) + 1.0 / (k + rank)
    return _best_first(scores)


def score_fusion(
    rankings: Sequence[tuple[float, Mapping[Item, float]]],
) -> dict[Item, float]:
    """Return a score in [0, 1] for every item, best first; ties keep first-seen order.

    ``rankings`` are pairs of a weight and the scores one list gives: higher is better, and 0
    means nothing in common, as BM25 and cosine have it. Each score counts as a share of its
    list's best; a negative one, or that of an item the list lacks, as 0. The result is the
    weighted mean over the lists that found anything. So lists of different scales can meet, an
    outstanding match stays outstanding, and what a list holds further down changes nothing for
    the items above.

    Source: the convex combination of Bruch, Gai, Ingber, "An Analysis of Fusion Functions for
    Hybrid Retrieval", 2023, with the theoretical minimum as the zero. Stretching each list from
    its own worst to its best instead makes the result depend on how long the lists are, and
    found less on five of five collections; rank fusion did, too (``docs/quality.md``).

    >>> score_fusion([(0.75, {"a": 0.8, "b": 0.4}), (0.25, {"b": 12.0, "c": 3.0})])
    {'a': 0.75, 'b': 0.625, 'c': 0.0625}
    """
    shares = [(weight, _shares_of_best(scores)) for weight, scores in rankings]
    total = sum(weight for weight, scores in shares if scores)
    fused: dict[Item, float] = {}
    for (_, scores), (weight, share) in zip(rankings, shares, strict=True):
        for item in scores:
            gained = weight / total * share[item] if share else 0.0
            fused[item] = fused.get(item, 0.0) + gained
    return _best_first(fused)


def _shares_of_best(scores: Mapping[Item, float]) -> dict[Item, float]:
    """Return ``scores`` as shares of the highest, or nothing if none is above 0."""
    best = max(scores.values(), default=0.0)
    if best <= 0.0:
        return {}
    return {item: max(0.0, score / best) for item, score in scores.items()}


def _best_first(scores: Mapping[Item, float]) -> dict[Item, float]:
    return dict(sorted(scores.items(), key=lambda pair: -pair[1]))
