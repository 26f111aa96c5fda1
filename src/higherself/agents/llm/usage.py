"""What asking a language model costs: tokens, money, and what may be spent. Pure.

Money is counted in whole micro-dollars (a millionth of a US dollar), rounded up, so that no sum is
ever less than the bill.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was used. Of the ``input_tokens``, some were read from the vendor's cache or written there.

    >>> Usage(requests=1, input_tokens=10) + Usage(requests=1, output_tokens=5)
    Usage(requests=2, input_tokens=10, output_tokens=5, cached_tokens=0, written_tokens=0, micro_usd=0)
    """

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    micro_usd: int = 0

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            requests=self.requests + other.requests,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            written_tokens=self.written_tokens + other.written_tokens,
            micro_usd=self.micro_usd + other.micro_usd,
        )


NOTHING = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model costs: micro-dollars for a million tokens, so 3 dollars are 3,000,000.

    Reading and writing the vendor's cache have prices of their own.
    """

    input: int
    output: int
    cached: int | None = None
    written: int | None = None

    def cost(self, usage: Usage) -> int:
        """Return what the tokens of ``usage`` cost, in micro-dollars, rounded up.

        >>> Price(input=3_000_000, output=15_000_000).cost(Usage(input_tokens=1, output_tokens=1))
        18
        """
        cached = self.input if self.cached is None else self.cached
        written = self.input if self.written is None else self.written
        plain = max(0, usage.input_tokens - usage.cached_tokens - usage.written_tokens)
        parts = (
            plain * self.input,
            usage.cached_tokens * cached,
            usage.written_tokens * written,
            usage.output_tokens * self.output,
        )
        return -(-sum(parts) // 1_000_000)


FREE = Price(input=0, output=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The most tokens and micro-dollars that may be spent; None: any number.

    For a conversation, what its messages carry as ``budgettokens`` and ``budgetmicrousd``.
    """

    tokens: int | None = None
    micro_usd: int | None = None

    def left(self, used: Usage) -> "Allowance":
        """Return what is left after ``used``, never less than nothing.

        >>> Allowance(tokens=100).left(Usage(input_tokens=30, output_tokens=80))
        Allowance(tokens=0, micro_usd=None)
        """
        return Allowance(
            tokens=None if self.tokens is None else max(0, self.tokens - used.tokens),
            micro_usd=None if self.micro_usd is None else max(0, self.micro_usd - used.micro_usd),
        )

    def within(self, other: "Allowance") -> "Allowance":
        """Return the tighter of both.

        >>> Allowance(tokens=100).within(Allowance(tokens=50, micro_usd=9))
        Allowance(tokens=50, micro_usd=9)
        """
        return Allowance(
            tokens=_least(self.tokens, other.tokens),
            micro_usd=_least(self.micro_usd, other.micro_usd),
        )

    def lacks(self, need: Usage) -> str | None:
        """Return what it has too little of for ``need``, in words, or None if it suffices."""
        if self.tokens is not None and need.tokens > self.tokens:
            return f"{need.tokens:,} tokens may be needed, {self.tokens:,} are left"
        if self.micro_usd is not None and need.micro_usd > self.micro_usd:
            return f"{dollars(need.micro_usd)} may be needed, {dollars(self.micro_usd)} are left"
        return None


UNLIMITED = Allowance()

BYTES_A_TOKEN = 3
"""English has four to five letters a token, German and French about four, code three."""

FRAME = 200
"""Tokens that a request has besides its texts: roles, names, what the vendor adds for tools."""


def estimated(text_bytes: int, output_tokens: int, price: Price) -> Usage:
    """Return what a request may use at most, as far as can be said before: rather too much.

    Texts of other scripts than Latin, of one token a letter and three bytes, fit as well.
    """
    usage = Usage(
        requests=1,
        input_tokens=FRAME + -(-text_bytes // BYTES_A_TOKEN),
        output_tokens=output_tokens,
    )
    return priced(usage, price)


def priced(usage: Usage, price: Price) -> Usage:
    """Return ``usage`` with what it costs."""
    return Usage(
        requests=usage.requests,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cached_tokens=usage.cached_tokens,
        written_tokens=usage.written_tokens,
        micro_usd=price.cost(usage),
    )


def dollars(micro_usd: int) -> str:
    """Return an amount of money for people.

    >>> dollars(12_340_000), dollars(1_234)
    ('$12.34', '$0.001234')
    """
    amount = f"{micro_usd / 1_000_000:.6f}".rstrip("0")
    whole, _, cents = amount.partition(".")
    return f"${int(whole):,}.{cents:0<2}"


def _least(one: int | None, other: int | None) -> int | None:
    given = [each for each in (one, other) if each is not None]
    return min(given, default=None)
