"""Measure the search on a collection with judgements: take it in, ask, compare, forget it again.

A collection is a folder in the layout of BEIR: ``corpus.jsonl`` (``_id``, ``title``, ``text``),
``queries.jsonl`` (``_id``, ``text``) and ``qrels.tsv`` (a header, then query, document and gain,
separated by tabs). It goes through the same use cases as everything else, as a business of its own
that lives no longer than the measurement. The arithmetic is in `evaluation`.
"""

import asyncio
import json
import math
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from higherself.kernel.clock import Clock
from higherself.kernel.errors import NotFound, Rejected
from higherself.knowledge.errors import QueryRejected
from higherself.knowledge.evaluation import Quality, Ranking, quality
from higherself.knowledge.ingest import Progress
from higherself.knowledge.model import Answer, Failure, Filter, IngestReport, Mode, NewDocument
from higherself.knowledge.search import MOST_HITS, Request, checked

CORPUS, QUERIES, JUDGEMENTS = "corpus.jsonl", "queries.jsonl", "qrels.tsv"

Asked = Callable[[int, int], None]
"""Called after every query with how many are answered and how many there are, over all modes."""


class CollectionIncomplete(NotFound):
    """A file of the collection is missing."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is not there; a collection is a folder with {CORPUS}, {QUERIES} and "
            f"{JUDGEMENTS} (the layout of BEIR)"
        )
        self.path = path


class CollectionRejected(Rejected):
    """A file of the collection holds what makes no sense there."""

    def __init__(self, path: Path, line: int | None, reason: str) -> None:
        place = str(path) if line is None else f"{path}:{line}"
        super().__init__(f"{place}: {reason}")
        self.path, self.line = path, line


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, the judged queries, and what they should find. ``empty`` documents were skipped."""

    name: str
    documents: tuple[NewDocument, ...]
    queries: Mapping[str, str]
    judgements: Mapping[str, Mapping[str, float]]
    empty: int


