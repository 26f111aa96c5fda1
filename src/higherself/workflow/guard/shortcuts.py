"""The comparisons that guards are mostly made of, with closures of their own.

A field against a value as written needs no test of types on both sides, and nothing is spent on
it. Fields that are names, or keys of names, are read on the spot: calling another closure would
cost as much as the comparison. What is missing is left to that closure, which says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from higherself.workflow.guard.access import ABSENT, Closure
from higherself.workflow.guard.tree import Comparison, Field, Items, Literal, Node, Source
from higherself.workflow.guard.values import (
    FREE_ITEMS,
    NUMBERS,
    ORDER,
    Refused,
    Run,
    contains,
    kind_of,
)


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a comparison. ``keys`` lead to it from the scope, if it is a field in plain sight."""

    node: Node
    read: Closure
    keys: tuple[str, ...] = ()


def shortcut(source: Source, node: Comparison, left: Operand, right: Operand) -> Closure | None:
    """Return what evaluates ``node``, which compares two operands, if there is a short way."""
    sign = node.operators[0]
    if isinstance(left.node, Literal) and sign in _MIRRORED:
        sign, left, right = _MIRRORED[sign], right, left
    for short in (_ordered, _is, _contains_text, _is_one_of):
        made = short(source, node, sign, left, right)
        if made is not None:
            return made
    return None


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _read_by(
    keys: tuple[str, ...],
    of_name: Callable[[str], Closure],
    of_key: Callable[[str, str], Closure],
    of_any: Closure,
) -> Closure:
    match keys:
        case (root,):
            return of_name(root)
        case (root, key):
            return of_key(root, key)
        case _:
            return of_any


def _ordered(
    source: Source, node: Node, sign: str, left: Operand, right: Operand
) -> Closure | None:
    """Return what orders a value against a number as written, if this is such a comparison."""
    written = right.node
    if sign not in ORDER or not isinstance(written, Literal) or type(written.value) not in NUMBERS:
        return None
    read, number, compare = left.read, written.value, ORDER[sign]

    def refuse(value: Any) -> bool:
        problem = f"{sign} compares two numbers or two texts, not {kind_of(value)} and a number"
        raise source.failed(left.node, problem)

    def of_any(scope: Any, run: Run) -> bool:
        value = read(scope, run)
        kind = type(value)
        return compare(value, number) if kind is int or kind is float else refuse(value)

    def of_name(root: str) -> Closure:
        def holds(scope: Any, run: Run) -> bool:
            try:
                value = scope[root]
            except ABSENT:
                value = read(scope, run)
            kind = type(value)
            return compare(value, number) if kind is int or kind is float else refuse(value)

        return holds

    def of_key(root: str, key: str) -> Closure:
        def holds(scope: Any, run: Run) -> bool:
            try:
                value = scope[root][key]
            except ABSENT:
                value = read(scope, run)
            kind = type(value)
            return compare(value, number) if kind is int or kind is float else refuse(value)

        return holds

    return _read_by(left.keys, of_name, of_key, of_any)


def _is(source: Source, node: Node, sign: str, left: Operand, right: Operand) -> Closure | None:
    """Return what says whether a value is one as written, if this is such a comparison."""
    written, read = right.node, left.read
    if sign not in ("==", "!=") or not isinstance(written, Literal):
        return None
    constant, same = written.value, sign == "=="
    if constant is None or isinstance(constant, bool):
        return lambda scope, run: (read(scope, run) is constant) is same
    if isinstance(constant, str):
        return _is_text(constant, same, left)

    def holds(scope: Any, run: Run) -> bool:
        value = read(scope, run)
        return (value == constant and type(value) is not bool) is same

    return holds


def _is_text(text: str, same: bool, left: Operand) -> Closure | None:
    read = left.read
    if not isinstance(left.node, Field):  # it may be a time, which is equal to other texts too
        return None

    def of_name(root: str) -> Closure:
        def holds(scope: Any, run: Run) -> bool:
            try:
                return (scope[root] == text) is same
            except ABSENT:
                return (read(scope, run) == text) is same

        return holds

    def of_key(root: str, key: str) -> Closure:
        def holds(scope: Any, run: Run) -> bool:
            try:
                return (scope[root][key] == text) is same
            except ABSENT:
                return (read(scope, run) == text) is same

        return holds

    return _read_by(
        left.keys, of_name, of_key, lambda scope, run: (read(scope, run) == text) is same
    )


def _contains_text(
    source: Source, node: Node, sign: str, left: Operand, right: Operand
) -> Closure | None:
    """Return what looks for a text as written in a field, if this is such a comparison."""
    written, inside = left.node, sign == "in"
    if sign not in ("in", "not in") or not isinstance(written, Literal):
        return None
    text = written.value
    if not isinstance(text, str) or not isinstance(right.node, Field):
        return None

    def within(box: Any, run: Run) -> bool:
        if type(box) is list and len(box) <= FREE_ITEMS:
            return (text in box) is inside
        try:
            return contains(box, text, run) is inside
        except Refused as refused:
            raise source.failed(node, str(refused)) from None

    return _look_within(right, within)


def _look_within(operand: Operand, within: Callable[[Any, Run], bool]) -> Closure:
    read = operand.read

    def of_name(root: str) -> Closure:
        def holds(scope: Any, run: Run) -> bool:
            try:
                box = scope[root]
            except ABSENT:
                box = read(scope, run)
            return within(box, run)

        return holds

    def of_key(root: str, key: str) -> Closure:
        def holds(scope: Any, run: Run) -> bool:
            try:
                box = scope[root][key]
            except ABSENT:
                box = read(scope, run)
            return within(box, run)

        return holds

    return _read_by(operand.keys, of_name, of_key, lambda scope, run: within(read(scope, run), run))


def _is_one_of(
    source: Source, node: Node, sign: str, left: Operand, right: Operand
) -> Closure | None:
    """Return what looks for a field in a list of texts as written, if this is such a comparison."""
    read, listed = left.read, right.node
    if sign not in ("in", "not in") or not isinstance(listed, Items):
        return None
    values = [item.value for item in listed.items if isinstance(item, Literal)]
    texts = tuple(value for value in values if isinstance(value, str))
    if len(texts) < len(listed.items) or not isinstance(left.node, Field):
        return None
    inside = sign == "in"
    return lambda scope, run: (read(scope, run) in texts) is inside
