"""Results kept in this process: bounded by number and bytes; what was not used longest goes first."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from higherself.agents.skills.model import Skill
from higherself.kernel.clock import Clock

MOST_RESULTS = 10_000
MOST_BYTES = 64 * 1024 * 1024

_BESIDE = 300
"""Bytes that a result takes beside its text: its key, its entry, its place in the order."""


@dataclass(frozen=True, slots=True)
class _Kept:
    text: bytes
    until: float
    skill: str
    version: str
    entity: str


class MemoryResults:
    """Results by key, as JSON texts: whoever gets one may change what he reads from it."""

    def __init__(
        self, clock: Clock, *, most: int = MOST_RESULTS, most_bytes: int = MOST_BYTES
    ) -> None:
        self._now = clock.monotonic
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """How many bytes of memory the results take, about."""
        return self._size

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: bytes) -> bytes | None:
        """Return the result under ``key``, unless its time is over."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until <= self._now():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept.text

    def put(self, key: bytes, skill: Skill, entity: str, text: bytes, lifetime: timedelta) -> None:
        """Keep a result, unless it alone is larger than all may be."""
        self._drop(key)
        size = len(text) + _BESIDE
        if size > self._most_bytes:
            return
        until = self._now() + lifetime.total_seconds()
        self._kept[key] = _Kept(text, until, skill.name, skill.version, entity)
        self._size += size
        while len(self._kept) > self._most or self._size > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def clear(self, skill: str | None = None, *, entity: str | None = None) -> int:
        """Forget the results of a skill (or all), of a business (or all); return how many."""
        return self._drop_those(
            lambda each: skill in (None, each.skill) and entity in (None, each.entity)
        )

    def prune(self) -> int:
        """Forget what nobody may use any more; return how many results that were."""
        now = self._now()
        return self._drop_those(lambda each: each.until <= now)

    def _drop_those(self, chosen: Callable[[_Kept], bool]) -> int:
        gone = [key for key, each in self._kept.items() if chosen(each)]
        for key in gone:
            self._drop(key)
        return len(gone)

    def _drop(self, key: bytes) -> None:
        if (kept := self._kept.pop(key, None)) is not None:
            self._size -= len(kept.text) + _BESIDE
