"""What to carry over between a row and its page, from what both last agreed on. Pure.

Each field is decided by itself. A field that one side alone has changed goes to the other side. If
both have, and differ, its policy decides who wins; the value that loses is in the plan, so that
whoever carries it out can keep it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from higherself.kernel.jsonvalue import JsonValue
from higherself.notion.databases.declaration import Policy

Values = Mapping[str, JsonValue]
"""Values of fields, in the one form in which both sides write them (`notion.fields`)."""

Side = Literal["here", "there"]
"""here: PostgreSQL; there: Notion."""

_NOTHING: tuple[JsonValue, ...] = (None, "", [], False)


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """Both sides changed a field; ``winner`` is None if a person is to decide."""

    column: str
    base: JsonValue
    here: JsonValue
    there: JsonValue
    winner: Side | None


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What goes there, what comes here, what was in conflict, and what is agreed on afterwards.

    ``agreed`` is the next base. It holds once pushes and pulls have been carried out.
    """

    pushes: Values = field(default_factory=dict)
    pulls: Values = field(default_factory=dict)
    conflicts: tuple[FieldConflict, ...] = ()
    agreed: Values = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """Whether both sides are as they should be."""
        return not (self.pushes or self.pulls)


def plan(
    base: Values,
    here: Values,
    there: Values,
    policies: Mapping[str, Policy],
    *,
    newer: Mapping[str, Side] | None = None,
    paused: Collection[str] = (),
) -> SyncPlan:
    """Return what to do about the fields that have a policy.

    ``newer`` says which side changed a field later, where that is known to be ``here``; otherwise
    Notion counts as the later one. A field that is ``paused``, or that one side does not have,
    stays as it is. A field without a base was never agreed on: then an empty value is no change.

    >>> plan({"city": "Rome"}, {"city": "Rome"}, {"city": "Bari"}, {"city": "newest"}).pulls
    {'city': 'Bari'}
    """
    pushes: dict[str, JsonValue] = {}
    pulls: dict[str, JsonValue] = {}
    conflicts: list[FieldConflict] = []
    agreed = dict(base)
    for column, policy in policies.items():
        if column in paused or column not in here or column not in there:
            continue
        winner, conflict = _decide(column, base, here[column], there[column], policy, newer or {})
        if conflict is not None:
            conflicts.append(conflict)
        if winner is None:
            continue
        agreed[column] = here[column] if winner == "here" else there[column]
        if here[column] == there[column]:
            continue
        if winner == "here":
            pushes[column] = here[column]
        else:
            pulls[column] = there[column]
    return SyncPlan(pushes, pulls, tuple(conflicts), agreed)


def _decide(
    column: str,
    base: Values,
    here: JsonValue,
    there: JsonValue,
    policy: Policy,
    newer: Mapping[str, Side],
) -> tuple[Side | None, FieldConflict | None]:
    """Return who wins, and the conflict if both have changed it (or what is not his to change)."""
    if here == there:
        return "here", None
    known = column in base
    before = base.get(column)
    changed_here = here != before if known else here not in _NOTHING
    changed_there = there != before if known else there not in _NOTHING
    if policy == "server_only":
        lost = FieldConflict(column, before, here, there, "here") if changed_there else None
        return "here", lost
    if not changed_there:
        return "here", None
    if not changed_here:
        return "there", None
    winner: Side | None
    match policy:
        case "notion":
            winner = "there"
        case "server":
            winner = "here"
        case "newest":
            winner = newer.get(column, "there")
        case "manual":
            winner = None
    return winner, FieldConflict(column, before, here, there, winner)
