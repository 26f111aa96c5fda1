"""Posts: no longer than the platform takes, and nothing made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.publishing.platforms import (
    PLATFORMS,
    PlatformUnknown,
    hashtag,
    post,
    shortened,
)


@given(st.text(max_size=400), st.integers(0, 60))
def test_what_is_shortened_is_a_beginning_and_fits(whole: str, longest: int) -> None:
    found = shortened(whole, longest)
    assert len(found) <= longest or found == whole
    assert whole.startswith(found.removesuffix("…").rstrip()) or found == whole


@given(
    st.sampled_from(sorted(PLATFORMS)),
    st.text(max_size=60),
    st.lists(st.text(max_size=12), max_size=40),
)
def test_a_post_fits_its_platform(platform: str, title: str, keywords: list[str]) -> None:
    text = "Breathe in, breathe out. " * 150
    made = post(platform, title, text, keywords=keywords, link="https://example.org/yoga")
    known = PLATFORMS[platform]
    assert len(made.body) <= known.longest
    assert len(made.hashtags) <= known.hashtags
    assert made.form == known.form
    if made.shortened:
        assert "https://example.org/yoga" in made.body


@given(st.text(max_size=20))
def test_a_hashtag_has_no_blanks(phrase: str) -> None:
    tag = hashtag(phrase)
    assert tag == "" or (tag.startswith("#") and not any(each.isspace() for each in tag))


def test_a_platform_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(PlatformUnknown, match="instagram"):
        post("instagramm", "", "text")
