"""A limit for each business in a setting: a number for all, and others for those named."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from higherself.kernel.errors import Rejected
from higherself.kernel.ids import checked_entity

NONE = "none"
_AMOUNT = re.compile(r"\d{1,9}(?:\.\d{1,6})?")
_COUNT = re.compile(r"\d{1,15}")


@dataclass(frozen=True, slots=True)
class PerBusiness:
    """A whole number for each business; None: no limit. ``unit`` is what one is when it is written."""

    others: int | None
    named: Mapping[str, int | None]
    unit: int = 1

    @classmethod
    def dollars(cls, given: object) -> "PerBusiness":
        """Return limits in micro-dollars, written in dollars.

        Raises
            ValueError: it is something else; the text says what is wrong.

        >>> PerBusiness.dollars("5, gallery=0.5, practice=none").of("gallery")
        500000
        """
        return cls._read(given, _AMOUNT, 1_000_000, "an amount of dollars such as 2.50")

    @classmethod
    def counts(cls, given: object) -> "PerBusiness":
        """Return limits that are whole numbers.

        Raises
            ValueError: it is something else; the text says what is wrong.
        """
        return cls._read(given, _COUNT, 1, "a whole number")

    @classmethod
    def _read(
        cls, given: object, shape: re.Pattern[str], unit: int, described: str
    ) -> "PerBusiness":
        if isinstance(given, PerBusiness):
            return given
        others: int | None = None
        named: dict[str, int | None] = {}
        for part in str(given).split(","):
            name, equals, written = (each.strip() for each in part.rpartition("="))
            if written != NONE and not shape.fullmatch(written):
                raise ValueError(
                    f"{part.strip()!r} is neither {described}, nor none, nor BUSINESS=one of them"
                )
            limit = None if written == NONE else int(Decimal(written) * unit)
            if not equals:
                others = limit
                continue
            try:
                named[checked_entity(name)] = limit
            except Rejected as error:
                raise ValueError(str(error)) from None
        return cls(others, named, unit)

    def of(self, entity: str) -> int | None:
        """Return the limit of a business, or None if it has none."""
        return self.named.get(entity, self.others)

    @property
    def limits(self) -> bool:
        """Whether any business has a limit."""
        return any(limit is not None for limit in (self.others, *self.named.values()))

    def __str__(self) -> str:
        parts = [self._written(self.others)]
        return ",".join([*parts, *(f"{name}={self._written(n)}" for name, n in self.named.items())])

    def _written(self, limit: int | None) -> str:
        return NONE if limit is None else f"{Decimal(limit) / self.unit:f}"
