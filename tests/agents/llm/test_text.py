"""Sentences and words of plain texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.agents.llm.text import line, ranked, sentences, shortened

PAGE = """# Refunds

A deposit is refunded if a class is cancelled a day ahead. Dr. Vu decides on e.g. illness.
Gift cards are not refunded!

- Bring a towel.
- Parking costs 5.50 dollars
"""


def test_a_page_falls_into_its_sentences_without_markup() -> None:
    assert sentences(PAGE) == [
        "Refunds",
        "A deposit is refunded if a class is cancelled a day ahead.",
        "Dr. Vu decides on e.g. illness.",
        "Gift cards are not refunded!",
        "Bring a towel.",
        "Parking costs 5.50 dollars",
    ]


@given(st.text())
def test_every_sentence_is_one_line_that_can_be_seen(text: str) -> None:
    for sentence in sentences(text):
        assert sentence == line(sentence)
        assert len(sentence.splitlines()) == 1


@given(st.lists(st.text(alphabet="abc de.", max_size=30), max_size=8), st.integers(1, 5))
def test_what_is_chosen_is_in_order_and_no_more_than_asked(texts: list[str], most: int) -> None:
    chosen = ranked(texts, most=most)
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= most
    assert chosen == ranked(texts, most=most)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("When is a deposit refunded?", 1),
        ("What about gift cards?", 3),
        ("parking", 5),
    ],
)
def test_what_has_the_rarest_words_of_a_question_is_first(question: str, expected: int) -> None:
    assert ranked(sentences(PAGE), question, most=1) == [expected]


def test_what_has_too_little_of_a_question_is_no_answer() -> None:
    assert ranked(sentences(PAGE), "Who founded the gallery in Lisbon?", most=3, least=0.3) == []


def test_the_same_twice_is_said_once() -> None:
    texts = ["Deposits are refunded soon.", "Deposits are refunded soon!", "Towels are free."]
    assert len(ranked(texts, "deposits refunded towels", most=3)) == 2


@given(st.text(), st.integers(4, 50))
def test_what_is_shortened_is_short_enough(text: str, longest: int) -> None:
    assert len(shortened(text, longest)) <= longest
