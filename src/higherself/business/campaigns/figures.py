"""What came of a campaign: rates from counts, and how it stands to its goals. Pure."""

from collections.abc import Mapping
from typing import Any

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject

COUNTS = (
    "sent", "held", "dropped", "failed", "bounced", "opened", "clicked", "replied",
    "unsubscribed", "subscribed", "bookings",
)  # fmt: skip
"""What is counted of a campaign."""

_RATES = {
    "open_rate": "opened", "click_rate": "clicked", "reply_rate": "replied",
    "unsubscribe_rate": "unsubscribed", "conversion_rate": "bookings",
}  # fmt: skip


class FiguresRejected(Rejected):
    """A count is none."""


def added(counts: Mapping[str, Any] | None, more: Mapping[str, Any] | None) -> JsonObject:
    """Return counts with more of them added. What is not counted is left out.

    Raises
        FiguresRejected: one is no whole number from 0.

    >>> added({"sent": 2, "opened": 1}, {"sent": 3, "color": "red"})
    {'sent': 5, 'opened': 1}
    """
    return {
        name: total
        for name in COUNTS
        if (total := _count(counts, name) + _count(more, name)) or name in (counts or {})
    }


def latest(counts: Mapping[str, Any] | None, told: Mapping[str, Any] | None) -> JsonObject:
    """Return counts as a provider tells them: totals that replace earlier ones, and never shrink."""
    return {
        name: total
        for name in COUNTS
        if (total := max(_count(counts, name), _count(told, name))) or name in (counts or {})
    }


def figures(counts: Mapping[str, Any], goals: Mapping[str, float] | None = None) -> JsonObject:
    """Return the counts with their rates (of what was delivered), and the goals that were met.

    >>> figures({"sent": 10, "bounced": 2, "opened": 4}, {"open_rate": 0.4})["open_rate"]
    0.5
    """
    plain = added(counts, None)
    delivered = max(0, _count(plain, "sent") - _count(plain, "bounced"))
    rates = {
        rate: round(min(1.0, _count(plain, of) / delivered), 4) if delivered else None
        for rate, of in _RATES.items()
    }
    known: dict[str, Any] = {**plain, "delivered": delivered, **rates}
    met = {
        name: known.get(name) is not None and known[name] >= goal
        for name, goal in (goals or {}).items()
    }
    return {**known, "goals": met}


def _count(counts: Mapping[str, Any] | None, name: str) -> int:
    value = (counts or {}).get(name, 0)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or value % 1:
        raise FiguresRejected(f"{name}: {value!r} is no count; say a whole number from 0")
    return int(value)
