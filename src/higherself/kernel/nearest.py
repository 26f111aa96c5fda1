"""What somebody who wrote an unknown word may have meant. Pure."""

from collections.abc import Collection
from difflib import get_close_matches


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Return what to add to a sentence about the unknown ``word``: the nearest known one, or all.

    >>> did_you_mean("attemps", ["attempts", "backoff"])
    "; did you mean 'attempts'?"
    """
    if near := get_close_matches(word, known, n=1, cutoff=0.6):
        return f"; did you mean {near[0]!r}?"
    return f"; there is {', '.join(sorted(known))}" if 0 < len(known) <= 12 else ""
