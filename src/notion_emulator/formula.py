"""A subset of formulas: prop, if, concat, repeat, round, length, arithmetic and comparison."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from notion_emulator.errors import Json

Read = Callable[[str], Any]
_TOKEN = re.compile(
    r"\s*(?:(?P<prop>\{\{notion:block_property:(?P<id>[^:}]+)[^}]*\}\})|(?P<num>\d+(?:\.\d+)?)"
    r'|(?P<str>"(?:[^"\\]|\\.)*")|(?P<name>[A-Za-z]\w*)|(?P<op>==|!=|>=|<=|[-+*/%<>(),!]))'
)


class Unsupported(ValueError):
    """The expression uses what the subset does not have."""


def result(expression: str, read: Read) -> Json:
    """Return the value of an expression as answered, ``unsupported`` where the subset ends."""
    try:
        value = _Parser(expression, read).whole()
    except (Unsupported, TypeError, ValueError, ZeroDivisionError, IndexError):
        return {"type": "unsupported", "unsupported": {}}
    if isinstance(value, bool):
        return {"type": "boolean", "boolean": value}
    if isinstance(value, int | float):
        return {"type": "number", "number": value}
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d(T.*)?", value):
        return {"type": "date", "date": {"start": value, "end": None, "time_zone": None}}
    return {"type": "string", "string": None if value is None else str(value)}


class _Parser:
    def __init__(self, text: str, read: Read) -> None:
        self.tokens: list[tuple[str, str]] = []
        self.at, self.read = 0, read
        place = 0
        while text[place:].strip():
            match = _TOKEN.match(text, place)
            if match is None:
                raise Unsupported(text[place:])
            kind = str(match.lastgroup) if match["prop"] is None else "prop"
            self.tokens.append((kind, match["id"] or match[kind]))
            place = match.end()

    def whole(self) -> Any:
        value = self.comparison()
        if self.at != len(self.tokens):
            raise Unsupported("more")
        return value

    def take(self, *texts: str) -> str | None:
        if self.at < len(self.tokens) and self.tokens[self.at] in [("op", t) for t in texts]:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def comparison(self) -> Any:
        left = self.total()
        while operator := self.take("==", "!=", ">=", "<=", ">", "<"):
            right = self.total()
            left = {"==": lambda a, b: a == b, "!=": lambda a, b: a != b, ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, "<": lambda a, b: a < b}[operator](left, right)  # fmt: skip
        return left

    def total(self) -> Any:
        left = self.product()
        while operator := self.take("+", "-"):
            right = self.product()
            if operator == "+" and (isinstance(left, str) or isinstance(right, str)):
                left = _text(left) + _text(right)
            else:
                left = left + right if operator == "+" else left - right
        return left

    def product(self) -> Any:
        left = self.atom()
        while operator := self.take("*", "/", "%"):
            right = self.atom()
            left = left * right if operator == "*" else left / right if operator == "/" else left % right  # fmt: skip
        return left

    def atom(self) -> Any:
        if self.take("("):
            value = self.comparison()
            self.need(")")
            return value
        if self.take("-"):
            return -self.atom()
        if self.take("!"):
            return not self.atom()
        kind, text = self.tokens[self.at]
        self.at += 1
        match kind:
            case "num":
                return float(text) if "." in text else int(text)
            case "str":
                return text[1:-1].replace('\\"', '"')
            case "prop":
                return self.read(text)
            case "name" if text in ("true", "false"):
                return text == "true"
            case "name":
                return self.called(text)
            case _:
                raise Unsupported(text)

    def need(self, text: str) -> None:
        if not self.take(text):
            raise Unsupported(text)

    def called(self, name: str) -> Any:
        self.need("(")
        given = []
        while not self.take(")"):
            given.append(self.comparison())
            self.take(",")
        if name == "prop":
            return self.read(given[0])
        if name not in _FUNCTIONS:
            raise Unsupported(name)
        return _FUNCTIONS[name](*given)


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _round(number: float, digits: int = 0) -> float:
    rounded = round(number, digits)
    return int(rounded) if digits == 0 else rounded


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "if": lambda test, yes, no=None: yes if test else no,
    "concat": lambda *parts: "".join(_text(p) for p in parts),
    "repeat": lambda text, times: _text(text) * int(times),
    "round": _round,
    "length": lambda text: len(text or ""),
    "abs": abs,
    "min": min,
    "max": max,
    "empty": lambda value: value in (None, "", [], 0, False),
    "format": _text,
    "not": lambda value: not value,
    "and": lambda *v: all(v),
    "or": lambda *v: any(v),
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "contains": lambda text, part: part in _text(text),
    "toNumber": float,
}
