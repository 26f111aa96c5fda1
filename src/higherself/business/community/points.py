"""What members of the community do, as points: scores, levels, and what they get for them. Pure.

A score never falls by doing something, and is at most 100. The first thing that somebody does makes
it 10 (or what that is worth, if it is more).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from higherself.kernel.errors import Rejected

POINTS: Mapping[str, int] = {"post": 10, "comment": 5, "reaction": 2, "login": 1}
"""What an activity is worth; a business may have others (`settings.points`)."""

FIRST = 10
MOST = 100
LEVELS: Mapping[str, int] = {"new": 0, "active": 20, "engaged": 50, "champion": 80}
"""From which score on a member is what."""


class PointsRejected(Rejected):
    """The rules for points are not as they have to be."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A member's score after what was done, how it came about, and whether the level has changed."""

    score: int
    level: str
    earned: int
    previous_level: str
    unknown: tuple[str, ...] = ()

    @property
    def risen(self) -> bool:
        """Whether the member has reached another level."""
        return self.level != self.previous_level


@dataclass(frozen=True, slots=True)
class Reward:
    """Something that a member gets from a score on."""

    name: str
    points: int
    redeemed: int = 0
    most: int | None = None


def scored(
    score: int | None,
    activities: Sequence[str],
    *,
    points: Mapping[str, int] | None = None,
    levels: Mapping[str, int] | None = None,
    most: int = MOST,
) -> Scored:
    """Return the score after ``activities``; None is somebody who has not done anything so far.

    What no points are known for earns none, and is told.

    >>> scored(None, ["comment"]).score, scored(10, ["post", "reaction"]).score
    (10, 22)
    """
    worth, steps = _checked("points", points or POINTS), _checked("levels", levels or LEVELS)
    before = min(max(score or 0, 0), most)
    unknown = tuple(dict.fromkeys(each for each in activities if each not in worth))
    total = before
    known = [each for each in activities if each in worth]
    for place, each in enumerate(known):
        first = score is None and place == 0
        total = min(most, max(FIRST, worth[each]) if first else total + worth[each])
    return Scored(total, level_of(total, steps), total - before, level_of(before, steps), unknown)


def level_of(score: int, levels: Mapping[str, int] | None = None) -> str:
    """Return the highest level that a score reaches."""
    steps = levels or LEVELS
    reached = [name for name in steps if steps[name] <= score]
    return max(reached, key=lambda name: steps[name], default=min(steps, key=lambda n: steps[n]))


def rewards_due(score: int, rewards: Sequence[Reward], given: Sequence[str]) -> tuple[Reward, ...]:
    """Return what a member has reached and not got so far, the smallest first."""
    have = set(given)
    due = [
        each
        for each in rewards
        if each.points <= score
        and each.name not in have
        and (each.most is None or each.redeemed < each.most)
    ]
    return tuple(sorted(due, key=lambda each: (each.points, each.name)))


def _checked(what: str, said: Mapping[str, Any]) -> Mapping[str, int]:
    for name, value in said.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
            raise PointsRejected(f"{what}.{name}: {value!r}; say a whole number from 0 to {MOST}")
    return said
