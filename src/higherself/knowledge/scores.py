"""Checking what a reranker answered before anything is ordered by it. Pure."""

import math
from collections.abc import Iterable

from higherself.knowledge.errors import ProviderUnavailable


def scores_in_order(rows: Iterable[tuple[int, float]], *, count: int, reranker: str) -> list[float]:
    """Return the scores of ``rows`` in the order of the index, which must be 0 to ``count`` - 1.

    Raises
        ProviderUnavailable: it is not, or a score is not a finite number.

    >>> scores_in_order([(1, 0.2), (0, 0.9)], count=2, reranker="voyage-rerank")
    [0.9, 0.2]
    """
    ordered = sorted(rows)
    if len(ordered) != count:
        raise ProviderUnavailable(
            f"{reranker} answered with {len(ordered)} scores for {count} passages"
        )
    if [index for index, _ in ordered] != list(range(count)):
        raise ProviderUnavailable(f"{reranker} answered with scores that cannot be told apart")
    scores = [score for _, score in ordered]
    if not all(math.isfinite(score) for score in scores):
        raise ProviderUnavailable(f"{reranker} answered with a score that is not a finite number")
    return scores
