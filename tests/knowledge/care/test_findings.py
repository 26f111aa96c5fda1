"""What is wrong, decided from figures."""

from dataclasses import replace

import pytest

from higherself.kernel.ids import ChunkId
from higherself.kernel.jsonvalue import content_hash
from higherself.knowledge.care.findings import (
    WORTH_MENDING,
    Index,
    Misindexed,
    SpaceTable,
    Table,
    TableFault,
    Text,
    expected_bytes,
    is_stale,
    table_fault,
    told_table,
    wasted_by_dead_rows,
    wasted_by_index,
)

MB = 1024 * 1024
LOCAL = SpaceTable(1, "local/384", 384, 384)


@pytest.mark.parametrize(
    ("table", "known", "fault"),
    [
        pytest.param(LOCAL, {}, None, id="as it should be"),
        pytest.param(replace(LOCAL, dimensions=None), {}, TableFault.MISSING, id="no table"),
        pytest.param(
            SpaceTable(7, None, None, 384), {"local/384": 384}, TableFault.STRAY, id="no space"
        ),
        pytest.param(
            replace(LOCAL, expected=3),
            {"local/384": 384},
            TableFault.SPACE_IS_WRONG,
            id="the provider sides with the table",
        ),
        pytest.param(
            replace(LOCAL, dimensions=3),
            {"local/384": 384},
            TableFault.TABLE_IS_WRONG,
            id="the provider sides with the space",
        ),
        pytest.param(
            replace(LOCAL, dimensions=3),
            {"another": 3},
            TableFault.UNDECIDED,
            id="no provider that knows",
        ),
        pytest.param(
            SpaceTable(1, "local/384", 384, 0),
            {"local/384": 384},
            TableFault.TABLE_IS_WRONG,
            id="a table that takes any dimensions",
        ),
    ],
)
def test_which_of_a_space_and_its_table_is_wrong(
    table: SpaceTable, known: dict[str, int], fault: TableFault | None
) -> None:
    assert table_fault(table, known) is fault
    if fault is not None:
        assert f"embedding_{table.space_id}" in told_table(table, fault)


def a_text(embedded: str, *, title: str = "", headings: tuple[str, ...] = (), text: str) -> Text:
    return Text(ChunkId(1), "gallery", content_hash(embedded), title, headings, text)


@pytest.mark.parametrize(
    ("text", "stale"),
    [
        pytest.param(a_text("Tea.", text="Tea."), False, id="nothing above it"),
        pytest.param(
            a_text("House > Tea\n\nGreen.", title="House", headings=("Tea",), text="Green."),
            False,
            id="under title and heading",
        ),
        pytest.param(
            a_text("Green.", title="House", text="Green."), False, id="alone, under a title"
        ),
        pytest.param(a_text("Tea.", text="Milk."), True, id="another text"),
        pytest.param(
            a_text("Home\n\nGreen.", title="House", text="Green."), True, id="another title"
        ),
        pytest.param(
            a_text("House > Milk\n\nOat.", title="House", headings=("Tea",), text="Oat."),
            True,
            id="another heading",
        ),
    ],
)
def test_a_chunk_is_stale_when_another_text_was_embedded(text: Text, stale: bool) -> None:
    assert is_stale(text) is stale


@pytest.mark.parametrize(
    ("table", "wasted"),
    [
        pytest.param(Table("chunk", 1_000, 0, 90 * MB), 0, id="nothing dead"),
        pytest.param(Table("chunk", 1_000, 400, 140 * MB), 0, id="autovacuum will come"),
        pytest.param(Table("chunk", 1_000, 1_000, 90 * MB), 45 * MB, id="half of it dead"),
        pytest.param(Table("chunk", 0, 1_000, 90 * MB), 90 * MB, id="all of it dead"),
        pytest.param(Table("chunk", 10, 10_000, 7 * MB), 0, id="too small to matter"),
    ],
)
def test_dead_rows_are_told_of_when_they_are_worth_it(table: Table, wasted: int) -> None:
    assert wasted_by_dead_rows(table) == wasted


# 100,000 documents: measured right after CREATE INDEX on PostgreSQL 18, pgvector 0.8.
UUIDS = Index("document_pkey", "document", "btree", True, 3_170_304, 100_000, 16)


@pytest.mark.parametrize(
    ("index", "wasted"),
    [
        pytest.param(UUIDS, False, id="new"),
        pytest.param(replace(UUIDS, bytes=2 * UUIDS.bytes), False, id="too small to matter"),
        pytest.param(replace(UUIDS, bytes=40 * MB), True, id="ten times its size"),
        pytest.param(replace(UUIDS, bytes=40 * MB, entries=900_000), False, id="full of entries"),
        pytest.param(replace(UUIDS, bytes=40 * MB, method="gin"), False, id="of a kind unknown"),
    ],
)
def test_an_index_is_told_of_when_it_is_twice_its_size_and_worth_it(
    index: Index, wasted: bool
) -> None:
    assert bool(wasted_by_index(index)) is wasted
    assert not wasted or wasted_by_index(index) >= WORTH_MENDING


def test_the_size_of_a_new_index_is_known_about() -> None:
    assert expected_bytes(UUIDS) == pytest.approx(UUIDS.bytes, rel=0.1)


@pytest.mark.parametrize(
    ("name", "left_over"),
    [("embedding_1_nearest_ccnew", True), ("x_ccold1", True), ("embedding_1_nearest", False)],
)
def test_what_an_interrupted_rebuild_leaves_is_known_by_its_name(
    name: str, left_over: bool
) -> None:
    assert replace(UUIDS, name=name, valid=False).is_left_over is left_over
    assert not replace(UUIDS, name=name).is_left_over


def test_a_business_that_is_indexed_wrongly_is_told_of_in_words() -> None:
    assert Misindexed("gallery", 1, 2, 0).told() == (
        "gallery has 1 chunk not indexed, 2 entries of nothing"
    )
    assert Misindexed("gallery", 0, 1, 3).told() == (
        "gallery has 1 entry of nothing, 3 chunks indexed in part"
    )
