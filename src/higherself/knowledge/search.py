"""Question in, passages out: by words, by meaning, or both, with the reasons."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Unavailable
from higherself.kernel.ids import ChunkId
from higherself.kernel.jsonvalue import NotJson, check_json
from higherself.knowledge.analysis import analyse, phrases, query_terms
from higherself.knowledge.errors import QueryRejected
from higherself.knowledge.fusion import score_fusion
from higherself.knowledge.lexical import lexical_plan
from higherself.knowledge.model import (
    Answer,
    Candidate,
    Filter,
    FoundChunk,
    FoundDocument,
    Hit,
    Mode,
    StoredSpace,
    Why,
)
from higherself.knowledge.ports import (
    Descriptions,
    EmbeddingProvider,
    SearchIndex,
    SearchReader,
)

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


@dataclass(frozen=True, slots=True)
class _Meaning:
    """The vector of the query, in its space, to be asked what is near."""

    reader: SearchReader
    space: StoredSpace
    vector: NDArray[np.float32]

    async def __call__(
        self, *, among: Sequence[ChunkId] | None, limit: int, described: bool = False
    ) -> tuple[list[Candidate], Descriptions]:
        return await self.reader.nearest(
            self.space, self.vector, among=among, limit=limit, described=described
        )

    async def few(self, *, few: int, limit: int) -> tuple[list[Candidate], Descriptions] | None:
        return await self.reader.nearest_few(self.space, self.vector, few=few, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A search, checked. ``vector`` stands for the text's embedding, if the caller has one."""

    text: str
    filter: Filter
    limit: int = 10
    mode: Mode = "hybrid"
    neighbours: int = 0
    vector: NDArray[np.float32] | None = None


