"""What something costs: lines, discounts, tax and deposit, to the cent and with every step. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from higherself.business.data.money import decimals
from higherself.kernel.errors import Rejected

MOST_LINES = 200


class PriceRejected(Rejected):
    """A price cannot be reckoned from what is given."""


@dataclass(frozen=True, slots=True)
class Line:
    """So many of something, at a price each."""

    name: str
    price: Decimal
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class Discount:
    """What is taken off: a share of a hundred, or an amount. It is given from a subtotal on."""

    name: str
    kind: Literal["percent", "amount"]
    value: Decimal
    from_subtotal: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Priced:
    """What it comes to. ``steps`` are the lines of a bill, in order."""

    currency: str
    subtotal: Decimal
    discount: Decimal
    tax: Decimal
    total: Decimal
    deposit: Decimal
    steps: tuple[tuple[str, Decimal], ...]


def price(
    lines: Sequence[Line],
    *,
    currency: str,
    discounts: Sequence[Discount] = (),
    tax_percent: Decimal = Decimal(0),
    tax_included: bool = False,
    deposit_percent: Decimal = Decimal(0),
) -> Priced:
    """Return what ``lines`` cost.

    Discounts are taken one after the other, each from what the one before left, and never below
    zero. Every step is rounded to what can be paid (half up, as on a bill), so the steps add up.

    Raises
        PriceRejected: naming what is wrong.

    >>> str(price([Line("Sound bath", Decimal(45), 2)], currency="USD", tax_percent=Decimal("8.875")).total)
    '97.99'
    """
    _check(lines, discounts, tax_percent=tax_percent, deposit_percent=deposit_percent)
    places = Decimal(1).scaleb(-decimals(currency))

    def rounded(amount: Decimal) -> Decimal:
        return amount.quantize(places, ROUND_HALF_UP)

    steps = [(_named(line), rounded(line.price * line.quantity)) for line in lines]
    subtotal = left = sum((amount for _, amount in steps), Decimal(0))
    for each in discounts:
        if subtotal >= each.from_subtotal:
            off = left * each.value / 100 if each.kind == "percent" else each.value
            off = min(rounded(off), left)
            left -= off
            steps.append((each.name, -off))
    if tax_included:
        tax = rounded(left - left / (1 + tax_percent / 100))
        total = left
    else:
        tax = rounded(left * tax_percent / 100)
        total = left + tax
        if tax:
            steps.append((f"Tax, {tax_percent.normalize():f} %", tax))
    return Priced(
        currency=currency,
        subtotal=subtotal,
        discount=subtotal - left,
        tax=tax,
        total=total,
        deposit=rounded(total * deposit_percent / 100),
        steps=tuple(steps),
    )


def _check(lines: Sequence[Line], discounts: Sequence[Discount], **percents: Decimal) -> None:
    if not lines or len(lines) > MOST_LINES:
        raise PriceRejected(f"lines: there must be 1 to {MOST_LINES}")
    for line in lines:
        if line.quantity < 1 or not line.price.is_finite() or line.price < 0:
            raise PriceRejected(f"lines: {line.name}: a price from 0 on, and at least one of it")
    for each in discounts:
        if (
            not each.value.is_finite()
            or each.value < 0
            or (each.kind == "percent" and each.value > 100)
        ):
            raise PriceRejected(f"discounts: {each.name}: {each.value} is out of range")
    for name, percent in percents.items():
        if not percent.is_finite() or not 0 <= percent <= 100:
            raise PriceRejected(f"{name}: {percent} is not from 0 to 100")


def _named(line: Line) -> str:
    return line.name if line.quantity == 1 else f"{line.quantity} x {line.name}"
