"""Vectors that mean something, though no model made them: texts that share words are near."""

import re
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from higherself.knowledge.ports import Vectors


def meaning(text: str, family: str, dimensions: int) -> Vectors:
    """Return the vector of ``text`` in the space of a ``family`` of models: that of its words.

    >>> near, far = (meaning(each, "3-small", 256) for each in ("two cups of tea", "a late train"))
    >>> question = meaning("Is there tea?", "3-small", 256)
    >>> bool(question @ near > question @ far)
    True
    """
    vector = np.zeros(dimensions, np.float32)
    for word in re.findall(r"\w+", text.lower()) or [text]:
        weight = 0.2 if word in _COMMON or len(word) < 3 else 1.0
        for place, sign in _places(family, word):
            vector[place % dimensions] += sign * weight
    return np.asarray(vector / (np.linalg.norm(vector) or 1), dtype=np.float32)


_COMMON = {
    *("and", "are", "but", "for", "from", "has", "have", "how", "not", "the", "there", "this"),
    *("was", "what", "when", "where", "which", "who", "why", "with", "you", "your"),
}


@lru_cache(maxsize=100_000)
def _places(family: str, word: str) -> tuple[tuple[int, int], ...]:
    """Return eight places that a word has in every vector of a family, each with a sign."""
    digest = blake2b(f"{family}/{word.rstrip('s')}".encode(), digest_size=32).digest()
    numbers = np.frombuffer(digest, "<u4").tolist()
    return tuple((number >> 1, 1 if number & 1 else -1) for number in numbers)
