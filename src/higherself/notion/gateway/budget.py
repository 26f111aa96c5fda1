"""How many requests a token may make, and who comes first. Pure: what was granted comes in.

Notion counts requests in windows of 60 seconds of its own, whose beginning nobody knows. So we
count in a window that slides: in no 60 seconds, wherever they begin, is there more than the plan
allows. A granted request may leave a moment later, and be on its way for a moment; the window is
that much longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from higherself.notion.gateway.lanes import Granted, Held, Lane

PER_MINUTE = {"free": 180, "plus": 180, "business": 600, "enterprise": 600}
"""Requests in 60 seconds, by plan (Notion's reference, "Request limits", 2026)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetPolicy:
    """The size of the budget, and its parts.

    ``requests`` may leave in ``window``. What is granted has to leave within ``life``; ``margin``
    is how much longer one request may be on its way than another. ``kept`` is the share that a
    lane leaves to those before it.
    """

    requests: int
    window: timedelta = timedelta(seconds=60)
    life: timedelta = timedelta(milliseconds=500)
    margin: timedelta = timedelta(seconds=1)
    kept_for_live: float = 0.2
    kept_for_announced: float = 0.1

    def share(self, lane: Lane) -> int:
        """Return up to how many requests in the window a lane may add its own.

        >>> [BudgetPolicy(requests=180).share(lane) for lane in ("live", "webhook", "backfill")]
        [180, 162, 144]
        """
        kept = {
            "live": 0.0,
            "webhook": self.kept_for_announced,
            "backfill": self.kept_for_live,
        }[lane]
        return max(1, self.requests - int(self.requests * kept))

    @property
    def whole(self) -> timedelta:
        """How long a grant counts."""
        return self.window + self.life + self.margin

    @property
    def portion(self) -> int:
        """The most requests that are granted at once."""
        return max(1, min(self.requests // 20, 250))


def for_plan(plan: str) -> BudgetPolicy:
    """Return the policy for a plan of Notion's."""
    return BudgetPolicy(requests=PER_MINUTE[plan])


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What is written down of a token: its grants, the oldest first, its pause, who waits."""

    now: datetime
    grants: Sequence[tuple[datetime, int]]
    paused_until: datetime | None = None
    reason: str | None = None
    live_waits_until: datetime | None = None
    announced_waits_until: datetime | None = None


TURN = timedelta(seconds=1)
"""How long after a lane's turn has come others still let it go first."""


def decide(policy: BudgetPolicy, books: Books, lane: Lane, most: int) -> Granted | Held:
    """Return how many of ``most`` requests may leave, or how long to wait before asking again."""
    now = books.now
    if books.paused_until is not None and now < books.paused_until:
        return Held(books.paused_until - now, books.reason or "Notion asked for a pause")
    before = {
        "live": (),
        "webhook": (books.live_waits_until,),
        "backfill": (books.live_waits_until, books.announced_waits_until),
    }[lane]
    waits = [until for until in before if until is not None and now < until]
    if waits:
        return Held(max(waits) - now)
    counted = [(at, n) for at, n in books.grants if n > 0 and at + policy.whole > now]
    used = sum(n for _, n in counted)
    if (left := policy.share(lane) - used) > 0:
        taken = min(most, left)
        return Granted(taken, policy.requests - used - taken)
    for at, requests in counted:
        used -= requests
        if used < policy.share(lane):
            return Held(at + policy.whole - now)
    raise AssertionError("unreachable: with nothing used, something is left")
