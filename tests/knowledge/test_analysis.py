"""Words and terms."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from higherself.knowledge.analysis import analyse, words


@given(st.text())
@example("It's a sound_bath at 7 p.m.\x1f\x85\t(café) İstanbul \u212aelvin")
def test_words_are_runs_of_word_characters_in_lower_case(text: str) -> None:
    assert words(text) == re.findall(r"\w+", text.lower())


@given(st.text(st.characters(codec="ascii")))
def test_ascii_takes_a_short_cut_to_the_same_words(text: str) -> None:
    assert words(text) == re.findall(r"\w+", text.lower())


def test_terms_are_counted_without_what_carries_no_topic() -> None:
    assert analyse("The baths, and a BATH of the Café") == {"bath": 2, "cafe": 1}
