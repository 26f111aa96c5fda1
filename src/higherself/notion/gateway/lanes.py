"""Who waits for an answer of Notion's, and what the budget says to that."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Lane = Literal["live", "webhook", "backfill"]
"""Who waits for the answer: a person or a workflow; a change that was announced; a sweep."""

LANES: tuple[Lane, ...] = ("live", "webhook", "backfill")
"""The lanes, the most urgent first."""


@dataclass(frozen=True, slots=True)
class Granted:
    """So many requests may leave, soon; ``left`` are what the window still has."""

    requests: int
    left: int


@dataclass(frozen=True, slots=True)
class Held:
    """No request may leave for ``wait``; ``reason`` is None unless Notion asked for a pause."""

    wait: timedelta
    reason: str | None = None
