from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.data.dates import DateUnclear, read_date, read_instant

DATES = st.dates(min_value=date(1000, 1, 1))


@given(
    DATES,
    st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%d %B %Y", "%B %d, %Y", "%d. %b %Y", "%A, %d %B %Y"]),
)
def test_a_date_that_can_mean_one_thing_is_read(day: date, form: str) -> None:
    assert read_date(day.strftime(form)) == day


@given(DATES)
def test_numbers_alone_are_read_as_told(day: date) -> None:
    assert read_date(f"{day:%d/%m/%Y}", first="day") == day
    assert read_date(f"{day:%m/%d/%Y}", first="month") == day


@given(DATES)
def test_numbers_alone_are_never_guessed(day: date) -> None:
    text = f"{day:%d.%m.%Y}"
    if day.day <= 12 and day.day != day.month:
        with pytest.raises(DateUnclear, match="say which comes first"):
            read_date(text)
    else:
        assert read_date(text) == day


@pytest.mark.parametrize(
    "text", ["", "soon", "31/04/2026", "2026-02-30", "12/05/26", "4 Foo 2026", "1" * 5000]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(DateUnclear, match=r"date|year|month"):
        read_date(text, first="day")


def test_an_instant_is_one_moment_whatever_the_clock() -> None:
    moment = datetime(2026, 3, 21, 22, 30, tzinfo=UTC)
    assert read_instant("2026-03-21T18:30:00", zone="America/New_York") == moment
    assert read_instant("2026-03-21T22:30:00Z") == moment
    assert read_instant(str(int(moment.timestamp() * 1000))) == moment


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(DateUnclear, match="no time zone"):
        read_instant("2026-03-21T18:30:00")
    with pytest.raises(DateUnclear, match="America/New_York"):
        read_instant("2026-03-21T18:30:00", zone="New York")
