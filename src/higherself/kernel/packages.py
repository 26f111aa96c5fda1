"""What installed packages bring, by their entry points."""

import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any


def brought(group: str) -> list[EntryPoint]:
    """Return the entry points of ``group``. The packages are looked through once for each search path."""
    found: Iterable[EntryPoint] = _every(tuple(sys.path)).select(group=group)
    return list(found)


@lru_cache(maxsize=2)
def _every(path: tuple[str, ...]) -> Any:
    """Return all that there are; Python 3.11 has another type for that than later ones."""
    return entry_points()
