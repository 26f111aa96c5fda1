"""Which fields an expression reads, and whether they are known."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

from higherself.workflow.guard.errors import dotted
from higherself.workflow.guard.tree import (
    ITEM,
    Call,
    Field,
    Node,
    Source,
    children,
)

Fields = Mapping[str, "Fields | None"]
"""What may be read, by name: the fields below each, or None where anything may be."""


@dataclass(frozen=True, slots=True)
class Read:
    """A field that an expression reads, and where it says so: ``text[start:end]``.

    A step of ``path`` is a key; None stands for any item of a list, or a key that is computed.
    ``asked`` says that the expression copes with its absence: `has` or `default` ask for it.
    """

    path: tuple[str | None, ...]
    start: int
    end: int
    asked: bool = False


def reads(source: Source) -> tuple[Read, ...]:
    """Return every field that is read, in reading order."""
    return tuple(_reads(source.root, item=None))


def _reads(
    node: Node, *, item: tuple[str | None, ...] | None, asked: bool = False
) -> Iterator[Read]:
    """Yield the fields of ``node``; ``item`` is the path of `item`, where there is one."""
    if isinstance(node, Field):
        steps = tuple(step if isinstance(step, str) else None for step in node.steps)
        start = item if item is not None and node.root == ITEM else (node.root,)
        yield Read((*start, *steps), node.start, node.end, asked)
    if isinstance(node, Call) and node.name in ("any_of", "all_of"):
        listed, condition = node.arguments
        found = list(_reads(listed, item=item))
        yield from found
        path = found[0].path if isinstance(listed, Field) else ()
        yield from _reads(condition, item=(*path, None))
    elif isinstance(node, Call) and node.name in ("has", "default"):
        for index, argument in enumerate(node.arguments):
            yield from _reads(argument, item=item, asked=index == 0)
    else:
        for child in children(node):
            yield from _reads(child, item=item)


def check_known(source: Source, known: Fields) -> None:
    """Refuse a field that is not ``known``.

    Raises
        InvalidExpression: naming the first such field, and the one that may have been meant.
    """
    for read in reads(source):
        fields: Fields | None = known
        for depth, step in enumerate(read.path):
            if step is None or fields is None:
                break
            if step not in fields:
                name = dotted(read.path[: depth + 1])
                place = Node(read.start, read.end)
                raise source.invalid(place, f"unknown field '{name}'{_hint(name, known)}")
            fields = fields[step]


_MOST_NAMES = 500


def _hint(name: str, known: Fields) -> str:
    names = list(islice(_names(known), _MOST_NAMES))
    ends = [other for other in names if other.rpartition(".")[2] == name.rpartition(".")[2]]
    near = get_close_matches(name, names, n=1) or ends[:1]
    return f"; did you mean '{near[0]}'?" if near else ""


def _names(fields: Fields, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield every known field, those near the top first."""
    for name in fields:
        yield dotted((*above, name))
    for name, below in fields.items():
        if below is not None:
            yield from _names(below, (*above, name))
