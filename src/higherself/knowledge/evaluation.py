"""How good a ranking is, against judgements. Pure.

Source of the measures: Jarvelin and Kekalainen 2002 (nDCG, here with binary or graded gains and
a log2 discount), as computed by trec_eval.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Judgements = Mapping[str, float]
"""The gain of every judged document; above 0 it is relevant."""

Ranking = Sequence[tuple[str, float]]
"""Documents with their scores, best first."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over the queries that have judgements."""

    ndcg_at_10: float
    recall_at_100: float
    mrr_at_10: float
    queries: int


def ndcg(ranking: Sequence[str], judged: Judgements, *, k: int = 10) -> float:
    """Return the normalised discounted cumulative gain of the first ``k``.

    >>> ndcg(["a", "x", "b"], {"a": 1, "b": 1}, k=2) == 1 / (1 + 1 / math.log2(3))
    True
    """
    gained = _discounted([max(judged.get(document, 0.0), 0.0) for document in ranking[:k]])
    ideal = _discounted(sorted((max(gain, 0.0) for gain in judged.values()), reverse=True)[:k])
    return gained / ideal if ideal else 0.0


def recall(ranking: Sequence[str], judged: Judgements, *, k: int = 100) -> float:
    """Return the share of the relevant documents among the first ``k``."""
    relevant = {document for document, gain in judged.items() if gain > 0}
    return len(relevant & set(ranking[:k])) / len(relevant) if relevant else 0.0


def reciprocal_rank(ranking: Sequence[str], judged: Judgements, *, k: int = 10) -> float:
    """Return one over the rank of the first relevant document among the first ``k``, or 0."""
    for rank, document in enumerate(ranking[:k], start=1):
        if judged.get(document, 0.0) > 0:
            return 1.0 / rank
    return 0.0


def quality(rankings: Mapping[str, Sequence[str]], judgements: Mapping[str, Judgements]) -> Quality:
    """Return the means over every judged query; one without a ranking counts as nothing found."""
    queries = [q for q, judged in judgements.items() if max(judged.values(), default=0) > 0]
    count = len(queries) or 1

    def mean(measure: Mapping[str, float]) -> float:
        return round(math.fsum(measure.values()) / count, 4)

    found = {query: rankings.get(query, ()) for query in queries}
    return Quality(
        mean({q: ndcg(r, judgements[q]) for q, r in found.items()}),
        mean({q: recall(r, judgements[q]) for q, r in found.items()}),
        mean({q: reciprocal_rank(r, judgements[q]) for q, r in found.items()}),
        len(queries),
    )


def trec_run(rankings: Mapping[str, Ranking], tag: str) -> Iterator[str]:
    """Yield the lines of a run as trec_eval reads it.

    >>> list(trec_run({"q1": [("d7", 0.5)]}, "hybrid"))
    ['q1 Q0 d7 1 0.5 hybrid']
    """
    for query, ranking in rankings.items():
        for rank, (document, score) in enumerate(ranking, start=1):
            yield f"{query} Q0 {document} {rank} {score:.6g} {tag}"


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
