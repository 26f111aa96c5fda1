"""The measures against values computed by hand and their laws; then a whole evaluation."""

import asyncio
import json
import math
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import NotFound, Rejected
from higherself.knowledge.evaluate import evaluate, read_collection
from higherself.knowledge.evaluation import (
    Quality,
    ndcg,
    quality,
    recall,
    reciprocal_rank,
    trec_run,
)
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.ingest import Progress
from higherself.knowledge.model import Answer, Failure, IngestReport, Mode, NewDocument

DOCUMENTS = "abcdefgh"
RANKINGS = st.lists(st.sampled_from(DOCUMENTS), unique=True)
JUDGED = st.dictionaries(st.sampled_from(DOCUMENTS), st.sampled_from([0.0, 1.0, 2.0, 3.0]))
DEPTHS = st.integers(1, 10)


@pytest.mark.parametrize(
    ("ranking", "judged", "expected"),
    [
        pytest.param("ab", {"a": 1, "b": 1}, 1.0, id="all relevant first"),
        pytest.param("xa", {"a": 1}, 1 / math.log2(3), id="second place"),
        pytest.param("xxa", {"a": 1}, 0.5, id="third place"),
        pytest.param("a", {"a": 1, "b": 1}, 1 / (1 + 1 / math.log2(3)), id="one of two"),
        pytest.param(
            "ba",
            {"a": 3, "b": 1},
            (1 + 3 / math.log2(3)) / (3 + 1 / math.log2(3)),
            id="graded gains in the wrong order",
        ),
        pytest.param("xy", {"a": 1}, 0.0, id="nothing relevant"),
        pytest.param("a", {"a": 0}, 0.0, id="nothing to find"),
        pytest.param("ab", {"a": -1, "b": 1}, 1 / math.log2(3), id="a harmful one gains nothing"),
        pytest.param("", {"a": 1}, 0.0, id="nothing found"),
        pytest.param("x" * 10 + "a", {"a": 1}, 0.0, id="beyond the tenth place"),
    ],
)
def test_ndcg_at_10(ranking: str, judged: dict[str, float], expected: float) -> None:
    assert ndcg(list(ranking), judged) == pytest.approx(expected)


def test_ndcg_of_more_relevant_documents_than_places_can_still_be_perfect() -> None:
    judged = {str(n): 1.0 for n in range(30)}
    assert ndcg([str(n) for n in range(10)], judged) == 1.0


@pytest.mark.parametrize(
    ("ranking", "k", "expected"),
    [("abxy", 4, 2 / 3), ("abxy", 1, 1 / 3), ("cba", 3, 1.0), ("xyz", 3, 0.0)],
)
def test_recall_of_three_relevant(ranking: str, k: int, expected: float) -> None:
    assert recall(list(ranking), {"a": 1, "b": 2, "c": 1, "x": 0}, k=k) == expected


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [("ab", 1.0), ("xxb", 1 / 3), ("xyz", 0.0), ("x" * 10 + "a", 0.0)],
)
def test_reciprocal_rank_at_10(ranking: str, expected: float) -> None:
    assert reciprocal_rank(list(ranking), {"a": 1, "b": 1, "x": 0}) == expected


@given(RANKINGS, JUDGED, DEPTHS)
def test_measures_stay_in_bounds(ranking: list[str], judged: dict[str, float], k: int) -> None:
    for measure in (ndcg, recall, reciprocal_rank):
        assert 0.0 <= measure(ranking, judged, k=k) <= 1.0 + 1e-12


@given(JUDGED, DEPTHS)
def test_the_best_order_is_perfect(judged: dict[str, float], k: int) -> None:
    best = sorted(judged, key=lambda document: -judged[document])
    relevant = any(judged.values())
    assert ndcg(best, judged, k=k) == pytest.approx(1.0 if relevant else 0.0)
    assert reciprocal_rank(best, judged, k=k) == (1.0 if relevant else 0.0)
    assert recall(best, judged, k=len(DOCUMENTS)) == (1.0 if relevant else 0.0)


@given(RANKINGS, JUDGED, DEPTHS, st.data())
def test_a_better_document_that_moves_up_never_lowers_a_measure(
    ranking: list[str], judged: dict[str, float], k: int, data: st.DataObject
) -> None:
    better = [
        n
        for n in range(1, len(ranking))
        if judged.get(ranking[n], 0.0) >= judged.get(ranking[n - 1], 0.0)
    ]
    if not better:
        return
    at = data.draw(st.sampled_from(better))
    moved = [*ranking[: at - 1], ranking[at], ranking[at - 1], *ranking[at + 1 :]]
    for measure in (ndcg, recall, reciprocal_rank):
        assert measure(moved, judged, k=k) >= measure(ranking, judged, k=k) - 1e-12


