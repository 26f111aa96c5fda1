"""Reading nodes into values: every problem is collected, none stops the rest. Pure.

A `Spot` is a node and the path of the key it stands under. Functions that read a spot raise
`Wrong` (made by `Spot.wrong`) or return a value; `Keys` and `Spot.each` catch it, remember the
problem and go on.
"""

from collections.abc import Callable, Collection
from types import TracebackType
from typing import TypeVar

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonValue, check_json
from higherself.workflow.definition.nodes import Entries, Items, Node, Scalar, value_of
from higherself.workflow.definition.paths import below
from higherself.workflow.errors import Place, Problem, did_you_mean

T = TypeVar("T")
U = TypeVar("U")


class Wrong(Exception):
    """What is read is not what it should be. Never leaves the loader."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class Notes:
    """What was found while reading one definition: problems, and the place of every path."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.places: dict[str, Place] = {}


class Spot:
    """A node, the path that leads to it, and where to note what is found."""

    __slots__ = ("node", "notes", "path", "place")

    def __init__(self, node: Node, path: str, notes: Notes, key_place: Place | None = None) -> None:
        self.node, self.path, self.notes = node, path, notes
        self.place = key_place or node.place
        if self.place is not None:
            notes.places[path] = self.place

    # --- Problems.

    def problem(self, what: str, *, at: Place | None = None) -> Problem:
        """Return the problem of this spot; its place is that of the node, if not another is said."""
        return Problem(at or self.node.place, self.path, what)

    def wrong(self, what: str, *, at: Place | None = None) -> Wrong:
        """Return the exception to raise."""
        return Wrong(self.problem(what, at=at))

    def note(self, what: str, *, at: Place | None = None) -> None:
        """Remember a problem and go on."""
        self.notes.problems.append(self.problem(what, at=at))

    # --- What it is.

    @property
    def scalar(self) -> JsonValue:
        """The text, number, true, false or null that it is; None if it is a list or an object."""
        return self.node.value if isinstance(self.node, Scalar) else None

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return isinstance(self.node, Items)

    @property
    def is_text(self) -> bool:
        """Whether it is a text."""
        return isinstance(self.scalar, str)

    def json(self) -> JsonValue:
        """Return it as it is."""
        value = value_of(self.node)
        try:
            return check_json(value)
        except Rejected as error:
            raise self.wrong(str(error)) from None

    # --- What is in it.

    def keys(self, what: str) -> "Keys":
        """Return the keys of the object it is, to be read one by one; ``what`` names it."""
        if not isinstance(self.node, Entries):
            raise self.wrong(f"{what} is an object with keys, not {_kind(self.node)}")
        return Keys(self, self.node)

    def table(self, what: str, read: Callable[[str, "Spot"], T]) -> dict[str, T]:
        """Return what ``read`` makes of each key and its value, for keys that the author chose.

        It may raise `ValueError` about the key.
        """
        if not isinstance(self.node, Entries):
            raise self.wrong(f"{what} is an object with names as keys, not {_kind(self.node)}")
        read_well = {}
        for key, node in self.node.nodes.items():
            inner = Spot(node, below(self.path, key), self.notes, self.node.places.get(key))
            try:
                read_well[key] = read(key, inner)
            except Wrong as wrong:
                self.notes.problems.append(wrong.problem)
            except ValueError as error:
                inner.note(str(error), at=inner.place)
        return read_well

    def names(self) -> tuple[str, ...]:
        """Return the keys, if it is an object."""
        return tuple(self.node.nodes) if isinstance(self.node, Entries) else ()

    def moved(self, path: str) -> "Spot":
        """Return the same spot under another path, one that says the same in a normal form."""
        return Spot(self.node, path, self.notes, self.place)

    def each(self, read: Callable[["Spot"], T]) -> tuple[T, ...]:
        """Return what ``read`` makes of the items; of the spot itself, if it is no list."""
        if not isinstance(self.node, Items):
            return (read(self),)
        read_well = []
        for index, node in enumerate(self.node.nodes):
            try:
                read_well.append(read(Spot(node, below(self.path, index), self.notes)))
            except Wrong as wrong:
                self.notes.problems.append(wrong.problem)
        return tuple(read_well)


