"""Money is counted so that no sum is ever less than the bill."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from higherself.agents.llm.usage import NOTHING, Allowance, Price, Usage, estimated, priced

counts = st.integers(0, 10**9)
prices = st.builds(
    Price,
    input=st.integers(0, 10**9),
    output=st.integers(0, 10**9),
    cached=st.none() | st.integers(0, 10**9),
)
usages = st.builds(
    Usage, requests=counts, input_tokens=counts, output_tokens=counts, micro_usd=counts
)
allowances = st.builds(Allowance, tokens=st.none() | counts, micro_usd=st.none() | counts)


@given(prices, counts, counts)
def test_a_cost_is_never_less_than_the_bill_and_less_than_one_more(
    price: Price, given_tokens: int, made: int
) -> None:
    cost = price.cost(Usage(input_tokens=given_tokens, output_tokens=made))
    bill = Fraction(given_tokens * price.input + made * price.output, 1_000_000)
    assert bill <= cost < bill + 1


def test_tokens_of_the_cache_have_their_own_price() -> None:
    price = Price(input=3_000_000, output=0, cached=300_000, written=3_750_000)
    usage = Usage(input_tokens=100, cached_tokens=60, written_tokens=20)
    assert price.cost(usage) == (20 * 30 + 60 * 3) / 10 + 75


@given(allowances, usages, usages)
def test_what_is_left_does_not_depend_on_the_steps(
    allowance: Allowance, one: Usage, other: Usage
) -> None:
    assert allowance.left(one).left(other) == allowance.left(one + other)


@given(allowances, allowances, usages)
def test_what_fits_in_the_tighter_fits_in_both(
    one: Allowance, other: Allowance, need: Usage
) -> None:
    fits = one.within(other).lacks(need) is None
    assert fits == (one.lacks(need) is None and other.lacks(need) is None)


@given(st.text(), st.integers(0, 10_000), prices)
def test_an_estimate_grows_with_text_and_output(text: str, output: int, price: Price) -> None:
    need = estimated(len(text.encode(errors="replace")), output, price)
    more = estimated(len(text.encode(errors="replace")) + 3, output + 1, price)
    assert need.tokens < more.tokens
    assert need.micro_usd <= more.micro_usd
    assert priced(need, price) == need


def test_nothing_is_neutral() -> None:
    usage = Usage(requests=1, input_tokens=2, output_tokens=3, micro_usd=4)
    assert usage + NOTHING == usage
