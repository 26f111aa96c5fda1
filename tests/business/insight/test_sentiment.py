import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.insight.sentiment import sentiment


@pytest.mark.parametrize(
    ("text", "feeling"),
    [
        ("Thank you so much, the evening was wonderful!", "positive"),
        ("What time do you open on Sunday?", "neutral"),
        ("I am a bit worried because my confirmation is missing.", "concerned"),
        ("The session was not good and I am disappointed.", "frustrated"),
        ("This is unacceptable. The worst service ever!!", "angry"),
        ("THIS IS BAD AND I AM VERY ANNOYED, FAILED AGAIN", "angry"),
        ("I was worried at first, but it was wonderful and everybody was kind.", "positive"),
        ("Not bad at all, thanks", "positive"),
    ],
)
def test_how_people_write(text: str, feeling: str) -> None:
    assert sentiment(text).feeling == feeling


@pytest.mark.parametrize(
    ("text", "alarms"),
    [
        ("My lawyer will call you", ("legal",)),
        ("I want my money back, or a bad review follows", ("public complaint", "refund")),
        ("I can\N{RIGHT SINGLE QUOTATION MARK}t go on", ("distress",)),
        ("A lovely suede bag", ()),
    ],
)
def test_what_a_person_has_to_see(text: str, alarms: tuple[str, ...]) -> None:
    assert sentiment(text).alarms == alarms


def test_it_says_on_which_words_it_rests() -> None:
    assert sentiment("It was good, and then really terrible").words == ("good", "terrible")


@given(st.text(max_size=300))
def test_any_text_has_a_sentiment_in_range(text: str) -> None:
    found = sentiment(text)
    assert -1 <= found.score <= 1
