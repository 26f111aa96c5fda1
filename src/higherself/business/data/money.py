"""Money: an exact amount with its currency, read as people write it. Pure."""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from higherself.kernel.errors import Rejected

_SIGNS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "R$": "BRL", "A$": "AUD", "C$": "CAD"}
_WHOLE = frozenset(["JPY", "KRW", "VND", "CLP", "ISK", "XOF", "XAF", "UGX", "PYG"])
"""Currencies that have no cents (ISO 4217)."""
_THOUSANDTHS = frozenset(["BHD", "KWD", "OMR", "TND", "JOD", "IQD", "LYD"])
_MONEY = re.compile(
    r"(?P<minus>-|\()?\s*(?P<before>[^\d\s.,-]*)\s*(?P<amount>\d[\d.,' \u00a0\u202f]*)\s*(?P<after>[^\d\s).,]*)\)?"
)


class AmountUnclear(Rejected):
    """A text is no amount of money, or might be two."""


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount of a currency (ISO 4217)."""

    amount: Decimal
    currency: str

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


def decimals(currency: str) -> int:
    """Return how many digits a currency has after the point."""
    return 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2


def rounded(amount: Decimal, currency: str) -> Decimal:
    """Return ``amount`` in whole units of what the currency is paid in; half goes to even."""
    return amount.quantize(Decimal(1).scaleb(-decimals(currency)), ROUND_HALF_EVEN)


def read_money(text: str, *, currency: str | None = None) -> Money:
    """Return the amount that ``text`` names; ``currency`` is what is meant where none stands.

    Points and commas are read by where they stand: 1.234,50 and 1,234.50 are the same.

    Raises
        AmountUnclear: it is none, it might be two, or its currency is not to be known.

    >>> str(read_money("€ 1.234,50")), str(read_money("1,234.50 usd"))
    ('1234.50 EUR', '1234.50 USD')
    """
    found = _MONEY.fullmatch(text.strip())
    if found is None:
        raise AmountUnclear(f"{text!r} is no amount of money; write it as 1234.50 USD")
    named = (found["before"] or found["after"]).strip()
    if found["before"].strip() and found["after"].strip():
        raise AmountUnclear(f"{text!r} names two currencies; write it as 1234.50 USD")
    code = _SIGNS.get(named, named.upper()) or (currency or "").upper()
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise AmountUnclear(f"{text!r} has no currency that is known; write it as 1234.50 USD")
    amount = _amount(text, found["amount"], decimals(code))
    negative = found["minus"] is not None
    if (found["minus"] == "(") != text.strip().endswith(")"):
        raise AmountUnclear(f"{text!r} has a bracket too many or too few")
    return Money(rounded(-amount if negative else amount, code), code)


def _amount(text: str, digits: str, places: int) -> Decimal:
    plain = re.sub(r"[' \u00a0\u202f]", "", digits.strip())
    marks = [mark for mark in plain if mark in ".,"]
    if len(set(marks)) == 2:
        decimal = marks[-1]
        if marks.count(decimal) > 1:
            raise AmountUnclear(f"{text!r} has more than one decimal mark")
    elif len(marks) > 1:
        decimal = ""
    elif marks:
        after = len(plain) - plain.index(marks[0]) - 1
        if after == 3 and places == 3:
            raise AmountUnclear(
                f"{text!r} may be a thousand times as much; write it without a mark, or with one for the thousands, too"
            )
        # Nothing is paid in thousandths, so three digits after a mark are thousands.
        decimal = "" if after == 3 and not plain.startswith("0") else marks[0]
    else:
        decimal = ""
    whole, _, part = plain.partition(decimal) if decimal else (plain, "", "")
    whole = re.sub(r"[.,]", "", whole)
    if len(part) > places:
        raise AmountUnclear(f"{text!r} has more than {places} digits after the decimal mark")
    return Decimal(f"{whole}.{part or 0}")
