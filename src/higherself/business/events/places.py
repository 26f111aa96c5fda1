"""Who comes to an event: places, the waiting list, and who was there. Pure.

A roll never has more people than there are places, and nobody waits while a place is free. Who
waits longest moves up first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from higherself.business.data.contacts import normal_email
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject

Outcome = Literal["registered", "waiting", "already_registered", "already_waiting", "refused"]

MOST_PEOPLE = 5_000


class RollRejected(Rejected):
    """A roll, or what is asked of it, is not as it has to be."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who wants to come. ``email`` tells people apart, however it is written."""

    email: str
    name: str = ""
    contact: str | None = None

    @property
    def key(self) -> str:
        """By what two entries are the same person."""
        return normal_email(self.email) or self.email.strip().lower()

    def to_json(self) -> JsonObject:
        """Return the person as it is kept."""
        kept: dict[str, Any] = {"email": self.email, "name": self.name}
        return kept if self.contact is None else {**kept, "contact": self.contact}


@dataclass(frozen=True, slots=True)
class Roll:
    """Those who have a place, those who wait for one (the first waits longest), and those who came."""

    registered: tuple[Person, ...] = ()
    waiting: tuple[Person, ...] = ()
    attended: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """Return the roll as it is kept."""
        return {
            "registered": [each.to_json() for each in self.registered],
            "waiting": [each.to_json() for each in self.waiting],
            "attended": list(self.attended),
        }


@dataclass(frozen=True, slots=True)
class Placed:
    """What came of a request: the new roll, and who moved up from the waiting list by it."""

    roll: Roll
    outcome: Outcome
    reason: str = ""
    promoted: tuple[Person, ...] = field(default=())


def read_roll(said: Mapping[str, Any] | None) -> Roll:
    """Return the roll that `Roll.to_json` made; an empty one of nothing.

    Raises
        RollRejected: it is none.
    """
    said = said or {}
    try:
        return Roll(
            tuple(_read(each) for each in said.get("registered") or ()),
            tuple(_read(each) for each in said.get("waiting") or ()),
            tuple(str(each) for each in said.get("attended") or ()),
        )
    except (TypeError, KeyError, AttributeError):
        raise RollRejected(
            "roll: say {registered: [{email, name}], waiting: [...], attended: [...]}"
        ) from None


def register(
    roll: Roll, person: Person, *, capacity: int, most_waiting: int = 50, open_: bool = True
) -> Placed:
    """Return what becomes of somebody who wants to come. Asking twice changes nothing.

    >>> ana, bob = Person("ana@example.org"), Person("bob@example.org")
    >>> first = register(Roll(), ana, capacity=1)
    >>> first.outcome, register(first.roll, bob, capacity=1).outcome
    ('registered', 'waiting')
    """
    _check(capacity)
    if normal_email(person.email) is None:
        return Placed(roll, "refused", f"{person.email!r} is no e-mail address")
    if _among(person.key, roll.registered):
        return Placed(roll, "already_registered")
    if _among(person.key, roll.waiting):
        return Placed(roll, "already_waiting")
    if not open_:
        return Placed(roll, "refused", "the registration is closed")
    if len(roll.registered) < capacity and not roll.waiting:
        return Placed(replace(roll, registered=(*roll.registered, person)), "registered")
    if len(roll.waiting) >= most_waiting:
        return Placed(
            roll, "refused", f"all {capacity} places are taken, and the waiting list is full"
        )
    return Placed(replace(roll, waiting=(*roll.waiting, person)), "waiting")


def withdraw(roll: Roll, email: str, *, capacity: int) -> tuple[Roll, bool, tuple[Person, ...]]:
    """Return the roll without somebody, whether they were on it, and who has moved up."""
    key = Person(email).key
    kept = replace(
        roll,
        registered=tuple(each for each in roll.registered if each.key != key),
        waiting=tuple(each for each in roll.waiting if each.key != key),
    )
    was_there = len(kept.registered) + len(kept.waiting) < len(roll.registered) + len(roll.waiting)
    moved, promoted = promote(kept, capacity=capacity)
    return moved, was_there, promoted


def promote(roll: Roll, *, capacity: int) -> tuple[Roll, tuple[Person, ...]]:
    """Return the roll when everybody has moved up for whom there is a place, and who has.

    Nobody who has a place loses it when there are fewer than before.
    """
    _check(capacity)
    free = max(0, capacity - len(roll.registered))
    up = roll.waiting[:free]
    return replace(roll, registered=(*roll.registered, *up), waiting=roll.waiting[free:]), up


def attend(roll: Roll, emails: Sequence[str]) -> Roll:
    """Return the roll with those noted who came; who had no place is noted, too."""
    keys = dict.fromkeys((*roll.attended, *(Person(each).key for each in emails)))
    return replace(roll, attended=tuple(keys))


def absent(roll: Roll) -> tuple[Person, ...]:
    """Return who had a place and did not come."""
    came = set(roll.attended)
    return tuple(each for each in roll.registered if each.key not in came)


def _among(key: str, people: Sequence[Person]) -> bool:
    return any(each.key == key for each in people)


def _check(capacity: int) -> None:
    if not 1 <= capacity <= MOST_PEOPLE:
        raise RollRejected(f"capacity: {capacity}; say 1 to {MOST_PEOPLE:,}")


def _read(said: Mapping[str, Any]) -> Person:
    contact = said.get("contact")
    return Person(str(said["email"]), str(said.get("name") or ""), contact and str(contact))