class Search:
    """Answers questions from the index. One instance serves any number of callers."""

    def __init__(
        self,
        index: SearchIndex,
        clock: Clock,
        *,
        provider: EmbeddingProvider | None,
        space: StoredSpace | None,
        unavailable: str | None = None,
    ) -> None:
        self._index = index
        self._clock = clock
        self._provider = provider
        self._space = space
        self._unavailable = unavailable

    async def answer(self, request: Request) -> Answer:
        """Return the best passages for ``request``.

        Raises
            QueryRejected: the request makes no sense; the text says which part and why.
            Unavailable: a vector search was asked for, and there is no way to make the vector.
        """
        started = self._clock.monotonic()
        request = checked(request)
        with telemetry.timed("knowledge.search.answered", mode=request.mode):
            vector, reason = await self._vector(request)
            async with self._index.reading(request.filter, depth=_depth(request)) as reader:
                meaning = None
                if vector is not None and self._space is not None:
                    meaning = _Meaning(reader, self._space, vector)
                hits = await _hits(reader, request, await _found(reader, meaning, request))
        if not hits and reason is None and request.mode == "lexical":
            reason = _why_no_words(request.text)
        return Answer(
            query=request.text,
            mode=request.mode,
            degraded=request.mode == "hybrid" and vector is None,
            reason=reason,
            spaces=(self._space.space.name,) if vector is not None and self._space else (),
            hits=tuple(hits),
            milliseconds=round((self._clock.monotonic() - started) * 1000, 3),
        )

    async def _vector(self, request: Request) -> tuple[NDArray[np.float32] | None, str | None]:
        """Return the query's vector, or None and why a search by words has to do."""
        if request.mode == "lexical":
            return None, None
        if self._space is None or (self._provider is None and request.vector is None):
            reason = self._unavailable or "no embedding provider is configured"
        elif request.vector is not None:
            return request.vector, None
        else:
            assert self._provider is not None  # noqa: S101  told apart above
            try:
                return await self._embedded(request.text, self._provider), None
            except Unavailable as error:
                reason = str(error)
        if request.mode == "vector":
            raise Unavailable(f"cannot search by meaning: {reason}; try `--mode lexical`")
        return None, f"searched by words alone: {reason}"

    async def _embedded(self, text: str, provider: EmbeddingProvider) -> NDArray[np.float32]:
        """Return the vector of ``text``; of a text beyond the model's window, of what fits."""
        while provider.count_tokens([text])[0] > provider.window:
            text = text[: len(text) * 9 // 10]
        (vector,) = await provider.embed([text], purpose="query")
        return np.asarray(vector, dtype=np.float32)


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


async def _by_words(reader: SearchReader, text: str) -> _Words | None:
    """Return what scores chunks by the words of ``text``, if any of them occurs anywhere."""
    terms = query_terms(text)[:MOST_TERMS]
    if not terms:
        return None
    counts, chunks, length = await reader.count_terms(terms)
    plan = lexical_plan(counts, chunks=chunks, total_length=length, asked=analyse(text))
    return None if plan is None else partial(reader.score_terms, plan)


async def _found(reader: SearchReader, meaning: _Meaning | None, request: Request) -> _Found:
    if request.mode == "vector" and meaning is not None:
        near, described = await _nearest(reader, meaning, request)
        return _Found([], near, _scores(near), described)
    among = await _among(reader, request.filter)
    words = await _by_words(reader, request.text)
    depth = _depth(request)
    if meaning is None:
        lexical = [] if words is None else await words(among=among, limit=depth)
        return _Found(lexical, [], _scores(lexical), {})
    lexical = [] if words is None else await words(among=among, limit=max(SCORED_BY_WORDS, depth))
    near, _ = await meaning(among=among, limit=depth)
    by_words, by_meaning, lexical = _scores(lexical), _scores(near), lexical[:depth]
    by_meaning |= await _similarities(meaning, _scores(lexical), by_meaning)
    candidates = _scores(lexical).keys() | by_meaning.keys()
    by_words = {chunk: score for chunk, score in by_words.items() if chunk in candidates}
    fused = score_fusion([(VECTOR_WEIGHT, by_meaning), (LEXICAL_WEIGHT, by_words)])
    return _Found(lexical, near, fused, {})


async def _nearest(
    reader: SearchReader, meaning: _Meaning, request: Request
) -> tuple[list[Candidate], Descriptions]:
    """Return the nearest alone, with what their hits show, in as few statements as possible."""
    if await _is_narrow(reader, request.filter):
        few = await meaning.few(few=FEW, limit=request.limit)
        if few is not None:
            return few
    return await meaning(among=None, limit=request.limit, described=True)


async def _similarities(
    meaning: _Meaning, by_words: Collection[ChunkId], near: Mapping[ChunkId, float]
) -> dict[ChunkId, float]:
    """Return the similarities of what was found by words but is not among the nearest.

    A chunk that has no vector yet is not to lose by it: it counts as the last of the nearest.
    """
    others = [chunk for chunk in by_words if chunk not in near]
    if not others or not near:
        return {}
    measured, _ = await meaning(among=others, limit=len(others))
    return dict.fromkeys(others, min(near.values())) | _scores(measured)


async def _hits(reader: SearchReader, request: Request, found: _Found) -> list[Hit]:
    best = list(found.fused)[: request.limit]
    if not best:
        return []
    described = found.described or await reader.describe(best)
    around = (
        await reader.neighbours(best, distance=request.neighbours) if request.neighbours else {}
    )
    lexical_ranks, vector_ranks = _ranks(found.lexical), _ranks(found.near)
    terms = set(query_terms(request.text))
    hits: list[Hit] = []
    for chunk_id in best:
        if chunk_id not in described:
            continue
        document, chunk = described[chunk_id]
        near_by = around.get(chunk_id, [])
        hits.append(
            Hit(
                rank=len(hits) + 1,
                score=round(found.fused[chunk_id], 6),
                document=document,
                chunk=chunk,
                why=_why(
                    document, chunk, lexical_ranks.get(chunk_id), vector_ranks.get(chunk_id), terms
                ),
                before=tuple(each for each in near_by if each.ordinal < chunk.ordinal),
                after=tuple(each for each in near_by if each.ordinal > chunk.ordinal),
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
    if not 0 <= request.neighbours <= 10:
        raise QueryRejected(f"neighbours is {request.neighbours}; it must be from 0 to 10")
    return replace(request, filter=replace(request.filter, phrases=phrases(request.text)))


def _depth(request: Request) -> int:
    return request.limit if request.mode == "vector" else max(DEPTH, request.limit)


def _scores(candidates: Sequence[Candidate]) -> dict[ChunkId, float]:
    return {candidate.chunk_id: candidate.score for candidate in candidates}


def _ranks(candidates: Sequence[Candidate]) -> dict[ChunkId, tuple[int, float]]:
    return {c.chunk_id: (rank, c.score) for rank, c in enumerate(candidates, start=1)}


def _why(
    document: FoundDocument,
    chunk: FoundChunk,
    words: tuple[int, float] | None,
    meaning: tuple[int, float] | None,
    terms: set[str],
) -> Why:
    lexical_rank, lexical_score = words or (None, None)
    vector_rank, similarity = meaning or (None, None)
    read = f"{document.title} {chunk.heading} {chunk.text}"
    matched = terms & analyse(read).keys() if words else set()
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