@dataclass(frozen=True, slots=True)
class Measured:
    """How well one mode does. ``seconds`` is for all queries, one after the other."""

    mode: Mode
    quality: Quality
    seconds: float
    rankings: Mapping[str, Ranking]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What became of a collection, and a measurement for each mode, in the order asked for."""

    collection: str
    ingest: IngestReport
    empty: int
    measured: tuple[Measured, ...]


class Knowledge(Protocol):
    """The use cases that are measured."""

    async def add(
        self, documents: Iterable[NewDocument | Failure], *, progress: Progress
    ) -> IngestReport:
        """Take documents in."""
        ...

    async def search(self, query: str, *, limit: int, mode: Mode, entity: str) -> Answer:
        """Return the passages that answer ``query``."""
        ...

    async def forget(self, entity: str) -> object:
        """Delete everything of a business."""
        ...


async def evaluate(
    knowledge: Knowledge,
    clock: Clock,
    collection: Collection,
    *,
    modes: Sequence[Mode],
    limit: int,
    progress: Progress,
    asked: Asked,
) -> Evaluation:
    """Return how well ``modes`` find up to ``limit`` documents of ``collection``.

    It is taken in once, and nothing of it remains, whatever happens (short of a kill).
    """
    entity = f"evaluation_{secrets.token_hex(6)}"
    documents = (replace(document, entity=entity) for document in collection.documents)
    try:
        ingest = await knowledge.add(documents, progress=progress)
        depth = math.ceil(limit * 1.2 * ingest.chunks / max(len(collection.documents), 1))
        measured: list[Measured] = []
        for mode in modes:
            started = clock.monotonic()
            rankings: dict[str, Ranking] = {}
            for name, text in collection.queries.items():
                rankings[name] = await _ranking(knowledge, entity, text, mode, limit, depth)
                done = len(measured) * len(collection.queries) + len(rankings)
                asked(done, len(modes) * len(collection.queries))
            found = {query: [name for name, _ in ranking] for query, ranking in rankings.items()}
            seconds = round(clock.monotonic() - started, 3)
            result = quality(found, collection.judgements)
            measured.append(Measured(mode, result, seconds, rankings))
    finally:
        await _forget(knowledge, entity)
    return Evaluation(collection.name, ingest, collection.empty, tuple(measured))


async def _ranking(
    knowledge: Knowledge, entity: str, text: str, mode: Mode, limit: int, depth: int
) -> Ranking:
    """Return the best ``limit`` documents; one is as good as its best passage.

    Hits are passages, so it asks for ``depth`` of them, and for more as long as that is too few.
    """
    wanted = min(max(limit, depth), MOST_HITS)
    while True:
        answer = await knowledge.search(text, limit=wanted, mode=mode, entity=entity)
        best: dict[str, float] = {}
        for hit in answer.hits:
            best.setdefault(hit.document.external_id, hit.score)
        if len(best) >= limit or len(answer.hits) < wanted or wanted == MOST_HITS:
            return tuple(best.items())[:limit]
        wanted = min(wanted * 2, MOST_HITS)


async def _forget(knowledge: Knowledge, entity: str) -> None:
    """Delete the scratch business, even if told to stop just now."""
    try:
        await knowledge.forget(entity)
    except asyncio.CancelledError:
        await knowledge.forget(entity)
        raise


def read_collection(folder: Path, *, limit: int) -> Collection:
    """Return the collection in ``folder``, ready to be asked for ``limit`` documents a query.

    Quotation marks in the queries are dropped: in test collections they are punctuation, and must
    not demand a phrase. Judged documents that the corpus lacks stay judged, as trec_eval has it.

    Raises
        CollectionIncomplete: a file is missing.
        CollectionRejected: a line makes no sense, or no query is judged.
        QueryRejected: ``limit`` is out of range.
    """
    checked(Request(text="any", filter=Filter(), limit=limit))
    judgements = _judgements(folder / JUDGEMENTS)
    queries = _queries(folder / QUERIES)
    for query in judgements:
        if query not in queries:
            raise CollectionRejected(
                folder / JUDGEMENTS, None, f"the judged query {query!r} is not in {QUERIES}"
            )
    documents, empty = _documents(folder / CORPUS)
    judged = {query: queries[query] for query in judgements}
    name = folder.resolve().name
    return Collection(name, documents, judged, judgements, empty)


def _judgements(path: Path) -> dict[str, dict[str, float]]:
    """Return the gain of every judged document, for the queries that have a relevant one."""
    judgements: dict[str, dict[str, float]] = {}
    for number, line in _lines(path):
        fields = line.split("\t")
        if len(fields) != 3:
            raise CollectionRejected(
                path, number, f"needs query-id, corpus-id and score, separated by tabs: {line[:80]}"
            )
        query, document, gain = fields
        try:
            value = float(gain)
        except ValueError:
            if number == 1:  # the header
                continue
            raise CollectionRejected(path, number, f"score is no number: {gain[:80]}") from None
        if not math.isfinite(value):
            raise CollectionRejected(path, number, f"score is not finite: {gain[:80]}")
        judgements.setdefault(query, {})[document] = value
    judgements = {q: judged for q, judged in judgements.items() if max(judged.values()) > 0}
    if not judgements:
        raise CollectionRejected(path, None, "no query has a document with a score above 0")
    return judgements


def _queries(path: Path) -> dict[str, str]:
    queries: dict[str, str] = {}
    for number, name, entry in _entries(path):
        text = _text(path, number, entry, "text").replace('"', " ")
        try:
            checked(Request(text=text, filter=Filter()))
        except QueryRejected as error:
            raise CollectionRejected(path, number, str(error)) from error
        queries[name] = text
    return queries


def _documents(path: Path) -> tuple[tuple[NewDocument, ...], int]:
    """Return the documents, and how many were left out because they are empty."""
    documents: list[NewDocument] = []
    empty = 0
    for number, name, entry in _entries(path):
        title = _text(path, number, entry, "title", needed=False).strip()
        text = _text(path, number, entry, "text")
        if text.strip() or title:
            documents.append(
                NewDocument(
                    external_id=name,
                    title=title,
                    text=text if text.strip() else title,
                    source="evaluation",
                )
            )
        else:
            empty += 1
    if not documents:
        raise CollectionRejected(path, None, "no document has any text")
    return tuple(documents), empty


def _entries(path: Path) -> Iterator[tuple[int, str, dict[str, object]]]:
    """Yield line number, ``_id`` and object of every line."""
    seen: set[str] = set()
    for number, line in _lines(path):
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise CollectionRejected(path, number, f"is not JSON: {error}") from error
        if not isinstance(entry, dict):
            raise CollectionRejected(path, number, "is not a JSON object")
        name = entry.get("_id")
        if not isinstance(name, str | int) or not str(name).strip():
            raise CollectionRejected(path, number, "has no `_id`")
        if str(name) in seen:
            raise CollectionRejected(path, number, f"has the `_id` {name!r}, like a line above it")
        seen.add(str(name))
        yield number, str(name), entry


def _text(
    path: Path, number: int, entry: Mapping[str, object], key: str, *, needed: bool = True
) -> str:
    value = entry.get(key, None if needed else "")
    if value is None and not needed:
        return ""
    if not isinstance(value, str):
        raise CollectionRejected(path, number, f"`{key}` is missing or no text")
    return value


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and content of every line that is not blank."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except (FileNotFoundError, NotADirectoryError):
        raise CollectionIncomplete(path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise CollectionRejected(path, None, f"cannot be read: {error}") from error
