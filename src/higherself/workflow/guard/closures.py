"""From tree to closures: what runs when a guard is asked.

A closure takes the scope and the run, and returns a value. The forms that guards are made of, a
field against a value as written, have closures of their own; nothing is counted or recorded that
need not be.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from higherself.workflow.guard.access import Closure, Way, reader
from higherself.workflow.guard.functions import FUNCTIONS
from higherself.workflow.guard.kinds import BOOLEAN, kind
from higherself.workflow.guard.shortcuts import Operand, shortcut
from higherself.workflow.guard.tree import (
    ITEM,
    Arithmetic,
    Call,
    Comparison,
    Field,
    Items,
    Literal,
    Logic,
    Negative,
    Node,
    Not,
    Source,
    weight,
)
from higherself.workflow.guard.values import (
    ORDER,
    Instant,
    Refused,
    Run,
    add,
    contains,
    divide,
    equal,
    kind_of,
    multiply,
    negative,
    ordered,
    subtract,
)


def closures(source: Source, *, condition: bool) -> dict[Node, Closure]:
    """Return what evaluates each part of ``source``; for the root, a ``condition`` if asked for.

    A closure raises `ExpressionFailed` with the place of what went wrong. What stands inside
    `any_of` or `all_of` is not there: it has no value of its own.
    """
    maker = _Maker(source)
    make = maker.condition if condition else maker.closure
    maker.made[source.root] = make(source.root)
    return maker.made


class _Maker:
    """Makes the closures of one expression."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._inside = False  # of any_of() or all_of()
        self.made: dict[Node, Closure] = {}

    def closure(self, node: Node) -> Closure:
        """Return what evaluates ``node``."""
        made = self._made(node)
        if not self._inside:
            self.made[node] = made
        return made

    def condition(self, node: Node) -> Closure:
        """Return what evaluates ``node`` to true or false, or fails."""
        made = self.closure(node)
        if kind(node) == BOOLEAN:
            return made
        failed = self._source.failed

        def checked(scope: Any, run: Run) -> Any:
            value = made(scope, run)
            if value is True or value is False:
                return value
            raise failed(node, f"a condition is true or false, and this is {kind_of(value)}")

        return checked

    def _made(self, node: Node) -> Closure:
        match node:
            case Literal(value=value):
                return lambda scope, run: value
            case Field():
                return reader(self._way(node))
            case Items():
                return self._items(node)
            case Not(operand=operand):
                holds = self.condition(operand)
                return lambda scope, run: not holds(scope, run)
            case Logic():
                return self._logic(node)
            case Comparison():
                return self._comparison(node)
            case Call():
                return self._call(node)
            case Arithmetic(operator=sign, left=left, right=right):
                return self._applied(node, _ARITHMETIC[sign], left, right)
            case Negative(operand=operand):
                return self._applied(node, _negative, operand)
            case _:
                raise TypeError(node)

    # Fields and lists.

    def _way(self, node: Field) -> Way:
        steps = [self.closure(step) if isinstance(step, Node) else step for step in node.steps]
        return Way(self._source, node, self._inside and node.root == ITEM, steps)

    def _items(self, node: Items) -> Closure:
        parts = [self.closure(item) for item in node.items]
        return lambda scope, run: [plain(part(scope, run)) for part in parts]

    # Conditions.

    def _logic(self, node: Logic) -> Closure:
        parts = tuple(self.condition(part) for part in node.parts)
        return _all_hold(parts) if node.operator == "and" else _any_holds(parts)

    def _comparison(self, node: Comparison) -> Closure:
        parts = [self.closure(operand) for operand in node.operands]
        if len(parts) > 2:
            return self._chain(node, parts)
        left, right = map(self._operand, node.operands, parts)
        short = shortcut(self._source, node, left, right)
        return short or self._applied(node, _RELATIONS[node.operators[0]], *node.operands)

    def _operand(self, node: Node, read: Closure) -> Operand:
        if not isinstance(node, Field) or node.keys is None or (self._inside and node.root == ITEM):
            return Operand(node, read)
        return Operand(node, read, (node.root, *node.keys))

    def _chain(self, node: Comparison, parts: list[Closure]) -> Closure:
        first, failed = parts[0], self._source.failed
        links = [
            (_RELATIONS[sign], part) for sign, part in zip(node.operators, parts[1:], strict=True)
        ]

        def chain(scope: Any, run: Run) -> bool:
            left = first(scope, run)
            for relation, part in links:
                right = part(scope, run)
                try:
                    if not relation(left, right, run):
                        return False
                except Refused as refused:
                    raise failed(node, str(refused)) from None
                left = right
            return True

        return chain

    # Functions and operators.

    def _applied(self, node: Node, function: Callable[..., Any], *operands: Node) -> Closure:
        """Return what applies ``function`` to the values of one or two ``operands``, and the run."""
        failed = self._source.failed
        one, *others = (self.closure(operand) for operand in operands)

        def of_one(scope: Any, run: Run) -> Any:
            value = one(scope, run)
            try:
                return function(value, run)
            except Refused as refused:
                raise failed(node, str(refused)) from None

        if not others:
            return of_one
        other = others[0]

        def of_two(scope: Any, run: Run) -> Any:
            left, right = one(scope, run), other(scope, run)
            try:
                return function(left, right, run)
            except Refused as refused:
                raise failed(node, str(refused)) from None

        return of_two

    def _call(self, node: Call) -> Closure:
        function = FUNCTIONS[node.name].call
        if function is None:
            return _SPECIAL[node.name](self, node)
        failed = self._source.failed
        parts = [self.closure(argument) for argument in node.arguments]

        def call(scope: Any, run: Run) -> Any:
            values = [part(scope, run) for part in parts]
            try:
                return function(run, *values)
            except Refused as refused:
                raise failed(node, str(refused)) from None

        return call

    def has(self, node: Call) -> Closure:
        read = self._way_of(node)

        def has(scope: Any, run: Run) -> bool:
            try:
                read(scope, run)
            except LookupError:
                return False
            return True

        return has

    def default(self, node: Call) -> Closure:
        read, otherwise = self._way_of(node), self.closure(node.arguments[1])

        def default(scope: Any, run: Run) -> Any:
            try:
                value = read(scope, run)
            except LookupError:
                value = None
            return otherwise(scope, run) if value is None else value

        return default

    def _way_of(self, node: Call) -> Closure:
        field = node.arguments[0]
        assert isinstance(field, Field)  # noqa: S101  `check_kinds` has seen to it
        return self._way(field).read

    def quantified(self, node: Call) -> Closure:
        items, failed = self.closure(node.arguments[0]), self._source.failed
        steps = weight(node.arguments[1])
        self._inside = True
        condition = self.condition(node.arguments[1])
        self._inside = False
        decisive = node.name == "any_of"

        def quantified(scope: Any, run: Run) -> bool:
            values = items(scope, run)
            if type(values) is not list:
                raise failed(node, f"{node.name}() needs a list, not {kind_of(values)}")
            try:
                run.charge(steps * len(values))
            except Refused as refused:
                raise failed(node, str(refused)) from None
            for run.item in values:
                if condition(scope, run) is decisive:
                    return bool(decisive)
            return not decisive

        return quantified


