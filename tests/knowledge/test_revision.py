"""What a document is made of, and made of again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.kernel.ids import ChunkId, DocumentId, uuid7
from higherself.knowledge.errors import DocumentRejected
from higherself.knowledge.model import NewDocument, StoredChunk
from higherself.knowledge.revision import (
    as_stored,
    checked,
    checked_name,
    hash_of_attributes,
    pieces,
    put_together,
    revise,
    whole,
)

TEA = NewDocument(external_id="tea.md", text="Green tea.", metadata={"floor": 2})
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


spaced = st.lists(
    st.sampled_from(["# Tea\n", "Green tea. ", "\n" * 700, " " * 2_500, "\t", "- one\n", "word ", "茶"]),
    max_size=30,
).map("".join)  # fmt: skip


@given(spaced)
def test_chunks_and_what_is_between_them_make_the_text(text: str) -> None:
    document = replace(TEA, text=text)
    for made in (pieces(document, count_tokens=words, window=60), whole(document)):
        passages = [piece.passage for piece in made]
        between = revise([], made).blanks(text)
        assert between.strip() == ""
        chunks = [(passage.start, passage.end, passage.text) for passage in passages]
        assert put_together(chunks, between) == text


@given(spaced, spaced)
def test_so_do_those_that_stayed_and_those_that_came(before: str, after: str) -> None:
    document = DocumentId(uuid7(0, 0))
    old = pieces(replace(TEA, text=before), count_tokens=words, window=60)
    stored = [
        StoredChunk(ChunkId(n), document, n, piece.content_hash, piece.passage.text, "", ())
        for n, piece in enumerate(old)
    ]
    made = pieces(replace(TEA, text=before + after), count_tokens=words, window=60)
    chunks = [(piece.passage.start, piece.passage.end, piece.passage.text) for piece in made]
    assert put_together(chunks, revise(stored, made).blanks(before + after)) == before + after


def test_overlaps_are_said_once_and_unknown_gaps_close() -> None:
    assert put_together([(0, 5, "Green"), (3, 9, "en tea"), (12, 13, "!")], "") == "Green tea!"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({"at": NOON}, {"at": NOON.astimezone(timezone(timedelta(hours=9)))}, True,
                     id="an instant in another zone"),
        pytest.param({"at": NOON}, {"at": None}, False, id="no instant"),
        pytest.param({"metadata": {"n": 1e20}}, {"metadata": {"n": 10**20}}, True,
                     id="a large number"),
        pytest.param({"metadata": {"n": -0.0}}, {"metadata": {"n": 0.0}}, True, id="minus nothing"),
        pytest.param({"metadata": {"n": 1.0}}, {"metadata": {"n": 1}}, False, id="as it is written"),
        pytest.param({"tags": ("a", "b")}, {"tags": ("b", "a")}, False, id="tags in another order"),
        pytest.param({"trust": "external"}, {}, False, id="trust"),
        pytest.param({"local_only": True}, {}, False, id="privacy"),
    ],
)  # fmt: skip
def test_attributes_are_the_same_if_the_database_would_hold_the_same(
    one: dict[str, object], other: dict[str, object], same: bool
) -> None:
    hashes = [hash_of_attributes(replace(TEA, **given)) for given in (one, other)]  # type: ignore[arg-type]
    assert (hashes[0] == hashes[1]) is same


def test_what_is_no_number_is_left_to_whoever_checks() -> None:
    assert str(as_stored([float("inf"), float("nan")])) == "[inf, nan]"


@pytest.mark.parametrize(
    ("name", "fits"),
    [("n" * 1_000, True), ("茶" * 400, True), ("茶" * 999, False), ("n" * 1_001, False)],
)
def test_a_name_is_refused_that_no_index_can_hold(name: str, fits: bool) -> None:
    document = replace(TEA, external_id=name, source=name)
    if fits:
        assert checked_name(document) is document
    else:
        with pytest.raises(DocumentRejected, match="more than"):
            checked_name(document)


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(datetime(2026, 3, 1), id="no time zone"),  # noqa: DTZ001
        pytest.param(datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=8))), id="too late"),
    ],
)  # fmt: skip
def test_a_time_that_is_no_instant_is_refused(at: datetime) -> None:
    document = replace(TEA, at=at)
    hash_of_attributes(document)
    with pytest.raises(DocumentRejected, match="time zone"):
        checked(document)
