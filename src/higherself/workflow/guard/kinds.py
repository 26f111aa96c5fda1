"""What is certain about the types in an expression before any data is seen."""

from higherself.workflow.guard.functions import FUNCTIONS
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
    walk,
)
from higherself.workflow.guard.values import kind_of

BOOLEAN, NUMBER, TEXT, TIME, LIST = "true or false", "a number", "a text", "a time", "a list"


def kind(node: Node) -> str | None:
    """Return the type that ``node`` has, in the words of `kind_of`, or None if the data decide."""
    match node:
        case Literal(value=value):
            return kind_of(value)
        case Items():
            return LIST
        case Not() | Logic() | Comparison():
            return BOOLEAN
        case Negative():
            return NUMBER
        case Call(name=name):
            return FUNCTIONS[name].kind
        case Arithmetic(operator=sign, left=left, right=right):
            both = kind(left) == NUMBER and kind(right) == NUMBER
            return NUMBER if both or sign in "*/" else None
        case _:
            return None


def check_kinds(source: Source) -> None:
    """Refuse what can never be evaluated.

    Raises
        InvalidExpression: at the first part that has a type it must not have there.
    """
    for node in walk(source.root):
        match node:
            case Logic(operator=operator, parts=parts):
                for part in parts:
                    check_condition(source, part, f"{operator} joins conditions")
            case Not(operand=operand):
                check_condition(source, operand, "not turns a condition round")
            case Comparison(operands=operands, operators=signs):
                for left, right, sign in zip(operands, operands[1:], signs, strict=False):
                    _check_comparison(source, left, right, sign)
            case Negative(operand=operand):
                _check_number(source, operand, "-", (NUMBER,))
            case Arithmetic(operator=sign, left=left, right=right):
                _check_arithmetic(source, left, right, sign)
            case Call():
                _check_call(source, node)
            case _:
                pass


def check_condition(source: Source, node: Node, rule: str) -> None:
    """Refuse ``node`` if it cannot be true or false.

    Raises
        InvalidExpression: it cannot.
    """
    found = kind(node)
    if found not in (None, BOOLEAN):
        raise source.invalid(node, f"{rule}, and this is {found}")


def _check_comparison(source: Source, left: Node, right: Node, sign: str) -> None:
    first, second = kind(left), kind(right)
    if sign in ("in", "not in"):
        if second in (BOOLEAN, NUMBER, "null"):
            raise source.invalid(
                right, f"a list, a text or an object can contain something; this is {second}"
            )
    elif sign not in ("==", "!="):
        for node, found in ((left, first), (right, second)):
            if found in (BOOLEAN, LIST, "null"):
                raise source.invalid(
                    node, f"{sign} compares two numbers or two texts; this is {found}"
                )
        if NUMBER in (first, second) and {first, second} & {TEXT, TIME}:
            raise source.invalid(
                right, f"{sign} compares two numbers or two texts, not {first} and {second}"
            )


def _check_arithmetic(source: Source, left: Node, right: Node, sign: str) -> None:
    times = TIME in (kind(left), kind(right))
    allowed = (NUMBER, TIME, TEXT) if times and sign == "-" else (NUMBER, TIME)
    for node in (left, right):
        _check_number(source, node, sign, allowed if sign in "+-" else (NUMBER,))


def _check_number(source: Source, node: Node, sign: str, allowed: tuple[str, ...]) -> None:
    found = kind(node)
    if found is not None and found not in allowed:
        hint = "; time() makes a time of a text, number() a number" if found == TEXT else ""
        raise source.invalid(node, f"{sign} needs numbers; this is {found}{hint}")


def _check_call(source: Source, node: Call) -> None:
    signature = FUNCTIONS[node.name].signature
    if node.name in ("has", "default") and not isinstance(node.arguments[0], Field):
        raise source.invalid(node.arguments[0], f"write {signature}, with a field first")
    if node.name in ("any_of", "all_of"):
        items, condition = node.arguments
        if kind(items) not in (None, LIST):
            raise source.invalid(items, f"write {signature}; this is {kind(items)}")
        check_condition(source, condition, f"write {signature}")
        for inner in walk(condition):
            if isinstance(inner, Call) and inner.name in ("any_of", "all_of"):
                raise source.invalid(inner, f"{node.name}() has no {inner.name}() inside")
