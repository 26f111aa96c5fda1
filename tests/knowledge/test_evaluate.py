"""Measuring the search on a small collection, through the real thing."""

import json
from pathlib import Path

import pytest

from higherself.knowledge.evaluate import CollectionIncomplete, CollectionRejected
from higherself.knowledge.hub import KnowledgeHub

pytestmark = pytest.mark.postgres

CORPUS = {
    "d1": "Deposits are returned up to thirty days before a retreat.",
    "d2": "The heron is made of scrap steel and weighs ninety pounds.",
    "d3": "Float tanks are cleaned every night with peroxide.",
    "d4": "",
}
QUERIES = {
    "q1": "when do I get my deposit back",
    "q2": "how heavy is the steel bird",
    "q3": "unjudged",
}


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    lines = [json.dumps({"_id": name, "title": "", "text": text}) for name, text in CORPUS.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    lines = [json.dumps({"_id": name, "text": text}) for name, text in QUERIES.items()]
    (tmp_path / "queries.jsonl").write_text("\n".join(lines))
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t1\n")
    return tmp_path


async def test_every_mode_is_measured_and_nothing_is_left(
    hub: KnowledgeHub, collection: Path
) -> None:
    found = await hub.evaluate(collection, modes=["hybrid", "vector", "lexical"])
    assert [measured.mode for measured in found.measured] == ["hybrid", "vector", "lexical"]
    assert found.measured[0].quality.ndcg_at_10 == 1.0
    assert found.measured[0].quality.queries == 2
    assert (found.ingest.created, found.empty) == (3, 1)
    assert (await hub.stats())["documents"] == 0
    assert (await hub.stats())["entities"] == []


async def test_a_missing_file_is_named(hub: KnowledgeHub, collection: Path) -> None:
    (collection / "qrels.tsv").unlink()
    with pytest.raises(CollectionIncomplete, match=r"qrels\.tsv"):
        await hub.evaluate(collection)


async def test_a_bad_line_is_named(hub: KnowledgeHub, collection: Path) -> None:
    (collection / "queries.jsonl").write_text('{"_id": "q1", "text": "x"}\nnot json\n')
    with pytest.raises(CollectionRejected, match=r"queries\.jsonl:2|line 2"):
        await hub.evaluate(collection)