@given(RANKINGS, JUDGED, DEPTHS)
def test_more_results_never_lower_a_measure(
    ranking: list[str], judged: dict[str, float], k: int
) -> None:
    for measure in (ndcg, recall, reciprocal_rank):
        assert measure(ranking, judged, k=k) >= measure(ranking[:-1], judged, k=k) - 1e-12


def test_quality_is_the_mean_over_the_judged_queries() -> None:
    rankings = {"one": ["a"], "unjudged": ["a"]}
    judgements = {"one": {"a": 1.0}, "two": {"b": 1.0}, "nothing to find": {"a": 0.0}, "none": {}}
    assert quality(rankings, judgements) == Quality(0.5, 0.5, 0.5, 2)


def test_quality_of_no_query_is_nothing() -> None:
    assert quality({}, {}) == Quality(0.0, 0.0, 0.0, 0)


def test_a_run_has_a_line_for_each_document() -> None:
    run = trec_run({"q1": [("d2", 0.75), ("d1", 0.5)], "q2": []}, "hybrid")
    assert list(run) == ["q1 Q0 d2 1 0.75 hybrid", "q1 Q0 d1 2 0.5 hybrid"]


CORPUS = [
    {"_id": "bath", "title": "Sound bath", "text": "The gongs begin at seven."},
    {"_id": "heron", "title": "", "text": "A large heron of scrap steel by the river."},
    {"_id": "title", "title": "Plumbing and seals", "text": " "},
    {"_id": "empty", "title": "", "text": ""},
    {"_id": "long", "title": "Shelves", "text": "The lamp on the shelf is lit at dusk. " * 120},
]
QUERIES = [
    {"_id": "q1", "text": 'a "heron" of "steel"'},
    {"_id": "q2", "text": "when do the gongs begin"},
    {"_id": "unjudged", "text": "anything"},
]
JUDGEMENTS = "query-id\tcorpus-id\tscore\nq1\theron\t1\nq2\tbath\t2\nunjudged\tbath\t0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return a_collection(tmp_path)


def a_collection(folder: Path, **files: str) -> Path:
    def lines(entries: Iterable[object]) -> str:
        return "".join(json.dumps(entry) + "\n" for entry in entries)

    (folder / "corpus.jsonl").write_text(files.get("corpus", lines(CORPUS)))
    (folder / "queries.jsonl").write_text(files.get("queries", lines(QUERIES)))
    (folder / "qrels.tsv").write_text(files.get("qrels", JUDGEMENTS))
    return folder


def test_a_collection_is_read_as_it_is_meant(folder: Path) -> None:
    collection = read_collection(folder, limit=10)
    assert (collection.name, collection.empty) == (folder.name, 1)
    texts = {document.external_id: document.text for document in collection.documents}
    assert texts.keys() == {"bath", "heron", "title", "long"}
    assert texts["title"] == "Plumbing and seals"
    assert collection.queries == {"q1": "a  heron  of  steel ", "q2": "when do the gongs begin"}
    assert collection.judgements == {"q1": {"heron": 1.0}, "q2": {"bath": 2.0}}


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels.tsv"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(NotFound, match=name):
        read_collection(folder, limit=10)


def test_a_folder_that_is_none_is_not_found(folder: Path) -> None:
    with pytest.raises(NotFound, match="is not there"):
        read_collection(folder / "corpus.jsonl", limit=10)


