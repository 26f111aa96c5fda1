"""Who belongs together: segments of contacts, each a condition over one. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject
from higherself.workflow.guard import ExpressionFailed, Guard, InvalidExpression, compile_guard

MOST_SEGMENTS = 100


class SegmentRejected(Rejected):
    """The condition of a segment is none."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Contacts of one kind, by their places in the list. ``unclear``: for whom a field is missing."""

    name: str
    members: tuple[int, ...]
    unclear: tuple[int, ...]


def segmented(
    contacts: Sequence[JsonObject], definitions: Mapping[str, str], *, now: datetime
) -> list[Segment]:
    """Return a segment for each of ``definitions``: its name, and a condition over ``contact``.

    A contact may be in several, or in none. One of which a field is missing that a condition asks
    for is in doubt, and not a member; ``has(contact.field)`` asks for that.

    Raises
        SegmentRejected: a condition is none; the text names the segment.

    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 1, tzinfo=UTC)
    >>> segmented([{"visits": 3}, {"visits": 1}, {}], {"regulars": "contact.visits > 2"}, now=now)
    [Segment(name='regulars', members=(0,), unclear=(2,))]
    """
    if len(definitions) > MOST_SEGMENTS:
        raise SegmentRejected(
            f"{len(definitions)} segments, and {MOST_SEGMENTS} are allowed at once"
        )
    guards = {name: _guard(name, text) for name, text in definitions.items()}
    return [_segment(name, guard, contacts, now) for name, guard in guards.items()]


def _guard(name: str, text: str) -> Guard:
    try:
        return compile_guard(text)
    except InvalidExpression as error:
        raise SegmentRejected(f"segment {name}: {error}") from None


def _segment(name: str, guard: Guard, contacts: Sequence[JsonObject], now: datetime) -> Segment:
    members: list[int] = []
    unclear: list[int] = []
    for place, contact in enumerate(contacts):
        try:
            if guard({"contact": contact}, now):
                members.append(place)
        except ExpressionFailed:
            unclear.append(place)
    return Segment(name, tuple(members), tuple(unclear))