class Keys:
    """The keys of an object. What nobody asked for by the end of the block is unknown."""

    def __init__(self, spot: Spot, entries: Entries) -> None:
        self.spot, self._entries = spot, entries
        self.asked: list[str] = []

    def __enter__(self) -> "Keys":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            return
        for key, place in self._entries.places.items():
            if key not in self.asked:
                what = f"there is no key {key!r} here{did_you_mean(key, self.asked)}"
                self.spot.note(what, at=place)

    def ignore(self) -> None:
        """Let every key pass: somebody else reads this object."""
        self.asked += self._entries.nodes

    def __contains__(self, key: str) -> bool:
        return key in self._entries.nodes

    def given(self, *keys: str) -> list[str]:
        """Return which of ``keys`` are there, in that order."""
        return [key for key in keys if key in self._entries.nodes]

    def spot_of(self, key: str) -> Spot | None:
        """Return the spot under ``key``, or None; the key is known from now on."""
        self.asked.append(key)
        node = self._entries.nodes.get(key)
        if node is None:
            return None
        place = self._entries.places.get(key)
        return Spot(node, below(self.spot.path, key), self.spot.notes, place)

    def read(self, key: str, read: Callable[[Spot], T], default: U) -> T | U:
        """Return what ``read`` makes of the value under ``key``; ``default`` if there is none."""
        spot = self.spot_of(key)
        if spot is None:
            return default
        try:
            return read(spot)
        except Wrong as wrong:
            self.spot.notes.problems.append(wrong.problem)
            return default

    def need(self, key: str, read: Callable[[Spot], T], default: U, *, example: str) -> T | U:
        """Like `read`, but it is a problem if there is none; ``example`` shows what to write."""
        if key not in self:
            self.spot.note(f"the key {key!r} is missing; for example `{example}`")
        return self.read(key, read, default)


# --- Values.


def text(spot: Spot) -> str:
    """Return a text that is not blank."""
    value = spot.scalar
    if not isinstance(value, str):
        raise spot.wrong(f"this is to be a text, not {_kind(spot.node)}")
    if not value.strip():
        raise spot.wrong("this text is empty")
    return value


def flag(spot: Spot) -> bool:
    """Return true or false."""
    value = spot.scalar
    if not isinstance(value, bool):
        raise spot.wrong(f"this is to be true or false, not {_kind(spot.node)}")
    return value


def whole(least: int, most: int) -> Callable[[Spot], int]:
    """Return a function that reads a whole number from ``least`` to ``most``."""

    def read(spot: Spot) -> int:
        value = spot.scalar
        if not isinstance(value, int) or isinstance(value, bool):
            raise spot.wrong(f"this is to be a whole number, not {_kind(spot.node)}")
        if not least <= value <= most:
            raise spot.wrong(f"this is to be a number from {least:,} to {most:,}, not {value:,}")
        return value

    return read


def number(least: float, most: float) -> Callable[[Spot], float]:
    """Return a function that reads a number from ``least`` to ``most``."""

    def read(spot: Spot) -> float:
        value = spot.scalar
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise spot.wrong(f"this is to be a number, not {_kind(spot.node)}")
        if not least <= value <= most:
            raise spot.wrong(f"this is to be a number from {least:g} to {most:g}, not {value:g}")
        return float(value)

    return read


def from_text(parse: Callable[[str], T]) -> Callable[[Spot], T]:
    """Return a function that reads a text with ``parse``, which may raise `ValueError`."""

    def read(spot: Spot) -> T:
        said = text(spot)
        try:
            return parse(said)
        except ValueError as error:
            raise spot.wrong(str(error)) from None

    return read


def one_of(known: Collection[str], what: str) -> Callable[[Spot], str]:
    """Return a function that reads one of the ``known`` names of ``what``."""

    def read(spot: Spot) -> str:
        value = text(spot)
        if value not in known:
            raise spot.wrong(f"there is no {what} {value!r}{did_you_mean(value, known)}")
        return value

    return read


def _kind(node: Node) -> str:
    match node:
        case Items():
            return "a list"
        case Entries():
            return "an object"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool(value)):
            return "true" if value else "false"
        case Scalar(value=str(value)):
            return f"the text {value[:40]!r}"
        case Scalar(value=value):
            return f"the number {value}"
