"""What can be done with JSON values: names of their types, comparison, arithmetic, instants.

A failure here is a `Refused`, which knows nothing of places; `closures` adds where it was.
"""

import operator
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

STEPS = 10_000
"""What one evaluation may take: a step for each part, each item and each 16 characters gone through."""

NUMBERS = frozenset((int, float))
"""The types of a number. A bool is none, although Python says so."""

LARGEST_INTEGER = 2**63 - 1
_LARGEST_FLOAT = sys.float_info.max
_CHARACTERS_PER_STEP = 16
_FREE_CHARACTERS, FREE_ITEMS = 256, 8
"""What is as short as this is gone through in the part's own step."""
_SHORT_NEEDLE = 100  # characters
_LONGEST_INSTANT = 40  # characters
_STEPS_PER_INSTANT = 8
_STEPS_PER_CONTAINER, _STEPS_PER_PAIR = 6, 5


class Refused(Exception):
    """The values do not fit what was to be done with them; the text says why. Stays in here."""


class Instant(str):
    """A moment, as the text of it in UTC that everybody else sees."""

    __slots__ = ("at",)
    at: datetime

    def __new__(cls, at: datetime) -> "Instant":
        """Make the instant, or refuse one that is out of range in UTC."""
        try:
            at = at.astimezone(UTC)
        except OverflowError:
            raise Refused("this time is out of range") from None
        made = super().__new__(cls, at.isoformat())
        made.at = at
        return made


