"""From text to tree: our tokens, Python's parser, then what is allowed of its tree."""

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any
from typing import Literal as OneOf

from higherself.workflow.guard.functions import FUNCTIONS
from higherself.workflow.guard.tokens import DEEPEST, LITERALS, Refuser, Token, tokens
from higherself.workflow.guard.tree import (
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
)
from higherself.workflow.guard.values import NUMBERS, in_range

LONGEST = 2_000  # characters
MOST_NODES = 200


def parse(text: str, start: int = 0, end: int | None = None) -> Source:
    """Return the expression that ``text[start:end]`` is.

    Raises
        InvalidExpression: it is none, or is over a limit.
    """
    end = len(text) if end is None else end
    if end - start > LONGEST:
        long = end - start
        Refuser(text, start, end)(
            f"an expression has at most {LONGEST:,} characters, and this one has {long:,}"
        )
    reader = _Reader(text, tokens(text, start, end))
    root = reader.node(reader.tree, 1)
    return Source(text, start, end, root, reader.size)


class _Reader:
    """Turns Python's tree into ours, as far as it is allowed."""

    def __init__(self, text: str, found: Sequence[Token]) -> None:
        self._start = found[0].start  # where Python counts from
        self.refuse = Refuser(text, found[0].start, found[-1].end)
        self.durations = {
            token.start: token.seconds for token in found if token.seconds is not None
        }
        self.size = 0
        plain = _for_python(found)
        self._bytes = None if plain.isascii() else plain.encode()
        self.tree = self._parsed(plain)

    def _parsed(self, plain: str) -> ast.expr:
        try:
            return ast.parse(plain, mode="eval").body
        except SyntaxError as error:
            at = self._start + min(max(0, (error.offset or 1) - 1), len(plain) - 1)
            self.refuse("this cannot be understood", at)
        except (RecursionError, MemoryError):
            self.refuse(_TOO_DEEP)

    def node(self, tree: ast.expr, depth: int) -> Node:
        """Return the node that ``tree`` is, at this depth of the whole."""
        place = self.place(tree)
        if depth > DEEPEST:
            self.refuse(_TOO_DEEP, *place)
        self.count(place)
        read = _READERS.get(type(tree))
        if read is None:
            self.refuse(_NOT_OURS, *place)
        return read(self, tree, depth, place)

    def nodes(self, trees: Iterable[ast.expr], depth: int) -> tuple[Node, ...]:
        """Return the nodes that ``trees`` are, one level below ``depth``."""
        return tuple(self.node(tree, depth + 1) for tree in trees)

    def count(self, place: "_Place") -> None:
        """Count a part, or refuse it."""
        self.size += 1
        if self.size > MOST_NODES:
            self.refuse(f"an expression has at most {MOST_NODES} parts", *place)

    def place(self, tree: ast.expr) -> "_Place":
        """Return where ``tree`` is in our text; Python counts bytes."""
        start, end = tree.col_offset, tree.end_col_offset or 0
        if self._bytes is not None:
            start, end = len(self._bytes[:start].decode()), len(self._bytes[:end].decode())
        return self._start + start, self._start + end


_Place = tuple[int, int]

_TOO_DEEP = f"an expression is at most {DEEPEST} levels deep"
_NOT_OURS = "this is not part of the language"


def _for_python(found: Sequence[Token]) -> str:
    """Return the tokens at their places, all in one line; the unit of a duration becomes zeros."""
    plain, at = "", found[0].start
    for token in found:
        plain += " " * (token.start - at)
        plain += token.text if token.seconds is None else _UNIT.sub(_zeros, token.text)
        at = token.end
    return plain


_UNIT = re.compile(r"[a-df-z]+$")


def _zeros(match: re.Match[str]) -> str:
    return "0" * len(match[0])


def _literal(reader: _Reader, tree: ast.Constant, depth: int, place: _Place) -> Node:
    value: Any = reader.durations.get(place[0], tree.value)
    if type(value) in NUMBERS:
        if not in_range(value):
            reader.refuse("this number is too large", *place)
    elif isinstance(value, str):
        if any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in value):
            reader.refuse("a text has neither NUL nor half of a surrogate pair", *place)
    elif value is not None and not isinstance(value, bool):
        reader.refuse(_NOT_OURS, *place)
    return Literal(*place, value)


