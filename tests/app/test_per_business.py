"""Limits for each business, as settings have them."""

import pytest

from higherself.app.per_business import PerBusiness


def test_what_is_named_wins_and_none_is_no_limit() -> None:
    limits = PerBusiness.dollars("5, gallery=0.5, practice=none")
    assert [limits.of(name) for name in ("gallery", "practice", "other")] == [
        500_000,
        None,
        5_000_000,
    ]
    assert str(limits) == "5,gallery=0.5,practice=none"
    assert PerBusiness.dollars(str(limits)) == limits
    assert limits.limits


def test_counts_are_whole() -> None:
    assert PerBusiness.counts("gallery=10").of("gallery") == 10
    assert PerBusiness.counts("gallery=10").of("other") is None
    assert not PerBusiness.counts("none").limits


@pytest.mark.parametrize("given", ["", "x", "-1", "gallery=", "1e3", "gallery=1=2", "No Slug=1"])
def test_what_is_no_limit_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"is neither|is not a slug"):
        PerBusiness.dollars(given)
