"""Checking what a provider answered before it counts as vectors of a space."""

from collections.abc import Iterable, Sequence

import numpy as np

from higherself.knowledge.errors import ProviderUnavailable
from higherself.knowledge.ports import Vectors


def unit_rows(vectors: Vectors, *, count: int, dimensions: int, tier: str) -> Vectors:
    """Return ``vectors`` with every row at length one.

    Raises
        ProviderUnavailable: these are not ``count`` vectors of ``dimensions`` finite numbers, or
            one is zero; the text names ``tier`` and what is wrong.
    """
    if vectors.ndim != 2 or len(vectors) != count:
        given = len(vectors) if vectors.ndim else 0
        raise ProviderUnavailable(f"{tier} answered with {given} vectors for {count} texts")
    if vectors.shape[1] != dimensions:
        raise ProviderUnavailable(
            f"{tier} answered with vectors of {vectors.shape[1]} dimensions, and its space has "
            f"{dimensions}"
        )
    if not np.isfinite(vectors).all():
        raise ProviderUnavailable(f"{tier} answered with a vector that is not all finite numbers")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not lengths.all():
        raise ProviderUnavailable(f"{tier} answered with a vector of zeros")
    return np.asarray(vectors / lengths, dtype=np.float32)


def in_order(rows: Iterable[tuple[int, Sequence[float]]], *, count: int, tier: str) -> Vectors:
    """Return the vectors of ``rows`` in the order of the index, which must be 0 to ``count`` - 1.

    Raises
        ProviderUnavailable: it is not, or the vectors differ in length.
    """
    ordered = sorted(rows, key=lambda row: row[0])
    if len(ordered) != count:
        raise ProviderUnavailable(f"{tier} answered with {len(ordered)} vectors for {count} texts")
    if [index for index, _ in ordered] != list(range(count)):
        raise ProviderUnavailable(f"{tier} answered with vectors that cannot be told apart")
    try:
        return np.array([vector for _, vector in ordered], dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ProviderUnavailable(f"{tier} answered with vectors of different lengths") from error
