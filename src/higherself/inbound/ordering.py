"""What is known of a subject, and what news of it changes: the same in whatever order it comes. Pure.

Deliveries overtake each other. So a subject is opened once, by whatever is heard of it first; each
milestone is reached once, however late one hears of it; and of its states the latest counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from higherself.kernel.jsonvalue import JsonObject

Kind = Literal["opened", "milestone", "state"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One state of a subject, as a delivery tells of it.

    ``at`` is when it was so; ``is_dated``: by the source's own clock, not by when we heard. Without
    a ``state`` it only says that the subject is there. ``complete``: it says enough to open it with.
    """

    state: str | None
    at: datetime
    is_dated: bool
    data: JsonObject
    complete: bool = True
    final: frozenset[str] = frozenset()
    milestones: Mapping[str, str] | None = None
    opens: str | None = None
    happening: str | None = None

    @property
    def rank(self) -> tuple[datetime, bool, str]:
        """In which order states are: by time, then final ones last, then by name."""
        return self.at, self.state in self.final, self.state or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is known of a subject. ``missed`` is the state that it had before it could be opened."""

    opened: bool = False
    state: str | None = None
    at: datetime | None = None
    is_dated: bool = False
    is_final: bool = False
    reached: frozenset[str] = frozenset()
    missed: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Something that is to be announced. ``key`` names it once and for all within its subject."""

    kind: Kind
    type: str
    key: str
    data: JsonObject


NOTHING_KNOWN = Standing()


def learn(standing: Standing, told: Told) -> tuple[Standing, tuple[Step, ...]]:
    """Return what is known after ``told``, and what is to be announced of it, in order."""
    steps: list[Step] = []
    newer = _is_newer(standing, told)
    opens = told.opens is not None and not standing.opened and told.complete
    if opens and told.opens is not None:
        steps.append(Step("opened", told.opens, told.opens, told.data))
    reached = standing.reached
    milestone = (told.milestones or {}).get(told.state or "")
    if milestone is not None and milestone not in reached:
        steps.append(Step("milestone", milestone, milestone, told.data))
        reached |= {milestone}
    after = replace(standing, opened=standing.opened or opens, reached=reached)
    # What it is opened with says its state, too: to announce that again would tell nothing new.
    if newer and told.state is not None:
        is_change = told.state != standing.state or not told.is_dated or told.at != standing.at
        missed: JsonObject | None = None
        if told.happening is not None and not opens and is_change:
            steps.append(_state_step(told.happening, told.state, told.at, told.data))
        if not after.opened and told.opens is not None:
            missed = {"state": told.state, "at": told.at.isoformat(), "data": told.data}
        after = replace(
            after,
            state=told.state,
            at=told.at,
            is_dated=told.is_dated,
            is_final=told.state in told.final,
            missed=missed,
        )
    elif opens and standing.missed is not None and told.happening is not None:
        at = datetime.fromisoformat(str(standing.missed["at"]))
        data = standing.missed["data"]
        again = data if isinstance(data, Mapping) else {}
        step = _state_step(told.happening, str(standing.missed["state"]), at, again)
        steps.append(replace(step, key=f"{step.key}/again"))
        after = replace(after, missed=None)
    return after, tuple(steps)


def _state_step(type_: str, state: str, at: datetime, data: JsonObject) -> Step:
    return Step("state", type_, f"{type_}/{state}/{at.isoformat()}", data)


def _is_newer(standing: Standing, told: Told) -> bool:
    """Return whether ``told`` is a later state than the one that is known."""
    if told.state is None:
        return False
    if standing.state is None or standing.at is None:
        return True
    if standing.is_final and not told.is_dated:
        return False  # when we heard of it says nothing about when it was
    known = (standing.at, standing.is_final, standing.state)
    return told.rank > known
