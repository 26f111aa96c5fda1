"""Durations as people write them, such as ``3d``. Pure."""

import re
from datetime import timedelta

_UNITS = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_DURATION = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>ms|[smhdw])")

LONGEST = timedelta(days=36_525)  # a hundred years


def duration_of(text: str) -> timedelta:
    """Return how long ``text`` is: a whole number and ms, s, m, h, d or w.

    Raises
        ValueError: it is no such thing, or not from 1 ms to a hundred years; the text says which.

    >>> duration_of("3d")
    datetime.timedelta(days=3)
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is no duration; write a whole number and ms, s, m, h, d or w, for example 30s"
        )
    duration = int(found["number"]) * _UNITS[found["unit"]]
    if not timedelta(0) < duration <= LONGEST:
        raise ValueError(f"{text} is not from 1ms to a hundred years")
    return duration


def text_of(duration: timedelta) -> str:
    """Return ``duration`` in the largest unit that leaves no rest; the inverse of `duration_of`.

    >>> text_of(timedelta(hours=48)), text_of(timedelta(seconds=90))
    ('2d', '90s')
    """
    name, unit = next(
        (name, unit) for name, unit in _UNITS.items() if not duration % unit or name == "ms"
    )
    return f"{duration // unit}{name}"
