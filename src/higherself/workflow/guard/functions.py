"""The functions of the language. What is not here cannot be called."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from higherself.workflow.guard.values import (
    NUMBERS,
    Instant,
    Refused,
    Run,
    contains,
    in_range,
    kind_of,
    moment,
    ordered,
    seconds_between,
    whole,
)

_SECONDS_IN_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Function:
    """A function: how it is written, how many arguments it takes, what it returns and does.

    ``kind`` is the type of the result in `kind_of`'s words, or None if the data decide. ``call``
    is None for a function that looks at its arguments' fields rather than their values.
    """

    signature: str
    meaning: str
    kind: str | None
    call: Callable[..., Any] | None
    fewest: int = 1
    most: int = 1

    @property
    def name(self) -> str:
        """The name it is called by."""
        return self.signature.partition("(")[0]


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Refused(f"{name}() needs a text, not {kind_of(value)}")
    return value


def _len(run: Run, value: Any) -> int:
    if isinstance(value, str | list | dict):
        return len(value)
    raise Refused(f"len() needs a text, a list or an object, not {kind_of(value)}")


def _is_empty(run: Run, value: Any) -> bool:
    if value is None:
        return True
    if isinstance(value, str | list | dict):
        return not value
    raise Refused(f"is_empty() needs a text, a list, an object or null, not {kind_of(value)}")


def _lower(run: Run, value: Any) -> str:
    text = _text("lower", value)
    run.charge_text(text)
    if not text.isascii():  # takes ten times as long, and these two ten times that, measured
        run.charge(len(text) // 8 + (text.count("İ") + text.count("Σ")) // 2)
    return text.lower()


def _upper(run: Run, value: Any) -> str:
    text = _text("upper", value)
    run.charge_text(text)
    if not text.isascii():  # some become several letters, which takes a hundred times as long
        run.charge((len(text.encode("utf-8", "surrogatepass")) - len(text)) // 2)
    return text.upper()


def _startswith(run: Run, value: Any, start: Any) -> bool:
    text, start = _text("startswith", value), _text("startswith", start)
    run.charge_text(start)
    return text.startswith(start)


def _endswith(run: Run, value: Any, end: Any) -> bool:
    text, end = _text("endswith", value), _text("endswith", end)
    run.charge_text(end)
    return text.endswith(end)


def _contains(run: Run, box: Any, value: Any) -> bool:
    return contains(box, value, run)


def _matches_glob(run: Run, value: Any, pattern: Any) -> bool:
    """Each piece between stars is looked for from where the one before ended: that is enough."""
    text, pattern = _text("matches_glob", value), _text("matches_glob", pattern)
    run.charge_text(pattern)
    first, *others = map(_Piece, pattern.split("*"))
    if not others:
        return len(text) == first.length and first.is_at(run, text, 0)
    *middle, last = others
    at, end = first.length, len(text) - last.length
    if at > end or not (first.is_at(run, text, 0) and last.is_at(run, text, end)):
        return False
    for piece in middle:
        found = piece.first_in(run, text, at, end)
        if found < 0:
            return False
        at = found + piece.length
    return True


class _Piece:
    """A part of a pattern without stars: texts, and where in it they are."""

    __slots__ = ("length", "texts")

    def __init__(self, piece: str) -> None:
        self.length = len(piece)
        self.texts: list[tuple[int, str]] = []
        at = 0
        for text in piece.split("?"):
            if text:
                self.texts.append((at, text))
            at += len(text) + 1

    def is_at(self, run: Run, text: str, at: int) -> bool:
        run.charge(3 + 2 * len(self.texts) + self.length // 16)
        for offset, part in self.texts:  # noqa: SIM110  a generator would take half as long again
            if not text.startswith(part, at + offset):
                return False
        return True

    def first_in(self, run: Run, text: str, start: int, end: int) -> int:
        """Return where the piece first is in ``text[start:end]``, or -1."""
        if not self.texts:
            return start if start + self.length <= end else -1
        offset, part = self.texts[0]
        last = end - self.length + offset + len(part)  # where the first text ends at the latest
        at = start + offset
        while True:
            run.charge_search(last - at, len(part))
            at = text.find(part, at, last)
            if at < 0 or self.is_at(run, text, at - offset):
                return at - offset if at >= 0 else -1
            at += 1


def _extreme(name: str, sign: str, compare: Callable[[Any, Any], bool]) -> Callable[..., Any]:
    def extreme(run: Run, *values: Any) -> Any:
        if len(values) == 1:
            if type(values[0]) is not list:
                raise Refused(f"{name}() of one value needs a list, not {kind_of(values[0])}")
            values = tuple(values[0])
        if not values:
            raise Refused(f"an empty list has no {name}()")
        run.charge(3 * len(values))
        best = values[0]
        for value in values:
            if ordered(compare, f"{name}()", value, best, run):
                best = value
        return best

    return extreme


def _abs(run: Run, value: Any) -> Any:
    if type(value) not in NUMBERS:
        raise Refused(f"abs() needs a number, not {kind_of(value)}")
    return abs(value)


_JSON_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")


def _number(run: Run, value: Any) -> Any:
    if type(value) in NUMBERS:
        return value
    text = _text("number", value).strip() if len(_text("number", value)) <= 100 else ""
    if not _JSON_NUMBER.fullmatch(text):
        raise Refused(f"{value[:40]!r} is not a number")
    number = int(text) if text.lstrip("-").isdigit() else float(text)
    if not in_range(number):
        raise Refused("this number is too large")
    return number


def _now(run: Run) -> Instant:
    return Instant(run.now)


def _time(run: Run, value: Any) -> Instant:
    return value if isinstance(value, Instant) else Instant(moment(value, run))


def _seconds_between(run: Run, one: Any, other: Any) -> float:
    return seconds_between(one, other, run)


def _days_between(run: Run, one: Any, other: Any) -> float:
    return whole(seconds_between(one, other, run) / _SECONDS_IN_A_DAY)


_BOOLEAN, _NUMBER, _TEXT, _TIME = "true or false", "a number", "a text", "a time"

FUNCTIONS = {
    function.name: function
    for function in (
        Function("has(field)", "whether the field is there; null is there", _BOOLEAN, None),
        Function(
            "default(field, value)",
            "the field, or the value if it is missing or null",
            None,
            None,
            2,
            2,
        ),
        Function(
            "is_empty(value)",
            "whether a text, list or object is empty, or null",
            _BOOLEAN,
            _is_empty,
        ),
        Function(
            "len(value)", "characters of a text, items of a list, keys of an object", _NUMBER, _len
        ),
        Function("lower(text)", "the text in small letters", _TEXT, _lower),
        Function("upper(text)", "the text in capital letters", _TEXT, _upper),
        Function(
            "startswith(text, start)", "whether the text begins so", _BOOLEAN, _startswith, 2, 2
        ),
        Function("endswith(text, end)", "whether the text ends so", _BOOLEAN, _endswith, 2, 2),
        Function("contains(value, part)", "the same as `part in value`", _BOOLEAN, _contains, 2, 2),
        Function(
            "matches_glob(text, pattern)",
            "whether the whole text fits: `*` is any characters, `?` exactly one",
            _BOOLEAN,
            _matches_glob,
            2,
            2,
        ),
        Function(
            "any_of(list, condition)",
            "whether the condition holds for at least one `item`",
            _BOOLEAN,
            None,
            2,
            2,
        ),
        Function(
            "all_of(list, condition)",
            "whether the condition holds for every `item`, of which there may be none",
            _BOOLEAN,
            None,
            2,
            2,
        ),
        Function(
            "min(value, ...)",
            "the least of a list, or of several values",
            None,
            _extreme("min", "<", lambda one, other: bool(one < other)),
            most=20,
        ),
        Function(
            "max(value, ...)",
            "the greatest of a list, or of several values",
            None,
            _extreme("max", ">", lambda one, other: bool(one > other)),
            most=20,
        ),
        Function("abs(number)", "the number without its sign", _NUMBER, _abs),
        Function("number(text)", "the number that the text is", _NUMBER, _number),
        Function("now()", "the time of the evaluation", _TIME, _now, 0, 0),
        Function("time(text)", "the time that the text is, in ISO 8601", _TIME, _time),
        Function(
            "seconds_between(start, end)",
            "the seconds from one time to another",
            _NUMBER,
            _seconds_between,
            2,
            2,
        ),
        Function(
            "days_between(start, end)",
            "the days of 24 hours from one time to another, with their fraction",
            _NUMBER,
            _days_between,
            2,
            2,
        ),
    )
}
"""Every function, by its name."""