class Run:
    """One evaluation: the time, what is left to spend, and the item that is looked at.

    It has no ``__init__``, which would take longer than a comparison: `new_run` sets the first two.
    """

    __slots__ = ("item", "now", "steps")
    now: datetime
    steps: int
    item: Any

    def charge(self, steps: int) -> None:
        """Spend ``steps``, or refuse."""
        self.steps -= steps
        if self.steps < 0:
            raise Refused(f"there is too much to go through: more than {STEPS:,} steps")

    def charge_items(self, count: int) -> None:
        """Spend what it takes to go through so many items."""
        if count > FREE_ITEMS:
            self.charge(count)

    def charge_text(self, text: str) -> None:
        """Spend what it takes to go through ``text``."""
        if len(text) > _FREE_CHARACTERS:
            self.charge(len(text) // _CHARACTERS_PER_STEP)

    def charge_search(self, length: int, sought: int) -> None:
        """Spend what it takes to look for a text of length ``sought`` in one of ``length``."""
        if length > _FREE_CHARACTERS:
            self.charge(1 + length // _CHARACTERS_PER_STEP)
            if sought > _SHORT_NEEDLE:  # the worst case is quadratic then, measured
                self.charge(min(max(0, length - sought), 2_000) * sought // 1_024)


def new_run(now: datetime, steps: int) -> Run:
    """Return an evaluation that is to begin."""
    run = Run()
    run.now, run.steps = now, steps
    return run


def kind_of(value: Any) -> str:
    """Return what ``value`` is, as JSON calls it."""
    return _KINDS.get(type(value), f"a {type(value).__name__}, which is not JSON")


_KINDS: dict[type, str] = {
    str: "a text",
    Instant: "a time",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
    list: "a list",
    dict: "an object",
}


def in_range(number: float) -> bool:
    """Return whether ``number`` is finite and, if whole, has at most 64 bits."""
    limit = LARGEST_INTEGER if type(number) is int else _LARGEST_FLOAT
    return -limit <= number <= limit


# --- Comparison.


ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
"""The signs of order, and what they ask of two numbers, two texts or two instants."""


def equal(one: Any, other: Any, run: Run) -> bool:
    """Return whether two values are the same JSON: a number is never true or false."""
    first, second = type(one), type(other)
    if first in NUMBERS and second in NUMBERS:
        return bool(one == other)
    if first is str and second is str:
        if len(one) == len(other):
            run.charge_text(one)
        return bool(one == other)
    if Instant in (first, second):
        return moment(one, run) == moment(other, run)
    if first is not second:
        return False
    return _same(one, other, run) if first in (list, dict) else bool(one == other)


def _same(one: Any, other: Any, run: Run) -> bool:
    pairs: list[tuple[Any, Any]] = [(one, other)]
    for one, other in pairs:  # which grows meanwhile
        first = type(one)
        if first is not list and first is not dict:
            if not equal(one, other, run):
                return False
            continue
        alike = first is type(other) and len(one) == len(other)
        if not alike:
            return False
        run.charge(_STEPS_PER_CONTAINER + _STEPS_PER_PAIR * len(one))
        if isinstance(one, list):
            pairs += zip(one, other, strict=True)
        elif isinstance(one, dict) and one.keys() == other.keys():
            pairs += ((value, other[key]) for key, value in one.items())
        else:
            return False
    return True


def ordered(compare: Callable[[Any, Any], bool], sign: str, one: Any, other: Any, run: Run) -> bool:
    """Return whether ``compare`` holds between two numbers, two texts or two instants."""
    first, second = type(one), type(other)
    if first in NUMBERS and second in NUMBERS:
        return compare(one, other)
    if first is str and second is str:
        run.charge_text(min(one, other, key=len))
        return compare(one, other)
    if Instant in (first, second):
        return compare(moment(one, run), moment(other, run))
    raise Refused(
        f"{sign} compares two numbers or two texts, not {kind_of(one)} and {kind_of(other)}"
    )


def contains(box: Any, value: Any, run: Run) -> bool:
    """Return whether a list has an item, a text a part, or an object a key."""
    if type(box) is list:
        return _has_item(box, value, run)
    if isinstance(box, str):
        if not isinstance(value, str):
            raise Refused(f"a text can contain a text, not {kind_of(value)}")
        run.charge_search(len(box), len(value))
        return value in box
    if type(box) is dict:
        if not isinstance(value, str):
            raise Refused(f"an object's keys are texts, not {kind_of(value)}")
        return value in box
    raise Refused(f"a list, a text or an object can contain something; this is {kind_of(box)}")


def _has_item(items: list[Any], value: Any, run: Run) -> bool:
    run.charge_items(len(items))
    if type(value) is str or value is None:
        return value in items  # Python's equality differs from ours in true and false alone
    run.charge(len(items) * (_STEPS_PER_PAIR if isinstance(value, list | dict) else 1))
    return any(equal(item, value, run) for item in items)


# --- Arithmetic.


def add(one: Any, other: Any, run: Run) -> Any:
    """Return a sum, or the instant so many seconds later."""
    if type(one) in NUMBERS and type(other) in NUMBERS:
        return _number(operator.add, one, other)
    if type(one) is Instant and type(other) in NUMBERS:
        return _later(one, other)
    if type(other) is Instant and type(one) in NUMBERS:
        return _later(other, one)
    raise _not_numbers("+", one, other)


def subtract(one: Any, other: Any, run: Run) -> Any:
    """Return a difference, the seconds between two instants, or the instant so much earlier."""
    if type(one) in NUMBERS and type(other) in NUMBERS:
        return _number(operator.sub, one, other)
    if type(one) is Instant and type(other) in NUMBERS:
        return _later(one, -other)
    if Instant in (type(one), type(other)):
        return seconds_between(other, one, run)
    raise _not_numbers("-", one, other)


def multiply(one: Any, other: Any, run: Run) -> Any:
    """Return a product."""
    if type(one) in NUMBERS and type(other) in NUMBERS:
        return _number(operator.mul, one, other)
    raise _not_numbers("*", one, other)


def divide(one: Any, other: Any, run: Run) -> Any:
    """Return a quotient: whole if two whole numbers divide without a rest."""
    if type(one) not in NUMBERS or type(other) not in NUMBERS:
        raise _not_numbers("/", one, other)
    if other == 0:
        raise Refused("nothing can be divided by 0")
    if type(one) is int and type(other) is int and one % other == 0:
        return _number(operator.floordiv, one, other)
    return _number(operator.truediv, one, other)


def negative(one: Any) -> Any:
    """Return a number with its sign turned."""
    if type(one) not in NUMBERS:
        raise Refused(f"- needs a number, not {kind_of(one)}")
    return _number(operator.sub, 0, one)


def _number(calculate: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    try:
        number = calculate(one, other)
    except OverflowError:
        number = None
    if number is None or not in_range(number):
        raise Refused("the result is too large")
    return number


def _not_numbers(sign: str, one: Any, other: Any) -> Refused:
    hint = ""
    if str in (type(one), type(other)):
        hint = "; time() makes a time of a text, number() a number"
    return Refused(f"{sign} needs two numbers, not {kind_of(one)} and {kind_of(other)}{hint}")


# --- Instants.


def moment(value: Any, run: Run) -> datetime:
    """Return the moment that ``value`` is: a date, or a date and a time, in ISO 8601.

    Without a zone it is in UTC; a date alone is its midnight.
    """
    if isinstance(value, Instant):
        return value.at
    if type(value) is not str:
        raise Refused(f"a time is a text such as 2026-01-31T09:00:00Z, not {kind_of(value)}")
    run.charge(_STEPS_PER_INSTANT)
    try:
        at = datetime.fromisoformat(value if len(value) <= _LONGEST_INSTANT else "")
    except ValueError:
        shown = value if len(value) <= _LONGEST_INSTANT else f"{value[:_LONGEST_INSTANT]}..."
        raise Refused(f"{shown!r} is not a time such as 2026-01-31T09:00:00Z") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def seconds_between(one: Any, other: Any, run: Run) -> float:
    """Return the seconds from one instant to another, without a fraction if there is none."""
    return whole((moment(other, run) - moment(one, run)).total_seconds())


def whole(number: float) -> float:
    """Return ``number`` as an integer if it is one."""
    return int(number) if number.is_integer() else number


def _later(start: Instant, seconds: float) -> Instant:
    try:
        return Instant(start.at + timedelta(seconds=seconds))
    except OverflowError:
        raise Refused("this time is out of range") from None
