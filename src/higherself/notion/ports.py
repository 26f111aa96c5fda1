"""The words of this package: what goes to Notion, in which lane, and who keeps the books."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from higherself.notion.gateway.budget import BudgetPolicy
from higherself.notion.gateway.lanes import LANES as LANES
from higherself.notion.gateway.lanes import Granted, Held
from higherself.notion.gateway.lanes import Lane as Lane

JsonObject = dict[str, Any]
"""A JSON object of Notion's. Its fields are those of Notion's reference; unknown ones may come."""

Query = Mapping[str, str | int | bool | Sequence[str]]
"""The part of an address after its ``?``. A sequence repeats the name."""


class Budget(Protocol):
    """The requests that a token may still make, for all processes together."""

    @property
    def policy(self) -> BudgetPolicy:
        """Its size."""
        ...

    async def take(self, lane: Lane, most: int) -> tuple[Granted | Held, int]:
        """Take up to ``most`` requests; return them, and the number of the grant."""
        ...

    async def give_back(self, grant: int, requests: int) -> None:
        """Return requests of a grant that were not made."""
        ...

    async def pause(self, wait: timedelta, reason: str) -> None:
        """Let no request of any process leave for ``wait``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A write that is to happen once. ``children`` are ids of what it made inside ``target``."""

    key: str
    kind: str
    target: str
    sent: str
    intended_at: datetime
    sent_at: datetime | None
    sent_ago: timedelta
    done: bool
    result: str | None
    children: tuple[str, ...]


class Intents(Protocol):
    """Remembers which writes were begun and how they ended."""

    async def begin(self, key: str, kind: str, target: str, sent: str) -> Intent:
        """Remember a write before it is sent; return what is remembered of it."""
        ...

    async def sending(self, intent: Intent, sender: str) -> bool:
        """Note that it leaves now; False if another has sent it since ``intent`` was read."""
        ...

    async def not_sent(self, key: str) -> None:
        """Note that nothing was written, so that it may be sent again at once."""
        ...

    async def done(self, key: str, result: str | None, children: Sequence[str]) -> bool:
        """Note what it made; False if that belongs to another write already."""
        ...

    async def forget(self, key: str) -> None:
        """Forget a write that was refused."""
        ...

    async def claimed(self, ids: Sequence[str], since: datetime) -> set[str]:
        """Return those of ``ids`` that writes are known to have made since then."""
        ...

    async def is_done(self, key: str) -> bool:
        """Return whether a write was done."""
        ...

    async def under_way(self, target: str) -> bool:
        """Return whether a write to ``target`` was begun and has not ended."""
        ...


class EchoBook(Protocol):
    """Remembers what pages were like after we wrote them."""

    async def remember(self, page: str, kind: str, hash: str) -> None:
        """Remember that ``page`` is so because we wrote it."""
        ...

    async def seen(self, page: str, kind: str, hash: str) -> bool:
        """Return whether we have written ``page`` so."""
        ...