def _all_hold(parts: tuple[Closure, ...]) -> Closure:
    """Return what says whether all ``parts`` hold; written out for a few, a loop costs more."""
    match parts:
        case (a, b):
            return lambda scope, run: a(scope, run) and b(scope, run)
        case (a, b, c):
            return lambda scope, run: a(scope, run) and b(scope, run) and c(scope, run)
        case (a, b, c, d):
            return lambda scope, run: (
                a(scope, run) and b(scope, run) and c(scope, run) and d(scope, run)
            )
        case (a, b, c, *others):
            first, rest = _all_hold((a, b, c)), _all_hold(tuple(others))
            return lambda scope, run: first(scope, run) and rest(scope, run)
        case _:
            return parts[0]


def _any_holds(parts: tuple[Closure, ...]) -> Closure:
    match parts:
        case (a, b):
            return lambda scope, run: a(scope, run) or b(scope, run)
        case (a, b, c):
            return lambda scope, run: a(scope, run) or b(scope, run) or c(scope, run)
        case (a, b, c, *others):
            first, rest = _any_holds((a, b, c)), _any_holds(tuple(others))
            return lambda scope, run: first(scope, run) or rest(scope, run)
        case _:
            return parts[0]


_SPECIAL: dict[str, Callable[[_Maker, Call], Closure]] = {
    "has": _Maker.has,
    "default": _Maker.default,
    "any_of": _Maker.quantified,
    "all_of": _Maker.quantified,
}

_ARITHMETIC: dict[str, Callable[[Any, Any, Run], Any]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
}

_RELATIONS: dict[str, Callable[[Any, Any, Run], bool]] = {
    "==": equal,
    "!=": lambda one, other, run: not equal(one, other, run),
    "in": lambda one, other, run: contains(other, one, run),
    "not in": lambda one, other, run: not contains(other, one, run),
    **{sign: partial(ordered, compare, sign) for sign, compare in ORDER.items()},
}


def _negative(value: Any, run: Run) -> Any:
    return negative(value)


def plain(value: Any) -> Any:
    """Return ``value`` as JSON has it: a time is a text."""
    return str(value) if type(value) is Instant else value
