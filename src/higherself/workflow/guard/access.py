"""Reading a field: fast where keys lead to it, and with the reason where nothing does."""

from collections.abc import Callable, Mapping
from typing import Any

from higherself.workflow.guard.errors import ExpressionFailed, dotted
from higherself.workflow.guard.tree import Field, Source
from higherself.workflow.guard.values import Run, kind_of

Closure = Callable[[Any, Run], Any]
"""What evaluates a part of an expression, given the scope and the run."""

ABSENT = (LookupError, TypeError)
"""What Python raises where a key leads nowhere."""


def reader(way: "Way") -> Closure:
    """Return what reads the field at the end of ``way``, or fails."""
    keys = way.node.keys
    if keys is None or len(keys) > _LONGEST_FAST:
        return way.value
    make = (_ITEM_READERS if way.of_item else _READERS)[len(keys)]
    return make(way, way.node.root, *keys)


class Way:
    """The way to a field: from the scope, or from the item that is looked at."""

    __slots__ = ("_source", "_steps", "node", "of_item")

    def __init__(
        self, source: Source, node: Field, of_item: bool, steps: list[str | int | Closure]
    ) -> None:
        self._source, self.node, self.of_item, self._steps = source, node, of_item, steps

    def read(self, scope: Any, run: Run) -> Any:
        """Return the field's value, or raise a `LookupError`."""
        value = run.item if self.of_item else scope[self.node.root]
        for step in self._steps:
            value = _taken(value, step(scope, run) if callable(step) else step)
        return value

    def value(self, scope: Any, run: Run) -> Any:
        """Return the field's value, or fail."""
        try:
            return self.read(scope, run)
        except LookupError:
            raise self.failed(scope, run) from None

    def failed(self, scope: Any, run: Run) -> ExpressionFailed:
        """Return why there is no such field: the first step that cannot be taken."""
        root = self.node.root
        if not self.of_item and root not in scope:
            return self._without(scope, (), root)
        value: Any = run.item if self.of_item else scope[root]
        taken: tuple[Any, ...] = (root,)
        for step in self._steps:
            key = step(scope, run) if callable(step) else step
            try:
                value = _taken(value, key)
            except LookupError:
                return self._without(value, taken, key)
            taken = (*taken, key)
        return self._source.failed(self.node, f"'{dotted(taken)}' cannot be read")

    def _without(self, value: Any, taken: tuple[Any, ...], key: Any) -> ExpressionFailed:
        problem = f"there is no field '{dotted((*taken, key))}'"
        if isinstance(value, Mapping) and isinstance(key, str):
            return self._source.failed(self.node, problem, near=(taken, key, value))
        found = f"a list of {len(value)}" if isinstance(value, list) else kind_of(value)
        return self._source.failed(self.node, f"{problem}: '{dotted(taken)}' is {found}")


def _taken(value: Any, key: Any) -> Any:
    if isinstance(value, dict) and type(key) is str:
        return value[key]
    if isinstance(value, list) and type(key) is int:
        return value[key]
    raise LookupError


_LONGEST_FAST = 3


def _read_name(way: Way, root: str) -> Closure:
    def read(scope: Any, run: Run) -> Any:
        try:
            return scope[root]
        except ABSENT:
            raise way.failed(scope, run) from None

    return read


def _read_1(way: Way, root: str, first: str) -> Closure:
    def read(scope: Any, run: Run) -> Any:
        try:
            return scope[root][first]
        except ABSENT:
            raise way.failed(scope, run) from None

    return read


def _read_2(way: Way, root: str, first: str, second: str) -> Closure:
    def read(scope: Any, run: Run) -> Any:
        try:
            return scope[root][first][second]
        except ABSENT:
            raise way.failed(scope, run) from None

    return read


def _read_3(way: Way, root: str, first: str, second: str, third: str) -> Closure:
    def read(scope: Any, run: Run) -> Any:
        try:
            return scope[root][first][second][third]
        except ABSENT:
            raise way.failed(scope, run) from None

    return read


def _read_item(way: Way, root: str) -> Closure:
    return lambda scope, run: run.item


def _read_of_item(way: Way, root: str, key: str) -> Closure:
    def read(scope: Any, run: Run) -> Any:
        try:
            return run.item[key]
        except ABSENT:
            raise way.failed(scope, run) from None

    return read


def _read_far(way: Way, root: str, *keys: str) -> Closure:
    return way.value


_READERS: tuple[Callable[..., Closure], ...] = (_read_name, _read_1, _read_2, _read_3)
_ITEM_READERS: tuple[Callable[..., Closure], ...] = (
    _read_item,
    _read_of_item,
    _read_far,
    _read_far,
)
