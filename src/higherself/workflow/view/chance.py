"""Random numbers that are the same on every machine for ever, and distributions. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

_MASK = (1 << 64) - 1


class Chance:
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): small, fast, good enough for a simulation."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def draw(self) -> float:
        """Return the next number from 0 up to, not including, 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)

    def place(self, count: int) -> int:
        """Return one of ``count`` places."""
        return min(count - 1, int(self.draw() * count))


@dataclass(frozen=True, slots=True)
class Constant:
    """It always takes as long."""

    duration: timedelta


@dataclass(frozen=True, slots=True)
class Exponential:
    """It takes ``mean`` on average, and how long it has taken already makes no difference."""

    mean: timedelta


@dataclass(frozen=True, slots=True)
class Sample:
    """It takes as long as one of these, each as likely as the others."""

    durations: tuple[timedelta, ...]


Distribution = Constant | Exponential | Sample


def seconds_of(distribution: Distribution, chance: Chance) -> float:
    """Return how many seconds it takes this time."""
    match distribution:
        case Constant(duration):
            return duration.total_seconds()
        case Exponential(mean):
            return -mean.total_seconds() * math.log(1.0 - chance.draw())
        case Sample(durations):
            return durations[chance.place(len(durations))].total_seconds()
        case _:
            assert_never(distribution)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return what ``share`` of ``ordered`` are not above, between neighbours in proportion.

    >>> quantile([1, 2, 3, 4], 0.5), quantile([5], 0.9)
    (2.5, 5.0)
    """
    at = share * (len(ordered) - 1)
    low = math.floor(at)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (at - low))
