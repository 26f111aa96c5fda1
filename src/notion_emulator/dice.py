"""Chance that is the same in every run: what a seed and a count decide."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass
class Dice:
    """Throws that depend on the seed and on how many went before."""

    seed: str
    thrown: int = 0

    def throw(self) -> float:
        """Return a number from 0 to below 1."""
        self.thrown += 1
        digest = hashlib.sha256(f"{self.seed}:{self.thrown}".encode()).digest()
        return int.from_bytes(digest[:6], "big") / 2**48

    def among(self, items: Sequence[T]) -> T:
        """Return one of several.

        Raises
            IndexError: there are none.
        """
        return items[int(self.throw() * len(items))]

    def weighted(self, weights: Mapping[str, float]) -> str:
        """Return a name, more often the more it weighs."""
        left = self.throw() * sum(weights.values())
        for name, weight in weights.items():
            left -= weight
            if left < 0:
                return name
        return next(reversed(list(weights)))
