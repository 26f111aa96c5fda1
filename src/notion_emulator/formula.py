"""A subset of formulas: what our databases use, and what people write most.

``prop``, ``if``/``ifs`` and ``?:``, ``and``/``or``/``not``, arithmetic, comparison, dates, texts and
lists; a function may be written as a method. Anything else answers ``unsupported``. Values here are
Python's: numbers, texts, booleans, lists, None; a date is its ISO text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from notion_emulator.errors import Json
from notion_emulator.formula_functions import FUNCTIONS, Unsupported, is_date, is_empty, text_of

Read = Callable[[str], Any]
Lazy = Callable[[], Any]
_TOKEN = re.compile(
    r"\s*(?:(?P<prop>\{\{notion:block_property:(?P<id>[^:}]+)[^}]*\}\})|(?P<num>\d+(?:\.\d+)?)"
    r'|(?P<str>"(?:[^"\\]|\\.)*")|(?P<name>[A-Za-z]\w*)|(?P<op>==|!=|>=|<=|&&|\|\||[-+*/%^<>(),!?:.\[\]]))'
)
_LAZY = frozenset({"if", "ifs", "and", "or"})
_EMPTY: Json = {"type": "string", "string": None}


def result(expression: str, read: Read, now: str = "") -> Json:
    """Return the value of an expression as answered, ``unsupported`` where the subset ends."""
    try:
        value = _Parser(expression, read, now).value()
    except (ArithmeticError, AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError):  # fmt: skip
        return {"type": "unsupported", "unsupported": {}}
    if isinstance(value, bool):
        return {"type": "boolean", "boolean": value}
    if isinstance(value, int | float):
        whole = isinstance(value, float) and value.is_integer()
        return {"type": "number", "number": int(value) if whole else value}
    if is_date(value):
        return {"type": "date", "date": {"start": value, "end": None, "time_zone": None}}
    return _EMPTY if value is None else {"type": "string", "string": text_of(value)}


class _Parser:
    """Reads an expression into functions without arguments: a branch not taken is not computed."""

    def __init__(self, text: str, read: Read, now: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        self.at, self.read, self.now = 0, read, now
        place = 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None:
                raise Unsupported(text[place:])
            kind = "prop" if match["prop"] else str(match.lastgroup)
            self.tokens.append((kind, match["id"] or match[kind]))
            place = match.end()

    def value(self) -> Any:
        """Return what the expression is worth.

        Raises
            Unsupported: it is not of the subset.
        """
        lazy = self.choice()
        if self.at != len(self.tokens):
            raise Unsupported("more")
        return lazy()

    def take(self, *texts: str) -> str | None:
        """Take one of these signs, if it is next."""
        if self.at < len(self.tokens) and self.tokens[self.at][0] in ("op", "name") and self.tokens[self.at][1] in texts:  # fmt: skip
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def need(self, text: str) -> None:
        """Take this sign.

        Raises
            Unsupported: it is not next.
        """
        if not self.take(text):
            raise Unsupported(text)

    def choice(self) -> Lazy:
        """``test ? yes : no``."""
        test = self.either()
        if not self.take("?"):
            return test
        yes = self.choice()
        self.need(":")
        no = self.choice()
        return lambda: yes() if test() else no()

    def either(self) -> Lazy:
        left = self.both()
        while self.take("or", "||"):
            left = _or(left, self.both())
        return left

    def both(self) -> Lazy:
        left = self.comparison()
        while self.take("and", "&&"):
            left = _and(left, self.comparison())
        return left

    def comparison(self) -> Lazy:
        left = self.total()
        while operator := self.take("==", "!=", ">=", "<=", ">", "<"):
            left = _binary(operator, left, self.total())
        return left

    def total(self) -> Lazy:
        left = self.product()
        while operator := self.take("+", "-"):
            left = _binary(operator, left, self.product())
        return left

    def product(self) -> Lazy:
        left = self.signed()
        while operator := self.take("*", "/", "%"):
            left = _binary(operator, left, self.signed())
        return left

    def signed(self) -> Lazy:
        if self.take("-"):
            inner = self.signed()
            return lambda: -_number(inner())
        if self.take("!", "not"):
            denied = self.signed()
            return lambda: not denied()
        base = self.methods()
        return _binary("^", base, self.signed()) if self.take("^") else base

    def methods(self) -> Lazy:
        """An atom with ``.name(…)`` after it, any number of times."""
        found = self.atom()
        while self.take("."):
            kind, name = self.tokens[self.at]
            if kind != "name":
                raise Unsupported(name)
            self.at += 1
            self.need("(")
            found = self.called(name, [found, *self.given(")")])
        return found

    def atom(self) -> Lazy:
        if self.take("("):
            inner = self.choice()
            self.need(")")
            return inner
        if self.take("["):
            items = self.given("]")
            return lambda: [item() for item in items]
        if self.at >= len(self.tokens):
            raise Unsupported("end")
        kind, text = self.tokens[self.at]
        self.at += 1
        match kind:
            case "num":
                number = float(text) if "." in text else int(text)
                return lambda: number
            case "str":
                plain = re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m[1], m[1]), text[1:-1])  # fmt: skip
                return lambda: plain
            case "prop":
                return lambda: self.read(text)
            case "name" if text in ("true", "false"):
                return lambda: text == "true"
            case "name":
                self.need("(")
                return self.called(text, self.given(")"))
            case _:
                raise Unsupported(text)

    def given(self, end: str) -> list[Lazy]:
        """Take arguments up to the closing sign."""
        found: list[Lazy] = []
        while not self.take(end):
            if found:
                self.need(",")
            found.append(self.choice())
        return found

    def called(self, name: str, given: list[Lazy]) -> Lazy:
        """Return the call of a function.

        Raises
            Unsupported: nobody knows it here.
        """
        if name == "prop":
            return lambda: self.read(given[0]())
        if name == "now":
            return lambda: self.now
        if name == "today":
            return lambda: self.now[:10]
        if name in _LAZY:
            return lambda: _lazily(name, given)
        if name not in FUNCTIONS:
            raise Unsupported(name)
        return lambda: FUNCTIONS[name](*(part() for part in given))


def _lazily(name: str, given: list[Lazy]) -> Any:
    if name == "and":
        return all(bool(part()) for part in given)
    if name == "or":
        return any(bool(part()) for part in given)
    for test, yes in zip(given[::2], given[1::2], strict=False):
        if test():
            return yes()
    return given[-1]() if len(given) % 2 else None


def _or(left: Lazy, right: Lazy) -> Lazy:
    return lambda: bool(left()) or bool(right())


def _and(left: Lazy, right: Lazy) -> Lazy:
    return lambda: bool(left()) and bool(right())


def _binary(operator: str, left: Lazy, right: Lazy) -> Lazy:
    return lambda: _computed(operator, left(), right())


def _computed(operator: str, left: Any, right: Any) -> Any:
    match operator:
        case "==":
            return left == right or (is_empty(left) and is_empty(right))
        case "!=":
            return not _computed("==", left, right)
        case "+" if isinstance(left, str) or isinstance(right, str):
            return text_of(left) + text_of(right)
        case "<" | ">" | "<=" | ">=":
            return _ordered(operator, left, right)
        case _:
            return _arithmetic(operator, left, right)


def _arithmetic(operator: str, left: Any, right: Any) -> Any:
    one, two = _number(left), _number(right)
    match operator:
        case "+":
            return one + two
        case "-":
            return one - two
        case "*":
            return one * two
        case "/":
            return one / two
        case "%":
            return one - two * int(one / two)  # the sign of the dividend, as in JavaScript
        case _:
            return one**two


def _ordered(operator: str, left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    if is_date(left) and is_date(right):
        left, right = FUNCTIONS["timestamp"](left), FUNCTIONS["timestamp"](right)
    found = {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}
    return bool(found[operator])


def _number(value: Any) -> Any:
    """Return a number; what is empty counts as 0."""
    if value is None:
        return 0
    if isinstance(value, int | float):
        return value
    raise TypeError(value)
