"""Can two guards hold at once? Answered only where it is certain.

Whether a guard holds depends, for each field that it compares with values as written, only on
where among those values the field is. So one value for each such region is tried, and what both
guards say is found out by asking them. A pair that both hold for is an example whatever the guards
are made of; that there is none means something only if they are made of such comparisons alone.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations, islice, pairwise, product
from typing import Any
from typing import Literal as OneOf

from higherself.kernel.jsonvalue import JsonObject
from higherself.workflow.guard.errors import ExpressionFailed
from higherself.workflow.guard.expression import Guard
from higherself.workflow.guard.tree import (
    Call,
    Comparison,
    Field,
    Items,
    Literal,
    Logic,
    Node,
    Not,
    children,
    walk,
)
from higherself.workflow.guard.values import NUMBERS

MOST_TRIED = 4_096


@dataclass(frozen=True, slots=True)
class Overlap:
    """Whether two guards can both hold; if ``sometimes``, with an example of a scope."""

    verdict: OneOf["never", "sometimes", "unknown"]
    example: JsonObject | None = None


def overlap(one: Guard, other: Guard) -> Overlap:
    """Return whether ``one`` and ``other`` can both hold for the same data.

    ``never`` and ``sometimes`` are certain. It is ``unknown`` where a guard calls functions, does
    sums or compares fields with each other, and no example was found.

    >>> from higherself.workflow.guard import compile_guard
    >>> overlap(compile_guard("a >= 70"), compile_guard("a < 70")).verdict
    'never'
    >>> overlap(compile_guard("a >= 70"), compile_guard("a <= 70"))
    Overlap(verdict='sometimes', example={'a': 70})
    """
    regions = _Regions()
    for guard in (one, other):
        regions.collect(guard.source.root)
    for example in islice(regions.examples(), MOST_TRIED):
        if _holds(one, example) and _holds(other, example):
            return Overlap("sometimes", example)
    return Overlap("never" if regions.certain else "unknown")


def _holds(guard: Guard, scope: JsonObject) -> bool:
    try:
        return guard(scope, _SOME_TIME)
    except ExpressionFailed:
        return False


_SOME_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_ABSENT = object()
_MOST_SOUGHT = 4  # of texts that one field may contain; every subset of them is tried

_Path = tuple[str, ...]


@dataclass(slots=True)
class _Compared:
    """What one field is compared with."""

    numbers: set[float] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    sought: set[str] = field(default_factory=set)
    others: list[Any] = field(default_factory=list)  # true, false, null, and not there

    def regions(self) -> list[Any]:
        """Return a value for each region."""
        found: list[Any] = list(_between(sorted(self.numbers)))
        found += sorted(self.texts)
        for count in range(len(self.sought) + 1) if self.sought else ():
            found += map(list, combinations(sorted(self.sought), count))
        found += self.others
        return [*found, "-".join(["other", *self.texts, *self.sought])]  # longer than all of them


def _between(numbers: Sequence[float]) -> Iterator[float]:
    """Yield each number, one between each two, one below and one above all."""
    if not numbers:
        return
    yield math.ceil(numbers[0]) - 1
    for low, high in pairwise(numbers):
        yield low
        whole = math.floor(low) + 1
        between = whole if whole < high else (low + high) / 2
        if low < between < high:
            yield between
    yield numbers[-1]
    yield math.floor(numbers[-1]) + 1


class _Regions:
    """The fields of some guards, and what they are compared with."""

    def __init__(self) -> None:
        self._fields: dict[_Path, _Compared] = {}
        self._understood = True

    @property
    def certain(self) -> bool:
        """Whether `examples` has one for every region there is, within the number tried."""
        paths = sorted(self._fields)
        apart = all(long[: len(short)] != short for short, long in pairwise(paths))
        sizes = [len(each.regions()) for each in self._fields.values()]
        few = all(len(each.sought) <= _MOST_SOUGHT for each in self._fields.values())
        return self._understood and apart and few and math.prod(sizes) <= MOST_TRIED

    def examples(self) -> Iterator[JsonObject]:
        """Yield a scope for every combination of regions."""
        paths = sorted(self._fields)
        if any(len(each.sought) > _MOST_SOUGHT for each in self._fields.values()):
            return
        for values in product(*(self._fields[path].regions() for path in paths)):
            scope: dict[str, Any] = {}
            for path, value in zip(paths, values, strict=True):
                _put(scope, path, value)
            yield scope

    def collect(self, node: Node) -> None:
        """Note what ``node``, a condition, compares its fields with."""
        match node:
            case Logic() | Not():
                for part in children(node):
                    self.collect(part)
            case Comparison(operands=operands, operators=signs):
                for left, right, sign in zip(operands, operands[1:], signs, strict=False):
                    self._compare(left, right, sign)
            case Field():
                self._of(node).others += [True, False]
            case Call(name="has", arguments=(Field() as asked,)):
                self._of(asked).others.append(_ABSENT)
            case Literal():
                pass
            case _:
                self._give_up(node)

    def _compare(self, left: Node, right: Node, sign: str) -> None:
        match left, right:
            case (Literal(), Literal()):
                pass
            case (Field() as found, Literal(value=value)) | (
                Literal(value=value),
                Field() as found,
            ) if sign in ("==", "!=") or (type(value) in NUMBERS and sign not in ("in", "not in")):
                self._note(self._of(found), value)
            case (Field() as found, Items()) if sign in ("in", "not in"):
                self._note_items(self._of(found), right)
            case (Literal(value=str() as text), Field() as found) if sign in ("in", "not in"):
                self._of(found).sought.add(text)
            case _:
                self._give_up(left)
                self._give_up(right)

    def _note_items(self, compared: _Compared, items: Items) -> None:
        for item in items.items:
            if isinstance(item, Literal):
                self._note(compared, item.value)
            else:
                self._give_up(item)

    def _note(self, compared: _Compared, value: Any) -> None:
        if type(value) in NUMBERS:
            compared.numbers.add(value)
        elif isinstance(value, str):
            compared.texts.add(value)
        else:
            compared.others.append(value)

    def _give_up(self, node: Node) -> None:
        """Note the fields of what is not understood; an example may be found all the same."""
        self._understood = False
        for inner in walk(node):
            if isinstance(inner, Field):
                self._of(inner)

    def _of(self, node: Field) -> _Compared:
        keys = node.keys
        if keys is None:
            self._understood = False
        return self._fields.setdefault((node.root, *(keys or ())), _Compared())


def _put(scope: dict[str, Any], path: _Path, value: Any) -> None:
    """Put ``value`` where ``path`` leads; what is in the way gives way."""
    if value is _ABSENT:
        return
    *way, last = path
    for key in way:
        below = scope.get(key)
        if not isinstance(below, dict):
            below = scope[key] = {}
        scope = below
    scope[last] = value
