from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.insight.pricing import Discount, Line, PriceRejected, price

D = Decimal
CENTS = st.integers(0, 10**7).map(lambda cents: D(cents) / 100)
LINES = st.lists(st.builds(Line, st.just("x"), CENTS, st.integers(1, 20)), min_size=1, max_size=6)
DISCOUNTS = st.lists(
    st.one_of(
        st.builds(Discount, st.just("%"), st.just("percent"), st.integers(0, 100).map(D)),
        st.builds(Discount, st.just("-"), st.just("amount"), CENTS, CENTS),
    ),
    max_size=3,
)


@given(
    LINES,
    DISCOUNTS,
    st.integers(0, 25).map(D),
    st.integers(0, 100).map(D),
    st.sampled_from(["USD", "JPY"]),
)
def test_the_lines_of_a_bill_add_up(
    lines: Any, discounts: Any, tax: Decimal, deposit: Decimal, currency: str
) -> None:
    priced = price(
        lines, currency=currency, discounts=discounts, tax_percent=tax, deposit_percent=deposit
    )
    assert sum(amount for _, amount in priced.steps) == priced.total
    assert priced.subtotal - priced.discount + priced.tax == priced.total
    assert 0 <= priced.deposit <= priced.total
    assert priced.discount <= priced.subtotal


@given(LINES, st.integers(0, 25).map(D))
def test_tax_that_is_included_changes_no_total(lines: Any, tax: Decimal) -> None:
    without = price(lines, currency="EUR")
    within = price(lines, currency="EUR", tax_percent=tax, tax_included=True)
    assert within.total == without.total
    assert abs((within.total - within.tax) * tax / 100 - within.tax) <= D("0.02")


def test_a_retreat_with_early_bird_and_deposit() -> None:
    priced = price(
        [Line("Retreat", D(1200)), Line("Lunch", D("18.50"), 3)],
        currency="USD",
        discounts=[
            Discount("Early bird", "percent", D(10)),
            Discount("Loyalty", "amount", D(50), from_subtotal=D(5000)),
        ],
        tax_percent=D("8.875"),
        deposit_percent=D(30),
    )
    assert priced.steps == (
        ("Retreat", D("1200.00")), ("3 x Lunch", D("55.50")), ("Early bird", D("-125.55")), ("Tax, 8.875 %", D("100.28")),
    )  # fmt: skip
    assert (str(priced.total), str(priced.deposit)) == ("1230.23", "369.07")


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"lines": []}, "lines"),
        ({"lines": [Line("x", D(-1))]}, "lines: x"),
        ({"lines": [Line("x", D("nan"))]}, "lines: x"),
        ({"tax_percent": D(101)}, "tax_percent"),
        ({"deposit_percent": D("nan")}, "deposit_percent"),
        ({"discounts": [Discount("y", "percent", D(101))]}, "discounts: y"),
    ],
)
def test_what_cannot_be_reckoned_is_named(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(PriceRejected, match=said):
        price(given_.pop("lines", [Line("x", D(1))]), currency="USD", **given_)
