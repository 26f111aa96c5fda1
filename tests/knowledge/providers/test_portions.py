from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from higherself.knowledge.providers.portions import (
    Limits,
    beginning,
    estimated_tokens,
    portions,
)

texts = st.lists(st.text(max_size=40), max_size=60)


@given(texts, st.integers(1, 10), st.integers(1, 60))
def test_portions_are_all_of_it_in_order_and_each_fits(
    some: list[str], most: int, tokens: int
) -> None:
    limits = Limits(window=100, texts=most, tokens=tokens)
    cut = list(portions(some, limits))
    assert [place for portion in cut for place in portion] == list(range(len(some)))
    for portion in cut:
        size = sum(estimated_tokens(some[place]) for place in portion)
        assert 1 <= len(portion) <= most
        assert size <= tokens or len(portion) == 1


@given(texts, st.integers(1, 10), st.integers(1, 60))
def test_no_two_portions_would_have_fit_together(some: list[str], most: int, tokens: int) -> None:
    limits = Limits(window=100, texts=most, tokens=tokens)
    for one, two in pairwise(portions(some, limits)):
        with_next = range(one.start, two.start + 1)
        size = sum(estimated_tokens(some[place]) for place in with_next)
        assert len(with_next) > most or size > tokens


def test_half_of_a_surrogate_pair_can_be_counted() -> None:
    assert estimated_tokens("\ud800") == 4


@given(texts, st.integers(1, 60), st.integers(0, 20))
def test_what_counts_with_each_text_is_counted(some: list[str], tokens: int, beside: int) -> None:
    limits = Limits(window=100, texts=60, tokens=tokens)
    for portion in portions(some, limits, beside=beside):
        size = sum(estimated_tokens(some[place]) + beside for place in portion)
        assert size <= tokens or len(portion) == 1


@given(st.text(), st.integers(2, 60))
def test_a_beginning_is_as_much_as_fits(text: str, tokens: int) -> None:
    some = beginning(text, tokens)
    assert text.startswith(some)
    assert estimated_tokens(some) <= tokens
    assert some == text or estimated_tokens(text[: len(some) + 1]) > tokens