GOOD = '{"_id": "d", "text": "x"}\n'


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"corpus": GOOD + "{"}, "corpus.jsonl:2: is not JSON", id="no JSON"),
        pytest.param({"corpus": GOOD + "[]"}, "corpus.jsonl:2: is not a JSON object", id="list"),
        pytest.param({"corpus": '{"text": "x"}'}, "corpus.jsonl:1: has no `_id`", id="no id"),
        pytest.param(
            {"corpus": GOOD + "\n" + GOOD}, "corpus.jsonl:3: has the `_id` 'd'", id="twice"
        ),
        pytest.param({"corpus": '{"_id": "d"}'}, "corpus.jsonl:1: `text` is missing", id="no text"),
        pytest.param(
            {"corpus": '{"_id": "d", "text": "x", "title": 3}'}, "1: `title` is", id="title"
        ),
        pytest.param({"corpus": '{"_id": "d", "text": ""}'}, "no document has any text", id="bare"),
        pytest.param({"queries": '{"_id": "q1", "text": " "}'}, "queries.jsonl:1: .*empty", id="q"),
        pytest.param({"queries": GOOD}, "the judged query 'q1' is not in", id="unknown query"),
        pytest.param({"qrels": "q\td\ts\nq1 heron 1"}, "qrels.tsv:2: .*tabs", id="blanks"),
        pytest.param({"qrels": "q\td\ts\nq1\theron\tyes"}, "qrels.tsv:2: score", id="no number"),
        pytest.param({"qrels": "q\td\ts\nq1\theron\tnan"}, "qrels.tsv:2: .*finite", id="nan"),
        pytest.param({"qrels": "q\td\ts\nq1\theron\t0"}, "no query has a document", id="no gain"),
        pytest.param({"qrels": ""}, "no query has a document", id="no judgement"),
        pytest.param({"qrels": "\udcff"}, "cannot be read", id="not UTF-8"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    a_collection(tmp_path, **{k: v for k, v in files.items() if "\udcff" not in v})
    if files.get("qrels") == "\udcff":
        (tmp_path / "qrels.tsv").write_bytes(b"\xff\xff")
    with pytest.raises(Rejected, match=message):
        read_collection(tmp_path, limit=10)


def test_more_documents_than_a_search_returns_cannot_be_asked_for(folder: Path) -> None:
    with pytest.raises(Rejected, match="limit is 1001"):
        read_collection(folder, limit=1001)


@pytest.mark.postgres
class TestOnTheDatabase:
    async def test_a_collection_is_measured_in_every_mode_and_nothing_remains(
        self, hub: KnowledgeHub, folder: Path
    ) -> None:
        await hub.add([NewDocument(external_id="ours", text="Gongs and a heron of steel.")])
        before = await hub.stats()
        asked: list[tuple[int, int]] = []
        modes: tuple[Mode, ...] = ("hybrid", "lexical", "vector")
        result = await hub.evaluate(
            folder, modes=modes, limit=3, asked=lambda done, total: asked.append((done, total))
        )
        assert (result.ingest.created, result.empty) == (4, 1)
        assert [measured.mode for measured in result.measured] == list(modes)
        for measured in result.measured:
            assert measured.quality == Quality(1.0, 1.0, 1.0, 2)
            assert measured.rankings["q1"][0][0] == "heron"
        assert [len(result.measured[2].rankings[query]) for query in ("q1", "q2")] == [3, 3]
        assert asked == [(n, 6) for n in range(1, 7)]
        after = await hub.stats()
        assert {**after, "bytes": 0} == {**before, "bytes": 0}

    async def test_a_document_counts_once_with_its_best_passage(
        self, hub: KnowledgeHub, folder: Path
    ) -> None:
        (measured,) = (await hub.evaluate(folder, limit=4, modes=["vector"])).measured
        for ranking in measured.rankings.values():
            names, scores = zip(*ranking, strict=True)
            assert set(names) == {"bath", "heron", "title", "long"}
            assert list(scores) == sorted(scores, reverse=True)


class Interrupted:
    """Knowledge whose use is interrupted at one point."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.entities: set[str] = set()

    async def add(
        self, documents: Iterable[NewDocument | Failure], *, progress: Progress
    ) -> IngestReport:
        self.entities |= {each.entity for each in documents if isinstance(each, NewDocument)}
        self._reach("add")
        return IngestReport()

    async def search(self, query: str, *, limit: int, mode: Mode, entity: str) -> Answer:
        self._reach("search")
        return Answer(query, mode, False, None, (), (), 0.0)

    async def forget(self, entity: str) -> int:
        self._reach("forget")
        self.entities.remove(entity)
        return 1

    def _reach(self, place: str) -> None:
        if place == self.at:
            self.at = ""
            raise asyncio.CancelledError


@pytest.mark.parametrize("at", ["add", "search", "forget"])
async def test_whoever_stops_it_finds_nothing_left(folder: Path, at: str) -> None:
    knowledge = Interrupted(at)
    with pytest.raises(asyncio.CancelledError):
        await evaluate(
            knowledge,
            SYSTEM_CLOCK,
            read_collection(folder, limit=5),
            modes=["hybrid"],
            limit=5,
            progress=lambda report: None,
            asked=lambda done, total: None,
        )
    assert not knowledge.entities