def _field(reader: _Reader, tree: ast.expr, depth: int, place: _Place) -> Node:
    steps: list[str | int | Node] = []
    while isinstance(tree, ast.Attribute | ast.Subscript):
        reader.count(place)
        steps.append(_step(reader, tree, depth))
        tree = tree.value
    if not isinstance(tree, ast.Name):
        reader.refuse("only a field has fields", *place)
    if tree.id in LITERALS:
        if steps:
            reader.refuse("only a field has fields", *place)
        return Literal(*place, LITERALS[tree.id])
    if not steps and tree.id in FUNCTIONS:
        written = FUNCTIONS[tree.id].signature
        reader.refuse(f"'{tree.id}' is a function; write {written}", *place)
    return Field(*place, tree.id, tuple(reversed(steps)))


def _step(reader: _Reader, tree: ast.Attribute | ast.Subscript, depth: int) -> str | int | Node:
    if isinstance(tree, ast.Attribute):
        return tree.attr
    key = reader.node(tree.slice, depth + 1)
    if isinstance(key, Literal) and isinstance(key.value, str | int):
        if isinstance(key.value, bool):
            reader.refuse("a key is a text or a whole number", key.start, key.end)
        return key.value
    return key


def _items(reader: _Reader, tree: ast.List, depth: int, place: _Place) -> Node:
    return Items(*place, reader.nodes(tree.elts, depth))


def _logic(reader: _Reader, tree: ast.BoolOp, depth: int, place: _Place) -> Node:
    operator: OneOf["and", "or"] = "and" if isinstance(tree.op, ast.And) else "or"
    return Logic(*place, operator, reader.nodes(tree.values, depth))


def _unary(reader: _Reader, tree: ast.UnaryOp, depth: int, place: _Place) -> Node:
    operand = reader.node(tree.operand, depth + 1)
    if isinstance(tree.op, ast.Not):
        return Not(*place, operand)
    if not isinstance(tree.op, ast.USub):
        reader.refuse(_NOT_OURS, *place)
    value = operand.value if isinstance(operand, Literal) else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Literal(*place, -value)
    return Negative(*place, operand)


def _arithmetic(reader: _Reader, tree: ast.BinOp, depth: int, place: _Place) -> Node:
    sign = _SIGNS.get(type(tree.op))
    if sign is None:
        reader.refuse(_NOT_OURS, *place)
    left, right = reader.nodes([tree.left, tree.right], depth)
    return Arithmetic(*place, sign, left, right)


def _comparison(reader: _Reader, tree: ast.Compare, depth: int, place: _Place) -> Node:
    signs = tuple(_SIGNS.get(type(operator), "") for operator in tree.ops)
    if "" in signs:
        reader.refuse(_NOT_OURS, *place)
    return Comparison(*place, reader.nodes([tree.left, *tree.comparators], depth), signs)


def _call(reader: _Reader, tree: ast.Call, depth: int, place: _Place) -> Node:
    called = tree.func
    if isinstance(called, ast.Attribute):
        written = FUNCTIONS[called.attr].signature if called.attr in FUNCTIONS else ""
        hint = f"; write {written}" if written else ""
        reader.refuse(f"values have no functions of their own{hint}", *place)
    if not isinstance(called, ast.Name):
        reader.refuse("only a function can be called", *place)
    function = FUNCTIONS.get(called.id)
    if function is None:
        near = get_close_matches(called.id, FUNCTIONS, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        reader.refuse(f"unknown function '{called.id}'{hint}", *reader.place(called))
    if tree.keywords or not function.fewest <= len(tree.args) <= function.most:
        reader.refuse(f"this is to be written {function.signature}", *place)
    return Call(*place, function.name, reader.nodes(tree.args, depth))


def _tuple(reader: _Reader, tree: ast.Tuple, depth: int, place: _Place) -> Node:
    reader.refuse("a list is written in [ ]", *place)


_SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}

_READERS: dict[type[ast.expr], Callable[[_Reader, Any, int, _Place], Node]] = {
    ast.Constant: _literal,
    ast.Name: _field,
    ast.Attribute: _field,
    ast.Subscript: _field,
    ast.List: _items,
    ast.BoolOp: _logic,
    ast.UnaryOp: _unary,
    ast.BinOp: _arithmetic,
    ast.Compare: _comparison,
    ast.Call: _call,
    ast.Tuple: _tuple,
}
