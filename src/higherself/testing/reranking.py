"""How the local server answers a request for scores, in the manner of Voyage or of the others.

Cohere's, Jina's and vLLM's ``/rerank`` have one protocol; Voyage's says nearly the same in other
words. A score is how much the words of question and passage have in common.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from higherself.testing.meaning import meaning
from higherself.testing.protocol import Fault, Refused, tokens_of

MOST_PASSAGES = 1_000
DIMENSIONS = 512


@dataclass(frozen=True, slots=True)
class Window:
    """What a model takes: tokens of question and passage together, of the question, of a request."""

    pair: int
    query: int
    request: int


VOYAGE_RERANKERS = {
    "rerank-2.5": Window(32_000, 8_000, 600_000),
    "rerank-2.5-lite": Window(32_000, 8_000, 600_000),
    "rerank-2": Window(16_000, 4_000, 600_000),
}
OPENAI_RERANKERS = {
    "bge-reranker-v2-m3": Window(8_192, 8_192, 10_000_000),
    "bge-reranker-base": Window(512, 512, 10_000_000),
}


def scored(
    asked: Mapping[str, Any],
    fault: Fault | None,
    models: Mapping[str, Window],
    *,
    of_voyage: bool,
    poison: str | None,
) -> dict[str, Any]:
    """Return a good answer, best first, or one that is bad in the way of ``fault``."""
    query, passages = _checked(asked, models, of_voyage=of_voyage, poison=poison)
    question = meaning(query, "rerank", DIMENSIONS)
    rows: list[dict[str, Any]] = [
        {"index": index, "relevance_score": float(question @ meaning(text, "rerank", DIMENSIONS))}
        for index, text in enumerate(passages)
    ]
    rows.sort(key=lambda row: -row["relevance_score"])
    match fault:
        case "wrong_dimensions":
            rows[0]["index"] = len(rows)
        case "too_few":
            rows.pop()
        case "nan":
            rows[0]["relevance_score"] = float("nan")
        case "zeros":
            rows[0]["relevance_score"] = None
        case "shuffled":
            rows.reverse()
        case _:
            pass
    few = rows[: asked.get("top_k" if of_voyage else "top_n") or len(rows)]
    tokens = len(passages) * tokens_of(query) + sum(map(tokens_of, passages))
    usage = {"total_tokens": tokens}
    if of_voyage:
        return {"object": "list", "data": few, "model": asked["model"], "usage": usage}
    return {"id": "rerank-1", "model": asked["model"], "usage": usage, "results": few}


def _checked(
    asked: Mapping[str, Any],
    models: Mapping[str, Window],
    *,
    of_voyage: bool,
    poison: str | None,
) -> tuple[str, list[str]]:
    """Return question and passages, or refuse the request as the vendor would."""
    window = models.get(asked.get("model", ""))
    if window is None:
        raise Refused(400 if of_voyage else 404, f"Model {asked.get('model')} is not supported.")
    query, passages = asked.get("query"), asked.get("documents")
    if not isinstance(query, str) or not query:
        raise Refused(400, "'query' must be a string.")
    if not isinstance(passages, list) or not 1 <= len(passages) <= MOST_PASSAGES:
        raise Refused(400, f"'documents' must be a list of 1 to {MOST_PASSAGES} strings.")
    for text in passages:
        if not isinstance(text, str) or not text or (poison is not None and poison in text):
            raise Refused(400, "'documents' has one that cannot be scored.")
    longest = max(map(tokens_of, passages))
    tokens = tokens_of(query)
    if tokens > window.query or tokens + longest > window.pair:
        raise Refused(400, f"The input exceeds the context length of {window.pair} tokens.")
    if len(passages) * tokens + sum(map(tokens_of, passages)) > window.request:
        raise Refused(400, f"The request exceeds {window.request} tokens.")
    return query, passages
