from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.data.money import AmountUnclear, Money, read_money, rounded

CENTS = st.integers(min_value=0, max_value=10**12)


@given(CENTS, st.booleans(), st.booleans())
def test_the_same_amount_is_read_in_both_ways_of_writing(
    cents: int, with_thousands: bool, sign_first: bool
) -> None:
    amount = Decimal(cents) / 100
    english = f"{amount:,.2f}" if with_thousands else f"{amount:.2f}"
    german = english.translate(str.maketrans(",.", ".,"))
    for written in (english, german):
        text = f"€{written}" if sign_first else f"{written} EUR"
        assert read_money(text) == Money(amount.quantize(Decimal("0.01")), "EUR")


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("$1,234", "1234.00"),
        ("1 234,5 eur", "1234.50"),
        ("CHF 1'234.50", "1234.50"),
        ("($12)", "-12.00"),
        ("-12.5 USD", "-12.50"),
        ("¥1,234", "1234"),
        ("0.5 USD", "0.50"),
        ("1,234,567 USD", "1234567.00"),
    ],
)
def test_amounts_as_people_write_them(text: str, amount: str) -> None:
    assert str(read_money(text).amount) == amount


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no amount"),
        ("twelve", "no amount"),
        ("12", "no currency"),
        ("$ 12 EUR", "two currencies"),
        ("1,234 KWD", "thousand times"),
        ("1.2345 USD", "more than 2 digits"),
        ("1.2.3,4.5 USD", "decimal mark"),
        ("(12 USD", "bracket"),
    ],
)
def test_what_is_unclear_is_refused(text: str, said: str) -> None:
    with pytest.raises(AmountUnclear, match=said):
        read_money(text)


def test_half_a_cent_goes_to_even_and_yen_have_no_cents() -> None:
    assert rounded(Decimal("0.125"), "USD") == Decimal("0.12")
    assert str(rounded(Decimal("1234.4"), "JPY")) == "1234"
