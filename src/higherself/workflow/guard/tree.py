"""What an expression is once it has been read: a tree of a few kinds of nodes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal as OneOf

from higherself.kernel.jsonvalue import JsonScalar
from higherself.workflow.guard.errors import ExpressionFailed, InvalidExpression, Near

ITEM = "item"
"""The name of the item that the second argument of `any_of` and `all_of` looks at."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A part of an expression, at ``text[start:end]`` of its source."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Literal(Node):
    """A value as written; a duration is its seconds."""

    value: JsonScalar


@dataclass(frozen=True, slots=True, eq=False)
class Field(Node):
    """A name and the way from there: keys, indexes, or what computes one of them."""

    root: str
    steps: tuple[str | int | Node, ...]

    @property
    def keys(self) -> tuple[str, ...] | None:
        """The steps, if all of them are keys."""
        keys = tuple(step for step in self.steps if isinstance(step, str))
        return keys if len(keys) == len(self.steps) else None


@dataclass(frozen=True, slots=True, eq=False)
class Items(Node):
    """A list as written."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Not(Node):
    """A condition turned round."""

    operand: Node


@dataclass(frozen=True, slots=True, eq=False)
class Logic(Node):
    """Two or more conditions; evaluation ends with the first that decides."""

    operator: OneOf["and", "or"]
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison(Node):
    """``operands[0] operators[0] operands[1] operators[1] ...``: every pair must hold."""

    operands: tuple[Node, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Arithmetic(Node):
    """One of ``+ - * /``."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True, eq=False)
class Negative(Node):
    """A number with its sign turned."""

    operand: Node


@dataclass(frozen=True, slots=True, eq=False)
class Call(Node):
    """A function, known to exist and given as many arguments as it takes."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """An expression: ``text[start:end]``, and the tree that was read from it."""

    text: str
    start: int
    end: int
    root: Node
    size: int
    """Nodes, as the limit counts them."""

    def of(self, node: Node) -> str:
        """Return the text of ``node``, in one line."""
        return " ".join(self.text[node.start : node.end].split())

    def invalid(self, node: Node, problem: str) -> InvalidExpression:
        """Return the error for something wrong with ``node`` itself."""
        return InvalidExpression(problem, text=self.text, start=node.start, end=node.end)

    def failed(self, node: Node, problem: str, *, near: Near | None = None) -> ExpressionFailed:
        """Return the error for data that does not fit ``node``. ``near``: see `ExpressionFailed`."""
        return ExpressionFailed(problem, text=self.text, start=node.start, end=node.end, near=near)


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly inside ``node``, in reading order."""
    match node:
        case Field(steps=steps):
            return tuple(step for step in steps if isinstance(step, Node))
        case Items(items=nodes) | Logic(parts=nodes) | Comparison(operands=nodes):
            return nodes
        case Call(arguments=nodes):
            return nodes
        case Not(operand=operand) | Negative(operand=operand):
            return (operand,)
        case Arithmetic(left=left, right=right):
            return left, right
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield ``node`` and all inside it, in reading order."""
    yield node
    for child in children(node):
        yield from walk(child)


def weight(node: Node) -> int:
    """Return the steps it takes to evaluate ``node`` once: one for each part."""
    own = len(node.steps) if isinstance(node, Field) else 0
    return 1 + own + sum(map(weight, children(node)))
