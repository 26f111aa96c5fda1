"""What a language model costs, as a setting has it."""

import re
from dataclasses import dataclass
from decimal import Decimal

_AMOUNT = re.compile(r"\d{1,6}(?:\.\d{1,6})?")


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """Micro-dollars for a million tokens of input, and of output."""

    input: int
    output: int

    @classmethod
    def read(cls, given: object) -> "TokenPrice":
        """Return what ``given`` says: dollars a million tokens of input, and of output.

        Raises
            ValueError: it says something else.

        >>> TokenPrice.read("0.25, 2")
        TokenPrice(input=250000, output=2000000)
        """
        if isinstance(given, TokenPrice):
            return given
        parts = [part.strip() for part in str(given).split(",")]
        if len(parts) != 2 or not all(map(_AMOUNT.fullmatch, parts)):
            raise ValueError("must be two amounts of dollars, for input and for output")
        given_tokens, made = (int(Decimal(part) * 1_000_000) for part in parts)
        return cls(given_tokens, made)

    def __str__(self) -> str:
        """Return it as it is written in settings.

        >>> str(TokenPrice.read("0.25,2"))
        '0.25,2'
        """
        return ",".join(f"{amount / 1_000_000:g}" for amount in (self.input, self.output))
