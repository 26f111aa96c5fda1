"""How engaged somebody is, by the rules of a business: points for what they did, raised by how often. Pure.

Two sets of rules: those of HigherSelf (activities, the share of days on which somebody was active,
roles and tier), and those of a community (activities alone, at most 100; `business/community`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from higherself.business.insight.leads import Reason
from higherself.kernel.errors import Rejected


class EngagementRejected(Rejected):
    """What is said of somebody cannot be reckoned with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What activities, roles and tiers are worth.

    ``regular`` are shares of active days with what they raise the points for activities by, in
    hundredths, the highest first. ``first``: the first activity makes at least so many.
    """

    activities: Mapping[str, int]
    roles: Mapping[str, int] = field(default_factory=dict)
    tiers: Mapping[str, int] = field(default_factory=dict)
    regular: tuple[tuple[float, int], ...] = ()
    first: int = 0
    cap: int | None = None
    levels: Mapping[str, int] = field(default_factory=dict)


HIGHERSELF = Rules(
    activities={
        "post": 10, "comment": 5, "event": 15, "share": 8, "profile": 3, "login": 1,
        "course": 20, "mentor_session": 25,
    },
    roles={"mentor": 30, "creator": 20, "organiser": 25},
    tiers={"premium": 15, "vip": 25, "lifetime": 35},
    regular=((0.5, 120), (0.3, 110)),
    levels={"quiet": 0, "active": 50, "engaged": 150, "champion": 400},
)  # fmt: skip
COMMUNITY = Rules(
    activities={"post": 10, "comment": 5, "reaction": 2, "login": 1},
    first=10,
    cap=100,
    levels={"quiet": 0, "active": 20, "engaged": 50, "champion": 80},
)
BUSINESSES: Mapping[str, Rules] = {"higherself": HIGHERSELF}

MOST_TIMES = 1_000_000


@dataclass(frozen=True, slots=True)
class Engagement:
    """A score, its level and reasons; ``unknown`` is what nothing is known to be worth."""

    score: int
    level: str
    reasons: tuple[Reason, ...]
    unknown: tuple[str, ...] = ()


def rules(entity: str) -> Rules:
    """Return the rules of a business."""
    return BUSINESSES.get(entity, COMMUNITY)


def rated(member: Mapping[str, Any], by: Rules) -> Engagement:
    """Return how engaged a member is.

    ``activities`` counts them by kind, or lists them; ``active_days`` of ``days`` say how regular
    they are; ``roles`` is a list, ``tier`` a word.

    Raises
        EngagementRejected: naming the field.

    >>> rated({"activities": {"post": 2, "comment": 1}, "active_days": 20, "days": 30}, HIGHERSELF).score
    30
    >>> rated({"activities": ["comment"]}, COMMUNITY).score
    10
    """
    counts = _counts(member.get("activities"))
    reasons = [
        Reason(by.activities[kind] * times, f"{times} x {kind}")
        for kind, times in counts.items()
        if kind in by.activities and times
    ]
    unknown = [kind for kind in counts if kind not in by.activities]
    earned = sum(each.points for each in reasons)
    if reasons and earned < by.first:
        reasons.append(Reason(by.first - earned, "the first activity"))
        earned = by.first
    share = _share(member)
    raised = next((hundredths for least, hundredths in by.regular if share > least), 100)
    if raised > 100 and earned:
        more = earned * raised // 100 - earned
        reasons.append(Reason(more, f"active on {share:.0%} of the days"))
    for role in _words(member, "roles"):
        if role in by.roles:
            reasons.append(Reason(by.roles[role], f"a {role}"))
        elif by.roles:
            unknown.append(role)
    tier = str(member.get("tier") or "").lower()
    if tier in by.tiers:
        reasons.append(Reason(by.tiers[tier], f"{tier} member"))
    total = sum(each.points for each in reasons)
    score = total if by.cap is None else min(by.cap, total)
    level = max(by.levels, key=lambda name: (by.levels[name] <= score, by.levels[name]))
    return Engagement(score, level, tuple(reasons), tuple(dict.fromkeys(unknown)))


def _counts(said: Any) -> dict[str, int]:
    if said is None:
        return {}
    if isinstance(said, list | tuple):
        counted: dict[str, int] = {}
        for each in said:
            counted[str(each)] = counted.get(str(each), 0) + 1
        return counted
    if not isinstance(said, Mapping):
        raise EngagementRejected("activities: count them by kind, {post: 3}, or list them")
    for kind, times in said.items():
        if not isinstance(times, int) or isinstance(times, bool) or not 0 <= times <= MOST_TIMES:
            raise EngagementRejected(f"activities.{kind}: {times!r} is no number of times")
    return dict(said)


def _share(member: Mapping[str, Any]) -> float:
    active, days = member.get("active_days"), member.get("days")
    if active is None or days is None:
        return 0.0
    for name, value in (("active_days", active), ("days", days)):
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            raise EngagementRejected(f"{name}: {value!r} is no number of days")
    return min(1.0, active / days) if days else 0.0


def _words(member: Mapping[str, Any], name: str) -> list[str]:
    said = member.get(name) or []
    if not isinstance(said, list | tuple):
        raise EngagementRejected(f"{name}: a list of words is needed")
    return [str(each).lower() for each in dict.fromkeys(said)]
