"""Question in, passages out: by words, by meaning, or both, with the reasons."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.ids import ChunkId
from higherself.kernel.jsonvalue import NotJson, check_json
from higherself.knowledge.analysis import analyse, phrases, query_terms
from higherself.knowledge.errors import QueryRejected
from higherself.knowledge.fusion import score_fusion
from higherself.knowledge.lexical import lexical_plan
from higherself.knowledge.meaning import Meaning, View, meaning_in
from higherself.knowledge.model import (
    Answer,
    Candidate,
    Filter,
    FoundChunk,
    FoundDocument,
    Hit,
    Mode,
    Why,
)
from higherself.knowledge.ports import (
    Descriptions,
    SearchIndex,
    SearchReader,
)
from higherself.knowledge.reranking import CANDIDATES, GuardedReranker, Reordered, reordered

VECTOR_WEIGHT, LEXICAL_WEIGHT = 0.65, 0.35
"""Of the fused score. With any of five collections held out, the other four choose 0.65, and from
0.6 to 0.7 it hardly matters (``docs/quality.md``)."""

DEPTH = 100
"""Candidates each list contributes, at least. From 30 on the best ten stay the same (measured)."""

SCORED_BY_WORDS = 1_000
"""How far down the lexical list a hybrid search looks up the scores of what is near in meaning. To
know them and, the other way, the similarity of what has the words, adds 0.007 to nDCG@10 and 0.02
to Recall@100 on average over five collections; 1,000 do as well as all, and cost 1 ms."""

FEW = 3_000
"""Chunks; when a filter allows at most this many, they are compared one by one: exact, and faster."""

LONGEST_QUERY = 20_000
MOST_TERMS = 64
MOST_HITS = 1_000

_Words = Callable[..., Awaitable[list[Candidate]]]
"""`SearchReader.score_terms` for the words of the query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A search, checked. ``vector`` stands for the text's embedding, if the caller has one.

    ``rerank`` has a reranker put the hits in order.
    """

    text: str
    filter: Filter
    limit: int = 10
    mode: Mode = "hybrid"
    neighbours: int = 0
    vector: NDArray[np.float32] | None = None
    rerank: bool = False

    @property
    def candidates(self) -> int:
        """How many hits are looked for: those that are wanted, and what a reranker chooses from."""
        return max(self.limit, CANDIDATES) if self.rerank else self.limit


class Views(Protocol):
    """Decides in which spaces a question is asked."""

    async def of(self, request: Request) -> View:
        """Return the question in the spaces it is to be asked in.

        Raises
            Unavailable: only meaning was to be searched, and nobody can make the vector.
        """
        ...


class Search:
    """Answers questions from the index. One instance serves any number of callers."""

    def __init__(
        self, index: SearchIndex, clock: Clock, views: Views, reranker: GuardedReranker
    ) -> None:
        self._index = index
        self._clock = clock
        self._views = views
        self._reranker = reranker

    async def answer(self, request: Request) -> Answer:
        """Return the best passages for ``request``.

        Raises
            QueryRejected: the request makes no sense; the text says which part and why.
            Unavailable: a vector search was asked for, and there is no way to make the vector.
        """
        started = self._clock.monotonic()
        request = checked(request)
        with telemetry.timed("knowledge.search.answered", mode=request.mode):
            view = await self._views.of(request)
            async with self._index.reading(request.filter, depth=_depth(request)) as reader:
                meaning = meaning_in(reader, view.questions)
                hits = await _hits(reader, request, await _found(reader, meaning, request))
            order = Reordered(hits)
            if request.rerank:
                order = await reordered(self._reranker, request.text, hits)
        reason = "; ".join(filter(None, (view.reason, order.reason))) or None
        if not hits and reason is None and request.mode == "lexical":
            reason = _why_no_words(request.text)
        degraded = view.degraded or order.reason is not None
        if degraded:
            telemetry.count("knowledge.search.degraded")
        return Answer(
            query=request.text,
            mode=request.mode,
            degraded=degraded,
            reason=reason,
            spaces=tuple(question.space.name for question in view.questions),
            hits=tuple(order.hits[: request.limit]),
            milliseconds=round((self._clock.monotonic() - started) * 1000, 3),
            reranker=order.reranker,
        )


async def _is_narrow(reader: SearchReader, filter: Filter) -> bool:
    """Return whether the filter may allow so few chunks that they are better compared one by one."""
    if filter.selects_documents:
        return True
    return filter.entity is not None and (await reader.count_terms([]))[1] <= FEW


async def _among(reader: SearchReader, filter: Filter) -> list[ChunkId] | None:
    """Return the chunks to search if they are few, or None to search the index."""
    if not await _is_narrow(reader, filter):
        return None
    allowed = await reader.some_allowed(limit=FEW + 1)
    return allowed if len(allowed) <= FEW else None


@dataclass(frozen=True, slots=True)
class _Found:
    """What each list holds, best first, and the score of every candidate of either, best first."""

    lexical: Sequence[Candidate]
    near: Sequence[Candidate]
    fused: Mapping[ChunkId, float]
    described: Descriptions
    cosines: Mapping[ChunkId, float]


async def _by_words(reader: SearchReader, text: str) -> _Words | None:
    """Return what scores chunks by the words of ``text``, if any of them occurs anywhere."""
    terms = query_terms(text)[:MOST_TERMS]
    if not terms:
        return None
    counts, chunks, length = await reader.count_terms(terms)
    plan = lexical_plan(counts, chunks=chunks, total_length=length, asked=analyse(text))
    return None if plan is None else partial(reader.score_terms, plan)


async def _found(reader: SearchReader, meaning: Meaning | None, request: Request) -> _Found:
    if request.mode == "vector" and meaning is not None:
        near, described = await _nearest(reader, meaning, request)
        return _Found([], near, _scores(near), described, meaning.cosines)
    among = await _among(reader, request.filter)
    words = await _by_words(reader, request.text)
    depth = _depth(request)
    if meaning is None:
        lexical = [] if words is None else await words(among=among, limit=depth)
        return _Found(lexical, [], _scores(lexical), {}, {})
    lexical = [] if words is None else await words(among=among, limit=max(SCORED_BY_WORDS, depth))
    near, _ = await meaning.nearest(among=among, limit=depth)
    by_words, by_meaning, lexical = _scores(lexical), _scores(near), lexical[:depth]
    by_meaning |= await _similarities(meaning, _scores(lexical), by_meaning)
    candidates = _scores(lexical).keys() | by_meaning.keys()
    by_words = {chunk: score for chunk, score in by_words.items() if chunk in candidates}
    fused = score_fusion([(VECTOR_WEIGHT, by_meaning), (LEXICAL_WEIGHT, by_words)])
    return _Found(lexical, near, fused, {}, meaning.cosines)


async def _nearest(
    reader: SearchReader, meaning: Meaning, request: Request
) -> tuple[list[Candidate], Descriptions]:
    """Return the nearest alone, with what their hits show, in as few statements as possible."""
    if await _is_narrow(reader, request.filter):
        few = await meaning.nearest_few(few=FEW, limit=request.candidates)
        if few is not None:
            return few
    return await meaning.nearest(among=None, limit=request.candidates, described=True)


async def _similarities(
    meaning: Meaning, by_words: Collection[ChunkId], near: Mapping[ChunkId, float]
) -> dict[ChunkId, float]:
    """Return the similarities of what was found by words but is not among the nearest.

    A chunk that has no vector yet is not to lose by it: it counts as the last of the nearest.
    """
    others = [chunk for chunk in by_words if chunk not in near]
    if not others or not near:
        return {}
    measured, _ = await meaning.nearest(among=others, limit=len(others))
    return dict.fromkeys(others, min(near.values())) | _scores(measured)


async def _hits(reader: SearchReader, request: Request, found: _Found) -> list[Hit]:
    best = list(found.fused)[: request.candidates]
    if not best:
        return []
    described = found.described or await reader.describe(best)
    around = (
        await reader.neighbours(best, distance=request.neighbours) if request.neighbours else {}
    )
    lexical_ranks = _ranks(_scores(found.lexical))
    vector_ranks = _ranks({near.chunk_id: found.cosines[near.chunk_id] for near in found.near})
    terms = set(query_terms(request.text))
    hits: list[Hit] = []
    for chunk_id in best:
        if chunk_id not in described:
            continue
        document, chunk = described[chunk_id]
        near_by = around.get(chunk_id, ())
        hits.append(
            Hit(
                rank=len(hits) + 1,
                score=round(found.fused[chunk_id], 6),
                document=document,
                chunk=chunk,
                why=_why(
                    document, chunk, lexical_ranks.get(chunk_id), vector_ranks.get(chunk_id), terms
                ),
                before=tuple([each for each in near_by if each.ordinal < chunk.ordinal]),
                after=tuple([each for each in near_by if each.ordinal > chunk.ordinal]),
            )
        )
    return hits


def checked(request: Request) -> Request:
    """Return ``request`` with the phrases of its text as a filter.

    Raises
        QueryRejected: the text is empty or too long, or a number is out of range.
    """
    if not request.text.strip() and request.vector is None:
        raise QueryRejected("the query is empty; say what you are looking for")
    asked = request.filter
    try:
        check_json(
            {
                "query": request.text,
                "entity": asked.entity,
                "sources": asked.sources,
                "tags": asked.tags,
                "metadata": asked.metadata,
            }
        )
    except NotJson as error:
        raise QueryRejected(f"{error.path}: {error.reason}; leave it out") from error
    if len(request.text) > LONGEST_QUERY:
        raise QueryRejected(
            f"the query has {len(request.text):,} characters, and {LONGEST_QUERY:,} are allowed; "
            "ask for one thing at a time"
        )
    if not 1 <= request.limit <= MOST_HITS:
        raise QueryRejected(f"limit is {request.limit}; it must be from 1 to {MOST_HITS}")
    if request.rerank and not request.text.strip():
        raise QueryRejected("a reranker reads the query; give it in words, or do without `rerank`")
    if not 0 <= request.neighbours <= 10:
        raise QueryRejected(f"neighbours is {request.neighbours}; it must be from 0 to 10")
    found = phrases(request.text)
    if found == asked.phrases:
        return request
    return replace(request, filter=replace(asked, phrases=found))


def _depth(request: Request) -> int:
    return request.candidates if request.mode == "vector" else max(DEPTH, request.candidates)


def _scores(candidates: Sequence[Candidate]) -> dict[ChunkId, float]:
    return {candidate.chunk_id: candidate.score for candidate in candidates}


def _ranks(scores: Mapping[ChunkId, float]) -> dict[ChunkId, tuple[int, float]]:
    return {chunk: (rank, score) for rank, (chunk, score) in enumerate(scores.items(), start=1)}


def _why(
    document: FoundDocument,
    chunk: FoundChunk,
    words: tuple[int, float] | None,
    meaning: tuple[int, float] | None,
    terms: set[str],
) -> Why:
    lexical_rank, lexical_score = words or (None, None)
    vector_rank, similarity = meaning or (None, None)
    matched: Collection[str] = ()
    if words:
        read = f"{document.title} {chunk.heading} {chunk.text}"
        matched = terms & analyse(read).keys()
    return Why(
        lexical_rank=lexical_rank,
        lexical_score=lexical_score and round(lexical_score, 4),
        vector_rank=vector_rank,
        similarity=similarity and round(similarity, 4),
        terms=tuple(sorted(matched)),
    )


def _why_no_words(text: str) -> str | None:
    if query_terms(text):
        return None
    return "the query has no word that carries meaning; try `--mode vector`"
